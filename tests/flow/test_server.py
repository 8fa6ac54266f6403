"""The whole server as a process: Debian's ffmpeg publishes, strangers are refused, stopping keeps the record."""

import io
import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.serving import BUSY_S, Server, onrecord, until
from tests.tools import needs

pytestmark = needs("ffmpeg")

SECOND_S = 10.0
PUBLIC = {("get", "/livez"), ("get", "/readyz"), ("get", "/metrics"), ("post", "/api/v1/session")}


@dataclass
class Published:
    """The shared server and a stream that is live on it."""

    server: Server
    stream_id: str


@pytest.fixture(scope="module")
def live(shared_server: Server) -> Iterator[Published]:
    publisher = shared_server.publish(shared_server.add_device("shared"))
    yield Published(shared_server, shared_server.live_id("shared"))
    publisher.kill()


def watch(server: Server, stream_id: str) -> ClientConnection:
    return connect(server.watch_url(stream_id, server.ticket(stream_id)), max_size=None, open_timeout=SECOND_S)


def texts_until(view: ClientConnection, kind: str, limit_s: float = SECOND_S) -> list[dict[str, object]]:
    """The texts that come until one of `kind`, with it."""
    texts: list[dict[str, object]] = []
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        message = view.recv(timeout=end_s - time.monotonic())
        if isinstance(message, str):
            texts.append(json.loads(message))
            if texts[-1]["type"] == kind:
                return texts
    raise AssertionError(f"no {kind} within {limit_s} s, but {texts}")


def closed_within(view: ClientConnection, limit_s: float) -> tuple[int, float]:
    """(the close code, seconds until it came)."""
    began_s = time.monotonic()

    def drain() -> None:
        while True:
            view.recv(timeout=max(0.01, began_s + limit_s - time.monotonic()))

    with pytest.raises(ConnectionClosed) as closed:
        drain()
    assert closed.value.rcvd is not None, "closed without a word"
    return closed.value.rcvd.code, time.monotonic() - began_s


def refusal(url: str, **headers: str) -> int:
    """The status that refuses the handshake."""
    with pytest.raises(InvalidStatus) as refused:
        connect(url, additional_headers=headers, open_timeout=SECOND_S)
    return refused.value.response.status_code


def verdicts(server: Server) -> list[tuple[int, str]]:
    answers = [onrecord(server.data, "verify", str(folder)) for folder in server.recordings()]
    return [(answer.returncode, answer.stdout) for answer in answers]


def sign_in(server: Server) -> str:
    """A browser's session cookie, by a one-time code."""
    with server.access() as access:
        code = server.keep(access.create_link("commander", "browser", 60))
    answer = server.ask("/api/v1/session", "POST", {"code": code}, token="", Sec_Fetch_Site="same-origin")
    assert answer.status == 200, answer.body
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Secure"} <= set(cookie.split("; "))
    assert cookie.startswith("__Host-")
    server.keep(cookie.split(";")[0].partition("=")[2])
    assert server.ask("/api/v1/session", "POST", {"code": code}, token="").status == 401, "a code works once"
    return str(cookie.split(";")[0])


def test_a_stream_that_ffmpeg_publishes_is_listed_with_its_tracks(live: Published) -> None:
    stream = live.server.stream_of("shared")
    assert stream is not None
    assert {
        "stream_id", "device_id", "device_name", "officer", "unit", "state", "started_at", "video", "audio", "viewers",
        "bitrate_bps", "last_keyframe_at",
    } <= stream.keys()  # fmt: skip
    assert stream["video"] == {"codec": "avc1.42c00d", "width": 320, "height": 240, "fps": 25.0}
    assert stream["audio"] == {"codec": "mp4a.40.2", "rate_hz": 48000, "channels": 1}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(stream["started_at"]))


def test_a_viewer_gets_tracks_first_and_then_media_that_others_can_decode(live: Published) -> None:
    with watch(live.server, live.stream_id) as view:
        first = json.loads(view.recv(timeout=SECOND_S))
        assert first["type"] == "tracks"
        assert first["mime"] == 'video/mp4; codecs="avc1.42c00d, mp4a.40.2"'
        assert first["stream_id"] == live.stream_id
        assert {"started_at"} <= first.keys()
        media = b""
        end_s = time.monotonic() + 2.5
        while time.monotonic() < end_s:
            message = view.recv(timeout=SECOND_S)
            if isinstance(message, bytes):
                assert media or message[4:8] == b"ftyp"
                media += message
            else:
                assert json.loads(message)["type"] == "time"
    with av.open(io.BytesIO(media), "r", format="mp4") as box:
        frames = list(box.decode(video=0))
        assert len(frames) >= 50
        assert (frames[0].width, frames[0].height) == (320, 240)
        assert frames[0].key_frame
        times = [frame.pts for frame in frames if frame.pts is not None]
        assert times == sorted(set(times))
    with av.open(io.BytesIO(media), "r", format="mp4") as box:
        assert sum(frame.samples for frame in box.decode(audio=0)) >= 2 * 48000


