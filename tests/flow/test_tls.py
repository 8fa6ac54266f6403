"""HTTPS, wss and RTMPS of a real server: pages, pictures and publishers over TLS, and a new pair while they run."""

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from websockets.asyncio.client import ClientConnection, connect

from tests.certificates import Authority, Pair
from tests.serving import BUSY_S, Server, onrecord, until
from tests.tools import needs

pytestmark = needs("ffmpeg")

AUTHORITY = Authority()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with TLS on both doors, one pair for both."""
    certificate, key = AUTHORITY.pair(days=30).write(tmp_path)
    settings = {
        "ONRECORD_API__TLS_CERTIFICATE": str(certificate),
        "ONRECORD_API__TLS_KEY": str(key),
        "ONRECORD_API__TLS_HANDSHAKE_TIMEOUT_S": "1",
        "ONRECORD_RTMP__TLS_PORT": "0",
        "ONRECORD_RTMP__TLS_CERTIFICATE": str(certificate),
        "ONRECORD_RTMP__TLS_KEY": str(key),
        "ONRECORD_RTMP__HANDSHAKE_TIMEOUT_S": "1",
    }
    with Server(tmp_path / "data", settings, trust=AUTHORITY.trust()) as made:
        yield made


def certificate_of(port: int) -> bytes:
    """What a client that comes now is shown."""
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        AUTHORITY.trust().wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        der = tls.getpeercert(binary_form=True)
        assert der is not None
        return ssl.DER_cert_to_PEM_cert(der).encode()


class View:
    """A viewer over TLS with one thread for reading and writing.

    With two, as `websockets.sync` has, CPython 3.11 lost one request of 250 on a busy machine; so none of 1,500.
    """

    def __init__(self, portal: BlockingPortal, connection: ClientConnection) -> None:
        self._portal = portal
        self._connection = connection

    def recv(self, timeout: float) -> str | bytes:
        return self._portal.call(self._received, timeout)

    async def _received(self, timeout_s: float) -> str | bytes:
        with anyio.fail_after(timeout_s):
            return await self._connection.recv()


@contextlib.contextmanager
def view_of(server: Server, stream_id: str) -> Iterator[View]:
    url = server.watch_url(stream_id, server.ticket(stream_id))
    opened = connect(url, ssl=AUTHORITY.trust(), max_size=None, close_timeout=1)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(opened) as connection:
        yield View(portal, connection)


def test_pages_pictures_and_publishers_go_over_tls(server: Server) -> None:
    assert '"url": "https://127.0.0.1:' in server.log
    key = server.add_device("one")
    server.publish(key, is_tls=True)
    stream_id = server.live_id("one")
    answer = server.ask("/livez")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    with server.access() as access:
        code = server.keep(access.create_link("commander", "browser", 60))
    signed = server.ask("/api/v1/session", "POST", {"code": code}, token="", Sec_Fetch_Site="same-origin")
    assert "Secure" in signed.headers["Set-Cookie"].split("; ")
    assert server.ask(f"/live/{stream_id}/index.m3u8").status == 200
    with view_of(server, stream_id) as view:
        assert json.loads(view.recv(timeout=10))["type"] == "tracks"
        media = b""
        while len(media) < 50_000:
            message = view.recv(timeout=10)
            media += message if isinstance(message, bytes) else b""
    assert media[4:8] == b"ftyp"
    assert server.metric(r'onrecord_certificate_expires_seconds\{door="rtmp"\}') == pytest.approx(30 * 86400, abs=600)
    began_s = time.monotonic()
    server.stop()
    assert time.monotonic() - began_s <= 5 + BUSY_S
    assert [onrecord(server.data, "verify", str(folder)).returncode for folder in server.recordings()] == [0]
    assert [secret for secret in server.secrets if secret in server.log] == []


def test_a_new_pair_is_served_while_a_viewer_and_a_publisher_stay_and_a_broken_one_is_not(
    server: Server, tmp_path: Path
) -> None:
    server.publish(server.add_device("one"), is_tls=True)
    stream_id = server.live_id("one")
    with view_of(server, stream_id) as view:
        view.recv(timeout=10)
        second = AUTHORITY.pair()
        second.write(tmp_path)
        for port in (server.port, server.rtmps_port):
            until(lambda port=port: certificate_of(port) == second.certificate, "the new pair is served")  # type: ignore[misc]
        Pair(AUTHORITY.pair().certificate, AUTHORITY.pair().key).write(tmp_path)
        until(lambda: server.log.count("a new certificate cannot be used") == 2, "it is told, once a door")
        assert '"remedy"' in next(line for line in server.log.splitlines() if "cannot be used" in line)
        assert server.metric(r"onrecord_certificate_behind\{") == 2
        assert certificate_of(server.port) == certificate_of(server.rtmps_port) == second.certificate
        fragments = server.metric("onrecord_stream_fragments_total")
        until(lambda: server.metric("onrecord_stream_fragments_total") > fragments + 10, "the publisher goes on")
        assert server.live_id("one") == stream_id
        assert server.metric(r"onrecord_stream_gaps_total\{") == 0, "the publisher is the same connection"
        assert [server.metric(f"onrecord_{name} ") for name in ("viewers", "views_total")] == [1, 1]
        assert any(isinstance(view.recv(timeout=10), bytes) for _ in range(20))


def test_who_never_finishes_the_tls_handshake_is_closed(server: Server) -> None:
    for port in (server.port, server.rtmps_port):
        with socket.create_connection(("127.0.0.1", port), 5) as silent:
            silent.sendall(b"\x16\x03\x01")  # a record begins, and stops
            silent.settimeout(5)
            assert silent.recv(1) == b""
    assert server.ask("/livez").status == 200


def test_the_tls_port_of_rtmp_takes_no_plain_publisher_and_http_gets_no_answer(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 5) as plain:
        plain.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        plain.settimeout(5)
        assert b"HTTP" not in plain.recv(100)
    with socket.create_connection(("127.0.0.1", server.rtmps_port), 5) as plain:
        plain.sendall(b"\x03" + bytes(1536))
        plain.settimeout(5)
        assert len(plain.recv(4096)) < 1536


def test_the_plain_rtmp_port_can_be_shut(tmp_path: Path) -> None:
    certificate, key = AUTHORITY.pair().write(tmp_path)
    settings = {
        "ONRECORD_RTMP__HAS_PLAIN_PORT": "false",
        "ONRECORD_RTMP__TLS_PORT": "0",
        "ONRECORD_RTMP__TLS_CERTIFICATE": str(certificate),
        "ONRECORD_RTMP__TLS_KEY": str(key),
    }
    with Server(tmp_path / "data", settings) as server:
        assert server.rtmp_port == 0
        server.publish(server.add_device("one"), is_tls=True)
        server.live_id("one")
        assert "Strict-Transport-Security" not in server.ask("/livez").headers  # the web door is plain here


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ONRECORD_API__TLS_KEY": "/k"}, "tls_certificate and tls_key belong together"),
        ({"ONRECORD_RTMP__TLS_PORT": "1936"}, "set all three or none"),
        ({"ONRECORD_RTMP__HAS_PLAIN_PORT": "false"}, "no port is left"),
        ({"ONRECORD_API__TLS_KEY": "/k", "ONRECORD_API__TLS_CERTIFICATE": "/c"}, "/c or /k cannot be read"),
    ],
)
def test_half_a_setting_is_told_and_nothing_starts(tmp_path: Path, settings: dict[str, str], words: str) -> None:
    answer = onrecord(tmp_path / "data", "serve", **settings)
    assert answer.returncode == 1
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr
