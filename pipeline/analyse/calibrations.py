"""How models run fastest on this machine, measured once: a small file in the data folder, by model and device."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from models.speech.whisper import Calibration


class Calibrations:
    """A file that is missing, broken or cannot be written costs another measurement, nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, key: str) -> Calibration | None:
        try:
            tree = json.loads(self._path.read_bytes())
            return Calibration(**tree[key])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def keep(self, key: str, found: Calibration) -> None:
        try:
            tree = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            tree = {}
        draft = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps({**tree, key: asdict(found)}), encoding="utf-8")
            os.replace(draft, self._path)
        except (OSError, TypeError):
            draft.unlink(missing_ok=True)
