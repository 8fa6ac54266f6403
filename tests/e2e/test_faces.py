"""What people see of face matching, in a real browser: why it is off, who may switch it on, galleries, suggestions.

The server is played, shape for shape, with one state that several people's pages look at. What the real server says
and refuses is tested in tests/flow.
"""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from api.faces import LIMITS_EN, LIMITS_ZH
from tests.e2e.conftest import ROOT, Demo
from tests.e2e.record_server import CASE, SESSION, Json, Record, serve
from tests.flow.test_faces import head_of, photo, site
from tests.flow.test_hearing import workers_of
from tests.serving import until
from tests.tools import needs

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DOT = base64.b64decode("R0lGODlhAQABAIAAAJmZmf///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==")
HANDLES = ("faces.read", "faces.enrol", "faces.confirm", "cases.read", "recordings.play")
ASKER = ("安全管理员甲", "faces.state", "faces.switch", "faces.stop")
APPROVER = (
    "法制审核员乙", "faces.state", "faces.approve", "faces.stop", "faces.read", "faces.confirm", "cases.read",
)  # fmt: skip
HANDLER = ("办案人丙", "faces.state", *HANDLES)
COMMANDER = ("指挥员丁", "faces.state", *HANDLES)
READER = ("档案员戊", "faces.state")


def at(offset_s: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=offset_s)).isoformat(timespec="milliseconds")


