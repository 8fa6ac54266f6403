"""Findings and procedure over HTTP: lists, reviews, rights, words that are hidden, judging again; on a real server."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import pytest

from cases.appender import Appender
from cases.casework import attaching, case_acts, kinds, recordings
from cases.casework.actor import Actor
from cases.casework.case_acts import CaseWanted
from cases.casework.rows import Case, Step
from cases.facts import fact_of
from cases.judgement.findings import Findings
from pipeline.events import Event, FindingEnded, FindingRaised, RecordingStarted, StreamEnded, StreamStarted, WordsHeard
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.serving import Server, onrecord, until
from tests.stores import opened

pytestmark = pytest.mark.slow

AT = 1_790_000_000.0
EAST, WEST = "东城所", "西城所"
SECRET = "这个红包您务必收下"


def finding(name: str, at_s: float, kind: str = "black", group: str = "integrity", **more: str) -> FindingRaised:
    return FindingRaised(
        at=AT + at_s, stream_id="st_1", recording_id="rec_1", finding_id=name, finding=kind, group=group,
        severity="high", confidence=0.75, start_s=at_s, clip_start_s=max(0.0, at_s - 2), clip_end_s=at_s + 8,
        rule=f"{group}.{kind}@1", explanation=more.get("why", "画面全黑。"), measures="high=12.5\nbound_high=19",
        quotes=more.get("quotes", ""), of_events=more.get("of_events", ""),
    )  # fmt: skip


def heard(text: str, start_s: float) -> WordsHeard:
    return WordsHeard(
        at=AT + start_s, stream_id="st_1", recording_id="rec_1", start_s=start_s, end_s=start_s + 4, text=text,
        normal="", word_times="", language="zh", confidence=0.9, is_doubtful=False, speaker="wearer", model="small@1",
    )  # fmt: skip


SAID = (
    heard("您好，我们是市场监督管理局的执法人员", 2.0), heard("麻烦您配合一下检查", 20.0),
    heard("现在全程录音录像", 70.0), heard("好的谢谢", 150.0),
)  # fmt: skip
TOLD: tuple[Event, ...] = (
    finding("f_1", 10.0), finding("f_2", 20.0), finding("f_3", 700.0, "frozen"),
    FindingEnded(
        at=AT + 30, stream_id="st_1", recording_id="rec_1", finding_id="f_2", finding="black", start_s=20.0, end_s=30.0,
        reason="gone",
    ),
    finding(
        "f_w", 90.0, "bribe_offered", "conduct", why="听到的话符合“行贿”。", quotes=SECRET, of_events="ev_said",
    ),
)  # fmt: skip


@dataclass
class Site:
    """A server over a case of the eastern unit, with words and findings; tokens of people by role and unit."""

    server: Server
    case: Case
    step: Step

    def person(self, role: str, unit: str = EAST, officer_id: str = "") -> str:
        with self.server.access() as access:
            for name in (EAST, WEST):
                access.units.put(name, None)
            login = f"{role}-{'east' if unit == EAST else 'west'}"
            account = access.accounts.add(login, role, role, unit=unit, officer_id=officer_id)
            return self.server.keep(access.create_token(role, account_id=account.account_id))

    def items(self, query: str = "", token: str = "") -> list[dict[str, object]]:
        return self.server.ask(f"/api/v1/findings{query}", token=token or None).items()

    def names(self, query: str = "", token: str = "") -> list[object]:
        return [each["finding_id"] for each in self.items(query, token)]

    def review(self, name: str, verdict: str, reason: str = "看过录像", token: str = "") -> int:
        body = {"verdict": verdict, "reason": reason}
        return self.server.ask(f"/api/v1/findings/{name}/review", "POST", body, token=token or None).status

    def procedure(self, token: str = "") -> dict[str, dict[str, object]]:
        """Duties of the step, by name."""
        answer = self.server.ask(f"/api/v1/cases/{self.case.case_id}/procedure", token=token or None)
        assert answer.status == 200, answer.body
        steps = answer.tree()["steps"]
        assert isinstance(steps, list)
        return {each["duty"]: each for each in steps[0]["duties"]}


async def _made(data: Path) -> tuple[Case, Step]:
    async with opened(StoreSettings(), data) as store:
        clock = ManualClock(AT, 0.0)
        appender = await Appender.load(store, clock, [attaching.Attaching(), Findings()])

        def actor(at_s: float) -> Actor:
            return Actor("prin_1", "林晓岚", round((AT + at_s) * 1e6))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(appender.run)
            wanted = CaseWanted(number="1", kind="food", class_="ordinary", title="超市案", party="", unit=EAST)
            case = await appender.change(partial(case_acts.open_case, actor=actor(0), wanted=wanted))
            step: Step = await appender.change(
                partial(
                    case_acts.start_step, actor=actor(0), case_id=case.case_id, kind="inspection", kinds=kinds.load()
                )
            )
            begun = RecordingStarted(at=AT, stream_id="st_1", recording_id="rec_1", device_id="dev_1", unit=EAST)
            told = (StreamStarted(at=AT, stream_id="st_1", device_id="dev_1"), begun, *SAID, *TOLD)
            await appender.append([fact_of(event) for event in told])
            await appender.change(
                partial(
                    recordings.attach, actor=actor(1), case_id=case.case_id, recording_id="rec_1", step_id=step.step_id
                )
            )
            ended = StreamEnded(at=AT + 900, stream_id="st_1", pts_s=900.0, reason="ended")
            await appender.append([fact_of(ended)])
            over = await appender.change(
                partial(case_acts.end_step, actor=actor(900), case_id=case.case_id, step_id=step.step_id)
            )
            tasks.cancel_scope.cancel()
    return case, over


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    data = tmp_path / "data"
    data.mkdir()
    case, step = anyio.run(_made, data)
    with Server(data) as server:
        until(lambda: server.metric(r"onrecord_rules_in_force") == 1, "the rules are read")
        yield Site(server, case, step)


def test_the_list_says_what_is_known_of_each_and_pages_and_folds(site: Site) -> None:
    everything = site.items()
    assert [each["finding_id"] for each in everything] == ["f_3", "f_w", "f_2", "f_1"]
    last = everything[-1]
    assert last["measures"] == {"high": 12.5, "bound_high": 19}
    assert last["media"] == {"recording_id": "rec_1", "start_s": 8.0, "end_s": 18.0}
    assert (last["state"], last["is_evidence"], last["review"]) == ("new", False, None)
    assert last["case_ids"] == [site.case.case_id]
    assert everything[1]["quotes"] == [SECRET]
    page = site.server.ask("/api/v1/findings?limit=3").tree()
    assert site.names(f"?limit=3&cursor={page['next_cursor']}") == ["f_1"]
    assert site.names("?fold=true") == ["f_3", "f_w", "f_2"]
    assert site.items("?fold=true")[2]["similar"] == 1
    assert site.names("?open=false&finding=black") == ["f_2"]
    assert site.names("?group=conduct") == ["f_w"]
    assert site.names(f"?case_id={site.case.case_id}&finding=frozen") == ["f_3"]
    assert site.server.ask("/api/v1/findings?case_id=case_none").status == 404
    assert site.server.ask("/api/v1/findings?state=old").status == 422
    assert site.server.ask("/api/v1/findings?cursor=x").status == 422


def test_a_review_is_the_state_stands_on_the_timeline_and_counts_for_the_rules_precision(site: Site) -> None:
    answer = site.server.ask("/api/v1/findings/f_1/review", "POST", {"verdict": "confirmed", "reason": "确为遮挡"})
    assert answer.status == 200, answer.body
    found = answer.tree()
    assert (found["state"], found["is_evidence"], found["is_open"]) == ("confirmed", True, True)
    assert found["review"]["reason"] == "确为遮挡"  # type: ignore[index]  # it is an object
    assert site.review("f_1", "rejected", "看错了") == 200
    assert site.names("?state=rejected") == ["f_1"]
    assert site.review("f_2", "confirmed") == 200
    shown = site.server.ask(f"/api/v1/cases/{site.case.case_id}/timeline?kinds=FindingReviewed").items()
    assert [each["verdict"] for each in shown] == ["confirmed", "rejected", "confirmed"]
    rules = {each["rule"]: each for each in site.server.ask("/api/v1/rules").items()}
    black = rules["integrity.black@1"]
    assert (black["raised"], black["confirmed"], black["rejected"], black["precision"]) == (2, 1, 1, 0.5)
    assert 0 < float(str(black["precision_low"])) < 0.5 < float(str(black["precision_high"])) < 1
    assert {each["kind"] for each in rules.values()} == {"duty", "conduct", "signal"}
    assert site.review("f_none", "confirmed") == 404
    for reason in ("", " ", "字" * 501):
        assert site.review("f_1", "confirmed", reason) == 422
    assert site.review("f_1", "new") == 422


def test_who_may_not_read_the_words_sees_the_finding_without_them(site: Site) -> None:
    analyst = site.person("analyst")
    (spoken,) = site.items("?group=conduct", analyst)
    assert (spoken["quotes"], spoken["explanation"], spoken["of_events"]) == ([], "", [])
    assert site.names("", analyst) == ["f_3", "f_w", "f_2", "f_1"]
    (black, _) = site.items("?finding=black", analyst)
    assert black["explanation"] == "画面全黑。", "no words are in it"
    assert site.review("f_1", "confirmed", token=analyst) == 403
    (spoken,) = site.items("?group=conduct", site.person("reviewer"))
    assert spoken["quotes"] == [SECRET]


def test_another_units_finding_is_none(site: Site) -> None:
    west = site.person("commander", WEST)
    assert site.names("", west) == []
    assert site.review("f_1", "confirmed", token=west) == 404
    assert site.server.ask(f"/api/v1/cases/{site.case.case_id}/procedure", token=west).status == 404
    assert site.server.ask(f"/api/v1/cases/{site.case.case_id}/judgements", "POST", token=west).status == 404
    viewer = site.person("viewer")
    assert site.names("", viewer) == [], "the device was not assigned"
    assert site.server.ask("/api/v1/rules", token=viewer).status == 403
    assert site.server.ask("/api/v1/findings", token=site.person("system_admin")).status == 403
    assert site.server.ask("/api/v1/findings", token="").status == 401


def test_a_case_is_judged_by_the_rules_of_now_with_the_clip_behind_each_tick(site: Site) -> None:
    assert site.procedure()["identity_stated"]["verdict"] is None
    where = f"/api/v1/cases/{site.case.case_id}/judgements"
    again = site.server.ask(where, "POST").tree()
    assert again["steps"] == 1
    changed = {each["duty"]: each for each in again["changed"]}  # type: ignore[attr-defined]  # it is a list
    assert changed["identity_stated"]["before"] is None
    assert changed["identity_stated"]["after"]["verdict"] == "observed"
    duties = site.procedure()
    stated = duties["identity_stated"]
    assert stated["verdict"] == "observed"
    assert stated["media"] == {"recording_id": "rec_1", "start_s": 2.0, "end_s": 6.0}
    assert stated["quotes"] == [SAID[0].text]
    assert stated["law"]["article"].startswith("第")  # type: ignore[index]  # it is an object
    assert "late" in duties["recording_notified"]["notes"]  # type: ignore[operator]  # it is a list
    assert duties["recusal_informed"]["verdict"] in ("not_observed", "cannot_tell")
    assert site.server.ask(where, "POST").tree()["changed"] == [], "once"
    archivist = site.person("archivist")
    assert site.server.ask(where, "POST", token=archivist).status == 403
    shown = site.server.ask(f"/api/v1/cases/{site.case.case_id}/timeline?kinds=ProcedureJudged").items()
    assert len(shown) == len(duties)


def test_an_officer_under_complaint_reads_neither_findings_nor_verdicts_of_what_is_withheld(site: Site) -> None:
    body = {"name": "李四", "certificate_number": "京-1", "unit": EAST}
    officer = site.server.ask("/api/v1/officers", "POST", body).tree()["officer_id"]
    token = site.person("officer", officer_id=str(officer))
    assert site.server.ask(f"/api/v1/officers/{officer}/task", "POST", {"case_id": site.case.case_id}).status == 201
    assert site.server.ask(f"/api/v1/cases/{site.case.case_id}/judgements", "POST").status == 200
    assert len(site.names("", token)) == 4
    assert site.procedure(token)["identity_stated"]["quotes"] != []
    with site.server.access() as access:
        archivist = site.server.keep(access.create_token("archivist"))
    body = {"officer_id": str(officer), "reason": "投诉"}
    assert site.server.ask("/api/v1/recordings/rec_1/withheld", "POST", body, token=archivist).status == 204
    assert site.names("", token) == []
    stated = site.procedure(token)["identity_stated"]
    assert (stated["quotes"], stated["why"], stated["media"]) == ([], "", None)
    shown = f"/api/v1/cases/{site.case.case_id}/timeline?kinds=FindingRaised,ProcedureJudged"
    kinds_shown = {each["kind"] for each in site.server.ask(shown, token=token).items()}
    assert "FindingRaised" not in kinds_shown


def test_a_console_judges_again_and_the_server_tells_it_once(site: Site) -> None:
    again = ("rules", "rejudge", "--json", "--processes", "1")
    told = onrecord(site.server.data, *again, "--case", "1")
    assert told.returncode == 0, told.stderr
    (case,) = json.loads(told.stdout)["cases"]
    assert {each["duty"] for each in case["changed"]} >= {"identity_stated", "recording_notified"}

    until(lambda: site.procedure()["identity_stated"]["verdict"] == "observed", "the server told it")
    told = onrecord(site.server.data, *again)
    assert json.loads(told.stdout)["cases"][0]["changed"] == []


def test_open_findings_are_told_to_who_watches_and_no_word_of_them_is_in_the_log(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=15)
    connection.request("GET", "/api/v1/captions", headers={"Authorization": f"Bearer {site.server.token}"})
    answer = connection.getresponse()
    try:
        while not (line := answer.readline().decode()).startswith("event: findings"):
            assert line
        assert json.loads(answer.readline().decode().removeprefix("data: ")) == {"streams": {}}, "nothing is watched"
    finally:
        connection.close()
    site.items()
    site.review("f_w", "rejected", "玩笑")
    where = f"/api/v1/cases/{site.case.case_id}/steps"
    assert site.server.ask(where, "POST", {"kind": "questioning"}).status == 201
    until(lambda: site.server.metric(r"onrecord_judged_steps") == 1, "the step is watched")
    assert site.server.metric(r"onrecord_alarms_per_10_min") >= 0
    assert site.server.metric(r"onrecord_rules_in_force") == 1
    site.server.stop()
    assert SECRET not in site.server.log
    done = onrecord(site.server.data, "verify", str(site.server.data))
    assert "database/findings" not in done.stdout, done.stdout
