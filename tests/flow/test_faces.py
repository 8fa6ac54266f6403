"""The whole way: switched on by two, enrolled by two, seen live, suggested, confirmed by two, closed, and gone.

Also what must not happen: a stranger is told of nowhere, and where nothing is sought nobody is looked for.
"""

import base64
import contextlib
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.flow.test_hearing import admin, kinds_of, workers_of
from tests.models_made import faces_in
from tests.serving import Answer, Server, onrecord, until
from tests.tools import needs
from tests.unit.models.face import material

pytestmark = [pytest.mark.slow, needs("ffmpeg")]

FACES = {
    "ONRECORD_ANALYSE__STAGES": "faces",
    "ONRECORD_ANALYSE__WORKERS": "1",
    "ONRECORD_MODELS__ACCEPT_NONCOMMERCIAL": "true",
    "ONRECORD_FACES__DETECTOR": "yunet",
    "ONRECORD_FACES__EMBEDDER": "mobilefacenet",
}
REASON = "核对本案当事人身份"


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="seconds")


@dataclass
class Site:
    """A server that may match faces, a case whose officer carries a camera, and the people who work at it."""

    server: Server
    key: str
    case_id: str
    security: str
    reviewer: str
    publishers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def post(self, path: str, body: dict[str, object], token: str | None = None, method: str = "POST") -> Answer:
        return self.server.ask(f"/api/v1/faces{path}", method, body, token=token)

    def made(self, path: str, body: dict[str, object], token: str | None = None) -> dict[str, object]:
        answer = self.post(path, body, token)
        assert answer.status in (200, 201), answer.body
        return answer.tree()

    def switch_on(self, hours: float = 1.0) -> str:
        """Asked for by the security administrator, approved by the legal review; nobody alone can."""
        wanted: dict[str, object] = {
            "legal_basis": "《个人信息保护法》第二十八条", "approver": "分管领导", "assessment_id": "PIA-2026-7",
            "expires_at": in_hours(hours), "reason": REASON,
        }  # fmt: skip
        switch_id = str(self.made("/switch", wanted, self.security)["switch_id"])
        assert self.post(f"/switch/{switch_id}/approve", {}, self.security).status in (403, 409)
        assert self.made(f"/switch/{switch_id}/approve", {}, self.reviewer)["state"] == "on"
        return switch_id

    def gallery(self) -> str:
        wanted: dict[str, object] = {
            "kind": "case", "case_id": self.case_id, "legal_basis": REASON, "notice": "现场已告知正在进行人脸识别",
            "expires_at": in_hours(0.5),
        }  # fmt: skip
        return str(self.made("/galleries", wanted)["gallery_id"])

    def send(self, gallery_id: str, *photos: bytes, name: str = "张三") -> Answer:
        """By the one who handles the case, as a browser sends a form."""
        mark = "----faces"
        parts = [('name="name"', name.encode()), ('name="party"', "当事人".encode()), ('name="basis"', REASON.encode())]
        parts += [(f'name="photos"; filename="{place}.jpg"', photo) for place, photo in enumerate(photos)]
        body = b""
        for named, data in parts:
            body += f"--{mark}\r\nContent-Disposition: form-data; {named}\r\n\r\n".encode() + data + b"\r\n"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.server.port}/api/v1/faces/galleries/{gallery_id}/persons",
            data=body + f"--{mark}--\r\n".encode(), method="POST",
            headers={
                "Content-Type": f"multipart/form-data; boundary={mark}", "Authorization": f"Bearer {self.server.token}",
            },
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def enrol(self, gallery_id: str, *photos: bytes) -> str:
        """Proposed by one, confirmed by another."""
        answer = self.send(gallery_id, *photos)
        assert answer.status == 201, answer.body
        person_id = str(answer.tree()["person_id"])
        assert answer.tree()["state"] == "proposed"
        assert self.post(f"/persons/{person_id}/confirm", {}).status == 409, "not by who proposed"
        assert self.made(f"/persons/{person_id}/confirm", {}, self.reviewer)["state"] == "enrolled"
        return person_id

    def film(self, face: Path, group: int = 15) -> str:
        """The face moves before the camera, live, until it is stopped; the stream's id. group: pictures, key to key."""
        url = f"rtmp://127.0.0.1:{self.server.rtmp_port}/live/{self.key}"
        moving = "[1][0]overlay=x=120+90*sin(t/2):y=40+10*cos(t)"
        self.publishers.append(
            subprocess.Popen(
                [
                    "ffmpeg", "-loglevel", "error", "-re", "-loop", "1", "-framerate", "15", "-i", str(face),
                    "-f", "lavfi", "-i", "color=c=0x506070:size=640x360:rate=15",
                    "-f", "lavfi", "-i", "sine=frequency=300:sample_rate=48000", "-filter_complex",
                    f"{moving},noise=alls=4:allf=t[picture]", "-map", "[picture]", "-map", "2:a", "-threads", "1",
                    "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", str(group),
                    "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-f", "flv", url,
                ],
                stdin=subprocess.DEVNULL,
            )
        )  # fmt: skip
        return self.server.live_id("camera")

    def stop(self) -> None:
        for publisher in self.publishers:
            publisher.terminate()
            publisher.wait(30)
        self.publishers.clear()

    def told(self, kind: str) -> list[dict[str, object]]:
        """On the timeline of the case."""
        return self.server.ask(f"/api/v1/cases/{self.case_id}/timeline?kinds={kind}&limit=200").items()

    def stage(self) -> dict[str, object]:
        stages = self.server.ask("/api/v1/analysis").tree()["stages"]
        assert isinstance(stages, list)
        return next(each for each in stages if each["stage"] == "faces")


