"""What people do in the browser with the real demo: see what is theirs, ask, approve, play 20 s, read the audit."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Demo

pytestmark = pytest.mark.slow

PURPOSE = "核查出示证件情况"


def person(chromium: Browser, demo: Demo, login: str) -> Page:
    """Somebody of the demo's, signed in by a link of his own."""
    page = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="zh-CN").new_page()
    page.goto(demo.link_of(login))
    page.locator("header nav, main").first.wait_for()
    return page


def says_yes(page: Page) -> str:
    """What the analyst's application is once this person has said yes to it, as the server answers and the row shows.

    The row itself is not asked: it shows the state before the decision until the list was read again.
    """
    page.click("[data-action=approvals]")
    row = page.locator("[data-approval]", has_text=PURPOSE)
    row.locator("[data-action=decide]").click()
    with page.expect_response(lambda answer: answer.url.endswith("/decision")) as decided:
        row.locator("[data-action=approve]").click()
    state = str(decided.value.json()["state"])
    expect(row).to_have_attribute("data-approval", state, timeout=15_000)
    return state


def test_20_s_are_asked_for_approved_by_another_played_and_told_in_the_audit(chromium: Browser, demo: Demo) -> None:
    commander = person(chromium, demo, "commander")
    commander.locator("[data-tile]:not([hidden]) video").nth(3).wait_for()
    assert commander.locator("[data-tile]:not([hidden])").count() == 4
    assert commander.locator("[data-watermark]").get_attribute("data-viewer") == "commander"
    officer = person(chromium, demo, "officer")
    officer.locator("[data-tile]:not([hidden])").first.wait_for()
    assert officer.locator("[data-tile]:not([hidden])").count() == 1
    analyst = person(chromium, demo, "analyst")
    assert analyst.locator("[data-action=wall]").count() == 0
    analyst.locator("[data-action=recordings]").click()
    analyst.locator("[data-recording] a").last.click()
    analyst.locator("[data-allowed=none]").wait_for()
    assert analyst.locator("[data-action=play]").count() == 0
    analyst.fill("[name=from]", "0")
    analyst.fill("[name=to]", "20")
    analyst.fill("[name=purpose]", PURPOSE)
    analyst.click("[data-form=approval] button")
    analyst.locator("[data-asked]").wait_for()

    archivist = person(chromium, demo, "archivist")
    if says_yes(archivist) == "asked":  # of a major case: a second person says yes too
        second = person(chromium, demo, "commander")
        assert says_yes(second) == "approved"
        second.context.close()

    analyst.locator("[data-action=play]").first.wait_for(timeout=15_000)
    video = analyst.locator("video")

    def plays_all() -> bool:
        """The demo may run for less than 20 s yet, and a segment is served when it is closed."""
        analyst.reload()
        analyst.locator("[data-action=play]").first.click(timeout=15_000)
        analyst.wait_for_timeout(1500)
        return video.count() == 1 and float(str(video.evaluate("v => v.duration || 0"))) > 19.9

    until(plays_all, 60)
    until(lambda: float(str(video.evaluate("v => v.currentTime"))) > 0.5, 30)
    assert float(str(video.evaluate("v => v.duration"))) == pytest.approx(20.0, abs=0.1)
    assert analyst.locator("[data-watermark]").get_attribute("data-viewer") == "analyst"
    analyst.click("[data-action=recordings]")

    audit = person(chromium, demo, "audit")

    def told() -> str:
        audit.reload()
        audit.locator("tr[data-kind]").first.wait_for()
        ended = audit.locator("tr[data-kind=PlaybackEnded]")
        return ended.first.inner_text() if ended.count() else ""

    until(lambda: "0.000-20.0" in told(), 60)
    assert "分析员" in told()
    for page in (commander, officer, analyst, archivist, audit):
        page.context.close()


