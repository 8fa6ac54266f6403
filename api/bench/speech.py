"""`onrecord bench speech`: how soon words come, what hearing costs, how often models err; on this machine, with this build."""

import functools
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from api.analysis import registry_of
from api.bench import captions
from api.bench.speech_models import Measured, gain_8, method, model_figures
from api.bench.speech_set import VOICES, read_set, scene, script_text
from api.bench.speech_sound import METHOD as SOUND_METHOD
from api.bench.speech_sound import sound_path
from models.entries import Engine, Entry, Task
from models.registry import Ready, Registry, State, has_engine
from pipeline.analyse.loading import Models
from pipeline.analyse.order import Order
from pipeline.errors import ModelError, ModelMissing
from pipeline.logs import configure
from pipeline.settings import Settings, load

_SHIPPED = "whisper-demo-zh"
"""Where the default model is of another engine, the gain is measured on this one, and said to be of it."""
_DEMO = (
    "measured with a demonstration model: it understands the synthetic voices of this project and nothing else, and no figure of "
    "it says how real speech would be heard"
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured. seconds: of the scene, live; scene_s: of it, for the gain."""

    devices: int = 4
    seconds: float = 79.5
    rounds: int = 2
    scene_s: float = 77.5


WHOLE = Scale()


def run(sounds: Path | None = None, scale: Scale | None = None) -> dict[str, object]:
    """The report. sounds: a folder with a set of one's own.

    Raises: SettingsInvalid: the set or the settings do not hold. ModelError: no speech model may be loaded.
    WorkerFailed: the server, its worker or their words did not come.
    """
    scale = scale or WHOLE
    load_began = os.getloadavg()[0]
    told = read_set(sounds or VOICES)
    settings = load(None)
    configure(settings.log)
    registry = registry_of(settings)
    default = default_model(registry, settings.speech.model)
    report: dict[str, object] = {"model": default.name, "is_demo": default.is_demo, **sound_path(scale.rounds)}
    report |= captions.live(environment(registry, default), scale.devices, scale.seconds)
    with tempfile.TemporaryDirectory(prefix="onrecord-bench-") as folder:
        models = Models(_order(settings, registry, Path(folder)))
        loaded = functools.cache(models.load)
        basis = default if default.engine is Engine.FASTER_WHISPER else registry.entry(_SHIPPED)
        gain = gain_8(
            registry.ready(basis.name),
            loaded(basis.name),
            scene(scale.scene_s),
            script_text(scale.scene_s),
            scale.rounds,
        )
        share = float(str(report["sound_core_share_per_stream"]))
        report |= gain.report()
        report["models"] = [
            model_figures(each.entry, loaded(each.entry.name), Measured(told, share, scale.rounds))
            for each in map(registry.ready, _here(registry))
        ]
    report["load"] = {"before": load_began, "after": os.getloadavg()[0], "cores": os.cpu_count()}
    report["method"] = " ".join(
        [
            *([_DEMO + "."] if default.is_demo else []), SOUND_METHOD.format(rounds=scale.rounds),
            captions.method(scale.devices), method(sounds, gain.utterances, scale.rounds),
        ]
    )  # fmt: skip
    return report


def default_model(registry: Registry, name: str) -> Entry:
    """The model that a server would use; where it would use none, the one that ships. Raises: ModelError."""
    try:
        return registry.choose(Task.SPEECH, name)
    except ModelMissing:
        return registry.choose(Task.SPEECH, name or _SHIPPED)


def _here(registry: Registry) -> list[str]:
    """Speech models that may be loaded."""
    return [
        each.name
        for each in registry.entries
        if each.task is Task.SPEECH
        and registry.state(each) is State.HERE
        and has_engine(each)
        and _is_ready(registry, each)
    ]


def _is_ready(registry: Registry, entry: Entry) -> bool:
    try:
        return isinstance(registry.ready(entry.name), Ready)
    except ModelError:
        return False


def environment(registry: Registry, default: Entry) -> dict[str, str]:
    """The bench's server has a data folder of its own; its models are those of these settings."""
    return {"ONRECORD_MODELS__FOLDER": str(registry.folder.resolve()), "ONRECORD_SPEECH__MODEL": default.name}


def _order(settings: Settings, registry: Registry, data: Path) -> Order:
    models, speech = settings.models, settings.speech
    return Order(
        "bench", "", "", data=str(data), registry=str(models.registry or ""), models_folder=str(registry.folder),
        accept_noncommercial=models.accept_noncommercial, device=speech.device, threads=1, language=speech.language,
    )  # fmt: skip
