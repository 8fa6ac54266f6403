"""Recordings played over HTTP: asked for, approved by another, served to the second, logged, and cut off in time."""

import contextlib
import hashlib
import itertools
import json
import re
import socket
import sqlite3
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from tests.serving import Answer, Server, allow, onrecord, until
from tests.tools import needs

pytestmark = [pytest.mark.slow, needs("ffmpeg")]


@dataclass
class Kept:
    """A server with one recording of 60 s, a picture a 25th of a second, a key frame every two seconds, and sound."""

    server: Server
    recording_id: str
    folder: Path

    @property
    def path(self) -> str:
        return f"/api/v1/recordings/{self.recording_id}"

    def play(self, start: float, end: float, token: str | None = None, **headers: str) -> Answer:
        return self.server.ask(f"{self.path}/media?start={start}&end={end}", "GET", None, token, **headers)

    def allow(self, start: float, end: float) -> dict[str, object]:
        wanted: dict[str, object] = {"what": "play", "recording_id": self.recording_id, "start_s": start, "end_s": end}
        return allow(self.server, wanted)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("playback")
    clip = folder / "clip.mp4"
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25",
         "-itsoffset", "0.0213333",  # the encoder puts as much before the sound
         "-f", "lavfi", "-i",
         "sine=frequency=440:sample_rate=48000", "-t", "60", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0",
         "-g", "50", "-b:v", "2M", "-c:a", "aac", str(clip)],
        check=True, timeout=120,
    )  # fmt: skip
    with Server(folder / "data") as server:
        server.add_device("cam")
        done = onrecord(server.data, "ingest", str(clip), "--device", "cam", "--json")
        assert done.returncode == 0, done.stderr
        recording_id = json.loads(done.stdout)["items"][0]["recording_id"]
        until(lambda: server.ask(f"/api/v1/recordings/{recording_id}").status == 200, "the recording in the store")
        found = next(path for path in server.recordings() if path.name == recording_id)
        yield Kept(server, recording_id, found)


def probe(path: Path) -> float:
    """Duration in seconds; every frame is decoded without a complaint."""
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "format=duration:stream=codec_type,nb_read_frames",
         "-of", "json", str(path)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return float(json.loads(done.stdout)["format"]["duration"])


def pictures(media: bytes) -> list[str]:
    """Hashes of the decoded pictures, in order."""
    done = subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-i", "pipe:", "-map", "0:v", "-f", "framehash", "-hash", "md5", "-"],
        input=media, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    return [line.rpartition(b",")[2].strip().decode() for line in done.stdout.splitlines() if not line.startswith(b"#")]


def test_exactly_20_s_are_asked_for_approved_played_and_logged(kept: Kept, tmp_path: Path) -> None:
    server = kept.server
    assert kept.play(10, 30).status == 403
    approval = kept.allow(10, 30)
    assert (approval["start_s"], approval["end_s"], approval["state"]) == (10.0, 30.0, "approved")
    answer = kept.play(10, 30)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("video/mp4")
    assert answer.headers["x-media-start"] == "10.0000"
    path = tmp_path / "span.mp4"
    path.write_bytes(answer.body)
    duration_s = probe(path)
    assert duration_s == pytest.approx(20.0, abs=0.045)
    assert len(pictures(answer.body)) == 500
    with server.access() as access:
        principal = access.who(server.token, kind="token")
    assert principal is not None
    note = f"recording {kept.recording_id}; approval {approval['approval_id']}; viewer {principal.by}"
    assert note.encode() in answer.body[: answer.body.index(b"sidx")], "whoever keeps a copy is named in it"
    for start, end in ((9.9, 30), (10, 30.1), (0, 60), (29, 31)):
        assert kept.play(start, end).status == 403, (start, end)
    with server.access() as access:
        other = server.keep(access.create_token("commander", "another"))
        audit = server.keep(access.create_token("audit_admin", "auditor"))
    assert kept.play(10, 30, token=other).status == 403, "an approval is one person's"

    def told(kind: str) -> list[dict[str, object]]:
        found = server.ask(f"/api/v1/audit?kinds={kind}", token=audit).items()
        return [each for each in found if each.get("approval_id") == approval["approval_id"]]

    until(lambda: told("PlaybackStarted") != [], "the beginning in the audit")
    assert told("PlaybackStarted")[0]["why"] == "test"
    until(lambda: told("PlaybackEnded") != [], "the end in the audit", 45)
    ended = told("PlaybackEnded")[0]
    low, high = map(float, str(ended["spans"]).split("-"))
    assert low == 10.0
    assert high == pytest.approx(30.0, abs=0.03)
    assert ended["watched_s"] == pytest.approx(20.0, abs=0.03)


