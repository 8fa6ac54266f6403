"""Fetches a model's files over HTTP: goes on where it broke, tries mirrors in order, checks before it names a file.

Of a file on its way there is FILE.part, and FILE.part.json with where it is from and that server's ETag.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import requests

from models.entries import Entry, ModelFile
from models.folder import check_room, exclusive, storage
from models.registry import Registry
from pipeline.errors import ModelMissing, ModelUnverified, OnRecordError

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""(file, bytes that are here, size in bytes or None)."""
Told: TypeAlias = Callable[[str], None]
"""A sentence for the person who waits."""

_CHUNK_BYTES: Final = 1 << 16
_TIMEOUT_S: Final = (10.0, 60.0)
"""To connect; between two pieces of the answer."""
_TRIES: Final = 3
"""In a row without a byte more than ever before; then the next source."""
_PAUSE_S: Final = 1.0
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _Broken(OnRecordError):
    """Raised when an answer broke off or the server is busy: the same source may go on."""


class _Useless(OnRecordError):
    """Raised when this source will not give the file."""


@dataclass(frozen=True, slots=True)
class Pull:
    """One pull of one model. pause_s: between two tries of one source."""

    registry: Registry
    entry: Entry
    progress: Progress
    told: Told
    pause_s: float = _PAUSE_S

    def run(self) -> Path:
        """Everything that is not here yet; the folder where it lies then, or already did.

        Raises: ModelUnverified: a file has no hash, or what came was not the file. ModelMissing: no source gave it;
        the same call goes on later. StorageError, StorageFull, ModelError: another pull is at work.
        """
        entry = self.entry
        for folder in self.registry.folders_of(entry):
            if not self.registry.defects(entry, folder):
                return folder
        if entry.unpinned:
            raise ModelUnverified(
                f"{entry.name}: nobody has told us the hash of {', '.join(entry.unpinned)}, so it is not pulled; "
                f"get the files another way and bring them with 'onrecord models import {entry.name} PATH --pin'"
            )
        if not entry.sources:
            raise ModelMissing(f"{entry.name}: the registry names no source; it ships with the program or is imported")
        folder = self.registry.own_folder_of(entry)
        with exclusive(self.registry.folder):
            with storage(folder):
                folder.mkdir(mode=0o750, exist_ok=True)
            wanted = [file for file in entry.files if self.registry.defect(folder, file)]
            check_room(folder, sum((file.size_bytes or 0) - _size(_part(folder, file)) for file in wanted))
            with requests.Session() as session:
                for file in wanted:
                    self._file(session, folder, file)
        return folder

    def _file(self, session: requests.Session, folder: Path, file: ModelFile) -> None:
        part = _part(folder, file)
        if file.size_bytes is not None and _size(part) >= file.size_bytes and self._defect(part, file):
            _forget(part)
        problems, was_wrong = [], False
        for source in self.entry.sources:
            server = urlsplit(source).netloc
            try:
                self._from(session, source + file.path, part, file)
            except _Useless as error:
                problems.append(f"{server}: {error}")
            else:
                if not (defect := self._defect(part, file)):
                    with storage(folder):
                        part.replace(folder / file.path)
                        _note(part).unlink(missing_ok=True)
                    return
                _forget(part)
                was_wrong = True
                problems.append(f"{server}: {defect} and was deleted")
            self.told(problems[-1])
        said = f"{self.entry.name}: {file.path}: {'; '.join(problems)}"
        if was_wrong:
            raise ModelUnverified(said)
        raise ModelMissing(f"{said}; {_size(part)} bytes are here, the same command goes on from there")

    def _defect(self, part: Path, file: ModelFile) -> str:
        return self.registry.defect(part.parent, file.model_copy(update={"path": part.name}))

    def _from(self, session: requests.Session, url: str, part: Path, file: ModelFile) -> None:
        """Until the part is whole. Raises: _Useless."""
        failures, most = 0, _size(part)
        while file.size_bytes is None or _size(part) != file.size_bytes:
            try:
                self._ask(session, url, part, file)
            except _Broken as error:
                failures = 0 if _size(part) > most else failures + 1
                most = max(most, _size(part))
                if failures == _TRIES:
                    raise _Useless(str(error)) from error
                time.sleep(self.pause_s)
            else:
                return

    def _ask(self, session: requests.Session, url: str, part: Path, file: ModelFile) -> None:
        """One request, from where the part ends. Raises: _Broken, _Useless."""
        at = _size(part)
        headers = {"Accept-Encoding": "identity"}
        if at:
            headers["Range"] = f"bytes={at}-"
            if etag := _etag(part, url):
                headers["If-Range"] = etag
        try:
            with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as answer:
                if _ends_at(answer) == at:
                    return
                self._write(answer, part, _begins_at(answer, at, file), file)
        except requests.exceptions.SSLError as error:
            raise _Useless("its certificate is not trusted") from error
        except requests.exceptions.RequestException as error:
            raise _Broken(f"it broke off or does not answer ({type(error).__name__})") from error

    def _write(self, answer: requests.Response, part: Path, at: int, file: ModelFile) -> None:
        with storage(part):
            note = {"url": _asked(answer), "etag": answer.headers.get("ETag", "")}
            _note(part).write_text(json.dumps(note), encoding="utf-8")
            target = part.open("r+b" if at else "wb")
        with target:
            target.seek(at)
            for chunk in answer.iter_content(_CHUNK_BYTES):
                with storage(part):
                    target.write(chunk)
                at += len(chunk)
                if file.size_bytes is not None and at > file.size_bytes:
                    break
                self.progress(file.path, at, file.size_bytes)
            with storage(part):
                target.flush()
        if file.size_bytes is not None and at > file.size_bytes:
            _forget(part)
            raise _Useless(f"it sends more than {file.size_bytes} bytes")
        if file.size_bytes is not None and at < file.size_bytes:
            raise _Broken(f"it broke off at {at} of {file.size_bytes} bytes")


