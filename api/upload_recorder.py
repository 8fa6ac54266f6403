"""Recordings of files that were sent in: a child process each, behind everything else; live streams feel nothing.

The child is `onrecord ingest`'s intake without an account of its own; it ends with the process that began it.
"""

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import anyio
import anyio.abc

from api.intake import ingest
from cases.access import Access
from cases.uploads.parts import Upload
from cases.uploads.taking import Recorded
from pipeline.errors import WorkerFailed
from pipeline.media import Device
from pipeline.settings import HubSettings, IngestSettings, PushSettings, RecordSettings, Settings

NO_DEVICE = "upload"
"""The device of what came without naming one."""
_NICE = 10
_MOST_BYTES = 1 << 20


class UploadRecorder:
    """Makes recordings of files, in other processes."""

    def __init__(self, settings: Settings, access: Access) -> None:
        self._settings = settings
        self._access = access

    async def record(self, path: Path, upload: Upload) -> Recorded:
        """Raises: WorkerFailed."""
        settings, device = self._settings, self._device(upload)
        asked = {
            "data": str(settings.data), "file": str(path), "device": asdict(device),
            **{name: getattr(settings, name).model_dump(mode="json") for name in ("record", "ingest", "hub", "push")},
        }  # fmt: skip
        line = json.dumps(asked, ensure_ascii=False).encode() + b"\n"
        command = [sys.executable, "-m", "api.upload_recorder"]
        try:
            async with await anyio.open_process(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None
            ) as child:
                answer = await _talk(child, line)
            tree = json.loads(answer)
            return Recorded(tree["recording_id"], tree["seconds"], tree["lost_s"], tree["error"])
        except (OSError, ValueError, KeyError, TypeError, anyio.BrokenResourceError) as error:
            raise WorkerFailed("the child that records a file ended without an answer") from error

    def _device(self, upload: Upload) -> Device:
        for each in self._access.devices():
            if each.device.device_id == upload.device_id:
                return each.device
        return Device(NO_DEVICE, NO_DEVICE, "", upload.unit)


async def _talk(child: anyio.abc.Process, line: bytes) -> bytes:
    """Its answer. stdin stays open meanwhile: its end tells the child that nobody waits any more."""
    if child.stdin is None or child.stdout is None:
        raise OSError("no pipes")
    await child.stdin.send(line)
    answer = bytearray()
    async for data in child.stdout:
        answer += data
        if len(answer) > _MOST_BYTES:
            raise OSError("more than an answer")
    return bytes(answer)


class _OneDevice:
    """Nobody publishes by key in the child."""

    def find(self, _stream_key: str, /) -> Device | None:
        return None

    def is_valid(self, _device_id: str, /) -> bool:
        return True


def _watch_parent() -> None:
    """Until the parent is gone; then nobody asks for the answer."""
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """The child: one line of JSON in, one out."""
    os.nice(_NICE)
    tree = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_watch_parent, daemon=True).start()
    settings = Settings(
        data=Path(tree["data"]),
        record=RecordSettings.model_validate(tree["record"]),
        ingest=IngestSettings.model_validate(tree["ingest"]),
        hub=HubSettings.model_validate(tree["hub"]),
        push=PushSettings.model_validate(tree["push"]),
    )
    taken = anyio.run(ingest, settings, _OneDevice(), Device(**tree["device"]), [Path(tree["file"])], _no_progress)[0]
    answer = {name: getattr(taken, name) for name in ("recording_id", "seconds", "lost_s", "error")}
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    sys.stdout.flush()
    os._exit(0)  # the thread that watches the parent holds stdin


def _no_progress(_file: Path, _seconds: float) -> None:
    """Nobody looks."""


if __name__ == "__main__":
    main()
