"""Strangers at the doors of a real server: slow, many, malformed. Publishers and viewers notice nothing.

What must stay true: whoever keeps the server waiting is closed in time; who crowds it makes way; what two readers may
read in two ways is refused; no path leads out of its folder; and the stream that is live goes on.
"""

import contextlib
import re
import resource
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.sync.client import connect

from pipeline.live.hls_views import MOST_WAITING
from tests.serving import Server, until
from tests.tools import needs

pytestmark = needs("ffmpeg")

REQUEST_S, HANDSHAKE_S, PUBLISH_S, SILENCE_S, WRITE_S = 1.0, 1.0, 1.5, 1.5, 1.5
LATE_S = 2.0  # a deadline is kept to within this, on a busy machine
MAX_BODY_BYTES = 65_536
SETTINGS = {
    "ONRECORD_API__REQUEST_TIMEOUT_S": str(REQUEST_S),
    "ONRECORD_API__WRITE_TIMEOUT_S": str(WRITE_S),
    "ONRECORD_API__MAX_BODY_BYTES": str(MAX_BODY_BYTES),
    "ONRECORD_RTMP__HANDSHAKE_TIMEOUT_S": str(HANDSHAKE_S),
    "ONRECORD_RTMP__PUBLISH_TIMEOUT_S": str(PUBLISH_S),
    "ONRECORD_PUSH__SILENCE_TIMEOUT_S": str(SILENCE_S),
    "ONRECORD_LIVE__CUT_OFF_S": str(WRITE_S),
}
HEAD = b"POST /api/v1/session HTTP/1.1\r\nHost: h\r\n"
LAST = b"Connection: close\r\n\r\n"
RTMP_HANDSHAKE = b"\x03" + bytes(2 * 1536)


@dataclass(frozen=True)
class Site:
    """A server with one live stream that nobody may disturb."""

    server: Server
    stream_id: str
    key: str

    def recorded(self) -> float:
        return self.server.metric(rf'onrecord_stream_fragments_total\{{stream_id="{self.stream_id}')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Server(tmp_path_factory.mktemp("attacks") / "data", SETTINGS) as server:
        server.publish(server.add_device("witness"))
        yield Site(server, server.live_id("witness"), server.add_device("attacker"))


@pytest.fixture(autouse=True)
def goes_on(site: Site) -> Iterator[None]:
    """After every attack the witness is the same stream, live and recorded, and the log holds no error of ours."""
    yield
    before = site.recorded()
    until(lambda: site.recorded() > before, "the witness goes on")
    assert site.server.live_id("witness") == site.stream_id
    assert "Traceback" not in site.server.log
    assert not [secret for secret in site.server.secrets if secret in site.server.log]


def web(site: Site) -> socket.socket:
    return socket.create_connection(("127.0.0.1", site.server.port), timeout=10)


def rtmp(site: Site) -> socket.socket:
    return socket.create_connection(("127.0.0.1", site.server.rtmp_port), timeout=10)


def said(peer: socket.socket, limit_s: float = 10) -> bytes:
    """All that comes until the end, which comes in time."""
    end_s = time.monotonic() + limit_s
    data = b""
    with contextlib.suppress(ConnectionError):
        while True:
            peer.settimeout(max(0.01, end_s - time.monotonic()))
            piece = peer.recv(65_536)
            if not piece:
                break
            data += piece
    return data


def answer(site: Site, request: bytes) -> bytes:
    with web(site) as peer:
        with contextlib.suppress(ConnectionError):
            peer.sendall(request)
        return said(peer, 5)


def status(reply: bytes) -> int:
    found = re.match(rb"HTTP/1\.1 (\d+) ", reply)
    return int(found[1]) if found else 0


def drip(peer: socket.socket, data: bytes, limit_s: float) -> float:
    """Send a byte every 0.1 s until the other side has enough; how long that took."""
    began_s = time.monotonic()
    peer.settimeout(0.1)
    for byte in data:
        assert time.monotonic() - began_s < limit_s, f"still open after {limit_s} s"
        try:
            peer.send(bytes([byte]))
            if not peer.recv(65_536):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.monotonic() - began_s