def test_a_page_of_another_site_may_not_open_the_feed(live: Published) -> None:
    server, url = live.server, live.server.watch_url
    assert refusal(url(live.stream_id, server.ticket(live.stream_id)), Origin="https://evil.example") == 403
    assert refusal(url(live.stream_id, server.ticket(live.stream_id)), Origin="null") == 403
    own = f"http://127.0.0.1:{server.port}"
    with connect(url(live.stream_id, server.ticket(live.stream_id)), additional_headers={"Origin": own}) as view:
        assert isinstance(view.recv(timeout=SECOND_S), str)


def test_a_ticket_opens_one_feed_of_one_stream_once(live: Published) -> None:
    server = live.server
    ticket = server.ticket(live.stream_id)
    assert refusal(server.watch_url("st_other", ticket)) == 401
    with connect(server.watch_url(live.stream_id, ticket)) as view:
        view.recv(timeout=SECOND_S)
    assert refusal(server.watch_url(live.stream_id, ticket)) == 401
    assert refusal(server.watch_url(live.stream_id, "nonsense")) == 401
    assert refusal(server.watch_url(live.stream_id, "%ff%fe")) == 401
    assert refusal(f"ws://127.0.0.1:{server.port}/live/{live.stream_id}/ws") == 401
    assert refusal(f"ws://127.0.0.1:{server.port}/live/st_x/ws", Authorization=f"Bearer {server.token}") == 404
    with server.access() as access:
        analyst = server.keep(access.create_token("analyst"))
    url = f"ws://127.0.0.1:{server.port}/live/{live.stream_id}/ws"
    assert refusal(url, Authorization=f"Bearer {analyst}") == 403


def test_every_route_of_the_schema_asks_strangers_who_they_are(live: Published) -> None:
    server = live.server
    paths = server.ask("/api/openapi.json").tree()["paths"]
    assert isinstance(paths, dict)
    routes = {(method, path) for path, methods in paths.items() for method in methods}
    assert routes > PUBLIC
    for method, path in [*sorted(routes - PUBLIC), ("get", "/api/openapi.json")]:
        answer = server.ask(path.replace("{stream_id}", live.stream_id), method.upper(), token="")
        assert answer.status == 401, (method, path)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        if method != "head":  # it has no body
            assert answer.tree().keys() >= {"type", "title", "status", "detail", "remedy"}
        wrong = server.ask(path.replace("{stream_id}", live.stream_id), method.upper(), token="twrong")
        assert wrong.status == 401, (method, path)


def test_what_is_not_there_is_a_problem_with_404(live: Published) -> None:
    for method, path in (
        ("POST", "/api/v1/streams/st_x/ticket"),
        ("GET", "/live/st_x/snapshot.jpg"),
        ("GET", "/api/x"),
    ):
        answer = live.server.ask(path, method)
        assert answer.status == 404, path
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert live.server.ask("/api/v1/streams?limit=0").status == 422
    assert live.server.ask("/api/v1/streams", "DELETE").status == 405


def test_the_snapshot_is_a_jpeg_of_the_streams_size(live: Published) -> None:
    answer = live.server.ask(f"/live/{live.stream_id}/snapshot.jpg")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Captured-At"].endswith("Z")
    with av.open(io.BytesIO(answer.body), "r", format="jpeg_pipe") as box:
        assert (box.streams.video[0].width, box.streams.video[0].height) == (320, 240)


def test_metrics_are_prometheus_text_with_numbers_of_each_stream(live: Published) -> None:
    page = live.server.ask("/metrics", token="").body.decode()
    families = {family.name: family for family in text_string_to_metric_families(page)}
    for name in ("bitrate_bps", "fragments", "key_frames", "bytes", "gaps", "repairs", "viewers", "state"):
        labels = [sample.labels for sample in families[f"onrecord_stream_{name}"].samples]
        assert any(each["stream_id"] == live.stream_id for each in labels), name
    assert {
        "onrecord_record_write_seconds", "onrecord_record_sync_seconds", "onrecord_loop_lag_seconds_max",
        "onrecord_stream_viewer_gaps", "onrecord_publishers_refused", "process_resident_memory_bytes",
    } <= families.keys()  # fmt: skip
    assert "shared" not in page
    assert "officer" not in page