@contextlib.contextmanager
def site(folder: Path, **more: str) -> Iterator[Site]:
    models = faces_in(folder / "models", "yunet", "mobilefacenet")
    settings = {**FACES, "ONRECORD_MODELS__FOLDER": str(models), **more}
    with Server(folder / "data", settings) as server:
        key = server.add_device("camera")
        device_id = next(each["device_id"] for each in server.ask("/api/v1/devices", token=admin(server)).items())
        officer = server.ask(
            "/api/v1/officers", "POST", {"name": "周启明", "certificate_number": "A1", "unit": "unit"}
        ).tree()
        binding = {"officer_id": officer["officer_id"]}
        assert server.ask(f"/api/v1/devices/{device_id}/bindings", "POST", binding).status == 201
        case = server.ask("/api/v1/cases", "POST", {"number": "1", "title": "案件", "unit": "unit"}).tree()
        task = server.ask(f"/api/v1/officers/{officer['officer_id']}/task", "POST", {"case_id": case["case_id"]})
        assert task.status == 201, task.body
        with server.access() as access:
            security = server.keep(access.create_token("security_admin", "security"))
            reviewer = server.keep(access.create_token("reviewer", "legal review"))
        made = Site(server, key, str(case["case_id"]), security, reviewer)
        try:
            yield made
        finally:
            made.stop()


def head_of(folder: Path, name: str) -> Path:
    """The face of a shared picture with what is around it, 240 pixels high."""
    left, top, right, bottom = material.face("yunet", name).box
    wide, high = right - left, bottom - top
    picture = Image.fromarray(np.ascontiguousarray(material.picture(name)[:, :, ::-1]))
    part = picture.crop(
        (int(max(0, left - wide / 2)), int(max(0, top - high / 2)), int(right + wide / 2), int(bottom + high / 2))
    )
    part = part.resize((2 * round(120 * part.width / part.height), 240))
    path = folder / f"{name}.png"
    part.save(path)
    return path


def photo(name: str) -> bytes:
    material.picture(name)  # skips aloud
    return (Path(os.environ["ONRECORD_TEST_DATA"]) / "faces" / f"{name}.jpg").read_bytes()


def holds(folder: Path, wanted: Callable[[bytes], bool]) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and wanted(path.read_bytes())]


def vector_of(name: str) -> NDArray[np.float32]:
    """Of a shared picture, by the model that the server uses."""
    vector: NDArray[np.float32] = material.embedder().embed([material.crop("yunet", name)])[0]
    return vector


