"""What came of files so far, on disk: `{data}/uploads/{upload_id}.part` and a JSON file beside it. Runs in a thread.

`offset` in the JSON is what the medium has confirmed. After a loss of power the part is cut back to it: what lies
behind may be anything.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import structlog

from pipeline.record.disk import mapped

log = structlog.get_logger(__name__)

OPEN, TAKING, TAKEN, DUPLICATE, REFUSED = "open", "taking", "taken", "duplicate", "refused"


@dataclass(slots=True, kw_only=True)
class Upload:
    """A file that comes, or has come.

    unit: whose quota it counts in. device_id: "": none was named. declared: the sender's media type. wanted_sha256,
    captured_us: what the sender says of it; "" and None: nothing. reason: why it was refused, or what could not be done
    with it. same_as: the upload that a duplicate repeats. seconds, lost_s: of the recording.
    """

    upload_id: str
    sent_by: str
    sent_name: str
    unit: str
    case_id: str | None
    device_id: str
    name: str
    declared: str
    wanted_sha256: str
    captured_us: int | None
    size_bytes: int
    created_us: int
    expires_us: int
    state: str = OPEN
    offset: int = 0
    completed_us: int | None = None
    reason: str = ""
    sha256: str = ""
    mime: str = ""
    item_id: str | None = None
    recording_id: str | None = None
    same_as: str | None = None
    seconds: float = 0.0
    lost_s: float = 0.0
    metadata: str = ""


class Parts:
    """The files of uploads in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.part"

    def load(self) -> list[Upload]:
        """All that were begun and are not forgotten; parts are cut to what is sure. Raises: StorageError."""
        found: list[Upload] = []
        with mapped(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path in sorted(self._folder.glob("*.json")):
                try:
                    upload = Upload(**json.loads(path.read_bytes()))
                except (ValueError, TypeError) as error:
                    log.error("an upload cannot be read", file=path.name, reason=type(error).__name__)
                    continue
                if upload.state in (OPEN, TAKING):
                    part = self.path(upload.upload_id)
                    there = part.stat().st_size if part.exists() else 0
                    if there < upload.offset:
                        log.error("an upload lost bytes", upload_id=upload.upload_id, missing=upload.offset - there)
                        upload.offset, upload.state = there, OPEN
                    elif there > upload.offset:
                        os.truncate(part, upload.offset)
                found.append(upload)
            known = {each.upload_id for each in found}
            for part in self._folder.glob("*.part"):
                if part.stem not in known:
                    part.unlink()
        return found

    def create(self, upload: Upload) -> None:
        """Raises: StorageError."""
        with mapped(self.path(upload.upload_id)):
            self.path(upload.upload_id).touch(mode=0o600)
        self.save(upload)

    def save(self, upload: Upload) -> None:
        """On the medium when it returns. Raises: StorageError."""
        path = self._folder / f"{upload.upload_id}.json"
        fresh = path.with_suffix(".new")
        with mapped(path):
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(upload), file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(path)
            sync_folder(self._folder)

    def open(self, upload: Upload) -> BinaryIO:
        """To write from `offset` on. Raises: StorageError."""
        with mapped(self.path(upload.upload_id)):
            file = self.path(upload.upload_id).open("r+b", buffering=0)
            file.truncate(upload.offset)
            file.seek(upload.offset)
        return file

    def drop_part(self, upload_id: str) -> None:
        """Raises: StorageError."""
        with mapped(self.path(upload_id)):
            self.path(upload_id).unlink(missing_ok=True)

    def drop(self, upload_id: str) -> None:
        """Raises: StorageError."""
        self.drop_part(upload_id)
        with mapped(self._folder):
            (self._folder / f"{upload_id}.json").unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Raises: StorageError."""
        with mapped(self._folder):
            found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize


def sync_folder(folder: Path) -> None:
    """Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
