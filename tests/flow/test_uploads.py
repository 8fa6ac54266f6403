"""Files sent in over HTTP: broken off, resumed, refused, kept, recorded; by plain requests and by our client."""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from tests.serving import BUSY_S, Server, environment, onrecord, until
from tests.tools import needs

pytestmark = [pytest.mark.slow, needs("ffmpeg")]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
BODY = {"Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("uploads") / "data") as running:
        running.ask("/api/v1/cases", "POST", {"number": "1", "title": "案"})
        yield running


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "现场 1.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10", "-t", "8", "-c:v", "libx264",
         "-g", "10", "-metadata", f"title={os.urandom(8).hex()}", str(path)], check=True, timeout=60,
    )  # fmt: skip
    return path


def tus(
    server: Server, method: str, path: str, body: bytes = b"", *, token: str | None = None, **headers: str
) -> tuple[int, Message, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    sent = {"Tus-Resumable": "1.0.0", "Authorization": f"Bearer {server.token if token is None else token}"}
    connection.request(method, path, body, {**sent, **{name.replace("_", "-"): text for name, text in headers.items()}})
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    return answer.status, answer.headers, read


def metadata(**about: str) -> str:
    return ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in about.items())


def begin(server: Server, size: int, **about: str) -> str:
    status, headers, body = tus(
        server, "POST", "/api/v1/uploads", Upload_Length=str(size), Upload_Metadata=metadata(**about)
    )
    assert status == 201, body
    return str(headers["Location"])


def put(server: Server, where: str, data: bytes, at: int = 0, **headers: str) -> int:
    return tus(server, "PATCH", where, data, Upload_Offset=str(at), **{**BODY, **headers})[0]


def outcome(server: Server, where: str) -> dict[str, object]:
    def is_over() -> bool:
        return server.ask(where).tree()["state"] not in ("open", "taking")

    until(is_over, "taken or refused")
    return server.ask(where).tree()


def send(server: Server, data: bytes, name: str, **about: str) -> dict[str, object]:
    where = begin(server, len(data), filename=name, case="1", **about)
    assert put(server, where, data) == 204
    return outcome(server, where)


def case_id(server: Server) -> str:
    return str(server.ask("/api/v1/cases").items()[0]["case_id"])


def test_a_photo_becomes_an_item_that_is_fetched_as_it_was_and_a_second_one_is_known(server: Server) -> None:
    photo = PNG + os.urandom(100)
    taken = send(server, photo, "门头照.png", sha256=hashlib.sha256(photo).hexdigest(), filetype="image/png")
    assert (taken["state"], taken["type"], taken["sha256"]) == ("taken", "image/png", hashlib.sha256(photo).hexdigest())
    again = send(server, photo, "门头照 (1).png")
    assert (again["state"], again["same_as"], again["item_id"]) == ("duplicate", taken["upload_id"], taken["item_id"])
    where = f"/api/v1/cases/{case_id(server)}"
    answer = server.ask(f"{where}/items/{taken['item_id']}/file")
    assert answer.body == photo
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"].startswith("attachment")
    kinds = [each["kind"] for each in server.ask(f"{where}/timeline").items()]
    assert kinds.count("UploadReceived") == 1
    assert kinds.count("ItemFetched") == 1


def test_a_film_becomes_a_recording_of_its_case_that_plays_and_one_that_came_late_says_so(
    server: Server, clip: Path
) -> None:
    taken = send(server, clip.read_bytes(), clip.name, captured_at="2020-01-01T08:00:00+08:00")
    assert taken["state"] == "taken", taken["reason"]
    where = f"/api/v1/cases/{case_id(server)}"
    attached = {each["recording_id"]: each["how"] for each in server.ask(f"{where}/recordings").items()}
    assert attached[taken["recording_id"]] == "upload"
    told = {each["kind"]: each for each in server.ask(f"{where}/timeline?kinds=UploadReceived,UploadLate").items()}
    media = told["UploadReceived"]["media"]
    assert isinstance(media, dict)
    assert media["recording_id"] == taken["recording_id"]
    assert abs(float(media["end_s"]) - 8) < 0.2
    assert float(str(told["UploadLate"]["late_s"])) > 86_400
    spans = server.ask(f"/api/v1/recordings/{taken['recording_id']}/map").tree()["segments"]
    assert isinstance(spans, list)
    assert spans
    assert server.ask(f"{where}/items/{taken['item_id']}/file").status == 403, "raw video needs an approval"


