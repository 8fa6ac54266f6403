"""The picture decoder as a process: good pictures, garbage, deaths, deadlines, cancellations."""

import contextlib
import io
import os
import signal
from collections.abc import Awaitable, Callable
from functools import cache

import anyio
import av
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.analyse import child, decode
from pipeline.analyse.child import PictureDecoder
from pipeline.errors import WorkerFailed

WAIT_S = 20.0


@cache
def key_frame(width: int = 640, height: int = 360, codec: str = "libx264") -> bytes:
    """A fragmented MP4 with one key frame, as PyAV makes it. codec: of libav's encoders."""
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov"}) as box:
        video = box.add_stream(codec, rate=25)
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        frame = VideoFrame(width, height, "yuv420p")
        for number, plane in enumerate(frame.planes):
            plane.update(bytes([80 + 40 * number]) * plane.buffer_size)
        box.mux([*video.encode(frame), *video.encode(None)])
    return sink.getvalue()


def size_of(jpeg: bytes) -> tuple[int, int]:
    with av.open(io.BytesIO(jpeg), "r", format="jpeg_pipe") as box:
        return box.streams.video[0].width, box.streams.video[0].height


def run(test: Callable[[PictureDecoder], Awaitable[None]], timeout_s: float = WAIT_S) -> None:
    async def main() -> None:
        decoder = PictureDecoder(timeout_s)
        try:
            await test(decoder)
        finally:
            await decoder.close()

    anyio.run(main)
    anyio.run(main, backend_options={"use_uvloop": True})


def pid_of(decoder: PictureDecoder) -> int:
    assert decoder._process is not None
    return decoder._process.pid


def test_a_key_frame_becomes_a_jpeg_of_its_size_and_at_most_1280_wide() -> None:
    async def test(decoder: PictureDecoder) -> None:
        assert size_of(await decoder.picture(key_frame())) == (640, 360)
        assert size_of(await decoder.picture(key_frame(1920, 1080))) == (1280, 720)
        assert decoder.restarts == 0

    run(test)


def test_garbage_fails_and_the_next_good_picture_works_in_the_same_child() -> None:
    async def test(decoder: PictureDecoder) -> None:
        await decoder.picture(key_frame())
        pid = pid_of(decoder)
        whole = key_frame()
        for bad in (
            b"",
            b"garbage",
            whole[:400],
            whole[: len(whole) // 2],
            whole[:-40] + os.urandom(40),
            key_frame(16, 16, "mpeg4"),
        ):
            with contextlib.suppress(WorkerFailed):  # some of it may be a picture all the same
                await decoder.picture(bad)
        with pytest.raises(WorkerFailed):
            await decoder.picture(b"garbage")
        with pytest.raises(WorkerFailed):
            await decoder.picture(key_frame(16, 16, "mpeg4"))
        assert size_of(await decoder.picture(whole)) == (640, 360)
        assert (pid_of(decoder), decoder.restarts) == (pid, 0)

    run(test)


def test_a_request_that_is_too_large_fails_and_the_next_works() -> None:
    async def test(decoder: PictureDecoder) -> None:
        with pytest.raises(WorkerFailed):
            await decoder.picture(bytes(9 * 1024 * 1024))
        assert size_of(await decoder.picture(key_frame())) == (640, 360)

    run(test)


def test_a_killed_child_is_replaced_before_the_next_request() -> None:
    async def test(decoder: PictureDecoder) -> None:
        await decoder.picture(key_frame())
        pid = pid_of(decoder)
        os.kill(pid, signal.SIGKILL)
        assert decoder._process is not None
        await decoder._process.wait()
        assert size_of(await decoder.picture(key_frame())) == (640, 360)
        assert pid_of(decoder) != pid
        assert decoder.restarts == 1

    run(test)


def test_a_hanging_child_is_cut_at_the_deadline_and_replaced() -> None:
    async def test(decoder: PictureDecoder) -> None:
        await decoder.picture(key_frame())
        pid = pid_of(decoder)
        os.kill(pid, signal.SIGSTOP)
        began_s = anyio.current_time()
        with pytest.raises(WorkerFailed):
            await decoder.picture(key_frame())
        assert anyio.current_time() - began_s < 3
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert size_of(await decoder.picture(key_frame())) == (640, 360)

    run(test, timeout_s=2)


def test_a_cancelled_request_does_not_poison_the_next() -> None:
    async def test(decoder: PictureDecoder) -> None:
        small, large = key_frame(320, 240), key_frame()
        await decoder.picture(small)
        os.kill(pid_of(decoder), signal.SIGSTOP)  # so that it is cancelled in its middle
        with anyio.move_on_after(0.1) as scope:
            await decoder.picture(small)
        assert scope.cancelled_caught
        assert size_of(await decoder.picture(large)) == (640, 360)

    run(test)


def test_requests_at_once_get_each_their_own_picture() -> None:
    async def test(decoder: PictureDecoder) -> None:
        got: dict[int, tuple[int, int]] = {}

        async def ask(width: int) -> None:
            got[width] = size_of(await decoder.picture(key_frame(width, 240)))

        async with anyio.create_task_group() as tasks:
            for width in (160, 320, 480):
                tasks.start_soon(ask, width)
        assert got == {width: (width, 240) for width in (160, 320, 480)}

    run(test)


def test_both_sides_mean_the_same_by_a_request() -> None:
    assert child.HEAD.format == decode.HEAD.format
    assert child.MAX_REQUEST_BYTES == decode.MAX_REQUEST_BYTES
