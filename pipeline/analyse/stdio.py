"""A worker's standard input and output as streams of bytes. Knows nothing of what they carry."""

import os
import sys

import anyio
import anyio.lowlevel
from anyio.abc import ByteReceiveStream, ByteSendStream


class PipeReader(ByteReceiveStream):
    """The end of a pipe that is read. It owns the descriptor."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await anyio.lowlevel.checkpoint()
        while True:
            if self._descriptor < 0:
                raise anyio.ClosedResourceError
            try:
                chunk = os.read(self._descriptor, max_bytes)
            except BlockingIOError:
                await anyio.wait_readable(self._descriptor)
                continue
            if not chunk:
                raise anyio.EndOfStream
            return chunk

    async def aclose(self) -> None:
        self._descriptor = _closed(self._descriptor)


class PipeWriter(ByteSendStream):
    """The end of a pipe that is written. It owns the descriptor."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor

    async def send(self, item: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        rest = memoryview(item)
        while rest:
            if self._descriptor < 0:
                raise anyio.ClosedResourceError
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._descriptor)
            except OSError as error:
                raise anyio.BrokenResourceError from error

    async def aclose(self) -> None:
        self._descriptor = _closed(self._descriptor)


def taken_stdio() -> tuple[PipeReader, PipeWriter]:
    """This process's standard input and output, for us alone: what else prints goes to standard error from now on."""
    reader, writer = PipeReader(os.dup(0)), PipeWriter(os.dup(1))
    sys.stdout.flush()
    os.dup2(2, 1)
    return reader, writer


def _closed(descriptor: int) -> int:
    if descriptor >= 0:
        anyio.notify_closing(descriptor)
        os.close(descriptor)
    return -1
