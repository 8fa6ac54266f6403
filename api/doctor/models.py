"""AI models: which will be used, whether its files are what they must be, and what it would run on. Loads none."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from api.doctor.finding import Finding, cannot_tell, ok, warning
from models.entries import Entry, Task
from models.registry import Registry, engine_package, has_engine
from pipeline.errors import ModelError, SettingsInvalid
from pipeline.settings import Settings, SpeechSettings

_CHILD_S: Final = 20.0
_LOST: Final = "no spoken word is written down; everything else works"
_UNREAD: Final = "no certificate is read in pictures; everything else works"
_UNMATCHED: Final = "no face is matched, though faces may be switched on; everything else works"
_CHECKS: Final = {
    Task.SPEECH: "speech model",
    Task.VOICE_ACTIVITY: "voice model",
    Task.TEXT: "text model",
    Task.FACE_DETECTION: "face detector",
    Task.FACE_EMBEDDING: "face model",
}
_LOST_OF: Final = {Task.TEXT: _UNREAD, Task.FACE_DETECTION: _UNMATCHED, Task.FACE_EMBEDDING: _UNMATCHED}


def chosen_models(settings: Settings) -> Iterator[Finding]:
    """A finding a task; one in all where the registry does not hold."""
    own = settings.models
    try:
        registry = Registry.open(
            settings.data,
            own.registry,
            own.folder,
            accepts_noncommercial=own.accept_noncommercial,
            writes=False,
        )
    except SettingsInvalid as mistake:
        yield warning("models", str(mistake), _LOST, "mend each line; docs/models.md")
        return
    yield _model(registry, Task.SPEECH, settings.speech.model)
    yield _model(registry, Task.VOICE_ACTIVITY, "")
    yield _model(registry, Task.TEXT, "")
    for task, name in ((Task.FACE_DETECTION, settings.faces.detector), (Task.FACE_EMBEDDING, settings.faces.embedder)):
        yield _face_model(registry, task, name)


def speech_device(settings: SpeechSettings) -> Finding:
    """Whether there is the device that the setting asks for, as far as CTranslate2 sees one."""
    check = "speech device"
    if settings.device == "cpu":
        return ok(check, "CPU, as set")
    said = _ask_child()
    if said is None:
        return cannot_tell(check, "CTranslate2 does not load", "set speech.device to cpu, or run 'make setup'")
    count, library = said
    if count:
        return ok(check, f"{count} CUDA device(s), CTranslate2 {library}")
    if settings.device == "auto":
        return ok(check, f"CPU; CTranslate2 {library} sees no CUDA device")
    return warning(
        check,
        f"CTranslate2 {library} sees no CUDA device",
        f"speech.device is cuda: {_LOST}",
        "install the driver and CUDA libraries, or set speech.device to auto",
    )


def _face_model(registry: Registry, task: Task, name: str) -> Finding:
    """Most sites have none: faces are off until two persons want them."""
    try:
        registry.choose(task, name)
    except ModelError:
        if not name:
            return ok(_CHECKS[task], "none is here; faces cannot be matched (docs/faces.md)")
    return _model(registry, task, name)


def _model(registry: Registry, task: Task, name: str) -> Finding:
    check, lost = _CHECKS[task], _LOST_OF.get(task, _LOST)
    try:
        entry = registry.choose(task, name)
        if not has_engine(entry):
            package = engine_package(entry)
            return warning(
                check, f"{entry.label} needs {package}, which is not installed", lost, f"pip install {package}"
            )
        registry.ready(entry.name)
    except ModelError as refusal:
        return warning(check, str(refusal), lost, "onrecord models list; docs/models.md")
    return _found(check, entry)


def _found(check: str, entry: Entry) -> Finding:
    if entry.is_demo:
        return warning(
            check,
            f"{entry.label}, for demonstration; not for real speech",
            "on real speech it writes confident nonsense",
            "bring a real one: 'onrecord models pull sensevoice-small'; docs/models.md",
        )
    return ok(check, f"{entry.label}, every file as the registry says")


def _ask_child() -> tuple[int, str] | None:
    """(how many CUDA devices, version of the library); None: no answer."""
    try:
        run = subprocess.run(
            [sys.executable, "-m", "api.doctor.accelerator"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CHILD_S,
            check=False,
        )
        tree = json.loads(run.stdout)
        return int(tree["cuda"]), str(tree["library"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None
