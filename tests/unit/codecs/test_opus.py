"""OpusHead and the durations of packets."""

import struct

import pytest

from pipeline.codecs.opus import packet_duration, track_from_opus_head
from pipeline.errors import CodecUnsupported
from tests.unit.codecs.records import OPUS_HEAD_MONO


def head(channels: int, family: int, mapping: bytes = b"", version: int = 1) -> bytes:
    return b"OpusHead" + struct.pack("<BBHIhB", version, channels, 312, 48000, -256, family) + mapping


def test_the_head_becomes_the_body_of_a_dops_box() -> None:
    track = track_from_opus_head(OPUS_HEAD_MONO)
    assert (track.codec, track.timescale, track.channels, track.frame_duration) == ("opus", 48000, 1, 960)
    assert track.config == bytes.fromhex("000101380000bb80000000")
    surround = track_from_opus_head(head(6, 1, bytes([4, 2, 0, 4, 1, 2, 3, 5])))
    assert surround.config == bytes.fromhex("000601380000bb80ff00010402000401020305")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (b"", "no OpusHead"),
        (OPUS_HEAD_MONO[:-1], "no OpusHead"),
        (head(0, 0), "0 channels"),
        (head(3, 0), "3 channels in mapping family 0"),
        (head(2, 255), "family 255"),
        (head(6, 1, b"\4\2\0"), "channel mapping"),
        (head(2, 0, version=16), "version 16"),
    ],
)
def test_other_heads_are_refused(record: bytes, words: str) -> None:
    with pytest.raises(CodecUnsupported, match=words):
        track_from_opus_head(record)


@pytest.mark.parametrize(
    ("packet", "ticks"),
    [
        (b"\xf8", 960),  # CELT, 20 ms, one frame
        (b"\xe0", 120),  # CELT, 2.5 ms
        (b"\x18", 2880),  # SILK, 60 ms
        (b"\x19", 5760),  # two of them
        (b"\x68", 960),  # hybrid, 20 ms
        (b"\xfb\x03", 2880),  # three frames of 20 ms
        (b"\xfb\x00", 960),  # nonsense: no frame
        (b"\xfb\x3f", 960),  # nonsense: 1.26 s
        (b"", 960),
    ],
)
def test_the_duration_of_a_packet_is_in_its_first_bytes(packet: bytes, ticks: int) -> None:
    assert packet_duration(packet) == ticks
