"""The pages of the cases in a real browser, against a record that the test writes."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import ROOT, Demo
from tests.e2e.record_server import CASE, SESSION, Json, Record, serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]

START_S = 1_795_484_000.0  # 2026-11-24, a working morning
ROW = "[data-event]"
LOG = "[role=log]"


@pytest.fixture
def record() -> Iterator[Record]:
    pages = ROOT / "web" / "dist"
    if not (pages / "index.html").exists():
        pytest.skip("web/dist is not built: run `npm ci && npm run build` in web/")
    record = Record()
    with serve(record, pages):
        yield record


def open_case(page: Page, record: Record) -> None:
    page.goto(f"{record.url}/#/cases/case-1")
    expect(page.locator("[data-tail=live]")).to_be_visible()


def a_morning(record: Record) -> None:
    """A stream with a gap, notes, views and segments."""
    record.tell("CaseOpened", START_S, number=CASE["number"], title=CASE["title"], by="指挥员", stream_id=None)
    record.tell("StepStarted", START_S + 5, step_id="s2", by="指挥员", stream_id=None)
    record.tell("StreamStarted", START_S + 10, device_id="dev-1")
    record.tell("RecordingAttached", START_S + 10, recording_id="rec-20261124-01", how="task")
    for n in range(12):
        record.tell(
            "SegmentClosed",
            START_S + 20 + 10 * n,
            file=f"{n:04}.mp4",
            start_s=10.25 * n,
            end_s=10.25 * (n + 1),
            size_bytes=2_500_000,
        )
    record.tell("ViewStarted", START_S + 141, by="指挥员", view_id="v1")
    record.tell("StreamInterrupted", START_S + 142, pts_s=123.0, reason="publisher_lost")
    record.tell("MediaLost", START_S + 150, recording_id="r", start_s=123.0, end_s=130.5, cause="publisher_lost")
    record.tell("StreamResumed", START_S + 150, start_s=123.0, end_s=130.5)
    record.tell("NoteAdded", START_S + 160, by="指挥员", text="当事人在场，已出示执法证\n第二行", stream_id=None)
    record.tell("NoteAdded", START_S + 161, by="张\u202e三", text="合格\u202e格合不", stream_id=None)
    record.tell("TeaServed", START_S + 170)
    record.tell(
        "SegmentClosed",
        START_S + 15,
        file="late.mp4",
        start_s=0,
        end_s=4,
        size_bytes=1_000_000,
        stream_id="st-2",
        learned_at="2026-11-24T09:30:00.000Z",
    )


def test_a_devices_clock_stands_beside_ours_where_it_is_more_than_2_s_off(page: Page, record: Record) -> None:
    for n, offset_s in enumerate((None, 1.9, 2.0, -3.25, 4_000.0, 0.0)):
        said: dict[str, Json] = {} if offset_s is None else {
            "device_offset_s": offset_s,
            "device_at": datetime.fromtimestamp(START_S + 10 * n + offset_s, UTC).isoformat(),
        }  # fmt: skip
        record.tell("SegmentClosed", START_S + 10 * n, file=f"{n:04}.mp4", start_s=0, end_s=10, size_bytes=1, **said)
    open_case(page, record)
    fold = page.locator("[data-action=fold]")
    expect(fold.locator("[data-device-clock]")).to_contain_text("+")
    fold.click()
    expect(rows(page, "segment")).to_have_count(6)
    clocks = page.locator(f"{ROW} [data-device-clock]")
    expect(clocks).to_have_count(2)
    expect(clocks.first).to_contain_text("−3.3")
    expect(rows(page, "segment").nth(3).locator("[data-device-clock]")).to_have_count(1)
    expect(rows(page, "segment").nth(4).locator("[data-device-clock]")).to_have_count(1)


def rows(page: Page, group: str) -> Locator:
    return page.locator(f"{ROW}[data-group={group}]")


def test_the_list_leads_to_a_case_and_back_to_the_wall(page: Page, record: Record) -> None:
    page.goto(record.url)
    expect(page.locator("main[data-layout]")).to_be_visible()
    page.locator("[data-action=cases]").click()
    expect(page.locator("[data-case=case-1]")).to_contain_text(str(CASE["title"]))
    page.locator("[data-case=case-1] a").click()
    expect(page.locator("[data-field=state]")).to_have_text("办理中")
    expect(page).to_have_title(re.compile("17 号"))
    page.go_back()
    expect(page.locator("[data-case=case-1]")).to_be_visible()
    page.locator("[data-action=wall]").click()
    expect(page.locator("main[data-layout]")).to_be_visible()


def test_the_walls_players_stop_on_the_way_to_the_cases_and_play_again_on_the_way_back(page: Page, demo: Demo) -> None:
    page.goto(demo.url)
    page.locator("input[name=credential]").fill(demo.token())
    page.keyboard.press("Enter")
    playing = page.locator("article[data-phase=playing]")
    expect(playing).to_have_count(4, timeout=30_000)
    watching = """async count => (await (await fetch('/api/v1/streams')).json()).items
        .reduce((sum, stream) => sum + stream.viewers, 0) === count"""
    page.wait_for_function(watching, arg=4)
    page.locator("[data-action=cases]").click()
    page.wait_for_function(watching, arg=0)
    page.go_back()
    expect(playing).to_have_count(4, timeout=30_000)


def test_an_empty_list_and_a_refused_one_say_what_helps(page: Page, record: Record) -> None:
    record.has_cases = False
    page.goto(f"{record.url}/#/cases")
    expect(page.get_by_role("status")).to_contain_text("还没有案件")
    record.refuses = (503, {"title": "Service Unavailable", "status": 503, "remedy": "run onrecord migrate"})
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("onrecord migrate")
    record.refuses = None
    record.has_cases = True
    page.locator("[data-action=again]").click()
    expect(page.locator("[data-case]")).to_have_count(1)


def test_a_case_that_is_not_there_says_so(page: Page, record: Record) -> None:
    page.goto(f"{record.url}/#/cases/another")
    expect(page.get_by_role("alert")).to_contain_text("不存在")
    expect(page.locator("textarea")).to_have_count(0)


def test_the_timeline_tells_gaps_notes_late_and_unknown_events_in_words(page: Page, record: Record) -> None:
    a_morning(record)
    open_case(page, record)
    expect(rows(page, "gap")).to_have_text([re.compile("设备断线"), re.compile(r"录像缺失 7\.5 秒：设备断线")])
    expect(rows(page, "gap").first).to_contain_text("缺失")  # a word, not a colour alone
    expect(page.locator("[data-kind=TeaServed]")).to_contain_text("TeaServed")
    expect(rows(page, "note").last).to_contain_text("合格⟨U+202E⟩格合不")
    expect(rows(page, "note").last).to_contain_text("张⟨U+202E⟩三")
    expect(page.locator("[data-kind=StreamStarted]")).to_contain_text("记录仪 A-01 开始推流")
    expect(page.locator("[data-kind=RecordingAttached]")).to_contain_text("按执法人员的任务")
    fold = page.locator("[data-action=fold]")
    expect(fold).to_contain_text("13 段录像 · 2 分 07 秒")
    expect(rows(page, "segment")).to_have_count(0)
    fold.click()
    expect(rows(page, "segment")).to_have_count(13)
    expect(rows(page, "segment").first.locator("[data-late]")).to_contain_text("才得知")
    expect(page.locator("[data-late]")).to_have_count(1)


def test_filters_and_words_choose_what_is_shown(page: Page, record: Record) -> None:
    a_morning(record)
    open_case(page, record)
    page.locator("[data-filter=gap]").click()
    expect(page.locator(ROW)).to_have_count(2)
    record.tell("NoteAdded", START_S + 200, text="不在筛选之内")
    record.tell("MediaLost", START_S + 201, start_s=1, end_s=2, cause="disk_full")
    expect(page.locator(ROW)).to_have_count(3)
    page.locator("[data-filter=gap]").click()
    page.locator("input[type=search]").fill("执法证")
    expect(page.locator(ROW)).to_have_count(1)
    record.tell("NoteAdded", START_S + 210, text="搜索时写下的")
    expect(page.locator("[data-action=news]")).to_contain_text("1 条新事件")
    expect(page.locator(ROW)).to_have_count(1)
    page.locator("[data-action=news]").click()
    expect(page.get_by_text("搜索时写下的")).to_be_visible()


def test_the_tail_goes_on_after_a_broken_connection_without_loss_or_doubles(page: Page, record: Record) -> None:
    open_case(page, record)
    first = int(record.tell("NoteAdded", START_S, text="一")[1:])
    expect(page.locator(ROW)).to_have_count(1)
    record.drop_tails(is_away=True)
    record.tell("NoteAdded", START_S + 1, text="二")
    expect(page.locator("[data-tail=reconnecting]")).to_contain_text("正在重连")
    record.drop_tails()
    expect(page.locator(ROW)).to_have_count(2)
    record.tell("NoteAdded", START_S + 2, text="三")
    expect(page.locator(ROW)).to_have_text([re.compile("一"), re.compile("二"), re.compile("三")])
    assert record.resumed_from[-1] == str(first)


def test_a_note_is_sent_by_keys_and_kept_when_it_is_refused(page: Page, record: Record) -> None:
    open_case(page, record)
    box = page.locator("textarea")
    box.fill("现场已封存")
    record.refuses = (503, {"title": "Service Unavailable", "status": 503, "remedy": "check the disk of the server"})
    box.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("check the disk of the server")
    expect(box).to_have_value("现场已封存")
    record.refuses = None
    box.press("Control+Enter")
    expect(rows(page, "note")).to_have_count(1)
    expect(box).to_have_value("")
    assert record.note_keys[0] == record.note_keys[1], "a second try of one note has another key"
    record.refuses = (503, {"title": "Service Unavailable", "status": 503})
    record.loses_answers = True
    box.fill("答复丢失的备注")
    box.press("Control+Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    record.refuses = None
    box.press("Control+Enter")
    expect(box).to_have_value("")
    expect(rows(page, "note")).to_have_count(2)
    box.fill("长" * 4_001)
    expect(page.locator("form")).to_contain_text("超出 1 字")
    expect(page.locator("form button")).to_be_disabled()


def test_a_case_is_exported_and_fetched_and_what_fails_is_told(page: Page, record: Record) -> None:
    job: dict[str, Json] = {"export_id": "exp-1", "error": "", "defects": None}
    record.exports = [
        {**job, "state": "waiting", "bytes": 0},
        {**job, "state": "running", "bytes": 12_300_000},
        {**job, "state": "done", "bytes": 20_000_000, "defects": 2},
        {**job, "state": "failed", "bytes": 0, "error": "磁盘已满"},
    ]
    open_case(page, record)
    page.locator("[data-action=export]").click()
    expect(page.locator("[data-export=making]")).to_contain_text("12.3 MB")
    with page.expect_download() as download:
        page.locator("[data-export=done]").click()
    assert download.value.suggested_filename == "exp-1.zip"
    expect(page.get_by_text("原件有 2 处缺陷")).to_be_visible()
    page.locator("[data-action=export]").click()
    expect(page.locator("[data-export=failed]")).to_contain_text("磁盘已满")
    record.refuses = (409, {"title": "Conflict", "status": 409, "remedy": "稍后再试一次"})
    page.locator("[data-action=export]").click()
    expect(page.locator("[data-export=refused]")).to_contain_text("稍后再试一次")
    record.refuses = (403, {"title": "Forbidden", "status": 403, "detail": "no approval"})
    page.locator("[data-action=export]").click()
    expect(page.locator("[data-export=needs-approval]")).to_contain_text("须经审批")


def test_fifty_thousand_events_keep_the_page_small_and_the_reader_in_place(page: Page, record: Record) -> None:
    for n in range(50_000):
        record.tell("NoteAdded", START_S + n, text=f"第 {n} 条" + " 长" * (n % 40))
    open_case(page, record)
    log = page.locator(LOG)
    expect(page.get_by_text("第 49999 条")).to_be_visible()
    for _ in range(30):
        log.evaluate("log => log.scrollTo(0, 0)")
        page.wait_for_function("log => log.scrollTop > 2000", arg=log.element_handle())
    assert page.locator(ROW).count() < 120
    log.evaluate("log => log.scrollBy(0, -300)")
    expect(log).to_have_attribute("data-follows", "false")
    at = """log => [...log.querySelectorAll('[data-event]')]
        .map(row => [row.dataset.event, row.getBoundingClientRect().top]).find(([, top]) => top > 300)"""
    before = log.evaluate(at)
    last = record.tell("NoteAdded", START_S + 50_000, text="最新")
    expect(page.locator("[data-action=news]")).to_contain_text("1 条新事件")
    event, top = log.evaluate(at)
    assert event == before[0]
    assert abs(top - before[1]) < 0.5, f"a new event moved the reader from {before} to {top} px"
    page.locator("[data-action=news]").click()
    expect(page.locator(f"[data-event={last}]")).to_be_in_viewport()
    expect(page.locator("[data-action=news]")).to_have_count(0)
    assert page.locator(ROW).count() < 120


def said(record: Record, text: str, start_s: float, model: str, **more: Json) -> str:
    return record.tell(
        "WordsHeard", START_S + start_s, text=text, start_s=start_s, end_s=start_s + 2, model=model, speaker="wearer",
        recording_id="rec-1", is_doubtful=True, normal="", **more,
    )  # fmt: skip


def test_words_are_quoted_with_their_model_their_versions_and_the_second_they_were_said_in(
    page: Page, record: Record
) -> None:
    said(record, "请出示正件", 12.5, "small@1")
    said(record, "请出示证件", 12.5, "large@1")
    said(record, "您好", 20, "whisper-demo-zh@1", learned_at="2026-11-24T09:30:00.000Z")
    open_case(page, record)
    words = rows(page, "words")
    expect(words).to_have_count(2)
    first, demo = words.nth(0), words.nth(1)
    expect(first.locator("[data-words]")).to_have_text("请出示证件")
    expect(first.locator("[data-speaker]")).to_have_text("佩戴者")
    expect(first).to_contain_text("存疑")
    expect(first.locator("[data-machine]")).to_have_text("机器识别，未经核对")
    expect(first.locator("[data-action=to-second]")).to_have_attribute("href", "#/recordings/rec-1/12.5")
    expect(demo.locator("[data-model]")).to_contain_text("演示模型")
    expect(demo.locator("[data-late]")).to_be_visible()
    expect(first.locator("[data-model]")).not_to_contain_text("演示模型")
    first.locator("[data-action=versions]").click()
    expect(words).to_have_count(3)
    expect(words.nth(1).locator("[data-words]")).to_have_text("请出示正件")
    first.locator("[data-action=versions]").click()
    expect(words).to_have_count(2)
    page.locator("[name=words]").fill("出示证件")
    expect(words).to_have_count(1)
    expect(words.locator("[data-action=to-second]")).to_have_attribute("href", "#/recordings/rec-1/12.5")


def test_words_are_corrected_with_the_keyboard_alone_and_count_where_they_stand(page: Page, record: Record) -> None:
    said(record, "请出示正件", 12.5, "small@1")
    open_case(page, record)
    row = rows(page, "words").first
    opener, field = row.locator("[data-action=correct]"), page.locator("[name=correction]")
    opener.focus()
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    expect(field).to_have_value("请出示正件")
    expect(row.locator("[data-draft]")).to_have_text("核对无误")
    field.fill("请出示")
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    expect(opener).to_be_focused()
    assert record.note_keys == []
    page.keyboard.press("Enter")
    field.fill("请出示证件")
    record.refuses = (503, {"title": "Service Unavailable", "status": 503, "detail": "away"})
    page.keyboard.press("Enter")
    expect(row.locator("[role=alert]")).to_be_visible()
    expect(field).to_have_value("请出示证件")
    record.refuses = None
    page.keyboard.press("Enter")
    expect(field).to_have_count(0)
    assert len(set(record.note_keys)) == 1, "every try of one correction has one key"
    expect(row.locator("[data-words]")).to_have_text("请出示证件")
    expect(row.locator("[data-correction]")).to_contain_text("指挥员 已更正")
    expect(row.locator("[data-correction]")).to_contain_text("请出示正件")
    expect(row.locator("[data-machine]")).to_have_count(0)
    expect(page.locator("[data-kind=WordsCorrected]")).to_contain_text("请出示证件")
    page.locator("[name=words]").fill("正件")
    expect(row.locator("[data-words]")).to_have_text("请出示证件")


def test_who_may_not_correct_words_is_not_offered_it(page: Page, record: Record) -> None:
    said(record, "请出示正件", 12.5, "small@1")
    page.route(
        "**/api/v1/session",
        lambda route: route.fulfill(json={**SESSION, "permissions": {"cases.read": "unit", "streams.watch": "unit"}}),
    )
    open_case(page, record)
    expect(rows(page, "words")).to_have_count(1)
    expect(page.locator("[data-action=correct]")).to_have_count(0)
    expect(page.locator("[data-action=to-second]")).to_have_count(0)
