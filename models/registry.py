"""Which models there are, where their files lie, and whether they may be loaded. Loads none, opens no connection.

A model's files are sought in the project's own models/weights/NAME, then in NAME in the models folder; of what comes
inside a Python package, there. Nothing is handed out before size and SHA-256 of every file were checked.
"""

import importlib.util
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from models import pins
from models.entries import Engine, Entry, ModelFile, Task, load
from models.hashes import Checks
from pipeline.errors import ModelError, ModelMissing, ModelUnverified

FILE: Final = Path(__file__).resolve().parent.parent / "configs" / "models.yaml"
SHIPPED: Final = Path(__file__).resolve().parent / "weights"
CHECKED: Final = "checked.json"

_PACKAGES: Final = {
    Engine.FASTER_WHISPER: "faster_whisper",
    Engine.SENSE_VOICE: "sherpa_onnx",
    Engine.PARAFORMER: "sherpa_onnx",
    Engine.SILERO: "onnxruntime",
    Engine.RAPIDOCR: "rapidocr",
    Engine.YUNET: "onnxruntime",
    Engine.SCRFD: "insightface",
    Engine.SFACE: "onnxruntime",
    Engine.ARCFACE: "insightface",
}
_HARMLESS: Final = ("README", "LICENSE", "LICENCE", "NOTICE", ".")
"""What else may lie in a model's folder: no engine reads it."""


class State(StrEnum):
    """How far a model is here; says nothing of whether its files are the right ones."""

    HERE = "here"
    INCOMPLETE = "incomplete"
    MISSING = "missing"
    UNPINNED = "unpinned"
    """Its files may be here, but nobody has told us their hashes."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A model that may be loaded: every file of it was checked."""

    folder: Path
    entry: Entry