def test_the_picture_before_the_approved_span_is_never_sent_even_to_begin_decoding_with(kept: Kept) -> None:
    approval = kept.allow(13.5, 20)
    assert approval["start_s"] == 12.0, "what is asked for begins with the picture that decoding begins with"
    answer = kept.play(13.5, 20)
    assert answer.headers["x-media-start"] == "12.0000"
    inner = kept.server.ask(f"{kept.path}/media?start=12.5&end=20")
    assert inner.headers["x-media-start"] == "12.0000"
    whole = kept.allow(0, 60)
    expected = pictures(kept.play(0, 60).body)
    assert pictures(answer.body) == expected[300:500]
    assert kept.server.ask(f"/api/v1/approvals/{whole['approval_id']}", "DELETE").status == 200
    assert kept.play(0, 60).status == 403


def test_ranges_of_bytes_are_parts_of_one_file_and_its_index_names_every_segment(kept: Kept) -> None:
    kept.allow(0, 60)
    whole = kept.play(0, 60)
    size = len(whole.body)
    assert whole.headers["accept-ranges"] == "bytes"
    tag = whole.headers["etag"]
    for asked, low, high in (
        ("bytes=0-99", 0, 100), ("bytes=100-", 100, size), ("bytes=-1000", size - 1000, size),
        (f"bytes=700000-{size + 5}", 700_000, size), ("bytes=123456-654321", 123_456, 654_322),
    ):  # fmt: skip
        part = kept.play(0, 60, Range=asked)
        assert part.status == 206
        assert part.body == whole.body[low:high]
        assert part.headers["content-range"] == f"bytes {low}-{high - 1}/{size}"
    assert kept.play(0, 60, Range="bytes=0-1", If_Range=tag).status == 206
    assert kept.play(0, 60, Range="bytes=0-1", If_Range='"other"').status == 200
    for bad in ("bytes=5-1", f"bytes={size}-", "bytes=0-1,5-6", "lines=1-2", "bytes=-0"):
        assert kept.play(0, 60, Range=bad).status == 416, bad
    head = kept.server.ask(f"{kept.path}/media?start=0&end=60", "HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, str(size), b"")
    at = whole.body.index(b"sidx") - 4
    box = whole.body[at : at + struct.unpack(">I", whole.body[at : at + 4])[0]]
    count = struct.unpack(">H", box[38:40])[0]
    offset, total_s = at + len(box) + struct.unpack(">Q", box[28:36])[0], 0.0
    timescale = struct.unpack(">I", box[16:20])[0]
    for place in range(count):
        length, ticks, _ = struct.unpack(">III", box[40 + 12 * place : 52 + 12 * place])
        assert whole.body[offset + 4 : offset + 8] == b"moof"
        offset, total_s = offset + length, total_s + ticks / timescale
    assert offset == size
    assert count == len(list(kept.folder.glob("0*.mp4")))
    assert total_s == pytest.approx(60.0, abs=0.1)


def cut_after(kept: Kept, token: str, end: Callable[[], float]) -> float:
    """Read slowly, as a player does; `end` is called in the middle and says when, monotonic, the right is over.

    How many seconds after that the last byte came, and that it was cut short of what was promised.
    """
    with socket.create_connection(("127.0.0.1", kept.server.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        request = f"GET {kept.path}/media?start=0&end=60 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        connection.sendall(request.encode())
        connection.settimeout(10)
        got, promised, over_s = 0, 0, 0.0
        while True:
            try:
                data = connection.recv(32_768)
            except ConnectionResetError:
                break
            if not data:
                break
            if not promised:
                promised = int(re.search(rb"content-length: (\d+)", data)[1])  # type: ignore[index]
            got += len(data)
            if got > 500_000 and not over_s:
                over_s = end()
            time.sleep(0.01)
        assert over_s
        assert got < promised
        return time.monotonic() - over_s


@pytest.mark.parametrize("at_s", [3.0, 25.5, 45.0, 59.0])
def test_behind_a_seek_every_picture_and_all_sound_follow_from_the_key_frame_on(
    kept: Kept, tmp_path: Path, at_s: float
) -> None:
    """libav, as Chromium has it, takes an entry of the index for one fragment of all tracks."""
    kept.allow(0, 60)
    path = tmp_path / "whole.mp4"
    path.write_bytes(kept.play(0, 60).body)
    with av.open(str(path)) as file:
        file.seek(round(at_s * 1_000_000))
        seen: dict[str, list[float]] = {"video": [], "audio": []}
        for each in file.demux():
            if each.pts is not None and each.time_base is not None:
                seen[each.stream.type].append(float(each.pts * each.time_base))
    first = at_s - at_s % 2
    assert seen["video"] == pytest.approx([first + n / 25 for n in range(round((60 - first) * 25))], abs=0.002)
    assert abs(seen["audio"][0] - first) < 0.1
    steps = [after - before for before, after in itertools.pairwise(seen["audio"])]
    assert max(steps) == pytest.approx(1024 / 48_000, abs=0.002)


def test_seeks_back_and_forth_find_picture_and_sound_in_the_fragment_of_the_moment(kept: Kept, tmp_path: Path) -> None:
    """A fragment that is read after a later one must not fall into its midst, sound not be read from another one, and
    the last one be found again."""
    kept.allow(0, 60)
    path = tmp_path / "whole.mp4"
    path.write_bytes(kept.play(0, 60).body)
    with av.open(str(path)) as file:
        for at_s in (45.0, 3.0, 59.0, 20.01, 51.5, 30.5, 10.02, 40.03, 29.9, 0.5, 50.01):
            file.seek(round(at_s * 1_000_000))
            seen: dict[str, float] = {}
            for each in itertools.islice(file.demux(), 300):
                if each.pts is not None and each.time_base is not None:
                    seen.setdefault(each.stream.type, float(each.pts * each.time_base))
            key_s = at_s - at_s % 2
            assert seen["video"] == pytest.approx(key_s, abs=0.002), at_s
            assert key_s - 0.1 < seen["audio"] <= key_s + 0.002, at_s


@pytest.mark.parametrize("how", ["withdrawn", "ended"])
def test_playing_stops_within_a_second_of_the_withdrawal_and_of_the_end_of_the_account(kept: Kept, how: str) -> None:
    server = kept.server
    with server.access() as access:
        token = server.keep(access.create_token("commander", how))
        principal = access.who(token, kind="token")
    wanted: dict[str, object] = {"what": "play", "recording_id": kept.recording_id, "start_s": 0, "end_s": 60}
    approval = allow(server, wanted, token)

    def end() -> float:
        if how == "withdrawn":
            where = f"/api/v1/approvals/{approval['approval_id']}"
            assert server.ask(where, "DELETE", token=token).status == 200
        else:
            assert principal is not None
            with server.access() as access:
                access.end(principal.principal_id)
        return time.monotonic()

    assert cut_after(kept, token, end) < 1.5


def test_an_approval_ends_by_itself_in_the_middle_of_playing(kept: Kept) -> None:
    """The shortest approval is a minute: the end that stands in the store is moved near, as no route could."""
    server = kept.server
    with server.access() as access:
        token = server.keep(access.create_token("commander", "until"))
        audit = server.keep(access.create_token("audit_admin", "auditor"))
        judge = server.keep(access.create_token("archivist", "judge"))
    wanted: dict[str, object] = {"what": "play", "recording_id": kept.recording_id, "start_s": 0, "end_s": 60}
    approval = allow(server, wanted, token)
    approval_id = approval["approval_id"]

    def end() -> float:
        with contextlib.closing(sqlite3.connect(server.data / "record.db", timeout=10)) as store, store:
            expires_s = time.time() + 0.7
            changed = store.execute(
                "UPDATE approvals SET expires_us = ? WHERE approval_id = ?", (round(expires_s * 1e6), approval_id)
            )
            assert changed.rowcount == 1
        return time.monotonic() + expires_s - time.time()

    assert -0.1 < cut_after(kept, token, end) < 1.5, "not before its time, and not long after"
    assert kept.play(0, 60, token=token).status == 403

    def reasons() -> list[object]:
        told = server.ask("/api/v1/audit?kinds=PlaybackEnded", token=audit).items()
        return [each["reason"] for each in told if each["approval_id"] == approval_id]

    until(lambda: reasons() != [], "the end in the audit")
    asked = server.ask("/api/v1/approvals", "POST", {**wanted, "purpose": "p"}, token=token).tree()
    where = f"/api/v1/approvals/{asked['approval_id']}/decision"
    assert server.ask(where, "POST", {"verdict": "approved", "days": 1e-9}, token=judge).status == 422


def test_of_ten_who_decide_at_the_same_moment_one_does_and_two_on_a_major_case(kept: Kept) -> None:
    server = kept.server
    with server.access() as access:
        judges = [server.keep(access.create_token("archivist", f"at once {number}")) for number in range(10)]
    case = server.ask("/api/v1/cases", "POST", {"number": "大案", "title": "t", "class": "major"}).tree()
    play = {"what": "play", "purpose": "p", "recording_id": kept.recording_id, "start_s": 0, "end_s": 5}
    copy = {"what": "copy", "purpose": "p", "case_id": case["case_id"]}
    for wanted, needed in ((play, 1), (copy, 2)):
        approval = server.ask("/api/v1/approvals", "POST", wanted).tree()
        where = f"/api/v1/approvals/{approval['approval_id']}/decision"

        def decide(number: int, where: str = where) -> Answer:
            verdict = {"verdict": "approved", "days": 1 + number}
            return server.ask(where, "POST", verdict, token=judges[number])

        with ThreadPoolExecutor(len(judges)) as pool:
            answers = list(pool.map(decide, range(len(judges))))
        assert sorted(answer.status for answer in answers) == [200] * needed + [409] * (len(judges) - needed)
        decided = [answer.tree() for answer in answers if answer.status == 200]
        assert [each["state"] for each in decided].count("approved") == 1
        listed = {each["approval_id"]: each for each in server.ask("/api/v1/approvals?limit=500").items()}
        found = listed[approval["approval_id"]]
        assert (found["state"], found["given"]) == ("approved", needed)
        assert found["expires_at"] in [each["expires_at"] for each in decided]


def test_nobody_decides_on_his_own_and_two_who_race_are_one(kept: Kept) -> None:
    server = kept.server
    wanted = {"what": "play", "purpose": "p", "recording_id": kept.recording_id, "start_s": 0, "end_s": 5}
    with server.access() as access:
        judges = [server.keep(access.create_token("archivist", f"race {number}")) for number in range(2)]
    own = server.ask("/api/v1/approvals", "POST", wanted, token=judges[0]).tree()
    where = f"/api/v1/approvals/{own['approval_id']}/decision"
    assert server.ask(where, "POST", {"verdict": "approved"}, token=judges[0]).status == 409
    assert server.ask(where, "POST", {"verdict": "refused", "reason": "无必要"}, token=judges[1]).status == 200
    assert server.ask(where, "POST", {"verdict": "approved"}, token=server.token).status == 409
    keyed = [server.ask("/api/v1/approvals", "POST", wanted, Idempotency_Key="same") for _ in range(2)]
    assert keyed[0].tree()["approval_id"] == keyed[1].tree()["approval_id"]


def test_a_major_case_needs_two_who_say_yes(kept: Kept) -> None:
    server = kept.server
    case = server.ask("/api/v1/cases", "POST", {"number": "重大", "title": "t", "class": "major"}).tree()
    wanted = {"what": "copy", "purpose": "移送", "case_id": case["case_id"]}
    approval = server.ask("/api/v1/approvals", "POST", wanted).tree()
    assert approval["needed"] == 2
    with server.access() as access:
        judges = [server.keep(access.create_token("archivist", f"eye {number}")) for number in range(2)]
    where = f"/api/v1/approvals/{approval['approval_id']}/decision"
    assert server.ask(where, "POST", {"verdict": "approved"}, token=judges[0]).tree()["state"] == "asked"
    assert server.ask(where, "POST", {"verdict": "approved"}, token=judges[0]).status == 409
    assert server.ask(f"/api/v1/cases/{case['case_id']}/exports", "POST").status == 403
    assert server.ask(where, "POST", {"verdict": "approved"}, token=judges[1]).tree()["state"] == "approved"
    assert server.ask(f"/api/v1/cases/{case['case_id']}/exports", "POST").status == 202


def test_what_is_not_what_was_recorded_is_not_served(kept: Kept) -> None:
    kept.allow(0, 60)
    segment = sorted(kept.folder.glob("0*.mp4"))[1]
    before = segment.read_bytes()
    changed = bytearray(before)
    changed[len(changed) // 2] ^= 1
    segment.write_bytes(bytes(changed))
    try:
        assert kept.play(15, 16).status == 503
        assert kept.play(0, 5).status == 200
    finally:
        segment.write_bytes(before)
    assert kept.play(15, 16).status == 200
    assert hashlib.sha256(before).hexdigest() in (kept.folder / "manifest.jsonl").read_text()


def test_the_map_says_what_is_there_and_what_the_reader_may_play(kept: Kept) -> None:
    with kept.server.access() as access:
        token = kept.server.keep(access.create_token("commander", "mapped"))
    answer = kept.server.ask(f"{kept.path}/map", token=token).tree()
    assert answer["length_s"] == pytest.approx(60.0, abs=0.1)
    assert (answer["gaps"], answer["allowed"], answer["is_ended"]) == ([], [], True)
    wanted: dict[str, object] = {"what": "play", "recording_id": kept.recording_id, "start_s": 2, "end_s": 4}
    allow(kept.server, wanted, token)
    answer = kept.server.ask(f"{kept.path}/map", token=token).tree()
    assert answer["allowed"] == [{"start_s": 2.0, "end_s": 4.0}]
    assert kept.server.ask(f"{kept.path}/media?start=2", token=token).status == 200


def still_picture(jpeg: bytes, scale: str = "160:90") -> bytes:
    """Its luma, small."""
    done = subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-i", "pipe:", "-vf", f"scale={scale},format=gray", "-f", "rawvideo", "-"],
        input=jpeg, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout


def test_a_still_is_the_picture_of_its_moment_at_full_size_and_says_who_took_it(kept: Kept) -> None:
    server = kept.server

    with server.access() as access:  # nobody else's approvals are this one's
        photographer = server.keep(access.create_token("commander", "photographer"))

    def take(at: float, token: str = photographer) -> Answer:
        return server.ask(f"{kept.path}/still.jpg?at={at}", token=token)

    wanted: dict[str, object] = {"what": "play", "recording_id": kept.recording_id, "start_s": 40, "end_s": 44}
    approval = allow(server, wanted, photographer)
    whole = kept.play(40, 44, token=photographer).body
    pictures_of = still_picture(whole)
    size = 160 * 90
    for at in (40.0, 41.02, 42.5, 43.95):
        answer = take(at)
        assert answer.status == 200, answer.body
        assert len(still_picture(answer.body, "iw:ih")) == 640 * 360
        luma = still_picture(answer.body)
        differences = [
            sum(abs(one - other) for one, other in zip(luma, pictures_of[n * size : (n + 1) * size], strict=True))
            for n in range(100)
        ]
        assert differences.index(min(differences)) == int((at - 40) * 25 + 0.026), at
        assert f"approval {approval['approval_id']}".encode() in answer.body
    assert take(45).status == 403
    assert take(39.99).status == 403
    with server.access() as access:
        other = server.keep(access.create_token("commander", "another"))
        audit = server.keep(access.create_token("audit_admin", "auditor"))
    assert take(41, other).status == 403, "an approval is one person's"
    told = server.ask("/api/v1/audit?kinds=StillTaken", token=audit).items()
    assert hashlib.sha256(answer.body).hexdigest() in [each["sha256"] for each in told]
