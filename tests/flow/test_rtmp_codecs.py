"""Every codec through the real door: FFmpeg's muxer publishes, our fragments are decoded, frame for frame."""

import asyncio
import hashlib
import io
import struct
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import av
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from pipeline import fmp4
from pipeline.codecs.g711 import VALUES, Law
from pipeline.media import Packet, Track
from tests.flow.encoders import HEIGHT, PICTURES, RATES_HZ, WIDTH, Published, publish
from tests.flow.test_rtmp_ingest import HOST, program, server, until
from tests.flow.test_rtmp_ingest import PICTURES as PICTURE_SOURCE
from tests.flow.test_rtmp_ingest import SOUND as SOUND_SOURCE
from tests.tools import needs
from tests.unit.rtmp.tape import KEY, TapeDoor, TapePublication

WAIT_S = 60.0


def digest(frame: VideoFrame) -> str:
    """The pixels of a frame, without its padding."""
    whole = hashlib.sha256()
    for plane in frame.planes:
        raw = bytes(plane)
        for row in range(plane.height):
            whole.update(raw[row * plane.line_size : row * plane.line_size + plane.width])
    return whole.hexdigest()


def received(video: str | None, sound: str | None) -> tuple[Published, TapePublication]:
    """Publish to a real server; what was sent, and what its publication got."""

    async def main() -> tuple[Published, TapePublication]:
        door = TapeDoor()
        async with server(door) as made:
            url = f"rtmp://{HOST}:{made.port}/live/{KEY}"
            with ProcessPoolExecutor(1, get_context("spawn")) as processes:
                async with asyncio.timeout(WAIT_S):
                    sent = await asyncio.get_running_loop().run_in_executor(processes, publish, url, video, sound)
            await until(lambda: made.open == 0)
            assert made.protocol_errors == 0
        return sent, door.publications[0]

    sent, got = asyncio.run(main())
    assert [end[0] for end in got.ends] == ["end"]
    return sent, got


def movie(tracks: tuple[Track, ...], packets: list[Packet]) -> bytes:
    """Our fragments of `packets`, the first of which lies a second after 0: decode times before 0 do not exist."""
    scales = {track.track_id: track for track in tracks}
    first_s = min(packet.dts / scales[packet.track_id].timescale for packet in packets)
    out = fmp4.init_segment(tracks)
    for number, packet in enumerate(packets, 1):
        track = scales[packet.track_id]
        dts = packet.dts + round((1 - first_s) * track.timescale)
        composition, duration = packet.pts - packet.dts, track.frame_duration
        out += fmp4.fragment(number, packet.track_id, dts, composition, duration, packet.is_key, packet.data)
    return out


def decoded(data: bytes) -> list[str]:
    """The pictures of an MP4 file."""
    with av.open(io.BytesIO(data), "r", format="mp4") as box:
        return [digest(frame) for frame in box.decode(video=0)]


def decoded_packets(sent: Published, decoder: str) -> list[str]:
    context = av.CodecContext.create(decoder, "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata = sent.extradata
    packets = [av.Packet(raw) for raw in sent.pictures]
    return [digest(frame) for packet in [*packets, None] for frame in context.decode(packet)]


def heard(data: bytes) -> list[int]:
    """The 16-bit samples of an MP4 file's sound, its checksums looked at."""
    found: list[int] = []
    with av.open(io.BytesIO(data), "r", format="mp4", options={"err_detect": "crccheck+explode"}) as box:
        for frame in box.decode(audio=0):
            found += struct.unpack(f"<{frame.samples}h", bytes(frame.planes[0])[: 2 * frame.samples])
    return found


@pytest.mark.parametrize(
    ("encoder", "decoder", "codec"),
    [
        ("libx264", "h264", "avc1.42c0"),
        ("libx265", "hevc", "hvc1.1.6.L30.90"),
        ("libsvtav1", "libdav1d", "av01.0.00M.08"),
    ],
)
def test_every_picture_of_every_video_codec_comes_through(encoder: str, decoder: str, codec: str) -> None:
    sent, got = received(encoder, None)
    [(track,)] = got.tracks
    assert (track.codec[: len(codec)], track.width, track.height) == (codec, WIDTH, HEIGHT)
    assert got.pictures[0].is_key
    assert [p.is_key for p in got.pictures].count(True) == PICTURES // 10
    pictures = decoded(movie(got.tracks[0], got.packets))
    assert len(pictures) == PICTURES
    assert pictures == decoded_packets(sent, decoder)


@pytest.mark.parametrize(("encoder", "codec"), [("libopus", "opus"), ("flac", "flac"), ("aac", "mp4a.40.2")])
def test_every_packet_of_every_sound_codec_comes_through(encoder: str, codec: str) -> None:
    sent, got = received("libx264", encoder)
    tracks = got.tracks[-1]
    assert [track.kind for track in tracks] == ["video", "audio"]
    assert (tracks[1].codec, tracks[1].rate_hz, tracks[1].channels) == (codec, RATES_HZ[encoder], 1)
    assert [p.data for p in got.sounds] == sent.sounds
    with av.open(io.BytesIO(movie(tracks, got.packets)), "r", format="mp4") as box:
        frames = list(box.decode(audio=0))
    assert sum(frame.samples for frame in frames) >= RATES_HZ[encoder] * (PICTURES - 2) / 25
    lasts_s = PICTURES / 25
    assert len(got.sounds) * tracks[1].frame_duration / tracks[1].timescale == pytest.approx(lasts_s, abs=0.35)


@pytest.mark.parametrize("law", ["pcm_alaw", "pcm_mulaw"])
def test_g711_is_heard_sample_for_sample_and_the_picture_is_untouched(law: Law) -> None:
    sent, got = received("libx264", law)
    tracks = got.tracks[-1]
    assert (tracks[1].codec, tracks[1].origin) == ("flac", f"{law} → flac, lossless")
    data = movie(tracks, got.packets)
    assert heard(data) == [VALUES[law][byte] for byte in b"".join(sent.sounds)]
    assert decoded(data) == decoded_packets(sent, "h264")
    assert {later.dts - earlier.dts for earlier, later in pairwise(got.sounds)} == {tracks[1].frame_duration}


@needs("ffmpeg", "ffprobe")
@pytest.mark.parametrize("law", ["pcm_alaw", "pcm_mulaw"])
def test_debians_ffmpeg_publishes_g711_and_ffprobe_reads_what_we_made(law: Law, tmp_path: Path) -> None:
    async def main() -> TapePublication:
        door = TapeDoor()
        async with server(door) as made:
            sound = ["-c:a", law, "-ar", "8000", "-ac", "1"]
            command = ["ffmpeg", "-loglevel", "error", *PICTURE_SOURCE, *SOUND_SOURCE, "-t", "2", "-c:v", "libx264"]
            code, out = await program(
                *command, "-preset", "ultrafast", *sound, "-f", "flv", f"rtmp://{HOST}:{made.port}/live/{KEY}"
            )
            assert code == 0, out
            await until(lambda: made.open == 0)
        return door.publications[0]

    got = asyncio.run(main())
    file = tmp_path / "a.mp4"
    file.write_bytes(movie(got.tracks[-1], got.packets))
    assert len(heard(file.read_bytes())) == 16_000
    shown = ["-show_entries", "stream=codec_name,sample_rate,channels", "-select_streams", "a", "-of", "csv=p=0"]
    code, out = asyncio.run(program("ffprobe", "-v", "error", *shown, str(file)))
    assert (code, out.strip()) == (0, "flac,8000,1")
