"""Captions under the tiles of the wall: the demo's pictures in a real browser, and a played event stream.

Each played stream ends at once, as `Route.fulfill` cannot hold one open; the page comes back for the next after its
back-off, so that what is played can be changed while it looks.
"""

import json
import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import Demo
from tests.e2e.test_wall import TILE, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROUTE = "**/api/v1/captions"
NOTES = "[data-show=caption-notes]"
LINES = "[data-show=captions] [data-utterance]"


class PlayedCaptions:
    """The captions route of a server that says what the test last put into `body`."""

    def __init__(self, page: Page) -> None:
        self.body = ": nothing yet\n\n"
        self.asked = 0
        page.route(ROUTE, self._answer)

    def say(self, *messages: tuple[str, dict[str, object]]) -> None:
        self.body = "".join(f"event: {event}\ndata: {json.dumps(told)}\n\n" for event, told in messages)

    def _answer(self, route: Route) -> None:
        self.asked += 1
        route.fulfill(status=200, content_type="text/event-stream", body=self.body)


def caption(stream_id: str, **change: object) -> tuple[str, dict[str, object]]:
    told: dict[str, object] = {
        "stream_id": stream_id,
        "utterance": 7,
        "start_s": 20.0,
        "end_s": 22.0,
        "text": "请出示营业",
        "settled": 3,
        "is_final": False,
        "late_s": 0.6,
        "speaker": "wearer",
        "model": "made@1",
        "is_demo": True,
    }
    return "caption", told | change


def analysis(**change: object) -> tuple[str, dict[str, object]]:
    speech = {"stage": "speech", "is_on": True, "why": "", "model": "made@1", "is_demo": True} | change
    return "analysis", {"stages": [speech], "step": "whole", "behind_s": 12.2, "streams": {}}


def tiles(page: Page) -> tuple[Locator, Locator]:
    """The first two tiles, which have a stream each."""
    expect(page.locator(f"{TILE}:visible")).to_have_count(4)
    return page.locator(TILE).nth(0), page.locator(TILE).nth(1)


def stream_of(tile: Locator) -> str:
    return str(tile.get_attribute("data-stream"))


def test_a_partial_becomes_final_and_a_late_one_stands_above_it_with_its_delay(page: Page, demo: Demo) -> None:
    played = PlayedCaptions(page)
    sign_in(page, demo)
    tile, other = tiles(page)
    page.keyboard.press("Digit1")
    lines, read_out = tile.locator(LINES), "[aria-live=polite]"
    played.say(analysis(), caption(stream_of(tile)))
    expect(lines).to_have_text(["佩戴者请出示营业"])
    expect(lines.locator("em")).to_have_text("营业")
    expect(tile.locator(read_out).last).to_have_text("")

    final = caption(stream_of(tile), text="请出示营业执照。", is_final=True)
    played.say(analysis(), final)
    expect(lines).to_have_text(["佩戴者请出示营业执照。"])
    expect(lines.locator("em")).to_have_count(0)
    expect(tile.locator(read_out).last).to_have_text("佩戴者 请出示营业执照。")

    late = {"utterance": 5, "start_s": 9.0, "text": "等一下。", "is_final": True, "late_s": 5.2, "speaker": "unknown"}
    played.say(analysis(), final, caption(stream_of(tile), **late), caption(stream_of(other), is_final=True))
    expect(lines).to_have_text(["迟 5 s等一下。", "佩戴者请出示营业执照。"])
    expect(other.locator(LINES)).to_have_count(1)
    expect(other.locator(read_out).last).to_have_text("")


def test_the_control_hides_the_captions_and_is_remembered(page: Page, demo: Demo) -> None:
    played = PlayedCaptions(page)
    sign_in(page, demo)
    tile, _ = tiles(page)
    played.say(analysis(), caption(stream_of(tile), is_final=True))
    expect(page.locator(LINES)).to_have_count(1)
    expect(page.locator(NOTES)).to_contain_text("演示模型：仅供演示，不可作为记录")
    expect(page.locator(NOTES)).to_contain_text("字幕延迟 12 s")
    page.keyboard.press("c")
    expect(page.locator(f"{LINES}, {NOTES}")).to_have_count(0)
    page.reload()
    control = page.locator("[data-action=captions]")
    expect(control).to_have_attribute("aria-pressed", "false")
    page.wait_for_timeout(1_500)
    expect(page.locator(LINES)).to_have_count(0)
    control.click()
    expect(page.locator(LINES)).to_have_count(1)


def test_speech_that_is_off_says_why_and_a_server_without_captions_says_nothing(page: Page, demo: Demo) -> None:
    played = PlayedCaptions(page)
    played.say(analysis(is_on=False, why="没有语音模型。"))
    sign_in(page, demo)
    expect(page.locator(NOTES)).to_have_text(re.compile("^语音识别未运行，没有字幕：没有语音模型。$"))
    page.unroute(ROUTE)
    page.route(ROUTE, lambda route: route.fulfill(status=404, json={"status": 404, "title": "Not found"}))
    page.reload()
    expect(page.locator("[data-action=captions]")).to_have_count(0)
    expect(page.locator(f"{TILE}:visible")).to_have_count(4)
    expect(page.locator(NOTES)).to_have_count(0)


def test_what_the_demos_devices_say_stands_under_their_pictures(page: Page, demo: Demo) -> None:
    page.goto(demo.link_of("commander"))
    tile = page.locator(f"{TILE}:has-text('惠民超市')")
    expect(tile.locator("[data-utterance]").first).to_contain_text(re.compile("[\u4e00-\u9fff]{2}"), timeout=40_000)
    expect(page.locator(NOTES)).to_contain_text("演示模型")
    page.keyboard.press("c")
    expect(page.locator(LINES)).to_have_count(0)
