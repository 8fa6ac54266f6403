"""Sources that are pulled over TLS: RTSP as rtsps through a tunnel before GStreamer's server, HLS as https."""

import contextlib
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.flow.test_pull_hls import CODED, PICTURES, SOUND, _Folder, ended, packets
from tests.flow.test_pull_rtsp import camera, has_gstreamer_server
from tests.serving import Server, onrecord, until
from tests.tools import needs

pytestmark = needs("ffmpeg", "ffprobe")

PASSWORD = "p4ss-w0rd-XY"


@dataclass
class Site:
    """A server that trusts one authority and nobody else, and a pair of that one and of a stranger."""

    server: Server
    trusted: ssl.SSLContext
    strange: ssl.SSLContext


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("tls")
    contexts = []
    for name in ("trusted", "strange"):
        authority = Authority()
        (folder / f"{name}.pem").write_bytes(authority.pem)
        (folder / name).mkdir()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.pair().write(folder / name))
        contexts.append(context)
    settings = {
        "SSL_CERT_FILE": str(folder / "trusted.pem"),
        "ONRECORD_PULL__ALLOWED_HOSTS": "127.0.0.1",
        "ONRECORD_PULL__SILENCE_TIMEOUT_S": "4",
        "ONRECORD_PULL__CONNECT_TIMEOUT_S": "4",
        "ONRECORD_PULL__RETRY_MAX_S": "1",
        "ONRECORD_INGEST__RESUME_WINDOW_S": "4",
    }
    with Server(folder / "data", settings) as server:
        yield Site(server, *contexts)


@contextlib.contextmanager
def tunnel(context: ssl.SSLContext, port: int) -> Iterator[int]:
    """TLS on the port that is given, plain to `port` behind it."""

    class Tunnel(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as outer,
                socket.create_connection(("127.0.0.1", port)) as inner,
            ):
                back = threading.Thread(target=copied, args=(inner, outer), daemon=True)
                back.start()
                copied(outer, inner)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as made:
        made.daemon_threads = True
        thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield int(made.server_address[1])
        finally:
            made.shutdown()
            thread.join()


def copied(here: socket.socket, there: socket.socket) -> None:
    """All that comes, until it ends; then nothing goes the other way either."""
    with contextlib.suppress(OSError):
        while data := here.recv(1 << 16):
            there.sendall(data)
    for each in (here, there):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def pull(server: Server, name: str, url: str) -> None:
    said = onrecord(server.data, "device", "add", name, "--pull", url, "--json")
    assert said.returncode == 0, said.stderr


def revoke(server: Server, *names: str) -> None:
    for name in names:
        assert onrecord(server.data, "device", "revoke", name).returncode == 0


@pytest.mark.skipif(not has_gstreamer_server(), reason="not installed: gir1.2-gst-rtsp-server-1.0 (make system)")
def test_rtsps_is_recorded_where_the_certificate_holds_and_basic_is_spoken_inside_it(site: Site) -> None:
    server = site.server
    with camera() as plain, camera("basic") as locked, contextlib.ExitStack() as tunnels:
        ports = {
            name: tunnels.enter_context(tunnel(context, made.port))
            for name, context, made in (
                ("plain", site.trusted, plain), ("locked", site.trusted, locked), ("strange", site.strange, plain),
            )
        }  # fmt: skip
        for name, port in ports.items():
            user = f"camera:{PASSWORD}@" if name == "locked" else ""
            pull(server, name, f"rtsps://{user}127.0.0.1:{port}/alaw")
        for name in ("plain", "locked"):
            until(lambda n=name: server.stream_of(n) is not None, f"{name} is live", 15)  # type: ignore[misc]  # mypy infers no default of a lambda
            stream_id = server.live_id(name)
            until(lambda i=stream_id: server.metric(f"onrecord_stream_key_frames_total{{.*{i}") >= 3, "3 key frames")  # type: ignore[misc]
        until(lambda: f"TLS with rtsps://127.0.0.1:{ports['strange']}" in server.log, "the stranger is told")
        assert server.stream_of("strange") is None
        revoke(server, *ports)
    for name in ("plain", "locked"):
        counted = packets(ended(server, name))
        assert min(counted.values()) > 25, name
    assert PASSWORD not in server.log


def test_https_playlists_are_recorded_whole_where_the_certificate_holds_and_nothing_of_a_stranger_is_asked_for(
    site: Site, tmp_path: Path
) -> None:
    server, asked = site.server, list[str]()

    class Folder(_Folder):
        def do_GET(self) -> None:  # noqa: N802 - the name by which the base calls it
            asked.append(self.path)
            super().do_GET()

    hls = ["-f", "hls", "-hls_time", "1", "-hls_list_size", "0", str(tmp_path / "index.m3u8")]
    subprocess.run(["ffmpeg", "-v", "error", *PICTURES, *SOUND, "-t", "4", *CODED, *hls], check=True, timeout=30)

    class Files(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Files(("127.0.0.1", 0), partial(Folder, directory=str(tmp_path))) as files:
        thread = threading.Thread(target=files.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            port = int(files.server_address[1])
            with tunnel(site.strange, port) as strange, tunnel(site.trusted, port) as trusted:
                pull(server, "strange hls", f"https://127.0.0.1:{strange}/index.m3u8")
                until(lambda: f"TLS with https://127.0.0.1:{strange}" in server.log, "the stranger is told")
                assert asked == []
                assert server.stream_of("strange hls") is None
                pull(server, "hls", f"https://127.0.0.1:{trusted}/index.m3u8")
                counted = packets(ended(server, "hls"))
                assert counted["video"] == 100
                assert abs(counted["audio"] - 188) <= 2
                revoke(server, "strange hls", "hls")
        finally:
            files.shutdown()
            thread.join()
