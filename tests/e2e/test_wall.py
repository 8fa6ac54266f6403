"""The wall page against the real demo in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TILE = "article[data-stream]"
PLAYING = f"{TILE}[data-phase='playing']:visible"
FIRST_PICTURES_MS = 30_000


def numbers(page: Page, name: str) -> list[int]:
    """The number `name` of every tile in sight, -1 where it has none yet."""
    tiles = page.locator(f"{TILE}:visible").all()
    return [int(tile.get_attribute(f"data-{name}") or "-1") for tile in tiles]


def sign_in(page: Page, demo: Demo) -> None:
    page.goto(demo.url)
    page.locator("input[name=credential]").fill(demo.token())
    page.keyboard.press("Enter")
    expect(page.locator("main[data-layout]")).to_be_visible()


def test_the_one_time_link_opens_four_playing_tiles(page: Page, demo: Demo) -> None:
    page.goto(demo.link)
    expect(page.locator(PLAYING)).to_have_count(4, timeout=FIRST_PICTURES_MS)
    assert page.url == f"{demo.url}/", "the code stayed in the address bar"
    before = numbers(page, "frames")
    page.wait_for_timeout(5_000)
    after = numbers(page, "frames")
    assert all(now - then > 40 for then, now in zip(before, after, strict=True)), (before, after)
    latencies_ms = numbers(page, "latency-ms")
    assert all(0 <= latency_ms < 1500 for latency_ms in latencies_ms), latencies_ms


def test_layouts_and_tiles_follow_the_keyboard(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    expect(page.locator(PLAYING)).to_have_count(4, timeout=FIRST_PICTURES_MS)
    wall = page.locator("main[data-layout]")
    page.keyboard.press("Shift+Digit9")
    expect(wall).to_have_attribute("data-layout", "9")
    page.keyboard.press("Shift+Digit4")
    expect(wall).to_have_attribute("data-layout", "4")
    page.keyboard.press("Digit2")
    second = page.locator(f"{TILE}:focus").get_attribute("data-stream")
    page.keyboard.press("Enter")
    expect(wall).to_have_attribute("data-layout", "1")
    expect(page.locator(f"{TILE}:visible")).to_have_attribute("data-stream", str(second))
    page.keyboard.press("Escape")
    expect(wall).to_have_attribute("data-layout", "4")
    expect(page.locator(f"{TILE}:focus")).to_have_attribute("data-stream", str(second))
    expect(page.locator(PLAYING)).to_have_count(4)


def test_the_help_sheet_opens_and_the_language_switches(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("快捷键")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator("[data-action=language]").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.reload()
    expect(page.locator("[data-action=sign-out]")).to_have_text("Sign out")


def test_a_wrong_link_shows_the_remedy(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}/#code=wrong")
    expect(page.get_by_role("alert")).to_contain_text(re.compile("请管理员给一个新的链接"))
    assert "wrong" not in page.url