def test_every_answer_carries_the_security_headers(live: Published) -> None:
    for path in ("/livez", "/api/v1/streams", "/api/x", f"/live/{live.stream_id}/snapshot.jpg", "/"):
        headers = live.server.ask(path).headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "script-src" not in headers["Content-Security-Policy"]  # default-src 'self' holds for scripts
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Server"] is None
    assert live.server.ask("/api/v1/streams").headers["Cache-Control"] == "no-store"


def test_a_browser_signs_in_once_per_code_and_only_from_our_own_page(live: Published) -> None:
    server = live.server
    cookie = sign_in(server)
    assert server.ask("/api/v1/session", token="", Cookie=cookie).tree()["role"] == "commander"
    path = f"/api/v1/streams/{live.stream_id}/ticket"
    assert server.ask(path, "POST", token="", Cookie=cookie, Sec_Fetch_Site="same-origin").status == 201
    for site in ("cross-site", "same-site"):
        assert server.ask(path, "POST", token="", Cookie=cookie, Sec_Fetch_Site=site).status == 403
    assert server.ask(path, "POST", token="", Cookie=cookie, Origin="https://evil.example").status == 403
    cross = server.ask("/api/v1/session", "POST", {"code": "c"}, token="", Sec_Fetch_Site="cross-site")
    assert cross.status == 403


def test_signing_out_ends_the_session_and_its_open_view_within_2_s(live: Published) -> None:
    server = live.server
    cookie = sign_in(server)
    path = f"/api/v1/streams/{live.stream_id}/ticket"
    answer, unused = (server.ask(path, "POST", token="", Cookie=cookie, Sec_Fetch_Site="same-origin") for _ in range(2))
    assert server.ask(path, "POST", token="", Cookie=cookie).status == 403, "no browser says nothing of where it is"
    with connect(server.watch_url(live.stream_id, server.keep(str(answer.tree()["ticket"])))) as view:
        view.recv(timeout=SECOND_S)
        assert (
            server.ask("/api/v1/session", "DELETE", token="", Cookie=cookie, Sec_Fetch_Site="same-origin").status == 204
        )
        code, took_s = closed_within(view, 20)
    assert (code, took_s <= 2.0 + BUSY_S) == (4401, True)
    assert server.ask("/api/v1/session", token="", Cookie=cookie).status == 401
    assert refusal(server.watch_url(live.stream_id, server.keep(str(unused.tree()["ticket"])))) == 401


def test_a_wrong_key_is_refused_within_a_second_and_counted(live: Published) -> None:
    server = live.server
    before = server.metric(r'onrecord_publishers_refused_total\{reason="key_unknown"')
    publisher = server.publish(server.keep("kwrongwrongwrongwrong"))
    counted = r'onrecord_publishers_refused_total\{reason="key_unknown"'
    until(lambda: server.metric(counted) > before, "the refusal is counted")
    counted_s = time.monotonic()
    assert publisher.wait(20) != 0
    assert time.monotonic() - counted_s <= 1.0 + BUSY_S


def test_a_viewer_that_hangs_up_without_a_word_is_no_viewer_any_more(live: Published) -> None:
    server = live.server
    with socket.create_connection(("127.0.0.1", server.port)) as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        path = f"/live/{live.stream_id}/ws?ticket={server.ticket(live.stream_id)}"
        silent.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        until(lambda: server.metric(r"onrecord_viewers ") >= 1, "it is a viewer")
        silent.shutdown(socket.SHUT_WR)  # gone without a word
        assert until(lambda: server.metric(r"onrecord_viewers ") == 0, "it is no viewer any more") < 4 + BUSY_S


def test_a_revoked_device_ends_its_stream_within_2_s(live: Published) -> None:
    server = live.server
    publisher = server.publish(server.add_device("thief"))
    stream_id = server.live_id("thief")
    with watch(server, stream_id) as view:
        view.recv(timeout=SECOND_S)
        assert onrecord(server.data, "device", "revoke", "thief").returncode == 0
        revoked_s = time.monotonic()
        texts_until(view, "ended")
        assert time.monotonic() - revoked_s <= 2.0 + BUSY_S
        assert closed_within(view, 20)[0] == 1000
    assert publisher.wait(30) != 0
    stream = server.stream_of("thief")
    assert stream is not None
    assert stream["state"] == "ended"


