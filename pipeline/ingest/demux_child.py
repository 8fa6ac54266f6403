"""The parent's side of one demuxer process: starts it, feeds it with back-pressure, reads its records, kills it.

Owned by the event loop's thread; what the child says is read where it arrives, without a task or a queue between.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from subprocess import DEVNULL, PIPE
from typing import BinaryIO, cast

import anyio

from pipeline.clock import Clock
from pipeline.errors import CodecUnsupported, OnRecordError, ProtocolError, WorkerFailed
from pipeline.ingest.container import Container
from pipeline.ingest.records import DemuxEnded, DemuxFailed, Record, RecordReader
from pipeline.settings import PushSettings

_MAX_UNREAD_BYTES = 256 * 1024  # of the body, waiting for the child; then the publisher waits
_STDOUT = 1
DEMUXER = (sys.executable, "-m", "pipeline.ingest.demux")
_DYING_S = 2.0  # a killed process is gone in a moment, unless the disk holds it
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class DemuxChild(asyncio.SubprocessProtocol):
    """One child and its pipes.

    take(records): what it told, in order. fail(error): it died, talked nonsense or gave up; called at most once, and
    never after `aclose`.
    """

    def __init__(
        self,
        container: Container,
        settings: PushSettings,
        clock: Clock,
        take: Callable[[list[Record]], None],
        fail: Callable[[OnRecordError], None],
        demuxer: Sequence[str] = DEMUXER,
    ) -> None:
        """demuxer: the command to start; the container and the memory it may have are added."""
        self.pid = 0
        self._demuxer = demuxer
        self._container = container
        self._settings = settings
        self._clock = clock
        self._take = take
        self._fail: Callable[[OnRecordError], None] | None = fail
        self._reader = RecordReader(settings.max_access_unit_bytes)
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self._stdout: asyncio.ReadTransport | None = None
        self._is_whole = False
        self._room = asyncio.Event()
        self._gone = asyncio.Event()

    async def start(self, file: BinaryIO | None = None) -> None:
        """file: read by the child itself, in place of what `feed` gives.

        Raises: WorkerFailed: the system gives no process.
        """
        memory_bytes = str(self._settings.child_memory_bytes)
        command = [*self._demuxer, self._container, memory_bytes]
        try:
            transport, _ = await asyncio.get_running_loop().subprocess_exec(
                lambda: self,
                *command,
                stdin=PIPE if file is None else file,
                stdout=PIPE,
                stderr=DEVNULL,
                env={"LANG": "C.UTF-8"},  # no setting, no token
            )
        except OSError as error:
            raise WorkerFailed(f"no process for the demuxer ({error.strerror}); try again") from error
        self._transport = transport
        self.pid = transport.get_pid()
        if file is None:
            # asyncio types a pipe's transport as the base of reading and writing ones
            self._stdin = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
            self._stdin.set_write_buffer_limits(_MAX_UNREAD_BYTES)
        self._stdout = cast(asyncio.ReadTransport, transport.get_pipe_transport(_STDOUT))
        self._room.set()

    async def feed(self, data: bytes) -> None:
        """Hand on a part of the body; returns when there is room for more."""
        if self._stdin is not None and not self._stdin.is_closing():
            self._stdin.write(data)
        if not self._room.is_set():
            await self._room.wait()

    def pause(self) -> None:
        """Read nothing more from it until `resume`: its pipe fills, and it waits."""
        if self._stdout is not None and not self._stdout.is_closing():
            self._stdout.pause_reading()

    def resume(self) -> None:
        if self._stdout is not None and not self._stdout.is_closing():
            self._stdout.resume_reading()

    async def finish(self) -> None:
        """The body is over: returns when the child has told all of it and is gone."""
        if self._stdin is not None:
            self._stdin.close()
        await self._gone.wait()

    async def aclose(self) -> None:
        """Kill it, if it still runs, and wait until it is gone. Idempotent."""
        self._fail = None
        if self._transport is not None:
            self._transport.close()  # kills
            with anyio.move_on_after(_DYING_S, shield=True):
                await self._gone.wait()

    def cpu_s(self) -> float:
        """CPU seconds it has used; 0 once it is gone."""
        if self._gone.is_set() or not self.pid:
            return 0.0
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            return 0.0  # it left between
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != _STDOUT or self._fail is None:
            return
        try:
            records = self._reader.feed(data, self._clock.utc_s())
        except ProtocolError as error:
            self._give_up(error)
            return
        for record in records[-1:]:  # both are last words
            if isinstance(record, DemuxEnded):
                self._is_whole = True
            elif isinstance(record, DemuxFailed):
                self._take(records)
                self._give_up(CodecUnsupported(record.reason))
                return
        self._take(records)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's form
        self._gone.set()
        self._room.set()
        if not self._is_whole and self._transport is not None:
            end = _end_of(self._transport.get_returncode())
            self._give_up(WorkerFailed(f"the demuxer of this stream died ({end})"))

    def _give_up(self, error: OnRecordError) -> None:
        fail, self._fail = self._fail, None
        if fail is not None:
            fail(error)


def _end_of(returncode: int | None) -> str:
    if returncode is None:
        return "unknown"
    return signal.Signals(-returncode).name if returncode < 0 else f"exit {returncode}"
