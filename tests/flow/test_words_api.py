"""Spoken words over HTTP: on the timeline, found to the second, corrected, as subtitles of what may be played."""

import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import anyio
import pytest

from cases.appender import Appender
from cases.casework import attaching
from cases.casework.rows import Case
from cases.facts import fact_of
from pipeline.events import WordsHeard
from pipeline.settings import StoreSettings
from tests import record_made
from tests.made import ManualClock
from tests.serving import Server, allow, onrecord
from tests.stores import opened
from tests.unit.record.material import STARTED_AT

pytestmark = pytest.mark.slow

OLD, DEMO = "small@1", "whisper-demo-zh@1"
SECRET = "这句话绝不能写进日志"


def heard(recording_id: str, text: str, start_s: float, end_s: float, model: str = OLD, normal: str = "") -> WordsHeard:
    return WordsHeard(
        at=STARTED_AT + start_s, stream_id="st_a", recording_id=recording_id, start_s=start_s, end_s=end_s, text=text,
        normal=normal, word_times="", language="zh", confidence=0.5, is_doubtful=True, speaker="wearer", model=model,
    )  # fmt: skip


@dataclass
class Site:
    """A server over a record in which something was said."""

    server: Server
    case: Case
    recording_id: str
    events: dict[str, str]  # ids, by text

    def ask(self, path: str, method: str = "GET", body: dict[str, object] | None = None, token: str = "") -> int:
        return self.server.ask(f"/api/v1{path}", method, body, token=token or None).status

    def correct(self, text: str, event_id: str = "", token: str = "") -> int:
        body: dict[str, object] = {"event_id": event_id or self.events["罚款五百一十元"], "text": text}
        return self.ask(f"/cases/{self.case.case_id}/corrections", "POST", body, token)

    def items(self, path: str) -> list[dict[str, object]]:
        return self.server.ask(f"/api/v1{path}").items()


async def _said(data: Path) -> tuple[str, list[WordsHeard]]:
    """Put words into the store, as the outbox brings them."""
    async with opened(StoreSettings(), data) as store:
        async with store.reading() as connection:
            rows = await connection.exec_driver_sql("SELECT recording_id FROM recordings WHERE stream_id = 'st_a'")
            recording_id = str(rows.scalar())
        told = [
            heard(recording_id, "您好", 0.1, 0.6),
            heard(recording_id, "罚款五百一十元", 1.0, 1.8, normal="罚款510元"),
            heard(recording_id, "罚款", 1.0, 1.8, DEMO),
            heard(recording_id, SECRET, 2.0, 2.9),
        ]
        appender = await Appender.load(store, ManualClock(), [attaching.Attaching()])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(appender.run)
            await appender.append([fact_of(event) for event in told])
            tasks.cancel_scope.cancel()
    return recording_id, told


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    data = tmp_path / "data"
    case, _ = anyio.run(record_made.record, StoreSettings(), data)
    recording_id, told = anyio.run(_said, data)
    with Server(data) as server:
        yield Site(server, case, recording_id, {event.text: event.event_id for event in told})


def test_words_are_found_to_the_second_as_heard_and_in_their_normal_form(site: Site) -> None:
    for asked in ("五百一十元", "510元", "罚款五百"):
        (found,) = site.items(f"/search?q={_quoted(asked)}")
        assert found["event_id"] == site.events["罚款五百一十元"]
        assert found["media"] == {"recording_id": site.recording_id, "start_s": 1.0, "end_s": 1.8}
        assert (found["text"], found["model"], found["speaker"]) == ("罚款五百一十元", OLD, "wearer")
    shown = site.items(f"/cases/{site.case.case_id}/timeline?kinds=WordsHeard")
    assert [each["text"] for each in shown] == ["您好", "罚款五百一十元", "罚款", SECRET]
    assert str(shown[0]["ends_at"]) > str(shown[0]["at"])


def test_a_correction_counts_is_found_and_leaves_what_was_heard(site: Site) -> None:
    assert site.correct("罚款六百一十元") == 201
    (found,) = site.items(f"/search?q={_quoted('六百一十元')}")
    assert (found["kind"], found["of_event"]) == ("WordsCorrected", site.events["罚款五百一十元"])
    assert found["media"] == {"recording_id": site.recording_id, "start_s": 1.0, "end_s": 1.8}
    assert len(site.items(f"/search?q={_quoted('五百一十元')}")) == 1
    allow(site.server, {"what": "play", "recording_id": site.recording_id, "start_s": 0, "end_s": 3})
    spans = site.items(f"/recordings/{site.recording_id}/words")
    assert [len(span["versions"]) for span in spans] == [1, 2, 1]  # type: ignore[arg-type]
    model, said = _versions(spans[1])[0]
    assert (model, said["text"], said["heard"]) == (OLD, "罚款六百一十元", "罚款五百一十元")
    model, said = _versions(spans[1])[1]
    assert (model, said["text"], said["correction"]) == (DEMO, "罚款", None)
    assert site.items(f"/recordings/{site.recording_id}/words?limit=2") == spans[:2]
    page = site.server.ask(f"/api/v1/recordings/{site.recording_id}/words?limit=2").tree()
    assert site.items(f"/recordings/{site.recording_id}/words?limit=2&cursor={page['next_cursor']}") == spans[2:]