def test_a_new_account_is_set_up_in_the_browser_and_cut_off_by_another(chromium: Browser, demo: Demo) -> None:
    link = demo.run("user", "add", "newcomer", "--role", "commander", "--name", "新人")
    page = chromium.new_context(locale="zh-CN").new_page()
    page.goto(demo.url + "/#" + link.partition("#")[2])
    page.fill("[name=new]", "Riverside-7-lanterns")
    page.fill("[name=again]", "Riverside-7-lanterns")
    page.click("[data-form=password] button")
    secret = page.locator("[data-totp=secret]").inner_text()
    assert re.fullmatch(r"[A-Z2-7]{32}", secret)
    page.fill("[name=code]", pyotp.TOTP(secret).now())
    page.click("[data-form=totp] button")
    page.locator("[data-totp=codes]").wait_for()
    assert page.locator("[data-totp=codes] code").count() == 10
    page.click("[data-action=kept]")
    page.locator("[data-tile]").first.wait_for()
    page.click("[data-action=sign-out]")
    page.fill("[name=login]", "newcomer")
    page.fill("[name=password]", "Riverside-7-lanterns")
    page.click("[data-form=sign-in] button")
    page.fill("[name=second]", pyotp.TOTP(secret).at(int(time.time()) + 30))  # one that was not used yet
    page.click("[data-form=sign-in] button")
    page.locator("[data-tile] video").first.wait_for()
    security = person(chromium, demo, "security")
    security.click("[data-user=newcomer] [data-action=disable]")
    page.locator("[data-form=sign-in]").wait_for(timeout=10_000)
    security.click("[data-action=units]")
    for name, parent in (("测试分局", ""), ("测试所", "测试分局")):
        security.fill("[name=unit]", name)
        security.select_option("[name=parent]", parent)
        security.click("[data-form=unit] button")
        security.locator(f"[data-unit={name}]").wait_for()
    assert security.locator("[data-unit=测试所]").get_attribute("data-depth") == "1"
    for each in (page, security):
        each.context.close()


def until(condition: Callable[[], bool], limit_s: float) -> None:
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < limit_s
        time.sleep(0.2)


def test_a_photo_is_sent_in_on_the_case_page_and_fetched_there(chromium: Browser, demo: Demo, tmp_path: Path) -> None:
    commander = person(chromium, demo, "commander")
    commander.goto(f"{commander.url.partition('#')[0]}#/cases")
    commander.locator("[data-case] a").first.click()
    photo = tmp_path / "门头照片.png"
    photo.write_bytes(b"\x89PNG\r\n\x1a\n" + os.urandom(2 << 20))
    program = tmp_path / "扫描件.pdf"
    program.write_bytes(b"MZ" + bytes(1000))
    commander.set_input_files("input[name=files]", [photo, program])
    commander.locator("[data-upload=taken]").wait_for()
    commander.locator("[data-upload=refused]").wait_for()
    assert "no video" in commander.locator("[data-upload=refused]").inner_text()
    link = commander.locator("a[data-item]", has_text="门头照片.png")
    link.wait_for()
    with commander.expect_download() as fetched:
        link.click()
    assert Path(fetched.value.path()).read_bytes() == photo.read_bytes()
    commander.locator("[data-event]", has_text="收到上传：门头照片.png").first.wait_for()
    commander.locator("[data-event]", has_text="取走副本：门头照片.png").first.wait_for()
    commander.screenshot(path=os.environ.get("ONRECORD_SCREENSHOT", str(tmp_path / "case.png")))
    commander.context.close()


def test_the_api_is_described_by_this_server_alone_to_whoever_is_signed_in(chromium: Browser, demo: Demo) -> None:
    commander = person(chromium, demo, "commander")
    asked: list[str] = []
    commander.on("request", lambda request: asked.append(request.url))
    errors: list[str] = []
    commander.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    base = commander.url.partition("#")[0]
    commander.goto(f"{base}api/docs")
    commander.get_by_text("/api/v1/streams", exact=True).first.wait_for()
    commander.locator("[data-path='/api/v1/streams']").first.click()
    commander.get_by_role("button", name="Try it out").first.click()
    commander.get_by_role("button", name="Execute").first.click()
    commander.get_by_text("device_name", exact=False).first.wait_for()
    assert [url for url in asked if not url.startswith((base, "data:", "blob:"))] == []
    assert errors == []
    commander.context.close()
