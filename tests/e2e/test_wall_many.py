"""Nine live devices on one wall: key frames only while tiles are small, all pictures when asked, and every tile plays
where nine waiting questions would use up the browser's connections; a tab that was hidden goes on live.

One encoder sends its pictures to all nine: the browser has nine streams to play, the machine one to make.
"""

import re
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, WebSocket, expect

from tests.e2e.conftest import ROOT
from tests.e2e.test_wall import FIRST_PICTURES_MS, PLAYING, TILE, numbers
from tests.e2e.test_wall_paths import NO_WEBSOCKET, on_path
from tests.serving import Server, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DEVICES = 9
PICTURES_PER_S = 15
COUNTED_MS = 6_000  # three groups of pictures
NINE_WITH_ALL_PICTURES = """
localStorage.setItem("onrecord.layout", "9");
localStorage.setItem("onrecord.tracks", "all");
"""
BACK_MS = 10_000
HIDDEN_MS = 11_000  # a tab lets its streams go after 10 s

# Each time the page is drawn: how often a tile showed neither the last picture of the source before nor one of its own.
# A source's count of presented pictures begins anew, and the first may be on the screen before `readyState` says so.
WATCH_FOR_BLACK = f"""
window.black = 0;
const sources = new WeakMap(); // a video that seeks in its own source still shows its last picture
const counts = new WeakMap();
for (const tile of document.querySelectorAll("{TILE}")) {{
  const video = tile.querySelector("video");
  const shown = (_, picture) => {{
    if (!(picture.presentedFrames > counts.get(video))) sources.set(tile, video.src);
    counts.set(video, picture.presentedFrames);
    video.requestVideoFrameCallback(shown);
  }};
  video.requestVideoFrameCallback(shown);
}}
const look = () => {{
  for (const tile of document.querySelectorAll("{TILE}")) {{
    const video = tile.querySelector("video");
    if (video.readyState >= 2) sources.set(tile, video.src);
    else if (tile.querySelector("canvas").hidden && sources.get(tile) !== video.src) window.black += 1;
  }}
  requestAnimationFrame(look);
}};
look();
"""
HIDE = """isHidden => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
  const state = isHidden ? "hidden" : "visible";
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def nine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with nine live streams."""
    if not (ROOT / "web" / "dist" / "index.html").exists():
        pytest.skip("web/dist is not built: run `npm ci && npm run build` in web/")
    with Server(tmp_path_factory.mktemp("nine") / "data") as server:
        keys = [server.add_device(f"cam {number}") for number in range(1, DEVICES + 1)]
        outputs = "|".join(f"[f=flv]rtmp://127.0.0.1:{server.rtmp_port}/live/{key}" for key in keys)
        encoder = subprocess.Popen(
            [
                "ffmpeg", "-loglevel", "error", "-re",
                "-f", "lavfi", "-i", f"testsrc2=size=320x180:rate={PICTURES_PER_S}",
                "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-threads", "1",
                "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-flags", "+global_header",
                "-g", str(2 * PICTURES_PER_S), "-b:v", "400k", "-c:a", "aac", "-b:a", "48k",
                "-map", "0:v", "-map", "1:a", "-f", "tee", outputs,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            until(lambda: len(with_pictures(server)) == DEVICES, "nine live streams")
            yield server
        finally:
            encoder.kill()
            encoder.wait()


def with_pictures(server: Server) -> list[dict[str, object]]:
    return [each for each in server.streams() if each["state"] == "live" and each["last_keyframe_at"] is not None]


def sign_in(page: Page, server: Server) -> None:
    page.goto(f"http://127.0.0.1:{server.port}")
    page.locator("input[name=credential]").fill(server.token)
    page.keyboard.press("Enter")
    expect(page.locator("main[data-layout]")).to_be_visible()


def playing(page: Page, tracks: str) -> Locator:
    return page.locator(f"{on_path('ws')}[data-tracks='{tracks}']")


def assert_comes_live(page: Page) -> None:
    """Every tile is within 1.5 s of live, once in 20 s: a busy machine decodes nine pictures late, and catches up."""
    told: list[list[int]] = []
    for _ in range(20):
        told.append(numbers(page, "latency-ms"))
        if len(told[-1]) == DEVICES and all(0 <= latency_ms < 1_500 for latency_ms in told[-1]):
            return
        page.wait_for_timeout(1_000)
    pytest.fail(f"latency of each tile in ms, second by second: {told}")


class Received:
    """The bytes of every WebSocket message the page got."""

    def __init__(self, page: Page) -> None:
        self.size_bytes = 0
        self._page = page
        page.on("websocket", self._opened)

    def rate_bps(self) -> float:
        before = self.size_bytes
        self._page.wait_for_timeout(COUNTED_MS)
        return (self.size_bytes - before) * 8000 / COUNTED_MS

    def _opened(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._came)

    def _came(self, payload: str | bytes) -> None:
        self.size_bytes += len(payload)


def test_nine_small_tiles_show_key_frames_for_a_fifth_of_the_bytes_and_all_pictures_when_asked(
    page: Page, nine: Server
) -> None:
    received = Received(page)
    sign_in(page, nine)
    page.keyboard.press("Shift+Digit9")
    expect(playing(page, "key")).to_have_count(DEVICES, timeout=FIRST_PICTURES_MS)
    expect(page.locator(f"{TILE}[data-state='live'] [data-show='tracks']")).to_have_text(["仅关键帧"] * DEVICES)
    before = numbers(page, "frames")
    key_bps = received.rate_bps()
    after = numbers(page, "frames")
    assert all(2 <= now - then <= 5 for then, now in zip(before, after, strict=True)), (before, after)
    assert_comes_live(page)
    assert numbers(page, "stalls") == [0] * DEVICES

    page.evaluate(WATCH_FOR_BLACK)
    page.locator("select[data-action=tracks]").select_option("all")
    expect(playing(page, "all")).to_have_count(DEVICES, timeout=FIRST_PICTURES_MS)
    assert page.evaluate("window.black") == 0, "a tile went black on its way from key frames to all pictures"
    expect(page.locator("[data-show='tracks']")).to_have_count(0)
    page.wait_for_timeout(1_000)  # the first burst is no rate
    all_bps = received.rate_bps()
    assert key_bps * 5 < all_bps, (key_bps, all_bps)


def test_the_tile_in_hand_shows_all_pictures_among_key_frames_and_the_choice_is_kept(page: Page, nine: Server) -> None:
    sign_in(page, nine)
    page.locator("select[data-action=tracks]").select_option("key")
    expect(playing(page, "key")).to_have_count(4, timeout=FIRST_PICTURES_MS)
    page.keyboard.press("Escape")
    page.locator(TILE).nth(1).focus()
    expect(page.locator(f"{TILE}:focus")).to_have_attribute("data-tracks", "all", timeout=FIRST_PICTURES_MS)
    expect(playing(page, "key")).to_have_count(3)
    page.reload()
    expect(page.locator("select[data-action=tracks]")).to_have_value("key")
    expect(playing(page, "key")).to_have_count(4, timeout=FIRST_PICTURES_MS)


def test_a_tab_that_was_hidden_lets_its_streams_go_and_goes_on_live(page: Page, nine: Server) -> None:
    page.add_init_script(NINE_WITH_ALL_PICTURES)
    sign_in(page, nine)
    expect(playing(page, "all")).to_have_count(DEVICES, timeout=FIRST_PICTURES_MS)
    page.evaluate(HIDE, True)
    page.wait_for_timeout(HIDDEN_MS)
    expect(page.locator(f"{TILE}[data-phase='stopped']")).to_have_count(DEVICES)
    page.evaluate(HIDE, False)
    expect(page.locator(PLAYING)).to_have_count(DEVICES, timeout=BACK_MS)
    before = numbers(page, "frames")
    page.wait_for_timeout(2_000)
    after = numbers(page, "frames")
    assert all(now - then > PICTURES_PER_S for then, now in zip(before, after, strict=True)), (before, after)
    assert_comes_live(page)


def test_nine_tiles_without_websockets_all_play_because_none_keeps_a_connection_waiting(
    page: Page, nine: Server
) -> None:
    page.add_init_script(NO_WEBSOCKET)
    sign_in(page, nine)
    page.keyboard.press("Shift+Digit9")
    expect(page.locator(on_path("hls"))).to_have_count(DEVICES, timeout=FIRST_PICTURES_MS)
    expect(page.locator("[data-show='path']")).to_have_text([re.compile("备用线路 · HLS（")] * DEVICES)
    page.wait_for_timeout(8_000)  # the first reserve: a segment of 6 s, and what was late at the start
    told: list[list[int]] = []
    for _ in range(4):  # a tile may be late once on a busy machine; one that lacks a connection lacks it every time
        before = numbers(page, "frames")
        page.wait_for_timeout(6_000)
        told.append([now - then for then, now in zip(before, numbers(page, "frames"), strict=True)])
        if min(told[-1]) > 4 * PICTURES_PER_S:
            return
    pytest.fail(f"pictures of each tile in 6 s, four times: {told}")
