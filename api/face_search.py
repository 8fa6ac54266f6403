"""Where templates lie in the open: a child process, in memory, and nowhere else. The server's side of it.

A child, so that the process of the media holds no vector and no NumPy, and that closing the last gallery ends what held
them. Frames on its pipes: sizes of a head and a body, big-endian, then a head of JSON and a body of float32.
"""

import json
import os
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Final, TypeAlias

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from cases.faces.shapes import Bound, Held, Judged, checked
from pipeline.errors import ValueRefused, WorkerFailed

HEAD: Final = struct.Struct(">II")
MOST_HEAD_BYTES: Final = 4 * 1024 * 1024
_TOGETHER: Final = 4096
"""Templates in one frame: 8 MiB at 512 numbers."""
_STARTS_S: Final = 30.0
_ANSWERS_S: Final = 30.0
"""Adding many also finds the bound anew; a search takes milliseconds."""
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

Tree: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Wanted:
    """From what a bound is found. margin: to the second best. calibrations: a folder of what was measured of models."""

    target_fmr: float
    margin: float
    calibrations: Path


class FaceSearcher:
    """A cases.faces.shapes.Searcher. One call at a time; others wait their turn."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._process: Process | None = None
        self._answers: BufferedByteReceiveStream | None = None
        self._turn = anyio.Lock()
        self._sets: set[str] = set()

    @property
    def process_id(self) -> int | None:
        """None: nothing is held."""
        return None if self._process is None else self._process.pid

    async def load(self, set_id: str, templates: Sequence[Held]) -> None:
        async with self._turn:
            await self._call({"do": "drop", "set": set_id})
            await self._add(set_id, templates)

    async def add(self, set_id: str, templates: Sequence[Held]) -> None:
        async with self._turn:
            await self._add(set_id, templates)

    async def remove(self, set_id: str, person_id: str) -> None:
        async with self._turn:
            if set_id in self._sets:
                await self._call({"do": "remove", "set": set_id, "person": person_id})

    async def drop(self, set_id: str) -> None:
        """The child ends with its last set."""
        async with self._turn:
            if set_id not in self._sets:
                return
            await self._call({"do": "drop", "set": set_id})
            self._sets.discard(set_id)
            if not self._sets:
                await self._discard()

    async def search(self, set_id: str, vector: bytes, looks: int = 2, quality: float = 1.0) -> Judged:
        async with self._turn:
            if set_id not in self._sets:
                raise WorkerFailed("nothing of this gallery is held now")
            head: Tree = {"do": "search", "set": set_id, "looks": looks, "quality": quality}
            tree = await self._call(head, checked(vector))
        return _judged(tree)

    async def close(self) -> None:
        """Nothing is held any more."""
        async with self._turn:
            await self._discard()

    async def _add(self, set_id: str, templates: Sequence[Held]) -> None:
        """Raises: ValueRefused, WorkerFailed."""
        sizes = {len(each.vector) for each in templates}
        if len(sizes) > 1:
            raise ValueRefused("vector", "templates of different sizes; enrol again those of the other model")
        for some in _pieces(templates):
            told = [[each.person_id, each.template_id] for each in some]
            body = b"".join(each.vector for each in some)
            await self._call({"do": "add", "set": set_id, "templates": told, "rows": len(templates)}, body)
        self._sets.add(set_id)

    async def _call(self, head: Tree, body: bytes = b"") -> Tree:
        """Raises: ValueRefused: what the child says of it. WorkerFailed: it died; nothing is held any more."""
        try:
            with anyio.fail_after(_STARTS_S if self._process is None else _ANSWERS_S):
                tree = await self._asked(head, body)
        except (
            TimeoutError, OSError, ValueError, anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError,
            anyio.ClosedResourceError,
        ) as error:  # fmt: skip
            await self._discard()
            raise WorkerFailed("what holds the galleries died or took too long; they are loaded anew") from error
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._discard()  # its answer would be taken for another one's
            raise
        if "refused" in tree:
            raise ValueRefused("vector", str(tree["refused"]))
        return tree

    async def _asked(self, head: Tree, body: bytes) -> Tree:
        if self._process is None:
            await self._begin()
        process, answers = self._process, self._answers
        if process is None or process.stdin is None or answers is None:
            raise OSError("no pipes")
        raw = json.dumps(head).encode()
        await process.stdin.send(HEAD.pack(len(raw), len(body)) + raw + body)
        size, _ = HEAD.unpack(await answers.receive_exactly(HEAD.size))
        if size > MOST_HEAD_BYTES:
            raise OSError("it answered nonsense")
        tree = json.loads(await answers.receive_exactly(size))
        if not isinstance(tree, dict):
            raise OSError("it answered nonsense")
        return tree

    async def _begin(self) -> None:
        process = await anyio.open_process(
            [sys.executable, "-m", "api.face_search_child"], stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
            env={**os.environ, **_ONE_THREAD}, start_new_session=True,
        )  # fmt: skip
        self._process = process
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        self._answers = BufferedByteReceiveStream(process.stdout)
        wanted = self._wanted
        head = json.dumps([wanted.target_fmr, wanted.margin, str(wanted.calibrations)]).encode()
        await process.stdin.send(HEAD.pack(len(head), 0) + head)

    async def _discard(self) -> None:
        process, self._process, self._answers = self._process, None, None
        self._sets.clear()
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.aclose()


def _pieces(templates: Sequence[Held]) -> list[Sequence[Held]]:
    """At least one, for a set may be empty."""
    return [templates[at : at + _TOGETHER] for at in range(0, len(templates), _TOGETHER)] or [()]


def _judged(tree: Tree) -> Judged:
    """Raises: WorkerFailed: it is no answer of ours."""
    try:
        decision = tree["decision"]
        if decision not in ("suggested", "near", "unknown"):
            raise ValueError("no decision of ours")
        similarity, second, bound = (float(str(tree[name])) for name in ("similarity", "second", "bound"))
        fmr, one_in = tree["fmr"], tree["one_in"]
        return Judged(
            "suggested" if decision == "suggested" else "near" if decision == "near" else "unknown",
            str(tree["person"]), str(tree["template"]), similarity, second,
            Bound(
                bound, None if fmr is None else float(str(fmr)), None if one_in is None else int(str(one_in)),
                str(tree["basis"]),
            ),
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise WorkerFailed("what holds the galleries answered nonsense") from error