class Registry:
    """The models of one installation."""

    def __init__(
        self, entries: tuple[Entry, ...], folder: Path, *, accepts_noncommercial: bool = False, writes: bool = True
    ) -> None:
        """writes: whether hashes of large files are remembered for the next check."""
        self.entries = entries
        self.folder = folder
        self._accepts_noncommercial = accepts_noncommercial
        self._checks = Checks(folder / CHECKED, writes=writes)

    @classmethod
    def open(
        cls,
        data: Path,
        registry: Path | None = None,
        folder: Path | None = None,
        *,
        accepts_noncommercial: bool = False,
        writes: bool = True,
    ) -> Self:
        """From plain values of the settings: data, models.registry, models.folder, models.accept_noncommercial.

        Raises: SettingsInvalid: the registry or the pins do not hold; every mistake is told.
        """
        at = folder or data / "models"
        known = pins.load(at)
        entries = tuple(pins.applied(entry, known.get(entry.name)) for entry in load(registry or FILE))
        return cls(entries, at, accepts_noncommercial=accepts_noncommercial, writes=writes)

    def entry(self, name: str) -> Entry:
        """Raises: ModelMissing: no model is called so."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise ModelMissing(f"no model is called {name!r}; 'onrecord models list' shows all")

    def folders_of(self, entry: Entry) -> list[Path]:
        """Where files of it are, in the order in which they are tried."""
        places = _in_package(entry.package) if entry.package else [SHIPPED / entry.name, self.own_folder_of(entry)]
        return [folder for folder in places if any((folder / file.path).exists() for file in entry.files)]

    def own_folder_of(self, entry: Entry) -> Path:
        """Where `pull` and `import` put it."""
        return self.folder / entry.name

    def state(self, entry: Entry) -> State:
        folders = self.folders_of(entry)
        if entry.unpinned:
            return State.UNPINNED
        if not folders:
            return State.MISSING
        return State.INCOMPLETE if all(_absent(entry, folder) for folder in folders) else State.HERE

    def choose(self, task: Task, name: str = "") -> Entry:
        """The model called `name`; without one, the first for this task whose files and engine are here.

        One that was made to show is never taken unasked: on real speech it writes confident nonsense.

        Raises: ModelMissing: the sentence says what to do.
        """
        if name:
            entry = self.entry(name)
            if entry.task is not task:
                raise ModelMissing(
                    f"{name} is a model for {entry.task}, not for {task}; 'onrecord models list' shows all"
                )
            return entry
        here = [
            entry for entry in self.entries
            if entry.task is task and self._may_be_used(entry) and self.state(entry) is State.HERE and has_engine(entry)
        ]  # fmt: skip
        for entry in here:
            if not entry.is_demo:
                return entry
        if here:
            raise ModelMissing(
                f"only {here[0].name} is here for {task}, a model for demonstration that does not know real voices; "
                f"bring a real one ('onrecord models list'), or name it in {task}.model to try it"
            )
        raise ModelMissing(f"no model for {task} is here; 'onrecord models list' shows which could be brought")

    def ready(self, name: str) -> Ready:
        """The model, after its files were checked.

        Raises: ModelMissing: no such model, or files are not here. ModelUnverified: a file is not the one of the
        registry, has no hash, or lies there without being named. ModelError: its licence is not accepted.
        """
        entry = self.entry(name)
        if not self._may_be_used(entry):
            raise ModelError(
                f"{name}: its licence ({entry.licence}) does not allow commercial use; "
                "models.accept_noncommercial says that yours is not"
            )
        folders = self.folders_of(entry)
        if not folders:
            raise ModelMissing(f"{name}: its files are not in {self.own_folder_of(entry)}; {_remedy(entry)}")
        if entry.unpinned:
            raise ModelUnverified(
                f"{name}: nobody has told us the hash of {', '.join(entry.unpinned)}; once you know where the files "
                f"are from, 'onrecord models pin {name}' records them"
            )
        for folder in folders:
            if not self.defects(entry, folder):
                return Ready(folder, entry)
        if absent := _absent(entry, folders[-1]):
            raise ModelMissing(f"{name}: {', '.join(absent)} missing in {folders[-1]}; {_remedy(entry)}")
        found = "; ".join(self.defects(entry, folders[-1]))
        raise ModelUnverified(f"{name}: {found}; it is not loaded. {_remedy(entry)}")

    def defect(self, folder: Path, file: ModelFile) -> str:
        """What is wrong with one file in this folder, every byte of it read; empty: nothing."""
        return self._checks.defect(folder, file, fresh=True)

    def defects(self, entry: Entry, folder: Path, *, fresh: bool = False) -> list[str]:
        """What is wrong with its files in this folder. fresh: every byte is read, nothing remembered counts."""
        found = [self._checks.defect(folder, file, fresh=fresh) for file in entry.files]
        strangers = _strangers(entry, folder)
        return [each for each in found if each] + [f"{name} is not in the registry" for name in strangers]

    def _may_be_used(self, entry: Entry) -> bool:
        return entry.is_commercial or self._accepts_noncommercial


def has_engine(entry: Entry) -> bool:
    """Whether the package that runs it is installed."""
    return importlib.util.find_spec(_PACKAGES[entry.engine]) is not None


def engine_package(entry: Entry) -> str:
    """The name by which it is installed."""
    return _PACKAGES[entry.engine].replace("_", "-")


def _in_package(place: str) -> list[Path]:
    package, _, inside = place.partition("/")
    spec = importlib.util.find_spec(package)
    return [Path(each) / inside for each in (spec.submodule_search_locations or ())] if spec is not None else []


def _absent(entry: Entry, folder: Path) -> list[str]:
    return [file.path for file in entry.files if not (folder / file.path).is_file()]


def _strangers(entry: Entry, folder: Path) -> list[str]:
    """Files that an engine could read although nobody checked them."""
    if entry.package is not None:
        return []
    named = {file.path for file in entry.files}
    others = sorted(each.name for each in folder.iterdir() if each.name not in named)
    return [name for name in others if not name.startswith(_HARMLESS) and not name.endswith((".part", ".part.json"))]


def _remedy(entry: Entry) -> str:
    if entry.package is not None:
        return f"install {entry.package.partition('/')[0].replace('_', '-')} anew"
    bring = f"bring it with 'onrecord models import {entry.name} PATH'"
    return f"'onrecord models pull {entry.name}' fetches it, or {bring}" if entry.sources else bring
