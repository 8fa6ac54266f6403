"""Text that was held to be invented by a model: counted, and kept for people to look at where a setting says so.

Personal data: one file a day that only its owner reads, in the data folder; never a log.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path


class RemovedTexts:
    """counts: by reason."""

    def __init__(self, folder: Path, *, is_kept: bool) -> None:
        self.counts: dict[str, int] = {}
        self._folder = folder
        self._is_kept = is_kept

    def __call__(self, text: str, reason: str) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1
        if not self._is_kept:
            return
        now = datetime.now(UTC)
        line = json.dumps(
            {"at": now.isoformat(timespec="milliseconds"), "reason": reason, "text": text}, ensure_ascii=False
        )
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            descriptor = os.open(self._folder / f"{now:%Y-%m-%d}.jsonl", flags, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        except OSError:
            self._is_kept = False  # for inspection only: nothing waits for it
