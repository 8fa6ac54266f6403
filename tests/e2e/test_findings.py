"""What people see of findings, in a real browser: on the wall, in the list, on the page of a case.

The server is played, shape for shape, so that what it says can be changed while the page looks. A played event stream
ends at once, as `Route.fulfill` cannot hold one open; the page comes back for the next after its back-off.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import ROOT, Demo
from tests.e2e.record_server import SESSION, STREAMS, Json, Record, serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PERMITTED = ("streams.watch", "findings.read", "findings.review", "rules.read", "cases.read", "cases.rejudge")
MARK = "[data-action=tile-findings]"
PANEL = "[data-show=findings-panel]"


def at(offset_s: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=offset_s)).isoformat(timespec="milliseconds")


def finding(finding_id: str, kind: str, group: str, severity: str, **change: Json) -> dict[str, Json]:
    told: dict[str, Json] = {
        "finding_id": finding_id, "finding": kind, "group": group, "severity": severity, "confidence": 0.87,
        "state": "new", "is_open": True, "raised_at": at(-20), "ended_at": None, "end_reason": "", "stream_id": "st-1",
        "device_name": "记录仪 A-01", "officer": "李四", "case_ids": [], "rule": f"made.{kind}@0a1b2c3d",
        "explanation": f"{kind} 的说明。", "measures": {"mean": 11.25}, "quotes": ["这点意思"], "of_events": [],
        "media": {"recording_id": "rec-1", "start_s": 12.3, "end_s": 20.0}, "review": None, "similar": 0,
        "is_evidence": False,
    }  # fmt: skip
    return told | change


class Noticing:
    """The routes of findings, of rules and of a case's procedure; the test writes what they say."""

    def __init__(self, page: Page) -> None:
        self.found: list[dict[str, Json]] = []
        self.open: dict[str, list[str]] = {}
        self.reviews: list[tuple[str, dict[str, str]]] = []
        self.rules: dict[str, Json] = {}
        self.procedure: dict[str, Json] = {"ruleset": {"version": "0a1b2c3d", "label": "2026-11"}, "steps": []}
        self.again: tuple[int, dict[str, Json]] = (403, {"title": "Forbidden", "status": 403})
        session = SESSION | {"permissions": dict.fromkeys(PERMITTED, "unit")}
        live: list[Json] = [dict(each) | {"state": "live"} for each in STREAMS if isinstance(each, dict)]
        page.route("**/api/v1/session", lambda route: route.fulfill(json=session))
        page.route("**/api/v1/streams", lambda route: route.fulfill(json={"items": live, "now": at(0)}))
        page.route("**/api/v1/streams/*/ticket", lambda route: route.fulfill(status=404, json={"status": 404}))
        page.route("**/api/v1/captions", self._captions)
        page.route("**/api/v1/findings?*", self._list)
        page.route("**/api/v1/findings/*/review", self._review)
        page.route("**/api/v1/rules", lambda route: route.fulfill(json=self.rules))
        page.route("**/api/v1/cases/case-1/procedure", lambda route: route.fulfill(json=self.procedure))
        page.route("**/api/v1/cases/case-1/judgements", self._judge)

    def of(self, finding_id: str) -> dict[str, Json]:
        return next(each for each in self.found if each["finding_id"] == finding_id)

    def _captions(self, route: Route) -> None:
        streams = {stream_id: [self.of(each) for each in ids] for stream_id, ids in self.open.items()}
        body = f"event: findings\ndata: {json.dumps({'streams': streams})}\n\n"
        route.fulfill(status=200, content_type="text/event-stream", body=body)

    def _list(self, route: Route) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(route.request.url).query).items()}
        names = [name for name in ("state", "group", "severity", "stream_id", "finding") if name in asked]
        items = [
            each
            for each in self.found
            if all(each[name] == asked[name] for name in names) and (asked.get("open") != "true" or each["is_open"])
        ]
        route.fulfill(json={"items": items, "next_cursor": None})

    def _review(self, route: Route) -> None:
        finding_id, body = route.request.url.split("/")[-2], json.loads(route.request.post_data or "{}")
        self.reviews.append((finding_id, body))
        said = {"verdict": body["verdict"], "reason": body["reason"], "by_name": "指挥员", "at": at(0)}
        is_evidence = body["verdict"] == "confirmed"
        self.of(finding_id).update(state=body["verdict"], review=said, is_evidence=is_evidence, is_open=is_evidence)
        route.fulfill(json=self.of(finding_id))

    def _judge(self, route: Route) -> None:
        status, body = self.again
        route.fulfill(status=status, json=body)