def upgrade(site: Site, *headers: str) -> bytes:
    path = f"/live/{site.stream_id}/ws?ticket={site.server.ticket(site.stream_id)}"
    lines = [
        f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{site.server.port}", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", *headers,
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode()


SLOW: dict[str, tuple[Callable[[Site], bytes], float]] = {
    "request line": (lambda _: b"GET /" + b"a" * 500, REQUEST_S),
    "headers": (lambda _: b"GET / HTTP/1.1\r\nX: " + b"a" * 500, REQUEST_S),
    "empty lines": (lambda _: b"\r\n" * 300, REQUEST_S),
    "body": (lambda _: HEAD + b"Content-Length: 900\r\n\r\n" + b" " * 900, REQUEST_S),
    "websocket upgrade": (lambda site: upgrade(site).replace(b"\r\n\r\n", b"\r\nX: " + b"a" * 500), REQUEST_S),
    "push body": (
        lambda site: f"PUT /ingest/{site.key} HTTP/1.1\r\nHost: h\r\nContent-Length: 900\r\n\r\n".encode() + b"G" * 900,
        SILENCE_S,
    ),
}  # fmt: skip


@pytest.mark.parametrize("door", SLOW)
def test_a_byte_at_a_time_wins_no_time_on_the_web_port(site: Site, door: str) -> None:
    data, limit_s = SLOW[door]
    with web(site) as peer:
        head = data(site)
        cut = head.rfind(b"\r\n\r\n") + 4 if door in ("body", "push body") else 0
        peer.sendall(head[:cut])
        assert drip(peer, head[cut:], limit_s + LATE_S) > limit_s - 0.5


def test_silence_on_the_web_port_wins_no_time(site: Site) -> None:
    with web(site) as peer:
        began_s = time.monotonic()
        assert status(said(peer, REQUEST_S + LATE_S)) == 408
        assert time.monotonic() - began_s > REQUEST_S - 0.5


def test_a_byte_at_a_time_wins_no_time_on_the_rtmp_port(site: Site) -> None:
    with rtmp(site) as peer:
        assert drip(peer, RTMP_HANDSHAKE, HANDSHAKE_S + LATE_S) > HANDSHAKE_S - 0.5
    with rtmp(site) as peer:
        peer.sendall(RTMP_HANDSHAKE)
        peer.recv(1 + 2 * 1536, socket.MSG_WAITALL)
        assert drip(peer, bytes([3, 0, 0, 0, 0, 0, 200, 20]) + bytes(300), PUBLISH_S + LATE_S) > PUBLISH_S - 0.5


def test_a_viewer_that_reads_a_byte_a_second_is_cut_off(site: Site) -> None:
    with web(site) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        peer.sendall(upgrade(site))
        until(lambda: site.server.metric("onrecord_viewers ") == 1, "it is a viewer")
        until(lambda: bool(peer.recv(1)) and site.server.metric("onrecord_viewers ") == 0, "it is cut off", 40)


def test_an_answer_that_nobody_reads_is_dropped(site: Site) -> None:
    playlist = site.server.ask(f"/live/{site.stream_id}/index.m3u8").body.decode()
    found = re.search(r"(segment\d+\.m4s\?session=([\w-]+))", playlist)
    assert found is not None
    site.server.keep(found[2])
    before = site.server.metric("onrecord_http_overdue_total")
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        peer.connect(("127.0.0.1", site.server.port))
        peer.settimeout(1)
        request = f"GET /live/{site.stream_id}/{found[1]} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
        with contextlib.suppress(ConnectionError, TimeoutError):
            for _ in range(8):
                peer.sendall(request)
                time.sleep(0.05)  # one after the other: more at once would be refused
        until(lambda: site.server.metric("onrecord_http_overdue_total") > before, "it is dropped", WRITE_S + 8)


def test_a_viewer_that_hoards_blocked_reloads_is_refused_and_keeps_nobody_else_waiting(site: Site) -> None:
    """Of 200 at once some are answered and the rest is told why not; another viewer's reload is answered."""
    ticket = site.server.ticket(site.stream_id)
    playlist = site.server.ask(f"/live/{site.stream_id}/index.m3u8?ticket={ticket}", token="").body.decode()
    found = re.search(r"session=([\w-]+)", playlist)
    assert found is not None
    site.server.keep(found[1])
    newest = max(map(int, re.findall(r"segment(\d+)\.m4s", playlist)))
    path = f"/live/{site.stream_id}/index.m3u8?session={found[1]}&_HLS_msn={newest + 2}"
    peers = [web(site) for _ in range(200)]
    for peer in peers:
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    assert site.server.ask("/livez", token="").status == 200
    other = f"/live/{site.stream_id}/index.m3u8?_HLS_msn={newest + 2}"
    assert site.server.ask(other).status == 200
    answers = [said(peer, 20) for peer in peers]
    assert {status(answer) for answer in answers} == {200, 429}
    assert [status(answer) for answer in answers].count(200) >= MOST_WAITING
    assert all(b"wait already" in answer for answer in answers if status(answer) == 429)
    assert site.server.ask(f"{path.partition('&')[0]}", token="").status == 200
    for peer in peers:
        peer.close()


CROWD = 10_000


@pytest.mark.slow
def test_ten_thousand_idle_connections_on_both_doors_keep_nobody_out(tmp_path: Path) -> None:
    """They are closed at their deadline or make way; memory stays bounded, a publisher and a viewer get in."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    crowd = min(CROWD, limit[1] - 1000)
    with Server(tmp_path / "data") as server, contextlib.ExitStack() as stack:
        before = memory_kib(server)
        ports = (server.rtmp_port, server.port)
        for number in range(crowd):
            source = (f"127.0.0.{2 + number // 20_000}", 0)
            peer = socket.create_connection(("127.0.0.1", ports[number % 2]), 10, source)
            stack.callback(peer.close)
        publisher = server.publish(server.add_device("in"))
        stream_id = server.live_id("in")
        with connect(server.watch_url(stream_id, server.ticket(stream_id)), max_size=None, open_timeout=10) as view:
            assert isinstance(view.recv(timeout=10), str)
            assert isinstance(view.recv(timeout=10), bytes)
        grown_kib = memory_kib(server) - before
        assert grown_kib < 200 * 1024, f"{grown_kib} KiB"
        publisher.kill()
        assert "the rtmp door is full" in server.log
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def memory_kib(server: Server) -> int:
    with open(f"/proc/{server.process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


SMUGGLED = {
    "length and chunked": HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "a list of lengths": HEAD + b"Content-Length: 4, 4\r\n\r\nabcd",
    "a signed length": HEAD + b"Content-Length: +4\r\n\r\nabcd",
    "chunked twice": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "xchunked": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"POST /api/v1/session HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before colon": HEAD + b"Content-Length : 4\r\n\r\nabcd",
    "folded line": HEAD + b"X: a\r\n Content-Length: 4\r\n\r\n",
    "bare LF": b"GET /livez HTTP/1.1\nHost: h\n\n",
    "bare CR": HEAD + b"X: a\rContent-Length: 4\r\n\r\n",
    "NUL in a header": HEAD + b"X: a\0b\r\n\r\n",
    "chunk of minus one": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "chunk size that overflows": HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "chunk size with 0x": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "chunk ended by LF": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n",
    "no host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "unknown method": b"STEAL / HTTP/1.1\r\nHost: h\r\n\r\n",
    "connect": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: h\r\n\r\n",
    "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http 3.7": b"GET / HTTP/3.7\r\nHost: h\r\n\r\n",
    "tls hello": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(100),
    "rtmp hello": RTMP_HANDSHAKE,
    "a bad escape at the start": b"GET http://[/ HTTP/1.1\r\nHost: h\r\n\r\n",
}


@pytest.mark.parametrize("form", SMUGGLED)
def test_what_two_readers_may_read_in_two_ways_is_refused_and_the_connection_closed(site: Site, form: str) -> None:
    reply = answer(site, SMUGGLED[form] + b"GET /api/v1/streams HTTP/1.1\r\nHost: h\r\n\r\n")
    assert status(reply) in (400, 405), reply
    assert reply.count(b"HTTP/1.1 ") == 1, "a smuggled request was answered"


LARGE = {
    "address": (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n"),
    "address without end": (431, b"GET /" + b"a" * 400_000),
    "header without end": (431, b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 400_000),
    "many headers": (431, b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: abcdefgh\r\n" * 20_000 + b"\r\n"),
    "body": (413, HEAD + b"Content-Length: 100000000\r\n\r\n" + b" " * 2 * MAX_BODY_BYTES),
    "chunk extension": (431, HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 400_000),
    "trailers": (431, HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: a\r\n" * 60_000),
    "pipeline": (0, b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n" * 20_000),
}


@pytest.mark.parametrize("form", LARGE)
def test_what_is_too_large_is_refused_before_it_is_kept(site: Site, form: str) -> None:
    expected, request = LARGE[form]
    before = memory_kib(site.server)
    reply = answer(site, request)
    if expected:
        assert status(reply) in (expected, 0), reply[:200]  # 0: it was closed while we still sent
    else:
        assert reply.count(b"HTTP/1.1 200") < 100
    assert memory_kib(site.server) - before < 16 * 1024


def test_old_and_absolute_requests_are_what_they_say_and_no_more(site: Site) -> None:
    assert status(answer(site, b"GET /livez HTTP/1.0\r\n\r\n")) == 200
    assert status(answer(site, b"GET http://evil.example/livez HTTP/1.1\r\nHost: evil.example\r\n" + LAST)) == 200
    hostile = b"GET /api/v1/streams HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 127.0.0.1\r\n" + LAST
    assert status(answer(site, hostile)) == 401
    assert status(answer(site, b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")) in (400, 404, 405)


UPWARDS = [
    "../../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd", "%252e%252e%252fetc%252fpasswd",
    "..%5c..%5cetc%5cpasswd", "....//....//etc/passwd", "%c0%ae%c0%ae/etc/passwd", "..%00/etc/passwd", "/etc/passwd",
    "%2fetc%2fpasswd", "..;/etc/passwd", "keys/signing.pem", "%2e%2e/data/keys/signing.pem", "..%2faccess.sqlite",
]  # fmt: skip
PLACES = ["/{}", "/live/{}/snapshot.jpg", "/live/{}/index.m3u8", "/live/{}/init0.mp4", "/api/v1/streams/{}/ticket",
          "/assets/{}", "/ingest/{}", "/live/{}/ws"]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_no_path_leads_out_of_its_folder(site: Site, place: str) -> None:
    for words in UPWARDS:
        for method in ("GET", "POST"):
            path = place.format(words)
            request = f"{method} {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {site.server.token}\r\n"
            reply = answer(site, request.encode() + b"Content-Length: 0\r\n" + LAST)
            assert b"root:" not in reply, path
            assert b"PRIVATE KEY" not in reply, path
            assert b"SQLite" not in reply, path
            assert status(reply) in (200, 307, 400, 401, 404, 405, 409, 415, 422, 429), (path, reply[:200])
            assert status(reply) != 200 or b"<!doctype html>" in reply.lower() or b"not built" in reply, path


def test_head_options_and_strange_methods_on_every_route_are_answered_in_words(site: Site) -> None:
    schema = site.server.ask("/api/openapi.json").tree()["paths"]
    assert isinstance(schema, dict)
    for path in [*schema, "/", "/live/x/index.m3u8", "/nowhere"]:
        for method in ("HEAD", "OPTIONS", "TRACE", "PATCH", "PROPFIND"):
            place = path.replace("{stream_id}", "x").replace("{stream_key}", "x")
            reply = answer(site, f"{method} {place} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            assert status(reply) in (200, 401, 404, 405), (method, place, reply[:100])
            assert method != "HEAD" or reply.endswith(b"\r\n\r\n")


def test_an_upgrade_from_another_origin_or_to_something_else_is_no_feed(site: Site) -> None:
    assert status(answer(site, upgrade(site, "Origin: https://evil.example"))) == 403
    assert status(answer(site, upgrade(site, "Origin: null"))) == 403
    other = b"GET /livez HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n"
    assert b"101" not in answer(site, other)[:20]


FRAMES = {
    "without a mask": (b"\x81\x05hello", 1002),
    "too large": (b"\x82\xff" + (1 << 40).to_bytes(8, "big") + bytes(4), 1009),
    "a ping in pieces": (b"\x09\x80" + bytes(4), 1002),
    "a ping of 126 bytes": (b"\x89\xfe\0\x7e" + bytes(4 + 126), 1002),
    "a continuation of nothing": (b"\x80\x80" + bytes(4), 1002),
}


@pytest.mark.parametrize("form", FRAMES)
def test_a_viewer_that_breaks_the_frames_is_told_and_closed(site: Site, form: str) -> None:
    frame, code = FRAMES[form]
    with web(site) as peer:
        peer.sendall(upgrade(site))
        until(lambda: b"ftyp" in peer.recv(65_536), "media comes")
        peer.sendall(frame)
        assert b"\x88" in (reply := said(peer))
        assert code.to_bytes(2, "big") in reply[-130:]


def test_wrong_keys_are_counted_alike_on_every_door(tmp_path: Path) -> None:
    """Ten tries a minute an address, by whatever door: RTMP's are HTTP's too; the right key opens all the same."""
    with Server(tmp_path / "data") as server:
        key = server.add_device("right")
        codes = [server.ask(f"/ingest/wrong{number}", "POST", {"x": 1}, token="").status for number in range(14)]
        assert codes == [401] * 10 + [429] * 4
        refused = r'onrecord_publishers_refused_total\{reason="rate_limited"'
        before = server.metric(refused)
        server.publish("wrong-too").wait(30)
        until(lambda: server.metric(refused) > before, "the other door knows")
        server.publish(key)
        server.live_id("right")


def test_a_polyglot_body_is_held_to_what_it_said_first(site: Site) -> None:
    for kind, body in {
        "video/mp2t": b"FLV\1\5\0\0\0\x09" + bytes(5000),
        "video/x-flv": b"\x47" * 5000,
        "video/mp4": b"FLV\1\5\0\0\0\x09" + bytes(5000),
        "": b"FLV\1\5\0\0\0\x09\0\0\0\0" + b"\x47" * 5000,
        "text/html": b"#EXTM3U\nfile:///etc/passwd\n",
    }.items():
        head = f"PUT /ingest/{site.key} HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        assert status(answer(site, head.encode() + body)) in (200, 400, 415)
        state = (site.server.stream_of("attacker") or {}).get("state")
        assert state in (None, "ended", "reconnecting", "lost")
