"""Files that were sent in, clips that were cut, and copies with faces hidden, against the facts that tell of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread

from cases.custody.check_rows import Expected
from cases.uploads import kept
from pipeline.errors import StorageError
from pipeline.record.defect import Defect

_TABLES = ("uploads", "clips", "redactions")


async def of_files(data: Path, expected: Expected, *, is_running: bool) -> AsyncIterator[Defect]:
    """is_running: a server may have kept a file that it has not told of yet."""
    told = {str(row["sha256"]) for table in _TABLES for row in expected.rows[table].values()}
    for sha256 in sorted(told):
        path = kept.path_of(data, sha256)
        where = str(path.relative_to(data))
        if not path.is_file():
            yield Defect(where, "file_missing", "the log tells that it was sent in, cut or made")
            continue
        try:
            is_same = await anyio.to_thread.run_sync(kept.sha256_of, path) == sha256
        except StorageError as error:
            yield Defect(where, "file_unreadable", str(error))
            continue
        if not is_same:
            yield Defect(where, "hash_differs", "it is not the file that the log tells of")
    under_way = [path for folder in ("uploads", "clips") for path in (data / folder).glob("*.part")]
    waiting = is_running or bool(under_way)  # kept, and told once the server runs again
    for path in sorted((data / kept.FOLDER).rglob("*")):
        if path.is_file() and (path.name not in told or path != kept.path_of(data, path.name)) and not waiting:
            yield Defect(str(path.relative_to(data)), "file_added", "the log does not tell of it")