@pytest.fixture
def record() -> Iterator[Record]:
    pages = ROOT / "web" / "dist"
    if not (pages / "index.html").exists():
        pytest.skip("web/dist is not built: run `npm ci && npm run build` in web/")
    record = Record()
    with serve(record, pages):
        yield record


@pytest.fixture
def noticing(page: Page) -> Noticing:
    return Noticing(page)


def tile(page: Page, stream_id: str) -> Locator:
    return page.locator(f"[data-stream={stream_id}]")


def test_a_finding_stands_on_its_tile_by_word_and_shape_and_goes_when_it_is_over(
    page: Page, record: Record, noticing: Noticing
) -> None:
    noticing.found = [
        finding("f1", "bribe_offered", "conduct", "critical"), finding("f2", "shouting", "sound", "medium"),
        finding("f3", "stream_thin", "integrity", "low"), finding("f4", "duty_missing", "procedure", "high"),
    ]  # fmt: skip
    noticing.open = {"st-1": ["f2", "f1", "f4"], "st-2": ["f3"]}
    page.goto(f"{record.url}/#/")
    expect(tile(page, "st-1").locator(MARK)).to_have_text(re.compile(r"危急\s*疑似许以好处\s*\+1"))
    expect(tile(page, "st-1").locator("[data-frame=critical]")).to_be_visible()
    expect(tile(page, "st-1").locator("[data-action=tile-missing]")).to_contain_text("缺 1")
    expect(tile(page, "st-2").locator(MARK)).to_contain_text("码流过低")
    expect(tile(page, "st-2").locator("[data-frame]")).to_have_count(0)
    shapes = [tile(page, each).locator(f"{MARK} svg").inner_html() for each in ("st-1", "st-2")]
    assert shapes[0] != shapes[1]
    said = page.locator("[data-show=findings-said]")
    expect(said).to_have_attribute("aria-live", "polite")
    expect(said).to_contain_text("记录仪 A-01：危急，疑似许以好处。")

    noticing.open = {"st-2": ["f3"]}
    expect(tile(page, "st-1").locator(MARK)).to_have_count(0)
    expect(tile(page, "st-1").locator("[data-frame]")).to_have_count(0)


def test_findings_are_shown_where_captions_are_switched_off(page: Page, record: Record, noticing: Noticing) -> None:
    noticing.found = [finding("f1", "frozen", "integrity", "high")]
    noticing.open = {"st-1": ["f1"]}
    page.goto(f"{record.url}/#/")
    expect(tile(page, "st-1").locator(MARK)).to_be_visible()
    page.keyboard.press("c")
    page.reload()
    expect(page.locator("[data-action=captions]")).to_have_attribute("aria-pressed", "false")
    expect(tile(page, "st-1").locator(MARK)).to_contain_text("画面冻结")


def test_keys_open_the_findings_of_a_tile_and_reject_one_with_its_reason(
    page: Page, record: Record, noticing: Noticing
) -> None:
    noticing.found = [finding("f1", "shouting", "sound", "high")]
    noticing.open = {"st-1": ["f1"]}
    page.goto(f"{record.url}/#/")
    expect(tile(page, "st-1").locator(MARK)).to_be_visible()
    page.keyboard.press("Digit1")
    page.keyboard.press("a")
    panel = page.locator(PANEL)
    expect(panel).to_contain_text("未经确认，不是证据")
    page.keyboard.press("r")
    expect(panel.locator("[data-action=send-review]")).to_be_disabled()
    page.keyboard.press("Enter")
    assert noticing.reviews == [], "a review without a reason was sent"
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(panel.locator("[data-show=said]")).to_contain_text("已计入规则 made.shouting 的准确率")
    assert noticing.reviews == [("f1", {"verdict": "rejected", "reason": "没有发生，误报"})]
    expect(tile(page, "st-1").locator(MARK)).to_have_count(0)
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(tile(page, "st-1")).to_be_focused()


