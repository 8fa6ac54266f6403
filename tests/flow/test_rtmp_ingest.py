"""RTMP over real sockets: FFmpeg, GStreamer and our own client publish; slow, wrong and broken peers are closed."""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise

import pytest
import uvloop
from structlog.testing import capture_logs

from pipeline.clock import Clock, SystemClock
from pipeline.errors import AddressInUse, ProtocolError, PublishRefused
from pipeline.ingest.rtmp.server import RtmpServer
from pipeline.rtmp import chunks
from pipeline.settings import IngestSettings, RtmpSettings
from pipeline.simulate.replay import prepare_loop, replay
from pipeline.simulate.rtmp_client import RtmpClient
from pipeline.simulate.synthetic import synthetic_stream
from tests.made import ManualClock
from tests.serving import BUSY_S
from tests.tools import needs
from tests.unit.rtmp.tape import AUDIO_CONFIG, HANDSHAKE, KEY, KEY_PICTURE, VIDEO_CONFIG, TapeDoor

HOST = "127.0.0.1"
WAIT_S = 10.0

PICTURES = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25"]
SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on asyncio's loop and on uvloop: both are used."""

    async def main() -> None:
        await test()

    asyncio.run(main())
    uvloop.run(main())


@contextlib.asynccontextmanager
async def server(door: TapeDoor, clock: Clock | None = None, **settings: float) -> AsyncIterator[RtmpServer]:
    rtmp = RtmpSettings.model_validate({"host": HOST, "port": 0, **settings})
    made = RtmpServer(rtmp, IngestSettings(), door, clock or SystemClock())
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the server does in its own time."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.005)


def _has(made: RtmpServer, size_bytes: int) -> Callable[[], bool]:
    return lambda: made.bytes_in >= size_bytes


