"""What the registry says of a model, and the check of its file: every mistake told with file, entry and field.

Knows nothing of the disk beyond that one file; where a model's files lie is models/registry.py's business.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from pipeline.errors import SettingsInvalid

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
"""No folders, no dots in front: what is joined to a folder stays in it."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

_KEPT_FOR_US: Final = (".part", ".part.json")


class Task(StrEnum):
    """What a model is for."""

    SPEECH = "speech"
    VOICE_ACTIVITY = "voice-activity"
    TEXT = "text"
    """Text in pictures."""
    FACE_DETECTION = "face-detection"
    FACE_EMBEDDING = "face-embedding"
    """Aligned faces to vectors that can be compared."""


class Engine(StrEnum):
    """What runs a model."""

    FASTER_WHISPER = "faster-whisper"
    SENSE_VOICE = "sherpa-onnx-sense-voice"
    PARAFORMER = "sherpa-onnx-paraformer"
    SILERO = "silero"
    RAPIDOCR = "rapidocr"
    YUNET = "yunet"
    SCRFD = "scrfd"
    SFACE = "sface"
    ARCFACE = "arcface"


class Hashes(StrEnum):
    """Whose the hashes of an entry are: computed by us from the files, or published by others."""

    OWN = "own"
    PUBLISHED = "published"


TASKS: Final = {
    Engine.FASTER_WHISPER: Task.SPEECH,
    Engine.SENSE_VOICE: Task.SPEECH,
    Engine.PARAFORMER: Task.SPEECH,
    Engine.SILERO: Task.VOICE_ACTIVITY,
    Engine.RAPIDOCR: Task.TEXT,
    Engine.YUNET: Task.FACE_DETECTION,
    Engine.SCRFD: Task.FACE_DETECTION,
    Engine.SFACE: Task.FACE_EMBEDDING,
    Engine.ARCFACE: Task.FACE_EMBEDDING,
}
_OF_SOUND: Final = (Task.SPEECH, Task.VOICE_ACTIVITY)
_OF_FACES: Final = (Task.FACE_DETECTION, Task.FACE_EMBEDDING)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelFile(_Part):
    """One file. size_bytes, sha256: null where nobody has told us; such a file is never loaded."""

    path: FileName
    size_bytes: int | None = Field(default=None, ge=0)
    sha256: Sha256 | None = None

    @field_validator("path")
    @classmethod
    def _is_not_kept_for_us(cls, path: str) -> str:
        if path.endswith(_KEPT_FOR_US):
            raise ValueError("names that end in .part are those of downloads on their way")
        return path