def test_a_file_said_to_be_of_the_future_is_kept_as_said_and_moves_nothing_on_the_timeline(server: Server) -> None:
    where = f"/api/v1/cases/{case_id(server)}"
    known = server.ask(f"{where}/timeline?limit=1000").items()
    before = max(int(str(each["seq"])) for each in known)  # what happened last was not learned last
    taken = send(server, PNG + os.urandom(50), "未来.png", captured_at="2099-01-01T00:00:00+08:00")
    assert taken["state"] == "taken", taken["reason"]
    server.ask(f"{where}/notes", "POST", {"text": "其后的备注"})
    newest = server.ask(f"{where}/timeline?order=newest").items()
    kinds = [each["kind"] for each in newest if int(str(each["seq"])) > before]
    assert kinds[0] == "NoteAdded", "what came later stands above it"
    assert sorted(map(str, kinds[1:])) == ["ItemAdded", "UploadAhead", "UploadReceived"]
    told = {each["kind"]: each for each in newest if int(str(each["seq"])) > before}
    assert told["UploadReceived"]["captured_at_us"] == told["UploadAhead"]["captured_at_us"] == 4070880000_000_000
    assert float(str(told["UploadAhead"]["ahead_s"])) > 86_400 * 365
    assert "UploadLate" not in kinds
    assert [each["seq"] for each in paged(server, f"{where}/timeline?limit=2")] == [
        each["seq"] for each in newest[::-1]
    ]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    behind = {"Last-Event-ID": str(before), "Authorization": f"Bearer {server.token}"}
    connection.request("GET", f"/api/v1/events?case_id={case_id(server)}", headers=behind)
    tail = connection.getresponse()
    heard = [next(line for line in iter(tail.readline, b"") if line.startswith(b"event: ")) for _ in kinds]
    connection.close()
    assert sorted(heard) == sorted(f"event: {kind}\n".encode() for kind in kinds)


def paged(server: Server, path: str) -> list[dict[str, object]]:
    """All of a list, page by page."""
    found, cursor = [], ""
    while True:
        answer = server.ask(f"{path}&cursor={cursor}")
        found += answer.items()
        cursor = str(answer.tree()["next_cursor"] or "")
        if not cursor:
            return found


@pytest.mark.parametrize(
    ("data", "name", "about", "why"),
    [
        (b"\x7fELF" + bytes(200), "a.jpg", {}, "no video"),
        (b"MZ" + bytes(200), "setup.pdf", {}, "no video"),
        (PNG, "a.mp4", {"filetype": "video/mp4"}, "it was sent as video/mp4 and is image/png"),
        (PNG, "a.png", {"sha256": "0" * 64}, "not the one whose SHA-256"),
    ],
)
def test_what_is_refused_says_why_and_leaves_no_item(
    server: Server, data: bytes, name: str, about: dict[str, str], why: str
) -> None:
    before = server.ask(f"/api/v1/cases/{case_id(server)}/items").items()
    refused = send(server, data, name, **about)
    assert refused["state"] == "refused"
    assert why in str(refused["reason"])
    assert server.ask(f"/api/v1/cases/{case_id(server)}/items").items() == before


