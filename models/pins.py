"""Hashes that a person recorded, for files of which the registry has none: `pins.yaml` in the models folder.

A pin fills what the registry leaves empty and never overrules it; it counts for the version it was made for only.
"""

import os
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from models.entries import Entry, ModelFile, Name, Sha256, Version
from pipeline.errors import SettingsInvalid, StorageError

FILE: Final = "pins.yaml"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PinnedFile(_Part):
    """What one file was when a person recorded it."""

    size_bytes: int
    sha256: Sha256


class Pin(_Part):
    """One model's. pinned_at: UTC, RFC 3339. pinned_by: who was at the machine."""

    version: Version
    pinned_at: str
    pinned_by: str
    files: dict[str, PinnedFile]


class _File(_Part):
    models: dict[Name, Pin] = {}


def load(folder: Path) -> dict[str, Pin]:
    """The pins by the model's name. Raises: SettingsInvalid: with every mistake."""
    path = folder / FILE
    try:
        return dict(_File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {}).models)
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        said = [f"{path}: {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise SettingsInvalid("\n".join(said)) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsInvalid(f"{path}: cannot be read ({error})") from error


def record(folder: Path, name: str, pin: Pin) -> None:
    """Raises: StorageError, SettingsInvalid: the pins that are there cannot be read."""
    pins = {**load(folder), name: pin}
    tree = {"models": {each: pins[each].model_dump() for each in sorted(pins)}}
    path = folder / FILE
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error


def applied(entry: Entry, pin: Pin | None) -> Entry:
    """The entry with what the pin knows put where the registry has nothing."""
    if pin is None or pin.version != entry.version:
        return entry
    return entry.model_copy(update={"files": tuple(_filled(file, pin) for file in entry.files)})


def _filled(file: ModelFile, pin: Pin) -> ModelFile:
    known = pin.files.get(file.path)
    if file.sha256 is not None or known is None or file.size_bytes not in (None, known.size_bytes):
        return file
    return file.model_copy(update={"size_bytes": known.size_bytes, "sha256": known.sha256})
