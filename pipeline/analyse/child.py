"""The parent's side of the decoder process: one request at a time, a deadline, a new process after a bad one.

Knows nothing of libav: the head of a request is written here and in `decode.py`, and held together by a test.
"""

import struct
import sys
from subprocess import DEVNULL, PIPE

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from pipeline.errors import WorkerFailed

HEAD = struct.Struct(">IdI")
MAX_REQUEST_BYTES = 32 * 1024 * 1024
SMALL = 1280
"""Width of previews."""
WHOLE = 4096
_MAX_ANSWER_BYTES = 16 * 1024 * 1024


class PictureDecoder:
    """Decodes pictures in a child process. At most one decode runs at once; the others wait their turn."""

    def __init__(self, timeout_s: float) -> None:
        self.restarts = 0
        self._timeout_s = timeout_s
        self._process: Process | None = None
        self._answers: BufferedByteReceiveStream | None = None
        self._turn = anyio.Lock()

    async def picture(self, media: bytes, at_s: float = -1.0, most_width: int = SMALL) -> bytes:
        """A picture in `media` (init segment + fragments from a key frame on) as JPEG.

        at_s: the one shown at this second of the file; below 0: the first one.
        Raises: WorkerFailed: it could not be decoded, or the child died or took too long (it is started anew).
        """
        if len(media) > MAX_REQUEST_BYTES:
            raise WorkerFailed(f"the key frame lies more than {MAX_REQUEST_BYTES} bytes before the picture")
        async with self._turn:
            try:
                with anyio.fail_after(self._timeout_s):
                    answer = await self._ask(media, at_s, most_width)
            except (TimeoutError, OSError, anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError) as error:
                await self._discard()
                raise WorkerFailed("the picture decoder died or took too long; it is started anew") from error
            except anyio.get_cancelled_exc_class():
                with anyio.CancelScope(shield=True):
                    await self._discard()
                raise
        if not answer:
            raise WorkerFailed("the picture cannot be decoded")
        return answer

    async def close(self) -> None:
        await self._discard()

    async def _ask(self, media: bytes, at_s: float, most_width: int) -> bytes:
        if self._process is not None and self._process.returncode is not None:
            await self._discard()  # it died between two requests
        if self._process is None:
            self._process = await anyio.open_process(
                [sys.executable, "-m", "pipeline.analyse.decode"], stdin=PIPE, stdout=PIPE, stderr=DEVNULL
            )
            if self._process.stdout is None:
                raise WorkerFailed("the picture decoder has no output")
            self._answers = BufferedByteReceiveStream(self._process.stdout)
        if self._process.stdin is None or self._answers is None:
            raise WorkerFailed("the picture decoder has no input")
        await self._process.stdin.send(HEAD.pack(len(media), at_s, most_width) + media)
        size = struct.unpack(">I", await self._answers.receive_exactly(4))[0]
        if size > _MAX_ANSWER_BYTES:
            raise OSError("the picture decoder answered nonsense")
        return await self._answers.receive_exactly(size) if size else b""

    async def _discard(self) -> None:
        process, self._process, self._answers = self._process, None, None
        if process is None:
            return
        self.restarts += 1
        if process.returncode is None:
            process.kill()
        await process.aclose()
