"""What a camera or a server that is pulled may send, as fuzz targets."""

import contextlib
from urllib.parse import urljoin

from pipeline.errors import CodecUnsupported, LimitExceeded, OnRecordError, ProtocolError
from pipeline.ingest.pull.fetch import ResponseReader
from pipeline.ingest.pull.lanes import Lane, align, lane_of
from pipeline.ingest.pull.playlist import MediaPlaylist, choose, read_playlist
from pipeline.rtsp import auth
from pipeline.rtsp.messages import Interleaved, MessageReader, write_interleaved
from pipeline.rtsp.rtp import Order, RtpPacket, read_rtp, read_sender_reports
from pipeline.rtsp.sdp import Media, read_sdp
from pipeline.sources import parse_source

_MAX_BYTES = 1 << 16
_WIDTH, _HEIGHT = 4096, 2304
_AAC = {"sizelength": "13", "indexlength": "3", "indexdeltalength": "3", "config": "1188"}

ANSWERS = [
    b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, GET_PARAMETER\r\n\r\n"
    + write_interleaved(0, b"\x80\x60" + bytes(20)),
    b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 4\r\n\r\nv=0\nOPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\n",
    write_interleaved(1, b"\x80\xc8\0\6" + bytes(24)) + b"\r\nRTSP/1.0 401 Unauthorized\r\nCSeq: 3\r\n\r\n",
]
CHALLENGES = [
    b'Digest realm="cam", nonce="abc", qop="auth,auth-int", algorithm=SHA-256, stale=TRUE\nBasic realm="x"',
    b'Basic realm="a\\"b", Digest realm="c", nonce="d", opaque="e"',
]
_FORMS = (
    b"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAH9oBQBbsBEAAAAMAQAAADIPGDKg=,aM48gA==",
    b"a=fmtp:97 mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1188",
)
DESCRIPTIONS = [
    b"v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    + _FORMS[0]
    + b"\r\na=control:track1\r\n"
    b"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/1\r\n" + _FORMS[1] + b"\r\na=control:track2\r\n",
    (
        b"v=0\nm=audio 0 RTP/AVP 8\na=control:rtsp://a/b\nm=video 0 RTP/AVP 98\na=rtpmap:98 H265/90000\n"
        b"a=fmtp:98 sprop-vps=QAE=;sprop-sps=QgE=;sprop-pps=RAE=\n"
    ),
]
PACKETS = [
    b"\x80\x60\0\1\0\0\0\1\0\0\0\7\x65abc" * 3,
    b"\x90\xe0\0\2\0\0\0\1\0\0\0\7\0\0\0\1abcd\x65abc",
    b"\x80\xc8\0\6\0\0\0\7\xe0\0\0\0\x80\0\0\0\0\0\0\1" + bytes(8),
]
PAYLOADS = [
    b"\x0c\x7c\x85abc\x0c\x7c\x05abc\x0c\x7c\x45abc",
    b"\x0a\x78\0\3\x67ab\0\2\x68a\x05\x62\1\x93ab\x05\x62\1\x53ab",
    b"\x0c\0\x10\0\x18abc\x08\xfcabcdef\x10\xd5\xd5\xd5\xd5\xd5\xd5\xd5",
]
PLAYLISTS = [
    (
        b'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI="i.mp4",BYTERANGE="9@0"\n'
        b"#EXTINF:2.0,\n#EXT-X-BYTERANGE:100@9\na.mp4\n#EXT-X-DISCONTINUITY\n#EXTINF:1,\n#EXT-X-BYTERANGE:5\na.mp4\n#EXT-X-ENDLIST\n"
    ),
    (
        b'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",URI="s.m3u8"\n'
        b'#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS="avc1.42c01e,mp4a.40.2",RESOLUTION=640x360,AUDIO="a"\nv.m3u8\n'
    ),
]
PLAYLIST_WORDS = [
    b"#EXT-X-KEY:METHOD=AES-128\n",
    b"#EXTINF:1,\n",
    b"#EXT-X-GAP\n",
    b"http://[",
    b"//x/",
    b"99999999999999999999",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 206 P\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nServer: a\r\n\r\nuntil the end",
    b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nabc",
]
URLS = [
    b"rtsp://user:p%40ss@camera.test:554/Streaming/Channels/101?a=b",
    b"http://[fe80::1]:80/a/../b.m3u8",
    b"https://a.test/x\nsegment.ts",
]


