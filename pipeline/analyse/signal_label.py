"""Which bounds the stage `signal` judges by. Loads no watch: the server asks too, which holds no NumPy.

Bounds are adopted: a folder of them is checked by a process of its own, and copied to `{data}/analysis/signal/`.
Workers judge by the copy, so that a file somebody is editing, or has spoiled, changes nothing. Called in threads.
"""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import yaml

from pipeline.errors import SettingsInvalid, StorageError

FOLDER: Final = Path(__file__).resolve().parent.parent.parent / "configs" / "rules" / "signal"
FILES: Final = ("pictures.yaml", "sounds.yaml")
_DIGITS: Final = 8
_CHECK_S: Final = 60.0


def signal_label(folder: Path = FOLDER) -> str:
    """name@version; comments do not count. Raises: SettingsInvalid: a file cannot be read, or is no YAML."""
    said = []
    for name in FILES:
        try:
            said.append(yaml.safe_load((folder / name).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise SettingsInvalid(f"{folder / name}: cannot be read ({error})") from error
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return f"signal@{hashlib.sha256(canonical.encode()).hexdigest()[:_DIGITS]}"


def adopted_folder(data: Path) -> Path:
    """Where the bounds lie that are in force."""
    return data / "analysis" / "signal"


def check(folder: Path) -> None:
    """Raises: SettingsInvalid: its bounds do not hold, with every mistake."""
    checked = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "pipeline.analyse.signal_rules", str(folder)],
        capture_output=True, text=True, timeout=_CHECK_S, check=False,
    )  # fmt: skip
    if checked.returncode:
        raise SettingsInvalid(checked.stderr.strip() or f"{folder}: the bounds cannot be checked")


def adopt(data: Path, folder: Path = FOLDER) -> str:
    """The label of the bounds in force: those of `folder`, where they hold.

    Raises: SettingsInvalid: they do not, with every mistake; what was adopted before stays. StorageError.
    """
    label, place = signal_label(folder), adopted_folder(data)
    if place.is_dir() and signal_label(place) == label:
        return label
    check(folder)
    draft = place.with_name(f".signal-{secrets.token_hex(6)}")
    try:
        draft.mkdir(parents=True)
        for name in FILES:
            shutil.copyfile(folder / name, draft / name)
        shutil.rmtree(place, ignore_errors=True)
        os.replace(draft, place)
    except OSError as error:
        raise StorageError(f"{place}: bounds cannot be adopted ({error})") from error
    return label
