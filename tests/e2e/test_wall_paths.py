"""The wall where its first path fails: LL-HLS without WebSockets, stills without MediaSource, and a quick way back."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Demo
from tests.e2e.test_wall import FIRST_PICTURES_MS, PLAYING, TILE, numbers, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# What a page behind a proxy without WebSocket sees: each socket closes before it opened.
NO_WEBSOCKET = """
window.RealWebSocket = window.WebSocket;
window.WebSocket = class {
  constructor() { setTimeout(() => this.onclose?.(new CloseEvent("close")), 20); }
  close() {}
};
"""
NO_MEDIA_SOURCE = "delete window.MediaSource; delete window.ManagedMediaSource;"
WAY_BACK_MS = 75_000  # the wall looks for it every 60 s


def on_path(path: str) -> str:
    return f"{PLAYING}[data-path='{path}']"


def p95(values: list[int]) -> int:
    return sorted(values)[int(len(values) * 0.95)]


def test_without_websockets_four_tiles_play_by_ll_hls_within_two_seconds_and_find_the_way_back(
    page: Page, demo: Demo
) -> None:
    page.add_init_script(NO_WEBSOCKET)
    sign_in(page, demo)
    expect(page.locator(on_path("hls"))).to_have_count(4, timeout=FIRST_PICTURES_MS)
    expect(page.locator(TILE).first).to_contain_text("备用线路 · LL-HLS")
    page.wait_for_timeout(3_000)
    latencies_ms: list[int] = []
    for _ in range(30):
        page.wait_for_timeout(500)
        latencies_ms += [latency_ms for latency_ms in numbers(page, "latency-ms") if latency_ms >= 0]
    assert len(latencies_ms) > 60
    assert p95(latencies_ms) < 2_000, sorted(latencies_ms)
    page.evaluate("() => { window.WebSocket = window.RealWebSocket; }")
    expect(page.locator(f"{TILE}[data-path='ws']:visible")).to_have_count(4, timeout=WAY_BACK_MS)
    expect(page.locator(TILE).first).not_to_contain_text("备用线路")


def test_where_nothing_plays_stills_change(page: Page, demo: Demo) -> None:
    page.add_init_script(NO_MEDIA_SOURCE)
    sign_in(page, demo)
    expect(page.locator(on_path("snapshot"))).to_have_count(4, timeout=FIRST_PICTURES_MS)
    expect(page.locator(TILE).first).to_contain_text("每秒一张图片")
    still = page.locator(f"{TILE}:visible img[data-show='still']").first
    expect(still).to_be_visible()
    first = still.get_attribute("src")
    expect(still).not_to_have_attribute("src", str(first), timeout=5_000)
    before = numbers(page, "frames")
    page.wait_for_timeout(5_000)
    assert all(now - then >= 2 for then, now in zip(before, numbers(page, "frames"), strict=True))


def test_a_session_that_ends_elsewhere_leads_to_the_sign_in_page_that_says_why(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    page.context.clear_cookies()
    expect(page.get_by_role("alert")).to_contain_text("登录已过期", timeout=10_000)
    expect(page.locator("input[name=credential]")).to_be_visible()


def test_a_server_out_of_reach_is_said_and_the_wall_comes_back(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    expect(page.locator(PLAYING)).to_have_count(4, timeout=FIRST_PICTURES_MS)
    page.route("**/api/**", lambda route: route.abort())
    expect(page.get_by_role("alert")).to_contain_text(re.compile("联系不上服务器"), timeout=10_000)
    page.unroute("**/api/**")
    expect(page.get_by_role("alert")).to_have_count(0, timeout=10_000)