def _begins_at(answer: requests.Response, asked_at: int, file: ModelFile) -> int:
    """At which byte of the file the body begins. Raises: _Broken, _Useless."""
    if answer.status_code == requests.codes.partial_content:
        found = _RANGE.match(answer.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != asked_at:
            raise _Useless("it answers with another range than was asked for")
        _check_size(found[2], file)
        return asked_at
    if answer.status_code == requests.codes.ok:
        _check_size(answer.headers.get("Content-Length", "*"), file)
        return 0
    said = f"it says {answer.status_code}"
    if answer.status_code == requests.codes.requested_range_not_satisfiable:
        raise _Useless(f"{said}: its file is shorter than what is here")
    if answer.status_code in (408, 425, 429) or answer.status_code >= 500:
        raise _Broken(said)
    raise _Useless(said)


def _ends_at(answer: requests.Response) -> int | None:
    """The size of the file, of an answer that says that nothing is behind what we have."""
    if answer.status_code != requests.codes.requested_range_not_satisfiable:
        return None
    size = answer.headers.get("Content-Range", "").removeprefix("bytes */")
    return int(size) if size.isdecimal() else None


def _check_size(said: str, file: ModelFile) -> None:
    if said.isdecimal() and file.size_bytes is not None and int(said) != file.size_bytes:
        raise _Useless(f"its file has {said} bytes, not {file.size_bytes}")


def _asked(answer: requests.Response) -> str:
    """The address we asked, before any redirect."""
    first = answer.history[0] if answer.history else answer
    return first.url


def _etag(part: Path, url: str) -> str:
    """The strong ETag under which this part was begun at this address; empty: none."""
    try:
        note = json.loads(_note(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    etag = note.get("etag", "") if isinstance(note, dict) and note.get("url") == url else ""
    return etag if isinstance(etag, str) and etag.startswith('"') else ""


def _part(folder: Path, file: ModelFile) -> Path:
    return folder / f"{file.path}.part"


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _forget(part: Path) -> None:
    with storage(part):
        part.unlink(missing_ok=True)
        _note(part).unlink(missing_ok=True)