def test_a_grave_finding_on_another_page_is_told_and_leads_there(
    page: Page, record: Record, noticing: Noticing
) -> None:
    noticing.found = [
        finding("f1", "officer_distress", "conduct", "critical", stream_id="st-2"),
        finding("f2", "blurred", "integrity", "medium", stream_id="st-2"),
    ]  # fmt: skip
    page.goto(f"{record.url}/#/")
    expect(tile(page, "st-2")).to_be_visible()
    page.keyboard.press("Shift+Digit1")
    strip = page.locator("[data-show=findings-strip]")
    expect(strip).to_contain_text("记录仪 A-02 · 执法人员遇险", timeout=15_000)
    strip.get_by_role("button").click()
    expect(tile(page, "st-2")).to_be_visible()
    expect(strip).to_have_count(0, timeout=15_000)


def test_the_list_is_gone_through_by_keys_and_only_what_is_confirmed_is_evidence(
    page: Page, record: Record, noticing: Noticing
) -> None:
    noticing.found = [
        finding("f1", "black", "integrity", "high", raised_at=at(-5)),
        finding("f2", "threat", "conduct", "critical", raised_at=at(-9)),
    ]
    page.goto(f"{record.url}/#/findings")
    cards = page.locator("[data-finding]")
    expect(cards).to_have_count(2)
    expect(page.locator("[data-show=not-evidence]")).to_have_count(2)
    page.keyboard.press("j")
    chosen = page.locator("article[aria-current=true]")
    expect(chosen).to_contain_text("这点意思")
    page.keyboard.press("c")
    page.keyboard.press("Space")
    page.locator("input[name=words]").fill("第 3 秒")
    page.keyboard.press("Enter")
    expect(cards.nth(1).locator("[data-show=review]")).to_contain_text("已确认，理由：看过录像，属实：第 3 秒")
    expect(cards.nth(1).locator("[data-show=not-evidence]")).to_have_count(0)
    expect(cards.nth(0).locator("[data-show=not-evidence]")).to_have_count(1)


def test_rules_tell_their_precision_from_five_reviews_on_and_too_many_alarms_by_word(
    page: Page, record: Record, noticing: Noticing
) -> None:
    rule: dict[str, Json] = {
        "rule": "pictures.black@0a1b2c3d", "kind": "signal", "finding_or_duty": "black", "zh": "画面全黑",
        "en": "Black", "severity": "high", "law": None, "raised": 9, "confirmed": 4, "rejected": 1, "precision": 0.8,
        "precision_low": 0.376, "precision_high": 0.964,
    }  # fmt: skip
    few = rule | {"rule": "pictures.frozen@0a1b2c3d", "confirmed": 3, "rejected": 1, "precision": 0.75}
    noticing.rules = {"version": "0a1b2c3d", "label": "", "refusal": "", "items": [rule, few], "alarms_per_10_min": 2.5}
    page.goto(f"{record.url}/#/findings/rules")
    expect(page.locator("[data-precision]")).to_have_text(["80 %（38–96 %）", "—"])
    expect(page.locator("[data-rate]")).to_contain_text("超出目标")


def duty(name: str, verdict: str | None, **change: Json) -> dict[str, Json]:
    told: dict[str, Json] = {
        "duty": name, "zh": f"{name} 的名称", "en": name, "is_required": True, "severity": "high", "verdict": verdict,
        "law": {"name": "行政处罚法", "article": "第五十五条", "text": "应当主动出示执法证件。"}, "judged_at": at(-9),
        "confidence": 0.9, "coverage": 0.92, "deadline_at": None, "rule": f"{name}@0a1b2c3d", "why": "依据。",
        "quotes": [], "notes": [], "media": None, "history": [],
    }  # fmt: skip
    return told | change


def of_step(*duties: Json) -> dict[str, Json]:
    step: dict[str, Json] = {
        "step_id": "s2", "kind": "inspection", "started_at": at(-90), "ended_at": None, "is_running": True,
        "duties": list(duties),
    }  # fmt: skip
    return {"ruleset": {"version": "0a1b2c3d", "label": "2026-11"}, "steps": [step]}