def test_a_publisher_that_is_killed_and_comes_back_is_the_same_stream_and_viewers_stay(live: Published) -> None:
    server, key = live.server, live.server.add_device("flaky")
    publisher = server.publish(key)
    stream_id = server.live_id("flaky")
    with watch(server, stream_id) as view:
        assert json.loads(view.recv(timeout=SECOND_S))["type"] == "tracks"
        publisher.send_signal(signal.SIGKILL)
        publisher.wait(30)
        until(lambda: (server.stream_of("flaky") or {}).get("state") == "reconnecting", "it is seen as lost")
        again = server.publish(key)
        gap = texts_until(view, "gap")[-1]
        assert gap["reason"] == "publisher_lost"
        assert 0 < float(str(gap["lost_s"])) < SECOND_S
        while isinstance(view.recv(timeout=SECOND_S), str):
            pass  # a time text may come before the media
        assert server.live_id("flaky") == stream_id
    again.kill()


def test_a_second_server_names_the_remedy(live: Published, tmp_path: Path) -> None:
    taken = {"ONRECORD_API__PORT": str(live.server.port)}
    answer = onrecord(tmp_path / "data", "serve", **taken)
    assert (answer.returncode, "ONRECORD_API__PORT" in answer.stderr) == (1, True), answer.stderr
    taken = {"ONRECORD_RTMP__PORT": str(live.server.rtmp_port)}
    answer = onrecord(tmp_path / "data", "serve", **taken)
    assert (answer.returncode, "ONRECORD_RTMP__PORT" in answer.stderr) == (1, True), answer.stderr
    answer = onrecord(live.server.data, "serve")
    assert (answer.returncode, "ONRECORD_DATA" in answer.stderr) == (1, True), answer.stderr
    answer = onrecord(tmp_path / "data", "serve", ONRECORD_RTMP__HOST="192.0.2.1")
    assert (answer.returncode, "ONRECORD_RTMP__HOST" in answer.stderr) == (1, True), answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_data_folder_that_cannot_be_is_said_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for data in (tmp_path / "file", tmp_path / "file" / "below"):
        answer = onrecord(data, "serve")
        assert answer.returncode == 1
        assert answer.stderr.startswith(f"onrecord: {data}")
        assert "check the folder" in answer.stderr
        assert "Traceback" not in answer.stderr


def test_no_secret_stands_in_the_log(live: Published) -> None:
    log = live.server.log
    assert len(live.server.secrets) > 3
    assert not [secret for secret in live.server.secrets if secret in log]
    assert "Traceback" not in log


@pytest.mark.parametrize("signals", [1, 2])
def test_sigterm_closes_every_segment_within_5_s_whoever_watches(server: Server, signals: int) -> None:
    for name in ("one", "two"):
        server.publish(server.add_device(name))
    stream_ids = [server.live_id(name) for name in ("one", "two")]
    with watch(server, stream_ids[0]) as hanging:  # reads nothing while the server stops
        began_s = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        for _ in range(signals - 1):
            server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        assert time.monotonic() - began_s <= 5.0 + BUSY_S
        assert json.loads(hanging.recv())["type"] == "tracks"
    assert verdicts(server) == [(0, ""), (0, "")]
    assert '"event": "stopped"' in server.log


def test_sigkill_and_a_new_start_leave_a_record_that_says_it_was_cut(server: Server) -> None:
    publisher = server.publish(server.add_device("one"))
    server.live_id("one")
    until(lambda: server.metric("onrecord_record_bytes_total") > 20_000, "something is recorded")
    server.process.kill()
    server.process.wait()
    publisher.wait(30)
    ((status, defects),) = verdicts(server)
    assert status == 1
    assert {json.loads(line)["defect"] for line in defects.splitlines()} <= {"unclosed", "not_ended"}
    server.start()
    assert verdicts(server) == [(0, "")]  # recovered: ended with the reason "crash"
    server.stop()
    assert verdicts(server) == [(0, "")]


def test_sigterm_just_after_the_start_stops_cleanly(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        assert server.stop() < 5
        assert server.process.returncode == 0


def test_nothing_else_listens_and_the_picture_decoder_is_gone_after_the_stop(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        server.publish(server.add_device("one"))
        assert server.ask(f"/live/{server.live_id('one')}/snapshot.jpg").status == 200
        pid = server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert len(children) == 1
        server.stop()
        until(lambda: not Path(f"/proc/{children[0]}").exists(), "the decoder is gone")