def in_the_open(folder: Path, vector: NDArray[np.float32]) -> list[Path]:
    """Files that hold a vector of this face, as numbers or as base64, wherever in them; media aside."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and "recordings" not in path.parts and likest(path.read_bytes(), vector) > 0.4
    ]


def likest(raw: bytes, vector: NDArray[np.float32]) -> float:
    """The greatest similarity of anything in these bytes that could be a vector."""
    texts = re.findall(rb"(?:[A-Za-z0-9+/]{4}){170,}[A-Za-z0-9+/]{0,3}", raw)
    pieces = [raw, *(base64.b64decode(text[: len(text) // 4 * 4] + _padded(text)) for text in texts)]
    best = -1.0
    for piece in pieces:
        for at in range(4):
            numbers = np.frombuffer(piece[at : at + (len(piece) - at) // 4 * 4], "<f4")
            if len(numbers) < len(vector):
                continue
            sane = np.where(np.abs(numbers) < 1.0, numbers, 0.0).astype(np.float32)  # NaN is not below one
            lengths = np.sqrt(np.maximum(np.convolve(sane**2, np.ones(len(vector), np.float32), "valid"), 1e-9))
            is_unit = np.abs(lengths - 1.0) < 0.01
            products = np.correlate(sane, vector, "valid")
            best = max(best, float((products * is_unit).max(initial=-1.0)))
    return best


def _padded(text: bytes) -> bytes:
    """What is left of base64 behind its whole groups of four, whole."""
    left = text[len(text) // 4 * 4 :]
    return left + b"=" * (4 - len(left)) if len(left) > 1 else b""


def test_a_vector_that_lies_about_would_be_found() -> None:
    vector = np.random.default_rng(1).standard_normal(128)
    unit = np.asarray(vector / np.linalg.norm(vector), np.float32)
    noise = np.random.default_rng(2).bytes(5001)
    assert likest(noise + unit.tobytes() + noise, unit) > 0.9
    assert likest(b"{" + base64.b64encode(unit.tobytes()) + b"}", unit) > 0.9
    assert likest(noise, unit) < 0.4


def test_from_the_switch_to_the_closed_case(tmp_path: Path) -> None:
    with site(tmp_path) as at:
        assert at.stage()["is_on"] is False
        assert "switched off" in str(at.stage()["why"])
        assert at.send("fgal_none", photo("obama-1")).status in (404, 409), "nothing is enrolled while it is off"
        at.switch_on()
        gallery_id = at.gallery()
        refused = at.send(gallery_id, photo("obama-and-biden"))
        assert refused.status == 422
        assert refused.tree()["reason"] == "several_faces"
        person_id = at.enrol(gallery_id, photo("obama-1"), photo("obama-2"))
        duplicate = at.send(gallery_id, photo("obama-3"), name="李四")
        assert duplicate.status == 422
        assert duplicate.tree()["reason"] == "duplicate"
        keys = at.server.data / "faces-keys"
        assert holds(keys / gallery_id, lambda raw: len(raw) > 0)
        until(lambda: at.stage()["is_on"] is True, "the stage is on", 30)
        until(lambda: len(workers_of(at.server)) == 1, "a worker runs", 30)

        stream_id = at.film(head_of(tmp_path, "obama-3"))
        until(lambda: bool(at.told("FaceSuggested")), "a suggestion", 60)
        (fact,) = at.told("FaceSuggested")
        assert fact["person_id"] == person_id
        assert (fact["stream_id"], fact["gallery_id"]) == (stream_id, gallery_id)
        assert float(str(fact["similarity"])) > float(str(fact["threshold"]))
        assert fact["model"] == "mobilefacenet@128"
        assert str(fact["detector"]).startswith("yunet@")
        assert fact["basis"] == "stated", "nobody counted on pictures of this bureau"
        media = fact["media"]
        assert isinstance(media, dict)
        assert str(media["recording_id"]).startswith("rec_")
        searched = at.told("FaceSearched")
        assert searched, "each search is in the log"
        assert REASON in str(searched[0]["reason"])
        assert at.told("FaceNoticeDue"), "the filmed are to be told"

        suggestion_id = str(fact["suggestion_id"])
        for picture in ("shot.jpg", "person.jpg"):
            shown = at.server.ask(f"/api/v1/faces/suggestions/{suggestion_id}/{picture}")
            assert shown.status == 200
            assert shown.body.startswith(b"\xff\xd8\xff")
            assert shown.headers["cache-control"] == "no-store"
        opinion: dict[str, object] = {"verdict": "same", "reason": "五官一致"}
        where = f"/suggestions/{suggestion_id}/opinion"
        assert at.made(where, opinion)["state"] == "open", "one alone decides nothing"
        assert at.told("FaceConfirmed") == []
        assert at.post(where, opinion).status == 409, "nobody counts twice"
        assert at.made(where, opinion, at.reviewer)["state"] == "confirmed"
        until(lambda: bool(at.told("FaceConfirmed")), "it is confirmed")

        case = at.server.ask(f"/api/v1/cases/{at.case_id}")
        closed = at.server.ask(
            f"/api/v1/cases/{at.case_id}", "PATCH", {"state": "closed"}, if_match=case.headers["etag"]
        )
        assert closed.status == 200, closed.body
        until(lambda: bool(at.told("GalleryClosed")), "its gallery is closed")
        assert holds(keys, lambda raw: gallery_id.encode() in raw) == []
        assert not (keys / gallery_id).exists(), "nothing can open what was sealed"
        persons = at.server.ask(f"/api/v1/faces/galleries/{gallery_id}/persons").items()
        assert [each["state"] for each in persons] == ["gone"]
        assert at.server.ask(f"/api/v1/faces/persons/{person_id}/picture.jpg").status == 404
        assert at.server.ask(f"/api/v1/faces/suggestions/{suggestion_id}/shot.jpg").status == 404
        assert at.told("FaceSuggested"), "that it was suggested, and who confirmed it, stays"
        at.stop()
        for folder in at.server.recordings():
            assert onrecord(at.server.data, "verify", str(folder)).returncode == 0
        assert in_the_open(at.server.data, vector_of("obama-3")) == []


def test_a_stranger_is_told_of_nowhere_and_what_is_switched_off_is_not_looked_for(tmp_path: Path) -> None:
    with site(tmp_path) as at:
        at.switch_on()
        gallery_id = at.gallery()
        at.enrol(gallery_id, photo("obama-1"), photo("obama-2"))
        until(lambda: at.stage()["is_on"] is True, "the stage is on", 30)
        at.film(head_of(tmp_path, "biden-2"))
        until(lambda: bool(at.told("FaceSearched")), "the stranger was searched for", 60)
        time.sleep(5)  # of real time: the worker goes on looking
        assert at.told("FaceSuggested") == []
        assert b"FaceSuggested" not in at.server.ask(f"/api/v1/cases/{at.case_id}/timeline?limit=200").body

        off = at.post("/switch", {"reason": "核查结束"}, at.security, method="DELETE")
        assert off.status == 200, off.body
        looked = [each["event_id"] for each in at.told("FaceSearched")]
        until(lambda: at.server.ask("/api/v1/analysis").tree()["streams"] == {}, "nobody looks any more")
        until(lambda: bool(at.told("GalleryClosed")), "its gallery is closed")
        until(lambda: at.stage()["is_on"] is False, "the stage is off")
        time.sleep(3)
        assert [each["event_id"] for each in at.told("FaceSearched")] == looked
        assert kinds_of(at.server, str(at.server.streams()[-1]["stream_id"]), "AnalysisGap") == []
        at.stop()
        assert in_the_open(at.server.data, vector_of("biden-2")) == []
        assert holds(at.server.data, lambda raw: b"JFIF" in raw) == [], "no picture of a stranger, and none in the open"


def test_a_stream_of_no_case_is_not_looked_at(tmp_path: Path) -> None:
    with site(tmp_path) as at:
        at.switch_on()
        at.enrol(at.gallery(), photo("obama-1"))
        until(lambda: at.stage()["is_on"] is True, "the stage is on", 30)
        other = at.server.add_device("another")
        at.key = other
        url = f"rtmp://127.0.0.1:{at.server.rtmp_port}/live/{other}"
        assert url
        with at.server.access() as access:
            worker = access.create_token("service", "a worker")
        publisher = at.server.publish(other)
        stream_id = at.server.live_id("another")
        watching = at.server.ask(f"/api/v1/faces/watching?stream_id={stream_id}", token=worker)
        assert (watching.status, json.loads(watching.body)["watching"]) == (200, False)
        assert at.server.ask(f"/api/v1/faces/watching?stream_id={stream_id}").status == 403, "the door of workers"
        time.sleep(3)
        assert at.server.ask("/api/v1/analysis").tree()["streams"] == {}
        publisher.terminate()


def test_a_recording_is_searched_where_it_is_ordered_and_by_itself_never(tmp_path: Path) -> None:
    with site(tmp_path) as at:
        stream_id = at.film(head_of(tmp_path, "obama-3"))
        time.sleep(6)  # of real time: so long is the recording
        at.stop()

        def is_over() -> bool:
            stream = next(each for each in at.server.streams() if each["stream_id"] == stream_id)
            return stream["state"] in ("ended", "lost")

        until(is_over, "the stream is over", 60)
        at.switch_on()
        person_id = at.enrol(at.gallery(), photo("obama-1"), photo("obama-2"))
        until(lambda: at.stage()["is_on"] is True, "the stage is on", 30)
        (folder,) = at.server.recordings()
        time.sleep(5)
        assert at.told("FaceSearched") == [], "recordings are not looked through by themselves"
        ordered = onrecord(at.server.data, "analyse", folder.name, "--stage", "faces", **at.server.settings)
        assert ordered.returncode == 0, ordered.stderr
        until(lambda: bool(at.told("FaceSuggested")), "a suggestion", 60)
        (ordered_, *_) = at.told("FaceSearchOrdered")
        assert (ordered_["by"], ordered_["recording_id"]) == ("console", folder.name), "who wanted it is in the log"
        again = at.server.ask(f"/api/v1/recordings/{folder.name}/analyses", "POST", {"stage": "faces"})
        assert again.status == 202, again.body
        assert len(at.told("FaceSearchOrdered")) == 2
        (fact, *_) = at.told("FaceSuggested")
        assert fact["person_id"] == person_id
        media = fact["media"]
        assert isinstance(media, dict)
        assert media["recording_id"] == folder.name