def test_the_checklist_of_the_running_step_ticks_as_verdicts_come(
    page: Page, record: Record, noticing: Noticing
) -> None:
    open_duty = duty("certificate_shown", None, deadline_at=at(70))
    missing = duty("recording_notified", "not_observed", coverage=0.96)
    unsure = duty("grounds_stated", "cannot_tell", coverage=0.41)
    noticing.procedure = of_step(missing, unsure, open_duty)
    page.goto(f"{record.url}/#/cases/case-1")
    rows = page.locator("[data-duty]")
    expect(rows.locator(".verdict")).to_have_text(["未见", "无法判断", "等待"])
    expect(rows.nth(0).locator("[data-show=coverage]")).to_have_text("听清 96 %")
    expect(page.locator("[data-show=missing]")).to_contain_text("缺 1 项：recording_notified 的名称")
    left = rows.nth(2).locator("[data-show=left]")
    expect(left).to_contain_text(re.compile(r"还剩 1 分 0\d 秒"))
    before = left.inner_text()
    expect(left).not_to_have_text(before)

    expect(page.locator("[data-tail=live]")).to_be_visible()
    seen = duty("certificate_shown", "observed", quotes=["这是我们的执法证"], notes=["late"])
    noticing.procedure = of_step(missing, unsure, seen)
    record.tell("ProcedureJudged", 1_795_484_000.0, step_id="s2", duty="certificate_shown", verdict="observed",
                coverage=0.92, why="", stream_id=None)  # fmt: skip
    expect(rows.nth(2).locator(".verdict")).to_have_text("已见")
    expect(rows.nth(2)).to_contain_text("这是我们的执法证")
    expect(rows.nth(2).locator("[data-note=late]")).to_contain_text("晚于时限")
    expect(page.locator("[data-kind=ProcedureJudged]")).to_contain_text("certificate_shown 的名称：已见（听清 92 %）")
    rows.nth(2).locator("summary").click()
    expect(rows.nth(2)).to_contain_text("应当主动出示执法证件。")


def test_judging_again_shows_the_difference_or_that_one_may_not(page: Page, record: Record, noticing: Noticing) -> None:
    past: Json = {
        "verdict": "not_observed",
        "rule": "grounds_stated@99887766",
        "judged_at": at(-50),
        "why": "没有听到。",
    }
    noticing.procedure = of_step(duty("grounds_stated", "not_observed"))
    page.goto(f"{record.url}/#/cases/case-1")
    page.locator("[data-action=judge]").click()
    expect(page.locator("[data-show=procedure] [role=alert]")).to_have_text("没有重判的权限")
    change: Json = {
        "step_id": "s2", "duty": "grounds_stated", "before": {"verdict": "not_observed", "rule": "a@1"},
        "after": {"verdict": "observed", "rule": "a@2"},
    }  # fmt: skip
    counts: Json = {"raised": 1, "unchanged": 4, "not_raised_now": 0}
    noticing.again = (200, {"version": "b2", "steps": 1, "changed": [change], "findings": counts})
    noticing.procedure = of_step(duty("grounds_stated", "observed", history=[past]))
    page.locator("[data-action=judge]").click()
    expect(page.locator("[data-change]")).to_have_text(["现场检查 · grounds_stated 的名称：未见 → 已见"])
    row = page.locator("[data-duty]")
    expect(row.locator("[data-show=rejudged]")).to_contain_text("按新规则重判")
    row.locator("[data-show=history] summary").click()
    expect(row).to_contain_text("grounds_stated@99887766")


def test_what_the_demo_notices_is_rejected_and_counts_in_the_precision_of_its_rule(page: Page, demo: Demo) -> None:
    page.goto(demo.link_of("commander"))
    expect(page.locator("main[data-layout]")).to_be_visible()
    page.goto(f"{demo.url}/#/findings")
    card = page.locator("article[aria-current=true]")
    expect(card).to_be_visible(timeout=120_000)
    page.keyboard.press("r")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    said = page.locator("[data-show=said]")
    expect(said).to_contain_text("已计入规则")
    rule = re.search(r"已计入规则 (\S+) 的准确率", said.inner_text())
    assert rule is not None
    page.goto(f"{demo.url}/#/findings/rules")
    expect(page.locator(f"[data-rule^='{rule[1]}@'] td:nth-child(7)", has_text=re.compile(r"^[1-9]"))).to_have_count(1)
    page.goto(f"{demo.url}/#/cases")
    page.get_by_role("row", name="惠民超市").get_by_role("link").click()
    expect(page.locator("[data-duty] .verdict").first).to_be_visible()
