"""FLAC: STREAMINFO of others, and our frames as FFmpeg's decoder hears them."""

import io
import struct

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import fmp4
from pipeline.codecs.flac import FlacEncoder, streaminfo, track_from_flac_header
from tests.unit.codecs.records import STREAMINFO_48K

SAMPLES = st.integers(-(2**15), 2**15 - 1)


def heard(frames: list[bytes], rate_hz: int, channels: int, block: int) -> list[tuple[int, ...]]:
    """The samples of each channel as FFmpeg decodes them, every checksum looked at."""
    track = track_from_flac_header(streaminfo(rate_hz, channels, block))
    data = fmp4.init_segment((track,))
    for number, each in enumerate(frames):
        data += fmp4.fragment(number + 1, track.track_id, number * block, 0, block, False, each)
    found: list[tuple[int, ...]] = [()] * channels
    with av.open(io.BytesIO(data), "r", format="mp4", options={"err_detect": "crccheck+explode"}) as box:
        for frame in box.decode(audio=0):
            raw = bytes(frame.planes[0])[: 2 * frame.samples * channels]
            mixed = struct.unpack(f"<{frame.samples * channels}h", raw)
            found = [had + mixed[channel::channels] for channel, had in enumerate(found)]
    return found


def crc(data: bytes, polynomial: int, width: int) -> int:
    """Bit by bit, as the definition says. 0 over data with its checksum behind it."""
    value = 0
    for byte in data:
        for bit in range(7, -1, -1):
            carry = value >> (width - 1) & 1 ^ byte >> bit & 1
            value = (value << 1 ^ polynomial * carry) & ((1 << width) - 1)
    return value


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(SAMPLES, min_size=16, max_size=200), min_size=1, max_size=4), st.sampled_from([8000, 48000]))
def test_any_sound_comes_back_as_it_was(blocks: list[list[int]], rate_hz: int) -> None:
    encoder = FlacEncoder(rate_hz, 1)
    frames = [encoder.frame([block]) for block in blocks]
    [found] = heard(frames, rate_hz, 1, 200)
    assert list(found) == [sample for block in blocks for sample in block]
    for frame in frames:
        assert crc(frame, 0x8005, 16) == 0
        assert crc(frame[:8], 0x07, 8) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**15 - 1), st.integers(-40, 40), st.integers(16, 400))
def test_smooth_sound_of_two_channels_comes_back_as_it_was(level: int, step: int, size: int) -> None:
    left = [max(-(2**15), min(2**15 - 1, level + step * at)) for at in range(size)]
    right = [-each >> 1 for each in left]
    frame = FlacEncoder(16000, 2).frame([left, right])
    assert [list(each) for each in heard([frame], 16000, 2, size)] == [left, right]


@given(st.lists(st.integers(-(2**12), 2**12 - 1), min_size=16, max_size=100))
@settings(max_examples=60, deadline=None)
def test_bits_that_are_always_0_are_not_sent_and_come_back(short: list[int]) -> None:
    frame = FlacEncoder(8000, 1).frame([short], wasted_bits=3)
    assert list(heard([frame], 8000, 1, len(short))[0]) == [sample << 3 for sample in short]


def test_a_single_click_in_silence_comes_back() -> None:
    block = [0] * 319 + [32767]
    assert list(heard([FlacEncoder(8000, 1).frame([block])], 8000, 1, 320)[0]) == block


def test_frames_are_numbered_over_every_length_of_the_number() -> None:
    encoder = FlacEncoder(8000, 1)
    for number in (0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0x1FFFFF, 0x200000, 0x3FFFFFF, 0x4000000, 0x7FFFFFFF):
        encoder._number = number
        frame = encoder.frame([[0] * 16])
        assert crc(frame, 0x8005, 16) == 0
        assert list(heard([frame], 8000, 1, 16)[0]) == [0] * 16
        if number < 0x110000:
            assert frame[4:].startswith(chr(number).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "header",
    [STREAMINFO_48K, b"\x80\0\0\x22" + STREAMINFO_48K, b"fLaC\0\0\0\x22" + STREAMINFO_48K + b"\x84\0\0\0"],
    ids=["as FFmpeg sends it", "with the head of its block", "as the standard says"],
)
def test_the_header_is_understood_in_each_of_its_forms(header: bytes) -> None:
    track = track_from_flac_header(header)
    assert (track.codec, track.rate_hz, track.channels, track.frame_duration) == ("flac", 48000, 1, 4608)
    assert track.config == STREAMINFO_48K
