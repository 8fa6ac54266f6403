"""Sound as cameras send it: every codec and shape becomes 16 kHz mono on the stream's axis; nonsense is silence."""

import io
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline import fmp4
from pipeline.analyse.sound import RATE_HZ, SoundDecoder
from pipeline.analyse.units import Unit, Units
from pipeline.codecs import aac, flac, opus
from pipeline.errors import BoxMalformed, CodecUnsupported
from pipeline.media import AUDIO_TRACK, Track
from tests.made import AUDIO, VIDEO, fragment

_TRACKS = {
    "aac": aac.track_from_audio_config, "flac": flac.track_from_flac_header, "libopus": opus.track_from_opus_head,
}  # fmt: skip


def encoded(codec: str, rate_hz: int, layout: str, sound: NDArray[np.float32]) -> tuple[Track, list[Unit]]:
    """`sound` (n,) at rate_hz in every channel, as a camera sends it."""
    channels = av.AudioLayout(layout).nb_channels
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as box:
        stream = box.add_stream(codec, rate=rate_hz, layout=layout)
        assert isinstance(stream, AudioStream)
        kind = "s16" if codec == "flac" else "fltp" if codec == "aac" else "flt"
        size = 1024 if codec == "aac" else rate_hz // 50
        for start in range(0, sound.size - size + 1, size):
            piece = np.repeat(sound[None, start : start + size], channels, 0)
            planar = piece if kind == "fltp" else np.ascontiguousarray(piece.T).reshape(1, -1)
            data = (planar * 32767).astype(np.int16) if kind == "s16" else planar
            frame = av.AudioFrame.from_ndarray(data, format=kind, layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate_hz, start, Fraction(1, rate_hz)
            box.mux(stream.encode(frame))
        box.mux(stream.encode(None))
    with av.open(io.BytesIO(out.getvalue()), "r") as file:
        sounds = file.streams.audio[0]
        extradata = bytes(sounds.codec_context.extradata or b"")
        units = [
            Unit(AUDIO_TRACK, float(each.pts * each.time_base), _length_s(each), True, bytes(each))
            for each in file.demux(sounds)
            if each.size and each.pts is not None and each.time_base is not None
        ]  # fmt: skip
    track = _TRACKS[codec](extradata)
    return track, units


def _length_s(packet: "av.Packet[AudioStream]") -> float:
    return float((packet.duration or 0) * (packet.time_base or 0))


def tone(rate_hz: int, length_s: float, hz: float = 440.0) -> NDArray[np.float32]:
    return (0.2 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * length_s)) / rate_hz)).astype(np.float32)


def loudest_hz(samples: NDArray[np.float32]) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * RATE_HZ / samples.size)


SHAPES = [
    ("aac", 48_000, "mono"), ("aac", 8_000, "mono"), ("aac", 44_100, "stereo"), ("aac", 48_000, "5.1"),
    ("flac", 8_000, "mono"), ("flac", 96_000, "stereo"), ("libopus", 48_000, "mono"), ("libopus", 48_000, "stereo"),
]  # fmt: skip


@pytest.mark.parametrize(("codec", "rate_hz", "layout"), SHAPES)
def test_every_shape_of_sound_becomes_16_khz_mono_in_its_time(codec: str, rate_hz: int, layout: str) -> None:
    track, units = encoded(codec, rate_hz, layout, tone(rate_hz, 3.0))
    decoder = SoundDecoder(track)
    sounds = decoder.decode_all(units)
    assert decoder.broken == 0
    assert len(sounds) == 1
    samples = sounds[0].samples
    assert samples.dtype == np.float32
    assert abs(samples.size / RATE_HZ - (units[-1].pts_s + units[-1].duration_s - units[0].pts_s)) < 0.1
    assert loudest_hz(samples[RATE_HZ : 2 * RATE_HZ]) == pytest.approx(440, abs=2)
    assert 0.1 < np.abs(samples[RATE_HZ : 2 * RATE_HZ]).max() < 1.0