async def program(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(60):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    return process.returncode or 0, out.decode(errors="replace")


async def publisher(port: int, key: str = KEY) -> RtmpClient:
    client = RtmpClient()
    await client.connect(HOST, port)
    await client.publish(key)
    await client.send(client.message(chunks.VIDEO, VIDEO_CONFIG) + client.message(chunks.AUDIO, AUDIO_CONFIG))
    await client.send(client.message(chunks.VIDEO, KEY_PICTURE))
    return client


@needs("ffmpeg")
@pytest.mark.parametrize("b_frames", [0, 3])
def test_ffmpeg_publishes_with_and_without_b_frames(b_frames: int) -> None:
    async def test() -> None:
        door = TapeDoor()
        async with server(door) as made:
            encode = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", str(b_frames), "-b_strategy", "0", "-g", "25"]
            url = f"rtmp://{HOST}:{made.port}/live/{KEY}"
            command = ["ffmpeg", "-loglevel", "error", *PICTURES, *SOUND, "-t", "2", *encode, "-c:a", "aac"]
            code, out = await program(*command, "-f", "flv", url)
            assert code == 0, out
            await until(lambda: made.open == 0)
        [got] = door.publications
        video = got.tracks[0][0]
        assert (video.width, video.height) == (320, 240)
        assert len(got.pictures) == 50
        assert len(got.sounds) >= 93
        assert [p.is_key for p in got.pictures].count(True) == 2
        assert {later.dts - earlier.dts for earlier, later in pairwise(got.pictures)} <= {3510, 3600, 3690}
        assert any(p.pts != p.dts for p in got.pictures) == (b_frames > 0)
        assert [end[0] for end in got.ends] == ["end"]

    asyncio.run(test())


@needs("ffmpeg")
def test_ffmpeg_takes_over_our_chunk_size() -> None:
    async def test() -> None:
        door = TapeDoor()
        async with server(door, chunk_size_bytes=1_048_576) as made:
            url = f"rtmp://{HOST}:{made.port}/live/{KEY}"
            noise = ["-f", "lavfi", "-i", "nullsrc=s=640x480:r=25,geq=random(1)*255:128:128"]
            await program("ffmpeg", "-loglevel", "error", *noise, "-t", "0.2", "-c:v", "libx264", "-f", "flv", url)
            await until(lambda: made.open == 0)
            received = made.bytes_in
        payload = sum(len(p.data) for p in door.publications[0].packets)
        borders_of_128_bytes = payload // 128
        assert payload > 100_000
        assert received - payload < 4500 + borders_of_128_bytes // 4

    asyncio.run(test())


@needs("gst-launch-1.0")
@pytest.mark.parametrize("sink", ["rtmp2sink", "rtmpsink"])
def test_gstreamer_publishes_with_both_of_its_sinks(sink: str) -> None:
    async def test() -> None:
        for element in (sink, "x264enc", "voaacenc"):
            code, _ = await program("gst-inspect-1.0", "--exists", element)
            if code:
                pytest.skip(f"GStreamer has no {element}")
        door = TapeDoor()
        async with server(door) as made:
            location = f"rtmp://{HOST}:{made.port}/live/{KEY}"
            picture = "videotestsrc num-buffers=50 ! video/x-raw,width=320,height=240,framerate=25/1"
            sound = "audiotestsrc num-buffers=94 samplesperbuffer=1024 ! audio/x-raw,rate=48000,channels=2"
            pipeline = (
                f"{picture} ! x264enc tune=zerolatency key-int-max=25 ! h264parse ! flvmux name=mux streamable=true "
                f"! {sink} location={location} {sound} ! voaacenc ! aacparse ! mux."
            )
            code, out = await program("gst-launch-1.0", "-q", *pipeline.split())
            assert code == 0, out
            await until(lambda: made.open == 0)
        [got] = door.publications
        assert len(got.pictures) == 50
        assert len(got.sounds) >= 92
        assert [track.kind for track in got.tracks[-1]] == ["video", "audio"]
        assert [end[0] for end in got.ends] == ["end"]

    asyncio.run(test())


def test_our_own_client_publishes_and_says_goodbye() -> None:
    async def test() -> None:
        door = TapeDoor()
        async with server(door) as made:
            client = await publisher(made.port)
            await until(lambda: len(door.publications[0].packets) == 1)
            await client.unpublish()
            await until(lambda: made.open == 0)
            assert (made.accepted, made.refused, made.protocol_errors) == (1, 0, 0)
        assert [end[0] for end in door.publications[0].ends] == ["end"]

    run(test)


def test_the_load_generator_sends_the_same_bytes_for_ever_and_time_goes_on() -> None:
    async def test() -> None:
        keys = ["a", "b", "c"]
        door = TapeDoor(keys=keys)
        stream = synthetic_stream(bits_per_s=200_000)
        async with server(door) as made:
            report = await replay(HOST, made.port, keys, prepare_loop(stream), 2.0)
            await until(lambda: made.open == 0)
        assert report.lost_connections == 0
        assert sum(len(got.packets) for got in door.publications) == report.sent_access_units
        for got in door.publications:
            assert got.pictures[0].is_key
            assert {later.dts - earlier.dts for earlier, later in pairwise(got.pictures)} == {3600}
            assert [end[0] for end in got.ends] == ["end"]

    asyncio.run(test())


def test_the_rounds_of_the_load_generator_join_without_a_step() -> None:
    stream = synthetic_stream(bits_per_s=200_000)
    loop = prepare_loop(stream)
    times_ms: list[tuple[int, int]] = []

    def take(type_id: int, stream_id: int, timestamp_ms: int, buffer: bytes, start: int, end: int) -> None:
        times_ms.append((type_id, timestamp_ms))

    reader = chunks.ChunkReader(take, 1 << 20)
    reader.feed(b"\2\0\0\0\0\0\4\1\0\0\0\0" + (65_536).to_bytes(4, "big") + loop.opening)
    reader.feed(b"".join(loop.messages * 3))
    pictures_ms = [time_ms for type_id, time_ms in times_ms if type_id == chunks.VIDEO][1:]
    sounds_ms = [time_ms for type_id, time_ms in times_ms if type_id == chunks.AUDIO][1:]
    assert {later - earlier for earlier, later in pairwise(pictures_ms)} == {40}
    assert {later - earlier for earlier, later in pairwise(sounds_ms)} == {21, 22}
    assert sounds_ms[-1] - sounds_ms[-1 - 375] == stream.duration_ms


def test_a_connection_that_breaks_is_a_loss() -> None:
    async def test() -> None:
        door = TapeDoor()
        async with server(door) as made:
            client = await publisher(made.port)
            await until(lambda: len(door.publications[0].packets) == 1)
            client.close()
            await until(lambda: made.open == 0)
        assert [end[0] for end in door.publications[0].ends] == ["lost"]

    run(test)


def test_a_wrong_key_is_refused_within_a_second_and_never_said() -> None:
    async def test() -> None:
        door = TapeDoor()
        with capture_logs() as logs:
            async with server(door) as made:
                began_s = time.monotonic()
                client = RtmpClient()
                await client.connect(HOST, made.port)
                with pytest.raises(PublishRefused, match="not known"):
                    await client.publish("s3cret-key")
                await until(lambda: made.open == 0)
                assert time.monotonic() - began_s < 1.0 + BUSY_S
                assert made.refused == 1
                with pytest.raises(ProtocolError, match="closed"):
                    await client.answer("onStatus")
                client.close()
        assert logs
        assert "s3cret" not in repr(logs)

    run(test)


def test_malformed_bytes_close_only_their_own_connection() -> None:
    async def test() -> None:
        door = TapeDoor()
        async with server(door) as made:
            good, bad = await publisher(made.port), await publisher(made.port)
            await bad.send(b"\xc5" * 100)
            await until(lambda: made.open == 1)
            assert made.protocol_errors == 1
            assert [end[0] for end in door.publications[1].ends] == ["lost"]
            await good.send(good.message(chunks.VIDEO, KEY_PICTURE, timestamp_ms=40))
            await until(lambda: len(door.publications[0].packets) == 2)
            await good.unpublish()

    run(test)


@pytest.mark.parametrize(
    ("opening", "limit_s"), [(b"", 5.0), (HANDSHAKE[:100], 5.0), (HANDSHAKE, 10.0)], ids=["silent", "begun", "shaken"]
)
def test_a_client_that_goes_no_further_is_closed_at_its_deadline(opening: bytes, limit_s: float) -> None:
    async def test() -> None:
        clock = ManualClock()
        async with server(TapeDoor(), clock) as made:
            reader, writer = await asyncio.open_connection(HOST, made.port)
            writer.write(opening)
            await until(lambda: made.open == 1 and made.bytes_in == len(opening))
            clock.now_s += limit_s - 0.1
            made.close_overdue()
            assert not reader.at_eof()
            clock.now_s += 0.2
            made.close_overdue()
            await until(lambda: made.open == 0)
            writer.close()

    run(test)


def test_a_client_that_trickles_bytes_wins_no_time() -> None:
    async def test() -> None:
        clock = ManualClock()
        async with server(TapeDoor(), clock) as made:
            _, writer = await asyncio.open_connection(HOST, made.port)
            for index in range(6):
                writer.write(HANDSHAKE[index : index + 1] if index == 0 else b"x")
                await until(_has(made, index + 1))
                clock.now_s += 1.0
                made.close_overdue()
            await until(lambda: made.open == 0)
            writer.close()

    asyncio.run(test())


def test_a_publisher_that_trickles_a_picture_is_closed_as_silent_and_lost() -> None:
    async def test() -> None:
        clock = ManualClock()
        door = TapeDoor()
        async with server(door, clock) as made:
            client = await publisher(made.port)
            await until(lambda: len(door.publications[0].packets) == 1)
            made.close_overdue()
            await client.send(client.message(chunks.VIDEO, KEY_PICTURE + bytes(1000))[:20])
            for _ in range(11):
                received_bytes = made.bytes_in
                await client.send(b"x")
                await until(_has(made, received_bytes + 1))
                clock.now_s += 1.0
                made.close_overdue()
            await until(lambda: made.open == 0)
            client.close()
        [(kind, reason)] = door.publications[0].ends
        assert kind == "lost"
        assert "silence_timeout_s" in reason

    asyncio.run(test())


def test_a_publisher_that_sends_media_stays() -> None:
    async def test() -> None:
        clock = ManualClock()
        door = TapeDoor()
        async with server(door, clock) as made:
            client = await publisher(made.port)
            for index in range(30):
                await client.send(client.message(chunks.VIDEO, KEY_PICTURE, timestamp_ms=index * 1000))
                await until(functools.partial(door.publications[0].holds, index + 2))
                clock.now_s += 1.0
                made.close_overdue()
            assert made.open == 1
            await client.unpublish()

    asyncio.run(test())


def test_beyond_the_limit_the_oldest_stranger_gives_way_and_a_publisher_never() -> None:
    async def test() -> None:
        async with server(TapeDoor(), max_connections=2) as made:
            client = await publisher(made.port)
            reader, first = await asyncio.open_connection(HOST, made.port)
            await until(lambda: made.open == 2)
            _, second = await asyncio.open_connection(HOST, made.port)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            await until(lambda: made.open == 2)
            assert (made.accepted, made.refused, made.crowded_out) == (3, 0, 1)
            await client.send(client.message(chunks.VIDEO, KEY_PICTURE, timestamp_ms=40))
            for each in (first, second):
                each.close()
            await client.unpublish()

    run(test)


def test_a_door_full_of_publishers_refuses_one_more() -> None:
    async def test() -> None:
        door = TapeDoor()
        async with server(door, max_connections=1) as made:
            client = await publisher(made.port)
            await until(lambda: len(door.publications[0].packets) == 1)
            reader, second = await asyncio.open_connection(HOST, made.port)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            assert (made.open, made.refused) == (1, 1)
            second.close()
            await client.unpublish()

    run(test)


def test_a_kicked_publisher_is_closed_at_once_with_the_reason_as_its_loss() -> None:
    async def test() -> None:
        door = TapeDoor()
        async with server(door) as made:
            client = await publisher(made.port)
            door.kicks[0]("the key was revoked")
            await until(lambda: made.open == 0)
            client.close()
        assert door.publications[0].ends == [("lost", "the key was revoked")]

    run(test)


def test_a_stop_closes_every_connection_and_publication() -> None:
    async def test() -> None:
        door = TapeDoor()
        async with server(door) as made:
            clients = [await publisher(made.port) for _ in range(3)]
        assert made.open == 0
        assert [got.ends for got in door.publications] == [[("lost", "the server stops")]] * 3
        for client in clients:
            client.close()

    run(test)


def test_a_taken_port_is_named_with_the_remedy() -> None:
    async def test() -> None:
        async with server(TapeDoor()) as made:
            second = RtmpServer(
                RtmpSettings.model_validate({"host": HOST, "port": made.port}),
                IngestSettings(),
                TapeDoor(),
                SystemClock(),
            )
            with pytest.raises(AddressInUse, match="ONRECORD_RTMP__PORT"):
                await second.start()

    run(test)