def soon(*, days: int) -> str:
    """As a field of the page holds it, by this computer's clock."""
    return (datetime.now() + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M")


def suggestion(suggestion_id: str, name: str, **change: Json) -> dict[str, Json]:
    told: dict[str, Json] = {
        "suggestion_id": suggestion_id, "state": "open", "case_id": "case-1", "case_number": CASE["number"],
        "gallery_id": "fgal_1", "gallery_kind": "case", "person_id": "fper_1", "name": name, "officer_id": None,
        "stream_id": "st-1", "at": at(-60), "media": {"recording_id": "rec-1", "start_s": 12.3, "end_s": 17.3},
        "similarity": 0.6149, "second": 0.21, "threshold": 0.42, "fmr": 1e-4, "one_in": 10_000, "basis": "measured",
        "model": "mobilefacenet@1.0", "detector": "scrfd-2.5g@1.0", "looks": 9, "has_shot": True, "decided_at": None,
    }  # fmt: skip
    return told | change


def condition(name: str, zh: str, en: str, *, is_met: bool) -> dict[str, Json]:
    return {"condition": name, "is_met": is_met, "zh": zh, "en": en}


def model(task: str, label: str, license_: str) -> dict[str, Json]:
    is_here = label != ""
    why = "" if is_here else "no entry of this task"
    return {"task": task, "label": label, "is_here": is_here, "why": why, "license": license_, "note": ""}


def gallery(**change: Json) -> dict[str, Json]:
    told: dict[str, Json] = {
        "gallery_id": "fgal_1", "kind": "case", "case_id": "case-1", "case_number": CASE["number"],
        "legal_basis": "《行政处罚法》第五十四条", "notice": "现场已书面告知当事人。", "state": "open",
        "expires_at": at(86_400), "opened_at": at(-600), "opened_by_name": HANDLER[0], "closed_at": None,
        "end_reason": "", "persons": 0, "proposed": 0, "stale": 0,
    }  # fmt: skip
    return told | change


class Matching:
    """The routes of faces; what one person does, the others' pages see."""

    def __init__(self, chromium: Browser, url: str) -> None:
        self.url = url
        self.switch: dict[str, Json] | None = None
        self.count = 0
        self.galleries: list[dict[str, Json]] = []
        self.persons: list[dict[str, Json]] = []
        self.suggestions: list[dict[str, Json]] = []
        self.opinions: list[tuple[str, str, str, str]] = []  # suggestion, who, verdict, reason
        self.refuses: dict[str, Json] | None = None  # the next person who is to be enrolled
        self.record: list[Json] = []
        self.renewals: list[dict[str, Json]] = []  # what the next calls answer
        self._chromium = chromium
        self._pages: list[Page] = []

    def seat(self, who: tuple[str, ...], locale: str = "zh-CN") -> Page:
        """A browser of his own."""
        context = self._chromium.new_context(
            viewport={"width": 1280, "height": 800}, locale=locale, color_scheme="dark"
        )
        page = context.new_page()
        self._pages.append(page)
        name, permissions = who[0], dict.fromkeys(who[1:], "unit")
        session = SESSION | {"name": name, "account_id": name, "permissions": permissions}
        page.route("**/api/v1/session", lambda route: route.fulfill(json=session))
        page.route("**/api/v1/faces", lambda route: route.fulfill(json=self._state(who)))
        page.route("**/api/v1/faces/**", lambda route: self._answer(route, who))
        return page

    def plain(self) -> Page:
        """A browser that no route is played to."""
        context = self._chromium.new_context(viewport={"width": 1280, "height": 800}, locale="zh-CN")
        self._pages.append(context.new_page())
        return self._pages[-1]

    def close(self) -> None:
        for page in self._pages:
            page.context.close()

    @property
    def is_on(self) -> bool:
        return self.switch is not None and self.switch["state"] == "on"

    def _state(self, who: tuple[str, ...]) -> dict[str, Json]:
        asked = self.switch is not None and self.switch["state"] == "asked"
        is_mine = self.switch is not None and self.switch["asked_by_name"] == who[0]
        told: dict[str, Json] = {
            "is_on": self.is_on,
            "why_zh": "", "why_en": "",
            "conditions": [
                condition("models", "未安装模型", "No models are here.", is_met=True),
                condition("assessed", "尚未提出启用申请", "Nobody asked for it.", is_met=asked or self.is_on),
                condition("approved", "尚未经另一人批准", "Nobody else has approved it.", is_met=self.is_on),
                condition("in_time", "不在批准的期限内", "It is not within its time.", is_met=self.is_on),
            ],
            "switch": None if self.switch is None else self.switch | {
                "is_mine": is_mine, "may_approve": asked and not is_mine and "faces.approve" in who,
            },
            "count": self.count, "alarm": 80_000, "limit": 100_000, "is_alarm": self.count >= 80_000, "stale": 0,
            "models": [
                model("detector", "scrfd-2.5g@1.0", "MIT"), model("embedder", "", ""),
            ],
            "notice_zh": "", "notice_en": "",
            "limits_zh": LIMITS_ZH, "limits_en": LIMITS_EN, "record": self.record,
            "may_ask": "faces.switch" in who, "may_approve": "faces.approve" in who,
            "may_stop": "faces.stop" in who,
        }  # fmt: skip
        return told

    def _answer(self, route: Route, who: tuple[str, ...]) -> None:
        request, parts = route.request, urlsplit(route.request.url).path.split("/")[4:]
        body: dict[str, Json] = {}
        if (request.headers.get("content-type") or "").startswith("application/json"):
            body = json.loads(request.post_data or "{}")
        asked = parse_qs(urlsplit(request.url).query)
        assert int(asked.get("limit", ["0"])[0]) <= 200, "the real routes give no more at once"
        match request.method, *parts:
            case "POST", "switch":
                told: dict[str, Json] = {
                    "switch_id": "fsw_1", "state": "asked", "asked_by_name": who[0], "asked_at": at(0),
                    "approved_by_name": "", "approved_at": None, "ended_at": None, "end_reason": "",
                }  # fmt: skip
                self.switch = told | body
                route.fulfill(status=201, json=self.switch)
            case "POST", "switch", "fsw_1", "approve":
                assert self.switch is not None
                assert self.switch["asked_by_name"] != who[0]
                self.switch |= {"state": "on", "approved_by_name": who[0], "approved_at": at(0)}
                route.fulfill(json=self.switch)
            case "DELETE", "switch":
                assert self.switch is not None
                assert body["reason"]
                self.switch |= {"state": "off", "ended_at": at(0), "end_reason": "by_person"}
                route.fulfill(json=self.switch)
            case "GET", "galleries":
                may: dict[str, Json] = dict.fromkeys(("may_enrol", "may_close"), "faces.enrol" in who)
                route.fulfill(json={"items": [each | may for each in self.galleries], "next_cursor": None})
            case "POST", "galleries":
                self.galleries.append(gallery(opened_by_name=who[0], **body))
                route.fulfill(status=201, json=self.galleries[-1])
            case "DELETE", "galleries", _:
                self.galleries[0] |= {"state": "closed", "closed_at": at(0), "end_reason": "by_person"}
                for each in self.persons:
                    each["state"] = "gone"
                route.fulfill(json=self.galleries[0])
            case "POST", "galleries", _, "renew":
                assert body["after"] == ("" if len(self.renewals) > 1 else "ftpl_2"), "it goes on where it was"
                answer = self.renewals.pop(0)
                self.galleries[0]["stale"] = len(answer["refused"]) if not self.renewals else 2  # type: ignore[arg-type]
                route.fulfill(json=answer)
            case "GET", "galleries", _, "persons":
                items = [each | {"may_confirm": each["proposed_by_name"] != who[0]} for each in self.persons]
                route.fulfill(json={"items": items, "next_cursor": None})
            case "POST", "galleries", _, "persons":
                self._enrol(route, who)
            case "POST", "persons", _, "confirm":
                self.persons[0] |= {
                    "state": "enrolled", "templates": 1, "proposed_templates": 0, "decided_at": at(0),
                    "decided_by_name": who[0],
                }  # fmt: skip
                route.fulfill(json=self.persons[0])
            case "GET", "suggestions":
                found = [self._seen(each, who[0]) for each in self.suggestions]
                wanted = {"waiting": ("open", "split")}.get(state := asked.get("state", [""])[0], (state,))
                items = [each for each in found if state == "" or each["state"] in wanted]
                route.fulfill(json={"items": items, "next_cursor": None})
            case "POST", "suggestions", suggestion_id, "opinion":
                self.opinions.append((suggestion_id, who[0], str(body["verdict"]), str(body["reason"])))
                found = [each for each in self.suggestions if each["suggestion_id"] == suggestion_id]
                self._decide(found[0])
                route.fulfill(json=self._seen(found[0], who[0]))
            case "GET", "persons" | "suggestions", _, _:
                route.fulfill(content_type="image/gif", body=DOT)
            case _:
                route.fulfill(status=404, json={"status": 404})

    def _enrol(self, route: Route, who: tuple[str, ...]) -> None:
        if self.refuses is not None:
            answer, self.refuses = self.refuses, None
            route.fulfill(status=422, content_type="application/problem+json", body=json.dumps(answer))
            return
        assert b'name="name"' in (route.request.post_data_buffer or b"")
        person: dict[str, Json] = {
            "person_id": "fper_1", "gallery_id": "fgal_1", "name": "王五", "party": "经营者", "officer_id": None,
            "basis": "同意书 2026-11", "state": "proposed", "proposed_at": at(0), "proposed_by_name": who[0],
            "decided_at": None, "decided_by_name": "", "templates": 0, "proposed_templates": 1,
            "models": ["mobilefacenet@1.0"], "is_stale": False,
        }  # fmt: skip
        self.persons.append(person)
        route.fulfill(status=201, json=person)

    def _seen(self, told: dict[str, Json], by: str) -> dict[str, Json]:
        given = [each for each in self.opinions if each[0] == told["suggestion_id"]]
        is_over = told["state"] in ("confirmed", "rejected")
        shown: list[Json] = [
            {"by_name": name, "is_mine": name == by, "verdict": verdict, "reason": reason, "at": at(0)}
            for _, name, verdict, reason in given
            if is_over or name == by
        ]
        may_judge = not is_over and all(name != by for _, name, _, _ in given)
        return told | {"given": len(given), "opinions": shown, "may_judge": may_judge}

    def _decide(self, told: dict[str, Json]) -> None:
        said = [verdict for found, _, verdict, _ in self.opinions if found == told["suggestion_id"]]
        for verdict, state in (("same", "confirmed"), ("different", "rejected")):
            if said.count(verdict) >= 2:
                told |= {"state": state, "decided_at": at(0)}
                return
        if {"same", "different"} <= set(said):
            told["state"] = "split"


@pytest.fixture
def matching(chromium: Browser) -> Iterator[Matching]:
    pages = ROOT / "web" / "dist"
    if not (pages / "index.html").exists():
        pytest.skip("web/dist is not built: run `npm ci && npm run build` in web/")
    record = Record()
    with serve(record, pages):
        played = Matching(chromium, record.url)
        yield played
        played.close()


def card(page: Page, suggestion_id: str = "s1") -> Locator:
    return page.locator(f"[data-suggestion={suggestion_id}]")


def switched_on(matching: Matching) -> None:
    matching.switch = {
        "switch_id": "fsw_1", "state": "on", "legal_basis": "依据", "approver": "局长", "assessment_id": "PIA-1",
        "reason": "试点", "expires_at": at(30 * 86_400), "asked_by_name": ASKER[0], "asked_at": at(-900),
        "approved_by_name": APPROVER[0], "approved_at": at(-800), "ended_at": None, "end_reason": "",
    }  # fmt: skip


def test_a_page_that_is_off_says_why_and_what_it_would_take_in_both_languages(matching: Matching) -> None:
    page = matching.seat(READER)
    page.goto(f"{matching.url}/#/faces")
    expect(page.locator("[data-switch=off]")).to_contain_text("人脸比对未启用")
    expect(page.locator("[data-condition=assessed]")).to_contain_text("尚未提出启用申请")
    expect(page.locator("[data-condition=models]")).to_contain_text("模型已安装")
    main = page.locator("main")
    for part in ("法律依据", "影响评估的编号", "申请人以外的另一人", "到期自动停止", "告知被拍摄者"):
        expect(main).to_contain_text(part)
    expect(page.locator("[data-show=limits]")).to_contain_text("手持照片、面具等冒用（呈现攻击）识别不出")
    expect(page.locator("[data-condition=approved]")).to_have_attribute("data-met", "false")
    expect(page.locator("[data-action=ask-faces], [data-action=faces-off]")).to_have_count(0)
    expect(page.locator("[data-show=others]")).to_be_visible()
    expect(page.locator("[data-model=embedder]")).to_contain_text("没有安装")

    page.locator("[data-action=language]").click()
    expect(page.locator("[data-condition=approved]")).to_contain_text("Nobody else has approved it.")
    expect(page.locator("[data-show=limits]")).to_contain_text("a presentation attack")
    for part in ("A legal basis", "impact assessment", "a person other than the one who asks", "An expiry", "A notice"):
        expect(main).to_contain_text(part)
    expect(page.locator("[data-tab]")).to_have_count(1)

    handler = matching.seat(HANDLER, "en-US")
    handler.goto(f"{matching.url}/#/faces/galleries")
    expect(handler.locator("main")).to_contain_text("A gallery can be made once face matching is on")
    handler.locator("[data-tab=suggestions]").click()
    expect(handler.locator("main")).to_contain_text("Face matching is off; there will be no new ones.")


def test_who_may_not_read_of_faces_is_led_elsewhere(matching: Matching) -> None:
    page = matching.seat(("某人", "cases.read"))
    page.goto(f"{matching.url}/#/faces")
    expect(page.locator("[data-action=cases]")).to_have_attribute("aria-current", "page")
    expect(page.locator("[data-action=faces]")).to_have_count(0)


def test_the_switch_is_asked_for_by_one_approved_by_another_and_ended_by_either(matching: Matching) -> None:
    asker, approver = matching.seat(ASKER), matching.seat(APPROVER)
    asker.goto(f"{matching.url}/#/faces")
    asker.locator("[data-action=ask-faces]").click()
    send = asker.locator("[data-action=send-switch]")
    expect(send).to_be_disabled()
    asker.fill("[name=legal-basis]", "《个人信息保护法》第十三条第三项")
    asker.fill("[name=assessment]", "PIA-2026-007")
    asker.fill("[name=approver]", "张局长")
    asker.fill("[name=purpose]", "确认两名执法人员在场")
    expect(send).to_be_disabled()
    asker.fill("[name=until]", soon(days=30))
    send.click()
    expect(asker.locator("[data-show=said]")).to_contain_text("等待另一人批准")
    expect(asker.locator("[data-show=own]")).to_contain_text("须由另一人批准")
    expect(asker.locator("[data-action=approve-faces]")).to_have_count(0)
    expect(asker.locator("[data-switch=off]")).to_be_visible()

    approver.goto(f"{matching.url}/#/faces")
    application = approver.locator("[data-application=asked]")
    for part in ("《个人信息保护法》第十三条第三项", "PIA-2026-007", "张局长", "确认两名执法人员在场", ASKER[0]):
        expect(application).to_contain_text(part)
    approver.locator("[data-action=approve-faces]").click()
    expect(approver.locator("[data-switch=on]")).to_contain_text("人脸比对已启用")
    expect(asker.locator("[data-application=on]")).to_contain_text(APPROVER[0], timeout=15_000)

    asker.locator("[data-action=faces-off]").click()
    asker.keyboard.press("Escape")
    expect(asker.locator("[data-action=faces-off]")).to_be_focused()
    asker.keyboard.press("Enter")
    box = asker.locator("[data-form=reason]")
    expect(box).to_contain_text("无法恢复")
    expect(box.locator("[data-action=send-reason]")).to_be_disabled()
    box.locator("[name=reason]").fill("评估到期")
    asker.keyboard.press("Enter")
    expect(asker.locator("[data-switch=off]")).to_be_visible()
    expect(approver.locator("[data-application=off]")).to_contain_text("由人关闭", timeout=15_000)


def test_a_gallery_shows_its_basis_and_end_and_a_person_is_confirmed_by_another_than_who_proposed(
    matching: Matching,
) -> None:
    switched_on(matching)
    matching.galleries = [gallery(proposed=1)]
    page = matching.seat(HANDLER)
    page.goto(f"{matching.url}/#/faces/galleries")
    row = page.locator("tr[data-gallery=case]")
    expect(row).to_contain_text("《行政处罚法》第五十四条")
    expect(row.locator("time")).to_have_attribute("datetime", str(matching.galleries[0]["expires_at"]))
    row.get_by_role("link").click()
    expect(page.locator("main")).to_contain_text("现场已书面告知当事人。")
    page.locator("[data-action=enrol]").click()
    page.fill("[name=name]", "王五")
    page.fill("[name=basis]", "同意书 2026-11")
    pictures = [{"name": f"{n}.gif", "mimeType": "image/gif", "buffer": DOT} for n in (1, 2)]
    page.set_input_files("[name=photos]", pictures)  # type: ignore[arg-type]  # a FilePayload by its shape
    matching.refuses = {"title": "x", "status": 422, "detail": "as told", "reason": "several_faces", "index": 1}
    page.locator("[data-action=send-person]").click()
    expect(page.locator("[data-show=refusal]")).to_contain_text("第 2 张：有多张人脸；请裁成只有这一个人。")
    expect(page.locator("[data-show=refusal]")).to_contain_text("什么也没有保存。")
    page.locator("[data-action=send-person]").click()
    expect(page.locator("[data-show=said]")).to_contain_text("等待另一人确认")
    person = page.locator("[data-person=proposed]")
    expect(person).to_contain_text("王五")
    expect(page.locator("[data-action=look-person]")).to_have_count(0)

    other = matching.seat(COMMANDER)
    other.goto(f"{matching.url}/#/faces/galleries/fgal_1")
    other.locator("[data-action=look-person]").click()
    expect(other.locator("[data-picture=person] img")).to_be_visible()
    other.locator("[data-action=confirm-person]").click()
    expect(other.locator("[data-person=enrolled]")).to_contain_text(COMMANDER[0])
    other.locator("[data-action=close-gallery]").click()
    expect(other.locator("[data-form=reason]")).to_contain_text("备份里的副本也无法再解开")
    other.locator("[data-form=reason] [name=reason]").fill("案件移送")
    other.keyboard.press("Enter")
    expect(other.locator("[data-show=closed]")).to_contain_text("密钥已销毁")
    expect(other.locator("[data-person=gone]")).to_have_count(1)
    expect(other.locator("[data-action=enrol]")).to_have_count(0)


def test_two_people_confirm_a_suggestion_and_the_second_does_not_see_what_the_first_said(matching: Matching) -> None:
    switched_on(matching)
    matching.suggestions = [suggestion("s1", "王五"), suggestion("s2", "赵六", at=at(-90), basis="stated")]
    first, second = matching.seat(HANDLER), matching.seat(APPROVER)
    first.goto(f"{matching.url}/#/faces/suggestions")
    expect(card(first).locator("[data-show=odds]")).to_contain_text("约每 10,000 名陌生人中有 1 人同样相似")
    expect(card(first)).to_contain_text("只是提示，不是身份认定")
    expect(card(first)).to_contain_text("由 9 幅画面合起来判断")
    expect(card(first)).to_contain_text("mobilefacenet 1.0")
    expect(card(first).locator("figure img")).to_have_count(2)
    expect(card(first, "s2").locator("[data-show=odds]")).to_contain_text("误认率未知")
    first.keyboard.press("j")
    first.keyboard.press("k")
    first.keyboard.press("s")
    expect(first.locator("[data-action=send-opinion]")).to_be_disabled()
    first.keyboard.type("眉间有同样的痣")
    first.keyboard.press("Enter")
    expect(first.locator("[data-show=said]")).to_contain_text("等另一人")
    expect(card(first).locator("[data-opinion]")).to_contain_text("眉间有同样的痣")
    expect(card(first)).to_have_attribute("data-standing", "waits")

    second.goto(f"{matching.url}/#/faces/suggestions")
    expect(card(second).locator("[data-show=hidden]")).to_contain_text("他人已给出 1 条意见")
    expect(second.locator("main")).not_to_contain_text("眉间有同样的痣")
    expect(second.locator("main")).not_to_contain_text(HANDLER[0])
    card(second).locator("[data-action=same]").click()
    second.locator("[data-form=opinion] [name=reason]").fill("轮廓一致")
    second.locator("[data-action=send-opinion]").click()
    expect(card(second)).to_have_attribute("data-state", "confirmed")
    expect(card(second).locator("[data-opinion]")).to_have_count(2)
    expect(card(second)).to_contain_text("眉间有同样的痣")
    expect(card(second).locator("[data-show=only-suggested]")).to_have_count(0)
    assert [each[2] for each in matching.opinions] == ["same", "same"]


def test_where_two_differ_a_third_decides(matching: Matching) -> None:
    switched_on(matching)
    matching.suggestions = [suggestion("s1", "王五")]
    matching.opinions = [("s1", HANDLER[0], "same", "像")]
    second, third = matching.seat(APPROVER), matching.seat(COMMANDER)
    second.goto(f"{matching.url}/#/faces/suggestions")
    expect(card(second)).to_be_visible()
    second.keyboard.press("d")
    second.keyboard.type("耳形不同")
    second.keyboard.press("Enter")
    expect(second.locator("[data-show=said]")).to_contain_text("等第三人决定")
    expect(card(second).locator("[data-opinion]")).to_have_count(1)
    third.goto(f"{matching.url}/#/faces/suggestions/case-1")
    expect(card(third).locator("[data-show=standing]")).to_contain_text("由您作为第三人决定")
    expect(card(third).locator("[data-opinion]")).to_have_count(0)
    card(third).locator("[data-action=different]").click()
    third.keyboard.type("年龄相差很大")
    third.keyboard.press("Escape")
    expect(third.locator("[data-form=opinion]")).to_have_count(0)
    third.keyboard.press("d")
    third.keyboard.type("不是一个人")
    third.keyboard.press("Enter")
    expect(card(third)).to_have_attribute("data-state", "rejected")
    expect(card(third).locator("[data-opinion]")).to_have_count(3)


def test_a_case_leads_to_its_suggestions_and_its_timeline_tells_them(matching: Matching) -> None:
    page = matching.seat(HANDLER)
    matching.suggestions = [suggestion("s1", "王五")]
    page.goto(f"{matching.url}/#/cases/case-1")
    page.locator("[data-action=suggestions]").click()
    expect(card(page)).to_contain_text("画面里的人是“王五”吗？")
    expect(page.locator("[data-action=all]")).to_be_visible()


def alarmed(matching: Matching) -> None:
    matching.count = 80_001


def full(matching: Matching) -> None:
    matching.count = 100_000


@pytest.mark.parametrize(
    ("given", "said"), [(alarmed, "30 个工作日内"), (full, "已到上限，不再入库")], ids=["alarm", "full"]
)
def test_too_many_persons_are_told(matching: Matching, given: Callable[[Matching], None], said: str) -> None:
    given(matching)
    page = matching.seat(READER)
    page.goto(f"{matching.url}/#/faces")
    expect(page.locator("[data-count=alarm]")).to_be_visible()
    expect(page.locator("main")).to_contain_text(said)


def test_in_the_demo_faces_are_off_and_the_page_says_why(page: Page, demo: Demo) -> None:
    page.goto(demo.link_of("security"))
    page.locator("[data-action=faces]").click()
    expect(page.locator("[data-switch=off]")).to_contain_text("人脸比对未启用")
    expect(page.locator("[data-condition=assessed]")).to_have_attribute("data-met", "false")
    expect(page.locator("[data-show=limits]")).to_contain_text("呈现攻击")
    expect(page.locator("[data-action=ask-faces]")).to_be_visible()


def test_in_the_demo_one_asks_another_approves_a_gallery_is_made_and_the_end_of_the_switch_ends_it(
    matching: Matching, demo: Demo
) -> None:
    asker, approver, commander = (matching.plain() for _ in range(3))
    demo.run("user", "add", "legal", "--role", "reviewer", "--name", "法制审核员")
    for page, login in ((asker, "security"), (approver, "legal"), (commander, "commander")):
        page.goto(demo.link_of(login))
        page.locator("[data-action=faces]").click()
    asker.locator("[data-action=ask-faces]").click()
    for field in ("legal-basis", "assessment", "approver", "purpose"):
        asker.fill(f"[name={field}]", f"{field} 的内容")
    asker.fill("[name=until]", soon(days=2))
    asker.locator("[data-action=send-switch]").click()
    expect(asker.locator("[data-show=own]")).to_be_visible()
    approver.locator("[data-action=approve-faces]").click()
    expect(approver.locator("[data-application=on]")).to_contain_text("法制审核员")
    has_models = approver.locator("[data-condition=models]").get_attribute("data-met") == "true"
    if has_models:
        commander.locator("[data-tab=galleries]").click()
        commander.locator("[data-action=open-gallery]").click()
        commander.locator("[name=case]").select_option(index=1)
        commander.fill("[name=legal-basis]", "《行政处罚法》第五十四条")
        commander.fill("[name=notice]", "已书面告知")
        commander.fill("[name=until]", soon(days=1))
        commander.locator("[data-action=send-gallery]").click()
        expect(commander.locator("[data-gallery=case]")).to_contain_text("《行政处罚法》第五十四条")
    asker.locator("[data-action=faces-off]").click()
    asker.keyboard.type("演示结束")
    asker.keyboard.press("Enter")
    expect(asker.locator("[data-application=off]")).to_contain_text("由人关闭")
    if has_models:
        commander.reload()
        expect(commander.locator("[data-gallery=case]")).to_contain_text("人脸比对已关闭")


@needs("ffmpeg")
def test_with_real_weights_a_face_before_the_camera_is_confirmed_by_two_people_in_the_browser(
    matching: Matching, tmp_path: Path
) -> None:
    with site(tmp_path) as at_site:
        at_site.switch_on()
        at_site.enrol(at_site.gallery(), photo("obama-1"), photo("obama-2"))
        until(lambda: len(workers_of(at_site.server)) == 1, "a worker runs", 30)
        at_site.film(head_of(tmp_path, "obama-3"))
        until(lambda: bool(at_site.told("FaceSuggested")), "a suggestion", 60)
        at_site.stop()  # a stall of this machine would begin another track, and so another suggestion
        first, second = matching.plain(), matching.plain()
        with at_site.server.access() as access:
            for page, role in ((first, "commander"), (second, "reviewer")):
                account = access.accounts.add(role, role, role, unit="", by="test")
                code = access.accounts.link(account.account_id, 600, must_enrol=False)
                page.goto(f"http://127.0.0.1:{at_site.server.port}/#code={code}")
                page.locator("[data-action=faces]").click()
                page.locator("[data-tab=suggestions]").click()
        only = "[data-suggestion]"
        expect(first.locator(only)).to_contain_text("画面里的人是“张三”吗？")
        expect(first.locator("[data-show=odds]")).to_contain_text("误认率未知")
        for picture in first.locator(f"{only} img").all():
            expect(picture).to_have_js_property("naturalWidth", 112)
        first.keyboard.press("s")
        first.keyboard.type("五官一致")
        first.keyboard.press("Enter")
        expect(first.locator(only)).to_have_attribute("data-standing", "waits")
        second.reload()
        expect(second.locator("[data-show=hidden]")).to_be_visible()
        expect(second.locator("main")).not_to_contain_text("五官一致")
        second.keyboard.press("s")
        second.keyboard.type("眉形一致")
        second.keyboard.press("Enter")
        expect(second.locator(only)).to_have_attribute("data-state", "confirmed")
        expect(second.locator(only)).to_contain_text("五官一致")
        second.locator(f"{only} [data-action=case]").click()
        expect(second.locator("[data-kind=FaceConfirmed]")).to_contain_text("两人确认：画面里的人是“张三”")
        expect(second.locator("[data-kind=FaceSuggested] [data-show=only-suggested]")).to_have_count(0)
