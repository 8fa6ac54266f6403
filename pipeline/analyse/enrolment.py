"""The parent's side of reading pictures for enrolment: one child a picture, a deadline, and a plain answer each time.

Loads no model and no picture: what is sent may be made to do harm, so only a process that is thrown away opens it.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from subprocess import DEVNULL, PIPE
from typing import Final

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from pipeline.analyse.enrol_order import MOST_BYTES, READY, Enrolled, EnrolOrder, Refused, answer_from
from pipeline.errors import ModelFailed, WorkerFailed

_STARTS_S: Final = 30.0
"""Until its models are loaded."""
_READS_S: Final = {"picture": 30.0, "video": 120.0, "crop": 30.0}
_MOST_ANSWER_BYTES: Final = 1024 * 1024
_MOST_AT_ONCE: Final = 1
"""Each may take two gigabytes."""
CHILD: Final = (sys.executable, "-m", "pipeline.analyse.enrol_child")
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""The limit on its memory counts what threads reserve."""


class Enrolment:
    """Of one server. Those that come while one is read wait their turn. command: of the child."""

    def __init__(self, command: Sequence[str] = CHILD) -> None:
        self._command = list(command)
        self._turn = anyio.Semaphore(_MOST_AT_ONCE)

    async def enrol(self, order: EnrolOrder, data: bytes, *, reads_s: float | None = None) -> Enrolled | Refused:
        """The one face of a picture or film, or why there is none that can be used. data: as long as the order says.

        reads_s: how long it may take; None: as the kind of it needs.
        Raises: ModelFailed: the models cannot be used. WorkerFailed: the child died before it read anything.
        """
        if not data:
            return Refused("empty", "the file is empty")
        if len(data) > MOST_BYTES[order.kind]:
            return Refused("too_large", f"it has {len(data)} bytes; at most {MOST_BYTES[order.kind]} are read")
        async with self._turn:
            process = await anyio.open_process(
                self._command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={**os.environ, **_ONE_THREAD}
            )
            try:
                return await _asked(process, order, data, reads_s or _READS_S[order.kind])
            finally:
                with anyio.CancelScope(shield=True):
                    if process.returncode is None:
                        process.kill()
                    await process.aclose()


async def _asked(process: Process, order: EnrolOrder, data: bytes, reads_s: float) -> Enrolled | Refused:
    """Raises: ModelFailed, WorkerFailed."""
    if process.stdin is None or process.stdout is None:
        raise WorkerFailed("the reader of pictures has no pipes")
    answers = BufferedByteReceiveStream(process.stdout)
    try:
        with anyio.fail_after(_STARTS_S):
            await process.stdin.send(order.line())
            first = await answers.receive_until(b"\n", _MOST_ANSWER_BYTES) + b"\n"
    except (TimeoutError, OSError, anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError) as error:
        raise WorkerFailed("the reader of pictures did not start") from error
    if first != READY:
        return _answer(first)
    try:
        with anyio.fail_after(reads_s):
            with suppress(anyio.BrokenResourceError):
                await process.stdin.send(data)  # one that ended without reading it all may have said why
            line = await answers.receive_until(b"\n", _MOST_ANSWER_BYTES)
    except TimeoutError:
        return Refused("unreadable", f"it was not read within {reads_s:.0f} seconds; send a smaller picture")
    except (OSError, anyio.EndOfStream, anyio.IncompleteRead, anyio.DelimiterNotFound, anyio.BrokenResourceError):
        return Refused("unreadable", "it broke the process that read it; send it again, as JPEG or PNG")
    return _answer(line)


def _answer(line: bytes) -> Enrolled | Refused:
    """Raises: ModelFailed, WorkerFailed."""
    answer = answer_from(line)
    if isinstance(answer, str):
        raise ModelFailed(answer)
    return answer