def test_a_click_is_heard_when_it_was_made() -> None:
    sound = np.zeros(3 * 48_000, np.float32)
    sound[96_000:96_480] = tone(48_000, 0.01, 2000.0)
    track, units = encoded("aac", 48_000, "mono", sound)
    (heard,) = SoundDecoder(track).decode_all(units)
    at_s = heard.start_s + float(np.argmax(np.abs(heard.samples))) / RATE_HZ
    assert at_s == pytest.approx(2.0, abs=0.06)


def test_a_jump_of_time_begins_a_new_run_and_little_jitter_does_not() -> None:
    track, units = encoded("aac", 48_000, "mono", tone(48_000, 2.0))
    late = [
        Unit(
            each.track_id, each.pts_s + (5.0 if number > 40 else 0.004 * (number % 3)), each.duration_s, True, each.data
        )
        for number, each in enumerate(units)
    ]
    sounds = SoundDecoder(track).decode_all(late)
    assert [round(each.start_s, 1) for each in sounds] == [0.0, round(late[41].pts_s, 1)]
    assert all(each.is_new_run for each in sounds)


@pytest.mark.parametrize("nonsense", [b"", b"\xff" * 300, bytes(5000)])
def test_a_unit_that_cannot_be_decoded_is_silence_of_its_length_and_what_follows_is_heard(nonsense: bytes) -> None:
    track, units = encoded("aac", 48_000, "mono", tone(48_000, 2.0))
    units[30:33] = [Unit(each.track_id, each.pts_s, each.duration_s, True, nonsense) for each in units[30:33]]
    decoder = SoundDecoder(track)
    sounds = decoder.decode_all(units)
    samples = np.concatenate([each.samples for each in sounds])
    assert samples.size / RATE_HZ == pytest.approx(2.0, abs=0.2)
    assert loudest_hz(samples[-RATE_HZ // 2 :]) == pytest.approx(440, abs=4)


@pytest.mark.parametrize("track", [VIDEO, Track(2, "audio", "ac-3", b"", 48_000)])
def test_what_is_no_sound_that_we_decode_is_refused(track: Track) -> None:
    with pytest.raises(CodecUnsupported):
        SoundDecoder(track)


def stream_bytes() -> bytes:
    sounds = b"".join(fmp4.fragment(n, AUDIO_TRACK, n * 1024, 0, 1024, True, bytes([n])) for n in range(20))
    other = Track(AUDIO_TRACK, "audio", "mp4a.40.2", b"\x12\x10", 44_100, rate_hz=44_100, channels=2)
    pictures = fragment(99, 1.0, is_key=True).data
    return fmp4.init_segment((AUDIO,)) + sounds + pictures + fmp4.init_segment((other,)) + sounds


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    start = 0
    for cut in sorted(cuts):
        yield data[start:cut]
        start = max(start, cut)
    yield data[start:]


@given(st.lists(st.integers(0, len(stream_bytes())), max_size=30))
def test_however_a_stream_is_cut_its_units_are_the_same(cuts: list[int]) -> None:
    units, whole = Units(), Units()
    found = [each for piece in pieces(stream_bytes(), cuts) for each in units.feed(piece)]
    assert found == whole.feed(stream_bytes())
    assert sum(isinstance(each, Unit) for each in found) == 40, "a picture of a track that was not told is left out"
    tracks = [each for each in found if isinstance(each, tuple)]
    assert [each[0].rate_hz for each in tracks] == [48_000, 44_100]
    last = found[-1]
    assert isinstance(last, Unit)
    assert last.pts_s == pytest.approx(19 * 1024 / 44_100)


@pytest.mark.parametrize("junk", [b"junk" * 64, b"\xff\xff\xff\xffftyp" + bytes(200), bytes(200)])
def test_bytes_that_are_none_of_ours_are_told(junk: bytes) -> None:
    with pytest.raises(BoxMalformed):
        Units().feed(junk)
