"""G.711 as FLAC: the values of the standard, no sample lost however the device cuts its tags."""

import io
import random
import struct

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import fmp4
from pipeline.codecs.g711 import VALUES, FlacFromG711, Law

LAWS: list[Law] = ["pcm_alaw", "pcm_mulaw"]


def heard(converter: FlacFromG711, blocks: list[tuple[int, bytes]]) -> list[int]:
    data = fmp4.init_segment((converter.track,))
    for number, (time, block) in enumerate(blocks, 1):
        data += fmp4.fragment(number, 2, time, 0, 320, False, block)
    found: list[int] = []
    with av.open(io.BytesIO(data), "r", format="mp4", options={"err_detect": "crccheck+explode"}) as box:
        for frame in box.decode(audio=0):
            found += struct.unpack(
                f"<{frame.samples * converter.track.channels}h",
                bytes(frame.planes[0])[: 2 * frame.samples * converter.track.channels],
            )
    return found


@pytest.mark.parametrize("law", LAWS)
def test_the_values_are_those_of_ffmpegs_decoder(law: Law) -> None:
    decoder = av.CodecContext.create(law, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = 8000, "mono"
    [frame] = decoder.decode(av.Packet(bytes(range(256))))
    assert struct.unpack("<256h", bytes(frame.planes[0])[:512]) == VALUES[law]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("channels", [1, 2])
@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 1100), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_every_sample_comes_back_however_the_tags_are_cut(law: Law, channels: int, sizes: list[int], seed: int) -> None:
    source = random.Random(seed)
    converter = FlacFromG711(law, channels)
    sent, blocks, at = b"", list[tuple[int, bytes]](), 0
    for size in sizes:
        tag = source.randbytes(size * channels)
        blocks += converter.feed(tag, at)
        sent, at = sent + tag, at + size
    blocks += converter.finish()
    assert [time for time, _ in blocks] == list(range(0, at, 320))
    assert heard(converter, blocks) == [VALUES[law][byte] for byte in sent]
    assert converter.finish() == []


def test_the_track_says_what_was_done_to_the_sound() -> None:
    track = FlacFromG711("pcm_alaw", 1).track
    assert (track.codec, track.rate_hz, track.channels, track.origin) == ("flac", 8000, 1, "pcm_alaw → flac, lossless")
    assert (track.timescale, track.frame_duration) == (8000, 320)


def test_silence_costs_next_to_nothing() -> None:
    blocks = FlacFromG711("pcm_alaw", 1).feed(b"\xd5" * 8000, 0)
    assert sum(len(frame) for _, frame in blocks) * 8 < 3000
