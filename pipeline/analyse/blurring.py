"""The parent's side of the process that finds and hides faces: one file at a time, a new process each, watched.

Knows nothing of libav and of models: what goes to the child is written here and in `blur_child.py`, and held together
by tests.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from subprocess import DEVNULL, PIPE
from typing import Final

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from pipeline.analyse.covers import Box, Path, Point
from pipeline.errors import CodecUnsupported, ModelFailed, OnRecordError, StorageError, WorkerFailed

_STALL_S: Final = 60.0
"""Without a word; it says every half second how far it is, once its model is loaded."""
_LONGEST_S: Final = 4 * 3600.0
"""For a file: half an hour of 1080p with a slow detector on one core takes less than two."""
_MOST_LINE_BYTES: Final = 16 * 1024**2
_MOST_LINES: Final = 200_000
_MORE_BYTES: Final = 64 * 1024**2
_GROWS: Final = 8
"""What a copy may be larger than what it is made of: the device's encoder may have been thriftier than ours."""


@dataclass(frozen=True, slots=True)
class Detector:
    """A model that was checked by whoever says so. Values as models.face.entry.FaceEntry has them."""

    folder: str
    name: str
    version: str
    engine: str
    file: str


@dataclass(frozen=True, slots=True)
class Film:
    """length_s: to the end of the last picture. looked: pictures in which faces were sought.

    added_right, added_below: of a copy, columns and rows beyond what it is made of, which had an odd side.
    """

    width: int
    height: int
    length_s: float
    pictures: int
    looked: int
    broken: int
    added_right: int = 0
    added_below: int = 0


class Blurring:
    """At most one child runs; the others wait their turn. far: called with the second of the file that was reached."""

    def __init__(self, stall_s: float = _STALL_S) -> None:
        self._stall_s = stall_s
        self._turn = anyio.Lock()
        self._threads = max(1, (os.cpu_count() or 1) // 2)

    async def find(
        self, source: FilePath, model: Detector, far: Callable[[float], None]
    ) -> tuple[Film, list[Path]]:  # fmt: skip
        """The file's faces, each path with its margins in space and time.

        Raises: WorkerFailed: the child died, said nothing for too long, or nonsense. CodecUnsupported: the file cannot
        be decoded. ModelFailed. StorageError.
        """
        paths: list[Path] = []

        def take(line: Mapping[str, object]) -> None:
            if "path" in line:
                paths.append(_path_of(line))

        order = {
            "mode": "find", "source": str(source), "threads": self._threads,
            "model": {name: getattr(model, name) for name in model.__slots__},
        }  # fmt: skip
        return await self._run(order, take, far), paths

    async def blur(
        self, source: FilePath, target: FilePath, covers: Sequence[tuple[str, Path]], note: str,
        far: Callable[[float], None],
    ) -> Film:  # fmt: skip
        """`target`, which is there and empty, becomes a copy in which these paths, each with its name, are hidden.

        Raises: as `find`.
        """
        order = {
            "mode": "blur", "source": str(source), "target": str(target), "threads": self._threads, "note": note,
            "most_bytes": source.stat().st_size * _GROWS + _MORE_BYTES,
            "covers": [{"name": name, "path": rows_of(path)} for name, path in covers],
        }  # fmt: skip
        return await self._run(order, lambda _: None, far)

    async def _run(
        self, order: Mapping[str, object], take: Callable[[Mapping[str, object]], None], far: Callable[[float], None]
    ) -> Film:
        async with self._turn:
            process = await anyio.open_process(
                [sys.executable, "-m", "pipeline.analyse.blur_child"], stdin=PIPE, stdout=PIPE, stderr=DEVNULL
            )
            try:
                with anyio.fail_after(_LONGEST_S):
                    return await self._talk(process, order, take, far)
            except (
                TimeoutError, OSError, ValueError, KeyError, TypeError, anyio.EndOfStream, anyio.IncompleteRead,
                anyio.DelimiterNotFound, anyio.BrokenResourceError,
            ) as error:  # fmt: skip
                raise WorkerFailed("the process that hides faces died or took too long; try again") from error
            finally:
                with anyio.CancelScope(shield=True):
                    if process.returncode is None:
                        with suppress(ProcessLookupError):
                            process.kill()
                    await process.aclose()

    async def _talk(
        self, process: Process, order: Mapping[str, object], take: Callable[[Mapping[str, object]], None],
        far: Callable[[float], None],
    ) -> Film:  # fmt: skip
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        lines = BufferedByteReceiveStream(process.stdout)
        await process.stdin.send(json.dumps(order, separators=(",", ":")).encode() + b"\n")
        for _ in range(_MOST_LINES):
            with anyio.fail_after(self._stall_s):
                line = json.loads(await lines.receive_until(b"\n", _MOST_LINE_BYTES))
            if "failed" in line:
                raise _refusal(line["failed"], line["why"])
            if "end" in line:
                return Film(**line["end"])
            if "at_s" in line:
                far(float(line["at_s"]))
            else:
                take(line)
        raise ValueError("more lines than any file has")


def rows_of(path: Path) -> list[list[float]]:
    """A path as plain numbers, a row a point: at_s, left, top, right, bottom."""
    return [[each.at_s, each.box.left, each.box.top, each.box.right, each.box.bottom] for each in path.points]


def path_of(rows: Sequence[Sequence[float]], looks: int = 0) -> Path:
    """Raises: ValueError, TypeError: rows that are none."""
    return Path(tuple(Point(at_s, Box(left, top, right, bottom)) for at_s, left, top, right, bottom in rows), looks)


def _path_of(line: Mapping[str, object]) -> Path:
    rows, looks = line["path"], line["looks"]
    if not isinstance(rows, list) or not isinstance(looks, int):
        raise ValueError("no path")
    return path_of([[float(each) for each in row] for row in rows], looks)


def _refusal(kind: object, why: object) -> OnRecordError:
    if kind == "model":
        return ModelFailed(str(why))
    if kind == "disk":
        return StorageError(f"the copy cannot be written ({why}); check the disk")
    return CodecUnsupported("its pictures cannot be decoded, or encoded anew (H.264, H.265, AV1)")