def test_a_zip_bomb_is_refused_by_its_directory_alone(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "bomb.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        packed.writestr("word/document.xml", bytes(64 << 20))
    began_s = time.process_time()
    refused = send(server, path.read_bytes(), path.name)
    assert "zip bomb" in str(refused["reason"])
    assert time.process_time() - began_s < 5


def test_offsets_checksums_lengths_and_versions_are_held_to(server: Server) -> None:
    data = PNG + os.urandom(1000)
    where = begin(server, len(data), filename="a.png", case="1")
    good = base64.b64encode(hashlib.sha1(data[:500], usedforsecurity=False).digest()).decode()
    assert put(server, where, data[:500], Upload_Checksum=f"sha1 {good}") == 204
    assert put(server, where, data[:500]) == 409, "the offset is another"
    assert put(server, where, b"x" * 100, 500, Upload_Checksum=f"sha1 {good}") == 460
    assert tus(server, "HEAD", where)[1]["Upload-Offset"] == "500", "bytes of a wrong checksum are not kept"
    assert put(server, where, data[500:], 500, Upload_Checksum="md5 AAAA") == 400
    assert put(server, where, data[500:] + b"more", 500) == 413
    assert put(server, where, data[500:], 500, Content_Type="image/png") == 415
    assert tus(server, "PATCH", where, b"", Upload_Offset="500", Tus_Resumable="0.2.2", **BODY)[0] == 412
    status, headers, _ = tus(server, "OPTIONS", "/api/v1/uploads")
    assert status == 204
    assert headers["Tus-Extension"] == "creation,termination,checksum,expiration"
    assert tus(server, "DELETE", where)[0] == 204
    assert tus(server, "HEAD", where)[0] == 404


def test_a_file_of_any_size_is_no_reason_to_let_a_stranger_or_another_one_in(server: Server) -> None:
    where = begin(server, 10, filename="a.png", case="1")
    assert tus(server, "PATCH", where, b"x", token="none", Upload_Offset="0", **BODY)[0] == 401
    with server.access() as access:
        officer = server.keep(access.create_token("officer", "dock"))
        auditor = server.keep(access.create_token("audit_admin", "auditor"))
    assert tus(server, "HEAD", where, token=officer)[0] == 404, "another's upload does not exist"
    assert tus(server, "DELETE", where, token=officer)[0] == 404
    assert tus(server, "HEAD", where, token=auditor)[0] == 403
    about = metadata(filename="a.png", case="1")
    out = tus(server, "POST", "/api/v1/uploads", token=officer, Upload_Length="9", Upload_Metadata=about)
    assert out[0] == 404, "a case out of reach does not exist"
    assert tus(server, "POST", "/api/v1/uploads", Upload_Length=str(1 << 49), Upload_Metadata=about)[0] == 413
    assert tus(server, "POST", "/api/v1/uploads", Upload_Length="0", Upload_Metadata=about)[0] == 422
    assert tus(server, "POST", "/api/v1/uploads", Upload_Length="9", Upload_Metadata="case ,case ")[0] == 422
    assert tus(server, "POST", "/api/v1/uploads", Upload_Length="9", Upload_Metadata=metadata(filename="x"))[0] == 422
    key = {"Upload_Length": "9", "Upload_Metadata": about, "Idempotency_Key": os.urandom(4).hex()}
    first, second = (tus(server, "POST", "/api/v1/uploads", b"", **key) for _ in range(2))
    assert first[1]["Location"] == second[1]["Location"]
    assert tus(server, "POST", "/api/v1/uploads", b"", **{**key, "Upload_Length": "8"})[0] == 409


def test_the_client_goes_on_over_kills_of_the_server_and_of_itself_and_the_record_proves_it(
    tmp_path: Path, clip: Path
) -> None:
    big = tmp_path / "big.png"
    big.write_bytes(PNG + os.urandom(48 << 20))
    with Server(tmp_path / "data") as server:
        server.ask("/api/v1/cases", "POST", {"number": "7", "title": "案"})
        key = server.add_device("cam")
        device = next(each for each in _devices(server) if each["name"] == "cam")["device_id"]
        token = tmp_path / "token"
        token.write_text(server.token)
        where = ["--server", f"http://127.0.0.1:{server.port}", "--token-file", str(token)]
        command = [sys.executable, "-m", "api.cli", "upload", str(big), "--case", "7", *where, "--json"]
        first = subprocess.Popen(command, env=environment(server.data), stdout=subprocess.DEVNULL)
        until(lambda: _offset(server) > 0, "a part of the file")
        first.kill()
        first.wait()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        settings = dict(server.settings)
        server.settings["ONRECORD_API__PORT"] = str(server.port)
        kept = server.token
        server.start()
        server.settings, server.token = settings, kept
        reached = _offset(server)
        assert reached > 0, "what was acknowledged is there"
        done = subprocess.run(command, env=environment(server.data), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        sent = json.loads(done.stdout)["items"][0]
        assert (sent["state"], sent["sha256"]) == ("taken", hashlib.sha256(big.read_bytes()).hexdigest())
        assert len(server.ask("/api/v1/uploads").items()) == 1, "it went on with the upload that was begun"
        done = onrecord(server.data, "upload", str(clip), "--device", str(device), *where, "--json")
        assert done.returncode == 0, done.stderr
        recording_id = json.loads(done.stdout)["items"][0]["recording_id"]
        assert server.ask(f"/api/v1/recordings/{recording_id}").tree()["device_name"] == "cam"
        assert key
        assert onrecord(server.data, "verify", str(server.data)).returncode == 0, "beside the running server"
        server.stop()
    done = onrecord(server.data, "verify", str(server.data))
    assert (done.returncode, done.stdout) == (0, "")
    path = server.data / "files" / sent["sha256"][:2] / sent["sha256"]
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"\0")
    (server.data / "files" / "aa").mkdir(exist_ok=True)
    (server.data / "files" / "aa" / "stray").write_bytes(b"x")
    done = onrecord(server.data, "verify", str(server.data))
    assert [json.loads(line)["defect"] for line in done.stdout.splitlines()] == ["hash_differs", "file_added"]


def _offset(server: Server) -> int:
    return max((int(str(each["offset"])) for each in server.ask("/api/v1/uploads").items()), default=0)


def _devices(server: Server) -> list[dict[str, object]]:
    tree: dict[str, list[dict[str, object]]] = json.loads(onrecord(server.data, "device", "list", "--json").stdout)
    return tree["items"]


def test_tus_js_client_breaks_off_and_goes_on(server: Server, tmp_path: Path) -> None:
    data = PNG + os.urandom(3 << 20)
    path = tmp_path / "手机.png"
    path.write_bytes(data)
    script = Path(__file__).with_name("tus_upload.mjs")
    about = {"filename": path.name, "filetype": "image/png", "case": "1"}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("node")), str(script), f"http://127.0.0.1:{server.port}/api/v1/uploads",
         str(path), json.dumps(about)],
        env={**os.environ, "ONRECORD_TOKEN": server.token}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert 0 < said["stopped_at"] < len(data), "it broke off in the middle"
    assert said["resumed_at"] == said["stopped_at"]
    taken = outcome(server, said["url"])
    assert (taken["state"], taken["sha256"]) == ("taken", hashlib.sha256(data).hexdigest())


def test_a_lost_phone_is_cut_off_in_the_middle_of_a_file(server: Server) -> None:
    with server.access() as access:
        account = access.accounts.add(f"phone.{os.urandom(3).hex()}", "林", "commander")
        token = server.keep(access.create_token("commander", account_id=account.account_id))
    about = metadata(filename="a.png", case="1")
    begun = tus(server, "POST", "/api/v1/uploads", token=token, Upload_Length=str(1 << 20), Upload_Metadata=about)
    assert begun[0] == 201
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    head = (
        f"PATCH {begun[1]['Location']} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: {BODY['Content-Type']}\r\nContent-Length: {1 << 20}\r\n\r\n"
    )
    connection.sendall(head.encode() + PNG)
    time.sleep(0.5)
    with server.access() as access:
        access.accounts.disable(account.account_id, "test")
    ended_s = time.monotonic()
    with contextlib.suppress(OSError):
        while time.monotonic() - ended_s < 20:
            connection.sendall(b"x" * 100)
            connection.settimeout(0.1)
            with contextlib.suppress(TimeoutError):
                if not connection.recv(100):
                    break
    assert time.monotonic() - ended_s < 2.5 + BUSY_S
    connection.close()
