"""The wire of RTSP and RTP: messages, sign-in, description, order, payloads; and bytes that mean harm."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import CodecUnsupported, LimitExceeded, ProtocolError
from pipeline.rtsp import auth
from pipeline.rtsp.messages import Interleaved, Message, MessageReader, write_request
from pipeline.rtsp.payloads import Aac, Pictures, Unit
from pipeline.rtsp.rtp import (
    Order,
    RtpPacket,
    SenderReport,
    Unwrapped,
    read_rtp,
    read_sender_reports,
    write_receiver_report,
)
from pipeline.rtsp.sdp import Media, read_sdp

ANSWER = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 3\r\n\r\nabc"
SDP = b"v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"


@given(st.lists(st.integers(1, 40), max_size=20))
def test_messages_and_packets_are_found_however_the_bytes_are_cut(cuts: list[int]) -> None:
    data = ANSWER + b"$\x01\x00\x04rtcp" + ANSWER
    reader, found, at = MessageReader(), [], 0
    for size in [*cuts, len(data)]:
        found += reader.feed(data[at : at + size])
        at += size
    assert [type(each) for each in found] == [Message, Interleaved, Message]
    assert found[1] == Interleaved(1, b"rtcp")
    assert isinstance(found[0], Message)
    assert (found[0].status, found[0].sequence, found[0].body) == (200, 2, b"abc")


def test_giant_heads_bodies_and_too_many_headers_are_refused() -> None:
    for data in (
        b"RTSP/1.0 200 OK\r\nX: " + b"a" * 20_000,
        b"RTSP/1.0 200 OK\r\nContent-Length: 999999\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * 100 + b"\r\n",
    ):
        with pytest.raises(LimitExceeded):
            MessageReader().feed(data)
    for data in (b"HTTP/1.1 200 OK\r\n\r\n", b"\0\0\0\0", b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n"):
        with pytest.raises(ProtocolError):
            MessageReader().feed(data)


@settings(max_examples=300)
@given(st.binary(max_size=300), st.integers(0, 50))
def test_garbage_costs_a_protocol_error_and_nothing_else(garbage: bytes, at: int) -> None:
    media = Media(
        "audio", 97, "MPEG4-GENERIC", 48000, 1, "", {"sizelength": "13", "indexlength": "3", "indexdeltalength": "3"}
    )
    packet = RtpPacket(96, False, 1, 2, 3, garbage)
    for use in (
        lambda: MessageReader().feed(garbage),
        lambda: MessageReader().feed(ANSWER[:at] + garbage),
        lambda: read_sdp(garbage),
        lambda: read_sdp(SDP[: at * 3] + garbage),
        lambda: read_rtp(garbage),
        lambda: list(read_sender_reports(garbage)),
        lambda: auth.read_challenge(garbage.decode("latin-1")),
        lambda: Pictures(False, 10_000).feed(packet, False),
        lambda: Pictures(True, 10_000).feed(packet, False),
        lambda: Aac(media, 1024, 10_000).feed(packet, False),
    ):
        with contextlib.suppress(ProtocolError, CodecUnsupported):
            use()


def test_a_payload_type_of_thousands_of_digits_is_no_media() -> None:
    """Python refuses to read such a number with a ValueError."""
    assert read_sdp(b"m=video 0 RTP/AVP " + b"9" * 5000).media == ()


def test_digest_answers_are_those_of_the_rfc() -> None:
    """RFC 7616 3.9.1."""
    header = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    for algorithm, proof in {
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }.items():
        challenge = auth.read_challenge(header.replace("MD5", algorithm))
        assert challenge is not None
        said = auth.answer(challenge, "Mufasa", "Circle of Life", "GET", "/dir/index.html", 1, nonce)
        assert f'response="{proof}"' in said


def test_the_strongest_challenge_is_taken() -> None:
    found = auth.read_challenge('Basic realm="a"\nDigest realm="b", nonce="n", algorithm=MD5')
    assert found is not None
    assert (found.algorithm, found.realm, found.has_qop) == ("md5", "b", False)
    assert auth.read_challenge("Negotiate abc") is None


def packet(sequence: int) -> RtpPacket:
    return RtpPacket(96, True, sequence & 0xFFFF, 0, 7, b"x")


@given(st.permutations(range(8)))
def test_packets_out_of_order_within_the_window_come_out_in_order(order: list[int]) -> None:
    held = Order(1.0)
    held.feed(packet(65533), 0.0)
    found = [each for number in order for each, _ in held.feed(packet(65534 + number), 0.1)]
    assert [each.sequence for each in found] == [(65534 + number) & 0xFFFF for number in range(8)]
    assert held.lost == 0


def test_a_packet_that_never_comes_is_counted_and_told_once_the_window_is_over() -> None:
    held = Order(0.2)
    held.feed(packet(1), 0.0)
    assert held.feed(packet(4), 0.0) == []
    assert [(each.sequence, broken) for each, broken in held.feed(packet(5), 0.3)] == [(4, True), (5, False)]
    assert held.lost == 2
    assert Order(0.0).feed(packet(3), 0.0) == [(packet(3), False)]


def test_a_sender_that_counts_anew_is_followed() -> None:
    held = Order(0.2)
    held.feed(packet(1), 0.0)
    assert held.feed(packet(40_000), 0.0) == [(packet(40_000), True)]
    assert held.feed(packet(40_001), 0.0) == [(packet(40_001), False)]


def test_times_of_32_bits_are_unwrapped_and_reports_read() -> None:
    unwrapped = Unwrapped()
    assert [unwrapped(0xFFFFFF00), unwrapped(0x100), unwrapped(0xFFFFFFF0)] == [0xFFFFFF00, 0x100000100, 0xFFFFFFF0]
    report = b"\x80\xc8\0\6" + (7).to_bytes(4, "big") + b"\0\0\0\5\x80\0\0\0" + (900).to_bytes(4, "big") + bytes(8)
    assert [tuple(each) for each in read_sender_reports(write_receiver_report(1, 2, 3, 4) + report)] == [(7, 5.5, 900)]


def test_a_report_says_what_the_senders_wall_clock_shows_unless_it_has_none() -> None:
    assert SenderReport(1, 2_208_988_800 + 1_795_000_000.25, 0).utc_s == 1_795_000_000.25
    assert SenderReport(1, 86_400.5, 0).utc_s is None, "it counts from its own beginning"


def rtp(payload: bytes, timestamp: int = 0, *, marked: bool = False) -> RtpPacket:
    return RtpPacket(96, marked, 0, timestamp, 1, payload)


def test_pictures_come_out_of_single_aggregated_and_cut_nal_units() -> None:
    avc = Pictures(False, 1000)
    assert avc.feed(rtp(b"\x78\0\2\x67a\0\2\x68b"), False) == []
    assert avc.feed(rtp(b"\x7c\x85123"), False) == []
    assert avc.feed(rtp(b"\x7c\x45456", marked=True), False) == [Unit(0, [b"\x67a", b"\x68b", b"\x65123456"])]
    hevc = Pictures(True, 1000)
    assert hevc.feed(rtp(b"\x60\1\0\3\x40\1v\0\3\x42\1s"), False) == []
    assert hevc.feed(rtp(b"\x62\1\x93123"), False) == []
    assert hevc.feed(rtp(b"\x62\1\x53456", marked=True), False) == [
        Unit(0, [b"\x40\1v", b"\x42\1s", b"\x26\x01123456"])
    ]


def test_a_picture_with_a_hole_is_dropped_and_counted_and_the_next_is_whole() -> None:
    avc = Pictures(False, 1000)
    avc.feed(rtp(b"\x7c\x85123"), False)
    assert avc.feed(rtp(b"\x7c\x45456", marked=True), True) == []
    assert avc.feed(rtp(b"\x41ab", 1, marked=True), False) == [Unit(1, [b"\x41ab"])]
    assert avc.dropped == 1
    with pytest.raises(LimitExceeded):
        avc.feed(rtp(b"\x41" + bytes(1001), 2), False)


def test_aac_frames_are_taken_apart_and_each_gets_its_time() -> None:
    form = {"sizelength": "13", "indexlength": "3", "indexdeltalength": "3"}
    aac = Aac(Media("audio", 97, "MPEG4-GENERIC", 48000, 1, "", form), 1024, 1000)
    payload = b"\0\x20" + (3 << 3).to_bytes(2, "big") + (2 << 3).to_bytes(2, "big") + b"abcde"
    assert aac.feed(rtp(payload, 0xFFFFFFFF), False) == [Unit(0xFFFFFFFF, [b"abc"]), Unit(1023, [b"de"])]
    with pytest.raises(CodecUnsupported):
        Aac(Media("audio", 97, "MPEG4-GENERIC", 48000, 1, ""), 1024, 1000)


def test_a_request_holds_no_password_but_in_its_sign_in() -> None:
    assert write_request("PLAY", "rtsp://h/a", 3, {"Session": "1"}).startswith(
        b"PLAY rtsp://h/a RTSP/1.0\r\nCSeq: 3\r\n"
    )
