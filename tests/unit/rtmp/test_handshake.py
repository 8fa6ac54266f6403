"""The handshake: both sides meet, in pieces of any size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ProtocolError
from pipeline.rtmp.handshake import RANDOM_BYTES, ClientHandshake, ServerHandshake


@given(st.integers(1, 4000))
def test_server_and_client_meet_in_pieces_of_any_size(piece: int) -> None:
    server, client = ServerHandshake(b"s" * RANDOM_BYTES), ClientHandshake(b"c" * RANDOM_BYTES)
    to_server, to_client = client.opening, b""
    rest = b""
    while not server.is_done:
        sending, to_server = to_server[:piece], to_server[piece:]
        answer, rest = server.feed(sending)
        reply, _ = client.feed(answer)
        to_server += reply
        if client.is_done and reply:
            to_server += b"after"
    assert client.is_done
    assert b"after".startswith(rest)
    assert to_client == b""


def test_the_server_answers_with_a_version_of_zero_so_that_no_digest_is_expected() -> None:
    answer, _ = ServerHandshake(b"s" * RANDOM_BYTES).feed(ClientHandshake(b"c" * RANDOM_BYTES).opening)
    assert answer[5:9] == bytes(4)
    assert answer[1537:] == ClientHandshake(b"c" * RANDOM_BYTES).opening[1:]


@pytest.mark.parametrize("first", [b"\x16\x03\x01", b"GET / HTTP/1.1"])
def test_tls_and_http_are_told_apart_at_the_first_byte(first: bytes) -> None:
    with pytest.raises(ProtocolError, match="plain RTMP"):
        ServerHandshake(bytes(RANDOM_BYTES)).feed(first)
