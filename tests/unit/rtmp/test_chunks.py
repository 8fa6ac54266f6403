"""Chunk streams: every form of header, both kinds of encoder, any cut, bounded memory."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LimitExceeded, ProtocolError
from pipeline.rtmp.chunks import (
    MAX_ASSEMBLING_BYTES,
    MAX_CHUNK_STREAMS,
    ChunkReader,
    delta_message,
    whole_message,
)

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
VIDEO = 9


@dataclass
class Tape:
    messages: list[tuple[int, int, int, bytes]] = field(default_factory=list)

    def __call__(self, type_id: int, stream_id: int, timestamp_ms: int, buffer: bytes, start: int, end: int) -> None:
        self.messages.append((type_id, stream_id, timestamp_ms, buffer[start:end]))

    @property
    def times_ms(self) -> list[int]:
        return [message[2] for message in self.messages]

    @property
    def payloads(self) -> list[bytes]:
        return [message[3] for message in self.messages]


def read(*parts: bytes) -> Tape:
    tape = Tape()
    reader = ChunkReader(tape, MAX_MESSAGE_BYTES)
    for part in parts:
        reader.feed(part)
    return tape


def full(payload: bytes, timestamp_ms: int = 0, chunk_stream: int = 6, chunk_size: int = 128) -> bytes:
    return whole_message(
        chunk_stream=chunk_stream,
        type_id=VIDEO,
        stream_id=1,
        timestamp_ms=timestamp_ms,
        payload=payload,
        chunk_size=chunk_size,
    )


def later(payload: bytes, delta_ms: int, chunk_size: int = 128) -> bytes:
    return delta_message(chunk_stream=6, type_id=VIDEO, delta_ms=delta_ms, payload=payload, chunk_size=chunk_size)


def control(type_id: int, value: int) -> bytes:
    return whole_message(
        chunk_stream=2, type_id=type_id, stream_id=0, timestamp_ms=0, payload=value.to_bytes(4, "big"), chunk_size=128
    )


@given(
    st.lists(st.tuples(st.binary(max_size=700), st.integers(0, 0x2000000)), min_size=1, max_size=8),
    st.lists(st.integers(1, 400), min_size=1),
    st.sampled_from([1, 64, 128, 4096]),
)
def test_messages_come_out_whole_however_the_bytes_are_cut(
    messages: list[tuple[bytes, int]], cuts: list[int], chunk_size: int
) -> None:
    data = control(1, chunk_size) + full(b"first", 5, chunk_size=chunk_size)
    time_ms, expected = 5, [(VIDEO, 1, 5, b"first")]
    for payload, delta_ms in messages:
        data += later(payload, delta_ms, chunk_size)
        time_ms = (time_ms + delta_ms) & 0xFFFFFFFF
        expected.append((VIDEO, 1, time_ms, payload))
    tape = Tape()
    reader = ChunkReader(tape, MAX_MESSAGE_BYTES)
    turn = 0
    while data:
        size = cuts[turn % len(cuts)]
        reader.feed(data[:size])
        data = data[size:]
        turn += 1
    assert tape.messages == expected
    assert reader.held_bytes == 0


def test_a_header_of_form_2_keeps_length_and_type() -> None:
    assert read(full(b"abc", 10), b"\x86\0\0\x28def").messages[1] == (VIDEO, 1, 50, b"def")


def test_a_new_message_of_form_3_takes_the_delta_again() -> None:
    assert read(full(b"abc", 10), later(b"def", 40), b"\xc6ghi").times_ms == [10, 50, 90]


def test_a_new_message_of_form_3_after_form_0_takes_its_time_as_the_delta() -> None:
    assert read(full(b"abc", 10), b"\xc6def").times_ms == [10, 20]


@pytest.mark.parametrize("number", [64, 319, 320, 65599])
def test_chunk_streams_with_long_numbers_are_read(number: int) -> None:
    basic = bytes([0, number - 64]) if number < 320 else bytes([1, (number - 64) & 255, (number - 64) >> 8])
    assert read(basic + full(b"abc", 7)[1:]).messages == [(VIDEO, 1, 7, b"abc")]


@pytest.mark.parametrize("is_repeated", [True, False])
@pytest.mark.parametrize("cut", [1, 3, 130, 147, 148, 1000])
def test_an_extended_time_is_read_from_encoders_that_repeat_it_and_from_those_that_do_not(
    is_repeated: bool, cut: int
) -> None:
    payload = bytes(range(1, 201))
    data = full(payload, 0x01020304)
    if not is_repeated:
        data = data.replace(b"\xc6\x01\x02\x03\x04", b"\xc6")
    tape = read(*[data[at : at + cut] for at in range(0, len(data), cut)])
    assert tape.messages == [(VIDEO, 1, 0x01020304, payload)]


def test_times_wrap_at_32_bits() -> None:
    assert read(full(b"a", 0xFFFFFFF0), later(b"b", 0x20)).times_ms == [0xFFFFFFF0, 0x10]


def test_messages_of_two_chunk_streams_may_interleave() -> None:
    video, sound = full(b"v" * 200, 1), full(b"s" * 150, 2, chunk_stream=4)
    border_v, border_s = 12 + 128, 12 + 128
    data = video[:border_v] + sound[:border_s] + video[border_v:] + sound[border_s:]
    assert read(data).payloads == [b"v" * 200, b"s" * 150]


def test_an_aborted_message_is_dropped_and_the_next_one_whole() -> None:
    begun = full(b"v" * 200)[: 12 + 128]
    assert read(begun, control(2, 6), full(b"next")).payloads == [b"next"]


def test_a_chunk_size_set_between_two_messages_holds_from_there_on() -> None:
    assert read(full(b"a" * 300), control(1, 4096), full(b"b" * 3000, chunk_size=4096)).payloads[1] == b"b" * 3000


@pytest.mark.parametrize("size", [0, 0x80000000])
def test_a_chunk_size_out_of_range_is_a_protocol_error(size: int) -> None:
    with pytest.raises(ProtocolError, match="chunk size"):
        read(control(1, size))


def test_a_message_longer_than_allowed_is_refused_at_its_header() -> None:
    header = b"\x06\0\0\0" + (MAX_MESSAGE_BYTES + 1).to_bytes(3, "big") + b"\x09\1\0\0\0"
    with pytest.raises(LimitExceeded, match="max_message_bytes"):
        read(header)


def test_a_message_of_form_1_longer_than_allowed_is_refused_at_its_header() -> None:
    with pytest.raises(LimitExceeded, match="max_message_bytes"):
        read(full(b"a"), b"\x46\0\0\0" + (MAX_MESSAGE_BYTES + 1).to_bytes(3, "big") + b"\x09")


def test_declaring_long_messages_takes_no_memory_and_sending_them_all_is_refused() -> None:
    tape = Tape()
    reader = ChunkReader(tape, MAX_MESSAGE_BYTES)
    reader.feed(control(1, 1 << 20))
    heads = [full(bytes(MAX_MESSAGE_BYTES), 0, number, 1 << 20)[: 12 + (1 << 20)] for number in range(3, 12)]
    for head in heads[: MAX_ASSEMBLING_BYTES >> 20]:
        assert reader.held_bytes < MAX_ASSEMBLING_BYTES
        reader.feed(head)
    with pytest.raises(LimitExceeded, match="unfinished"):
        reader.feed(heads[-1])


def test_too_many_chunk_streams_are_refused() -> None:
    numbers = [bytes([0, number]) + full(b"a")[1:] for number in range(MAX_CHUNK_STREAMS + 1)]
    with pytest.raises(LimitExceeded, match="chunk streams"):
        read(*numbers)


@pytest.mark.parametrize("first", [b"\x86\0\0\0", b"\xc6"])
def test_a_chunk_stream_that_begins_without_a_length_is_a_protocol_error(first: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(first)


def test_a_message_begun_before_the_last_is_whole_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="before the last"):
        read(full(b"v" * 200)[:140], full(b"again"))
