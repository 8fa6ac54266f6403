"""NAL lengths: short ones made long, wrong ones refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.codecs.nal import prefixed_nal_units, with_long_nal_lengths
from pipeline.errors import LimitExceeded, ProtocolError
from pipeline.simulate import synthetic


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=5), st.sampled_from([1, 2]))
def test_long_nal_lengths_hold_the_same_nal_units(nals: list[bytes], size: int) -> None:
    short = b"".join(len(nal).to_bytes(size, "big") + nal for nal in nals)
    long = with_long_nal_lengths(short, size)
    assert long == b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)
    assert prefixed_nal_units(long) == nals


def test_a_picture_of_a_million_empty_nal_units_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(LimitExceeded, match="NAL units"):
        with_long_nal_lengths(bytes(1_000_000), 1)
    with pytest.raises(ProtocolError):
        prefixed_nal_units(bytes(4_000_000))


def test_the_synthetic_stream_is_two_megabits_of_whole_access_units() -> None:
    stream = synthetic.synthetic_stream()
    pictures = [unit for unit in stream.access_units if unit.is_video]
    for unit in pictures:
        prefixed_nal_units(unit.data)
    assert [unit.time_ms for unit in pictures if unit.is_key] == [0, 2000, 4000, 6000]
    assert len(stream.access_units) - len(pictures) == 375
    size_bits = 8 * sum(len(unit.data) for unit in stream.access_units)
    assert size_bits / stream.duration_ms * 1000 == pytest.approx(2_000_000, rel=0.02)