class Weaknesses(_Part):
    """What the model is known to do badly, for people."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Entry(_Part):
    """One model.

    package: where its files are inside an installed Python package (faster_whisper/assets); null: in its own folder.
    sources: where `pull` finds the files, the source first, then mirrors; a file's name is put behind each.
    is_commercial: whether the licence lets it be used commercially. languages: none for faces. window_s: what the model
    always looks at; null: as long as the sound is. longest_s: the longest utterance it is given; 0: it takes no sound.
    vector_size: how many numbers it makes of a face; 0: it makes none. feature_cut: whether the features of a short
    utterance may be cut to its length, hot_words: whether names given to it come out more often, both by measurement.
    smaller: what takes over under overload.
    """

    name: Name
    task: Task
    engine: Engine
    version: Version
    files: tuple[ModelFile, ...] = Field(min_length=1)
    hashes: Hashes
    package: str | None = Field(default=None, pattern=r"^[a-z_]+(/[a-z_]+)*$")
    sources: tuple[str, ...] = ()
    licence: str = Field(min_length=1)
    licence_url: str = ""
    licence_note: str = ""
    is_commercial: bool
    languages: tuple[str, ...] = ()
    window_s: float | None = Field(default=None, gt=0)
    longest_s: float = Field(default=0, ge=0)
    vector_size: int = Field(default=0, ge=0, le=4096)
    feature_cut: bool = False
    hot_words: bool = False
    smaller: Name | None = None
    is_demo: bool = False
    weaknesses: Weaknesses

    @property
    def label(self) -> str:
        """As results carry it."""
        return f"{self.name}@{self.version}"

    @property
    def size_bytes(self) -> int | None:
        sizes = [file.size_bytes for file in self.files]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @property
    def unpinned(self) -> tuple[str, ...]:
        """The files whose hash nobody has told us."""
        return tuple(file.path for file in self.files if file.sha256 is None)

    @field_validator("sources")
    @classmethod
    def _are_web(cls, sources: tuple[str, ...]) -> tuple[str, ...]:
        for source in sources:
            parts = urlsplit(source)
            if parts.scheme not in ("http", "https") or not parts.hostname or not source.endswith("/"):
                raise ValueError(f"{source!r}: the form is https://HOST/PATH/")
            if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
                raise ValueError("an address holds no name, password, query or fragment")
        return sources

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if TASKS[self.engine] is not self.task:
            raise ValueError(f"engine: {self.engine} is for {TASKS[self.engine]}, not for {self.task}")
        if (self.longest_s > 0) is not (self.task in _OF_SOUND):
            raise ValueError("longest_s: more than 0 for sound, left out for pictures")
        if bool(self.languages) is (self.task in _OF_FACES):
            raise ValueError("languages: at least one, left out for faces")
        if (self.vector_size > 0) is not (self.task is Task.FACE_EMBEDDING):
            raise ValueError("vector_size: more than 0 for what compares faces, left out for all else")
        if self.task in _OF_FACES and len(self.files) > 1:
            raise ValueError("files: a face model is one file")
        paths = [file.path for file in self.files]
        if len(set(paths)) < len(paths):
            raise ValueError("files: a path stands twice")
        if self.feature_cut and self.engine is not Engine.FASTER_WHISPER:
            raise ValueError("feature_cut: only faster-whisper has features that could be cut")
        return self


def load(path: Path) -> tuple[Entry, ...]:
    """The entries of a registry, in its order.

    Raises: SettingsInvalid: with every mistake at once, each with its file, entry and field.
    """
    entries: list[Entry] = []
    mistakes: list[str] = []
    for number, tree in enumerate(_trees(path)):
        try:
            entries.append(Entry.model_validate(tree))
        except ValidationError as error:
            name = tree.get("name") if isinstance(tree, dict) else None
            mistakes += [f"{path}: {name or f'entry {number + 1}'}: {line}" for line in _lines(error)]
    mistakes += [f"{path}: {line}" for line in _between(entries, has_all=not mistakes)]
    if mistakes:
        raise SettingsInvalid("\n".join(mistakes))
    return tuple(entries)


def _trees(path: Path) -> list[object]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path}: cannot be read ({error}); models.registry names the list of models") from error
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsInvalid(f"{path}: not valid YAML: {error}") from error
    if not isinstance(tree, dict) or set(tree) != {"models"} or not isinstance(tree["models"], list):
        raise SettingsInvalid(f"{path}: the file must be a mapping with the one key 'models', a list")
    return list(tree["models"])


def _lines(error: ValidationError) -> list[str]:
    lines = []
    for mistake in error.errors():
        field = ".".join(map(str, mistake["loc"]))
        said = "no such field" if mistake["type"] == "extra_forbidden" else mistake["msg"].removeprefix("Value error, ")
        lines.append(f"{field}: {said}" if field else said)
    return lines


def _between(entries: list[Entry], *, has_all: bool) -> list[str]:
    """Mistakes that no entry has alone. has_all: no entry was left out, so that a missing name is one."""
    by_name = {entry.name: entry for entry in entries}
    names = [entry.name for entry in entries]
    lines = [f"{name}: name: stands there twice" for name in by_name if names.count(name) > 1]
    for entry in entries:
        smaller = by_name.get(entry.smaller or "")
        if smaller is not None and smaller.task is not entry.task:
            lines.append(f"{entry.name}: smaller: {smaller.name} is for {smaller.task}, not for {entry.task}")
        elif entry.smaller is not None and smaller is None and has_all:
            lines.append(f"{entry.name}: smaller: there is no model {entry.smaller!r}")
        elif _comes_back(entry, by_name):
            lines.append(f"{entry.name}: smaller: leads back to {entry.name}")
    return lines


def _comes_back(entry: Entry, by_name: dict[str, Entry]) -> bool:
    at, passed = by_name.get(entry.smaller or ""), set[str]()
    while at is not None and at.name not in passed:
        if at.name == entry.name:
            return True
        passed.add(at.name)
        at = by_name.get(at.smaller or "")
    return False
