"""Fragmented MP4: what is written is read back, and only that."""

import contextlib
import io
import subprocess
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import fmp4
from pipeline.errors import BoxMalformed, CodecUnsupported
from pipeline.media import Track
from tests.made import AUDIO, VIDEO
from tests.tools import needs


@given(
    st.integers(0, 2**32 - 1), st.sampled_from([1, 2]), st.integers(0, 2**63), st.integers(-(2**30), 2**30),
    st.integers(0, 2**31), st.booleans(), st.binary(max_size=300),
)  # fmt: skip
def test_a_fragment_is_read_back_as_it_was_written(
    sequence: int, track: int, dts: int, composition: int, duration: int, is_key: bool, data: bytes
) -> None:
    made = fmp4.fragment(sequence, track, dts, composition, duration, is_key, data)
    (found,) = fmp4.walk(made)
    assert found == fmp4.FragmentInfo(
        0, len(made), sequence, track, dts, dts + composition, duration, len(data), is_key
    )


def test_the_init_segment_is_read_back_as_it_was_written() -> None:
    init = fmp4.init_segment((VIDEO, AUDIO))
    found = fmp4.read_init(init + b"more")
    assert [(t.track_id, t.codec, t.config, t.timescale) for t in found] == [
        (t.track_id, t.codec, t.config, t.timescale) for t in (VIDEO, AUDIO)
    ]
    assert (found[0].width, found[1].rate_hz, found[1].channels) == (1280, 48000, 1)
    assert fmp4.init_segment(found) == init
    assert fmp4.init_size(init + b"more") == len(init)


def test_an_unknown_codec_is_refused_by_name() -> None:
    with pytest.raises(CodecUnsupported, match=r"vp09"):
        fmp4.init_segment((Track(1, "video", "vp09.00", b"", 90000),))


@given(st.binary(max_size=400))
def test_bytes_that_are_no_init_segment_are_malformed_and_nothing_else(data: bytes) -> None:
    with pytest.raises(BoxMalformed):
        fmp4.read_init(data)
    assert list(fmp4.walk(data)) == []


@given(st.integers(0, 10_000), st.integers(0, 255))
@settings(max_examples=500)
def test_a_flipped_byte_of_an_init_segment_never_raises_anything_else(place: int, flip: int) -> None:
    init = bytearray(fmp4.init_segment((VIDEO, AUDIO)))
    init[place % len(init)] ^= flip
    with contextlib.suppress(BoxMalformed):
        fmp4.read_init(bytes(init))


def test_walking_stops_at_the_first_fragment_that_is_not_whole() -> None:
    one = fmp4.fragment(1, 1, 0, 0, 3600, True, b"x" * 50)
    two = fmp4.fragment(2, 1, 3600, 0, 3600, False, b"y" * 70)
    whole = one + two
    for cut in range(len(whole)):
        assert len(list(fmp4.walk(whole[:cut]))) == (1 if cut >= len(one) else 0)
    assert len(list(fmp4.walk(whole + bytes(500)))) == 2


def test_a_rebased_fragment_differs_in_its_decode_time_alone() -> None:
    made = fmp4.fragment(7, 1, 900_000, 3600, 3600, True, b"sample")
    moved = fmp4.rebased_head(made, 300_000) + made[fmp4.HEAD_BYTES :]
    (before,), (after,) = fmp4.walk(made), fmp4.walk(moved)
    assert (after.dts, after.pts) == (before.dts - 300_000, before.pts - 300_000)
    assert sum(a != b for a, b in zip(made, moved, strict=True)) <= 8
    assert fmp4.rebased_head(made, 10**9)[60:68] == bytes(8)


@pytest.fixture(scope="module")
def encoded() -> bytes:
    """Two seconds of H.264 with B-frames and AAC, re-muxed by our own writer."""
    raw = io.BytesIO()
    with av.open(raw, "w", format="mp4") as box:
        video = box.add_stream("libx264", rate=25, options={"g": "25", "bf": "2", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 128, 96, "yuv420p"
        audio = box.add_stream("aac", rate=48000, layout="mono")
        for number in range(50):
            picture = av.VideoFrame(128, 96, "yuv420p")
            for plane in picture.planes:
                plane.update(bytes([number * 5 % 256]) * plane.buffer_size)
            picture.pts = number
            box.mux(video.encode(picture))
        for number in range(94):
            sound = av.AudioFrame("fltp", "mono", 1024)
            sound.planes[0].update(bytes(4096))
            sound.sample_rate, sound.pts = 48000, number * 1024
            box.mux(audio.encode(sound))
        box.mux(video.encode(None))
        box.mux(audio.encode(None))
    raw.seek(0)
    out = b""
    with av.open(raw, "r") as box:
        tracks = (
            Track(1, "video", "avc1.640014", bytes(box.streams.video[0].codec_context.extradata or b""), 90000,
                  width=128, height=96),
            Track(2, "audio", "mp4a.40.2", bytes(box.streams.audio[0].codec_context.extradata or b""), 48000,
                  rate_hz=48000, channels=1),
        )  # fmt: skip
        out = fmp4.init_segment(tracks)
        for number, found in enumerate(box.demux()):
            if found.dts is None or found.pts is None or found.time_base is None:
                continue
            track = tracks[0] if found.stream.type == "video" else tracks[1]
            scale = found.time_base * track.timescale
            lead = track.timescale // 10  # decode times before zero do not exist in a fragment
            dts, pts = int(found.dts * scale) + lead, int(found.pts * scale) + lead
            out += fmp4.fragment(
                number, track.track_id, dts, pts - dts, int((found.duration or 0) * scale), found.is_keyframe,
                bytes(found),
            )  # fmt: skip
    return out


def test_pyav_decodes_every_frame_in_order(encoded: bytes) -> None:
    with av.open(io.BytesIO(encoded), "r", format="mp4") as box:
        times = [frame.time or 0.0 for frame in box.decode(video=0)]
    assert len(times) == 50
    assert times == sorted(times)
    assert abs(times[-1] - times[0] - 49 / 25) < 0.001


@needs("ffprobe")
def test_ffprobe_says_nothing_against_it_and_tells_its_length(encoded: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(encoded)
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(file)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert probe.stderr == ""
    assert 1.9 < float(probe.stdout) < 2.3
