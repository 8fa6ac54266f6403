"""AMF0: what is written is read again, and nonsense is a ProtocolError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LimitExceeded
from pipeline.rtmp import amf0
from pipeline.rtmp.amf0 import Value

leaves: st.SearchStrategy[Value] = st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False), st.text(max_size=40))
values: st.SearchStrategy[Value] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(values, max_size=4))
def test_what_is_written_is_read_again(written: list[Value]) -> None:
    try:
        assert amf0.read(amf0.write(*written)) == written
    except LimitExceeded:
        assert _depth(written) > amf0.MAX_DEPTH


def _depth(value: Value) -> int:
    match value:
        case list():
            return 1 + max(map(_depth, value), default=0)
        case dict():
            return 1 + max(map(_depth, value.values()), default=0)
        case _:
            return 0


def test_a_value_nested_too_deep_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="deeper"):
        amf0.read(b"\x0a\0\0\0\1" * 5000)


def test_an_array_that_claims_four_billion_values_is_refused_at_once() -> None:
    with pytest.raises(LimitExceeded, match="4294967295"):
        amf0.read(b"\x0a\xff\xff\xff\xff")


def test_a_message_of_too_many_values_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="more than"):
        amf0.read(b"\x05" * (amf0.MAX_VALUES + 1))


def test_a_long_string_is_refused_before_it_is_read() -> None:
    with pytest.raises(LimitExceeded, match="string"):
        amf0.read(b"\x0c\x7f\xff\xff\xff")


def test_an_ecma_array_a_date_and_a_typed_object_are_read() -> None:
    ecma = b"\x08\0\0\0\1\0\1a\x01\1\0\0\x09"
    date = b"\x0b" + bytes(8) + b"\0\0"
    typed = b"\x10\0\1T\0\1b\x05\0\0\x09"
    assert amf0.read(ecma + date + typed) == [{"a": True}, 0.0, {"b": None}]