def messages(data: bytes) -> None:
    reader = MessageReader()
    taken = 0
    for at in range(0, len(data), 97):
        for found in reader.feed(data[at : at + 97]):
            taken += len(found.data) if isinstance(found, Interleaved) else len(found.body)
    assert taken <= len(data)


def challenge(data: bytes) -> None:
    found = auth.read_challenge(data.decode("latin-1"))
    if found is not None:
        said = auth.answer(found, "user", "p4ssw0rd", "GET", "/", 1, "c")
        assert "p4ssw0rd" not in said
        assert said.isprintable()


def description(data: bytes) -> None:
    failed: OnRecordError | None = None
    for media in read_sdp(data).media:
        try:
            lane_of(media, 0.0, _WIDTH, _HEIGHT, _MAX_BYTES)
        except (ProtocolError, CodecUnsupported) as error:
            failed = error
    if failed is not None:
        raise failed


def packets(data: bytes) -> None:
    """Packets of 24 bytes, each an order of its own after another."""
    order = Order(0.1)
    out = 0
    for number, at in enumerate(range(0, len(data), 24)):
        list(read_sender_reports(data[at:]))
        with contextlib.suppress(ProtocolError):
            out += len(order.feed(read_rtp(data[at : at + 24]), number * 0.01))
    assert out <= len(data) // 24 + 1


def payloads(data: bytes) -> None:
    """Every lane takes all of it, cut by its own bytes."""
    failed: OnRecordError | None = None
    for kind, encoding in [("video", "H264"), ("video", "H265"), ("audio", "MPEG4-GENERIC"), ("audio", "PCMA")]:
        lane = lane_of(Media(kind, 96, encoding, 8000, 1, "", _AAC), 0.0, _WIDTH, _HEIGHT, _MAX_BYTES)
        assert lane is not None
        try:
            _feed(lane, data)
        except (ProtocolError, CodecUnsupported, LimitExceeded) as error:
            failed = error
    if failed is not None:
        raise failed


def _feed(lane: Lane, data: bytes) -> None:
    at = number = 0
    while at < len(data):
        size = data[at] & 31 or 1
        payload = data[at + 1 : at + 1 + size]
        packet = RtpPacket(96, bool(data[at] & 32), number, number * 3600, 7, payload)
        lane.feed(packet, data[at] > 250, 0.0, 0.0)
        align([lane])
        at, number = at + 1 + size, number + 1


def playlist(data: bytes) -> None:
    found = read_playlist(data)
    if isinstance(found, MediaPlaylist):
        assert len(found.segments) <= data.count(b"\n") + 1
        for segment in found.segments:
            with contextlib.suppress(ValueError, OnRecordError):
                parse_source(urljoin("http://a.test/b/c.m3u8", segment.piece.uri))
    else:
        choose(found, _WIDTH, _HEIGHT)


def response(data: bytes) -> None:
    reader = ResponseReader(_MAX_BYTES)
    taken = 0
    for at in range(0, len(data), 97):
        taken += len(reader.feed(data[at : at + 97]))
        if reader.is_whole:
            break
    else:
        reader.end()
    assert taken <= len(data)


def url(data: bytes) -> None:
    """What is taken goes on a request line and into a header as it is, and shows nothing secret."""
    base, _, uri = data.decode("latin-1").partition("\n")
    found = parse_source(base)
    assert found.target.isascii()
    assert found.target.isprintable()
    assert " " not in found.target + found.authority
    assert not found.password or len(found.password) < 4 or found.password not in str(found)[len(found.scheme) :]
    with contextlib.suppress(ValueError):
        parse_source(urljoin(found.wire, uri))
