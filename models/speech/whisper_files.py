"""Looks at the files of a Whisper model before an engine does, so that what is wrong is said in a plain sentence."""

import json
import struct
from pathlib import Path
from typing import Final

from pipeline.errors import ModelFailed, ModelMissing

NEEDED: Final = ("config.json", "model.bin", "tokenizer.json")
_OPTIONAL: Final = "preprocessor_config.json"
"""The published tiny, base, small and medium have none; the engine then takes 80 mels."""
_SPECIFICATION: Final = "WhisperSpec"


def check(folder: Path) -> None:
    """Raises: ModelMissing: a file is not here. ModelFailed: a file is broken, or the model is of another kind."""
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise ModelMissing(
            f"{folder.name} lacks {', '.join(missing)}; bring it with `onrecord models pull` or `import`"
        )
    _read_json(folder / "config.json", ())
    _read_json(folder / "tokenizer.json", ("model", "added_tokens"))
    if (folder / _OPTIONAL).exists():
        _read_json(folder / _OPTIONAL, ())
    kind = _kind(folder / "model.bin")
    if kind != _SPECIFICATION:
        raise ModelFailed(f"{folder.name} is no Whisper model of CTranslate2 ({kind}); convert it, or name another one")


def _read_json(path: Path, needed: tuple[str, ...]) -> None:
    try:
        read = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFailed(f"{path.parent.name}/{path.name} cannot be read; bring the model anew") from error
    if not isinstance(read, dict) or any(name not in read for name in needed):
        raise ModelFailed(f"{path.parent.name}/{path.name} is not what it should be; bring the model anew")


def _kind(path: Path) -> str:
    """The specification that the head of model.bin names: version, length, name with a zero byte."""
    head = path.open("rb").read(64)
    if len(head) < 6:
        return "model.bin is cut off"
    length = struct.unpack_from("<H", head, 4)[0]
    name = head[6 : 6 + length].rstrip(b"\0")
    return name.decode("ascii") if name.isalnum() and name.isascii() else "model.bin has no head"