def test_what_cannot_be_corrected_is_refused_and_nobody_is_told_more_than_he_may_know(site: Site) -> None:
    first = site.items(f"/cases/{site.case.case_id}/timeline?kinds=CaseOpened")[0]
    assert site.correct("好", "ev_none") == 404
    assert site.correct("好", str(first["event_id"])) == 404
    assert site.correct(" ") == 422
    assert site.correct("") == 422
    assert site.correct("字" * 2001) == 422
    with site.server.access() as access:
        for role, unit, status in (("viewer", "", 403), ("archivist", "", 403), ("commander", "西城所", 404)):
            access.units.put("西城所", None)
            account = access.accounts.add(role, role, role, unit=unit)
            token = site.server.keep(access.create_token(role, account_id=account.account_id))
            assert site.correct("好", token=token) == status, role
    tag = {"If_Match": f'"{site.case.version}"'}
    closed = site.server.ask(f"/api/v1/cases/{site.case.case_id}", "PATCH", {"state": "closed"}, **tag)
    assert closed.status == 200, closed.body
    assert site.correct("好") == 409


def test_subtitles_are_what_an_approval_names_and_are_logged(site: Site) -> None:
    where = f"/api/v1/recordings/{site.recording_id}"
    for form in ("subtitles.vtt", "subtitles.srt", "words"):
        assert site.server.ask(f"{where}/{form}").status == 403
    allow(site.server, {"what": "play", "recording_id": site.recording_id, "start_s": 0, "end_s": 1.9})
    answer = site.server.ask(f"{where}/subtitles.vtt")
    assert answer.headers.get_content_type() == "text/vtt"
    assert answer.headers["cache-control"] == "no-store"
    text = answer.body.decode()
    assert text.startswith("WEBVTT\n\nNOTE\n机器识别，未经核对；模型：small@1\n")
    assert "00:00:01.000 --> 00:00:01.800\n<v 佩戴者>罚款五百一十元\n" in text
    assert SECRET not in text, "it was said outside of what the approval names"
    demo = site.server.ask(f"{where}/subtitles.vtt?model={DEMO}&zero=1").body.decode()
    assert "（演示模型）" in demo
    assert "00:00:00.000 --> 00:00:00.800\n<v 佩戴者>罚款\n" in demo
    answer = site.server.ask(f"{where}/subtitles.srt")
    assert answer.headers.get_content_type() == "application/x-subrip"
    assert "2\n00:00:00,100 --> 00:00:00,600\n佩戴者：您好\n" in answer.body.decode()
    with site.server.access() as access:
        auditor = site.server.keep(access.create_token("audit_admin"))
    seen = site.server.ask("/api/v1/audit?kinds=WordsFetched", token=auditor).items()
    assert len(seen) == 3
    read = site.items(f"/cases/{site.case.case_id}/timeline?kinds=WordsFetched")
    assert [(each["form"], each["spans"]) for each in read] == [
        ("vtt", "0.000-1.900"), ("vtt", "0.000-1.900"), ("srt", "0.000-1.900"),
    ]  # fmt: skip


def test_the_filmed_officer_under_complaint_no_longer_reads_what_was_said(site: Site) -> None:
    (officer,) = site.items("/officers")
    with site.server.access() as access:
        account = access.accounts.add("li", "李四", "officer", officer_id=str(officer["officer_id"]))
        token = site.server.keep(access.create_token("officer", account_id=account.account_id))
    assert site.ask(f"/cases/{site.case.case_id}/members/{account.account_id}", "PUT") == 204

    def read() -> list[int]:
        timeline = f"/api/v1/cases/{site.case.case_id}/timeline?kinds=WordsHeard,WordsCorrected"
        found = f"/api/v1/search?q={_quoted('罚款')}"
        return [len(site.server.ask(each, token=token).items()) for each in (timeline, found)]

    assert read() == [4, 2]
    assert site.correct("罚款五百元", token=token) == 201
    assert read() == [5, 3]
    with site.server.access() as access:
        archivist = site.server.keep(access.create_token("archivist"))
    body: dict[str, object] = {"officer_id": officer["officer_id"], "reason": "投诉"}
    assert site.ask(f"/recordings/{site.recording_id}/withheld", "POST", body, archivist) == 204
    assert read() == [0, 0]
    assert site.correct("好", token=token) == 404
    event = f"/events/{site.events['您好']}/proof"
    assert site.ask(event, token=token) == 404
    assert site.ask(event) == 200
    assert _hears(site, token) == "NoteAdded", "the tail leaves words out"


def _hears(site: Site, token: str) -> str:
    """The kind of the first event that a tail brings the officer, of a correction and then a note."""
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=15)
    where = f"/api/v1/events?case_id={site.case.case_id}&kinds=WordsCorrected,NoteAdded"
    connection.request("GET", where, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    assert answer.status == 200
    answer.readline()
    assert site.correct("罚款七百元") == 201
    note: dict[str, object] = {"text": "备注"}
    assert site.ask(f"/cases/{site.case.case_id}/notes", "POST", note) == 201
    try:
        while not (line := answer.readline().decode()).startswith("event: "):
            pass
        return line.removeprefix("event: ").strip()
    finally:
        connection.close()


def test_no_spoken_word_is_in_the_log(site: Site) -> None:
    site.correct(SECRET + "二")
    site.correct("字" * 3000)
    site.correct(f"{SECRET}\n", "ev_none")
    allow(site.server, {"what": "play", "recording_id": site.recording_id, "start_s": 0, "end_s": 3})
    assert SECRET in site.server.ask(f"/api/v1/recordings/{site.recording_id}/subtitles.vtt").body.decode()
    site.server.stop()
    assert SECRET not in site.server.log
    assert "\\u8fd9\\u53e5\\u8bdd" not in site.server.log
    done = onrecord(site.server.data, "verify", str(site.server.data))
    assert done.returncode == 0, done.stdout
    assert SECRET not in done.stdout + done.stderr


def _versions(span: dict[str, object]) -> list[tuple[str, dict[str, object]]]:
    """Model and first utterance of each."""
    found = span["versions"]
    assert isinstance(found, list)
    return [(each["model"], each["said"][0]) for each in found]


def _quoted(text: str) -> str:
    return quote(text)
