"""Glass to glass: from the moment a simulated camera draws a picture to the moment a browser shows it on the wall."""

import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from pydantic import BaseModel

from api.bench import delay
from pipeline.errors import WorkerFailed

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_SCRIPTS: Final = (_ROOT / "pipeline/simulate/burnin.js", _ROOT / "api/bench/watch.js")
_ALL_SHOW: Final = """() => {
    const videos = [...document.querySelectorAll("video")];
    return videos.length > 0 && videos.every((video) => video.readyState >= 2 && video.currentTime > 0);
}"""
_SHOW_TIMEOUT_S: Final = 30.0
_SETTLE_S: Final = 2.0
"""A player that has just joined starts from the last key frame and catches up; the joining has a figure of its own."""
_ROLL: Final = 1 << 16
_WINDOW_S: Final = 30.0
_METHOD: Final = (
    "glass_to_glass_ms: four simulated devices (H.264 640x360, 25 pictures/s) burn the time of drawing into each picture; "
    "a headless Chromium without GPU on the same machine shows the real wall for 30 s before the first planned fault and "
    "reads the time back from the canvas in requestVideoFrameCallback; shown is the later of now and the expected display "
    "time. Nothing is subtracted; joining (the first 2 s) is not in it."
)

Shown: TypeAlias = tuple[int, int, float]
"""UTC milliseconds and number as burnt in, UTC milliseconds when shown."""


class Watched(BaseModel):
    """What one <video> showed, as watch.js notes it."""

    seen: list[Shown]
    undecodable: int
    presented: int = 0


def run() -> dict[str, object]:
    """The report of `onrecord bench latency`: what the server adds, the first picture, and glass to glass."""
    report = delay.run()
    with _demo() as (base_url, link):
        figures = glass_to_glass(base_url, link, _WINDOW_S)
    report["glass_to_glass_ms"] = {key: round(figures[key], 1) for key in ("p50", "p95", "p99", "max")}
    report["glass_to_glass_pictures"] = {
        key: round(figures[key]) for key in ("frames", "gaps", "undecodable", "presented", "tiles")
    }
    report["method"] = f"{report.get('method', '')} {_METHOD}".strip()
    return report


def glass_to_glass(base_url: str, sign_in_link: str, seconds: float) -> dict[str, float]:
    """Watches the wall of a running `onrecord demo` for `seconds` in a headless Chromium and reads its pictures' clocks.

    base_url: the wall. sign_in_link: a one-time link; it is used up.
    p50, p95, p99, max: milliseconds over all pictures shown, of all tiles together, nothing subtracted: drawing,
    encoding, server, network, player buffer, decoding and reading back from the canvas are in it.
    frames: pictures shown; a repeated picture counts once. gaps: pictures drawn between the first and the last one seen
    but never seen. undecodable: pictures shown whose clock could not be read. presented: pictures the browser says it
    put on the screen; more than `frames` where its script came too late to see each (30 callbacks a second without a
    GPU). tiles: videos on the wall.
    Raises: WorkerFailed: no Chromium, or the wall shows no pictures within 30 s.
    """
    with browser_page() as page:
        _open_wall(page, base_url, sign_in_link)
        page.wait_for_timeout(_SETTLE_S * 1000)
        page.evaluate("startWatching()")
        page.wait_for_timeout(seconds * 1000)
        watched = [Watched.model_validate(each) for each in page.evaluate("stopWatching()")]
    return summarise(watched)


def summarise(watched: Sequence[Watched]) -> dict[str, float]:
    """The figures of `glass_to_glass`. Raises: WorkerFailed: nothing was seen."""
    shown = [_once(each.seen) for each in watched]
    late_ms = sorted(shown_ms - utc_ms for each in shown for utc_ms, _, shown_ms in each)
    if not late_ms:
        raise WorkerFailed("no picture with a readable clock was seen; is this the wall of `onrecord demo`?")
    return {
        "p50": _percentile(late_ms, 0.50),
        "p95": _percentile(late_ms, 0.95),
        "p99": _percentile(late_ms, 0.99),
        "max": late_ms[-1],
        "frames": float(len(late_ms)),
        "undecodable": float(sum(each.undecodable for each in watched)),
        "gaps": float(sum(_gaps(each) for each in shown)),
        "presented": float(sum(each.presented for each in watched)),
        "tiles": float(len(watched)),
    }


def _once(seen: Sequence[Shown]) -> list[Shown]:
    """Every picture at its first showing."""
    first: dict[int, Shown] = {}
    for shown in seen:
        first.setdefault(shown[0], shown)
    return list(first.values())


def _gaps(shown: Sequence[Shown]) -> int:
    return sum((after[1] - before[1]) % _ROLL - 1 for before, after in pairwise(sorted(shown)))


def _percentile(ordered: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` of them do not exceed."""
    return ordered[min(len(ordered) - 1, max(0, -int(-len(ordered) * part // 1) - 1))]


@contextmanager
def _demo() -> Iterator[tuple[str, str]]:
    """A demo of its own, its address and its sign-in link. Its first planned fault comes 45 s after its first pictures."""
    with tempfile.TemporaryDirectory(prefix="onrecord-bench-") as folder:
        command = [sys.executable, "-m", "api.cli", "demo", "--headless", "--data", folder]
        process = subprocess.Popen(
            [*command, "--port", str(_free_port()), "--rtmp-port", str(_free_port())],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            yield _address(process)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _address(process: "subprocess.Popen[str]") -> tuple[str, str]:
    for line in process.stdout or ():
        if link := re.search(r"(http://\S+)/#code=\S+", line):
            return link[1], link[0]
    raise WorkerFailed("the demo did not start; `onrecord demo --headless` tells why")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def browser_page() -> Iterator["Page"]:
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise WorkerFailed("Playwright is not installed; pip install 'onrecord[dev]'") from error
    if not Path(CHROMIUM).exists():
        raise WorkerFailed(f"{CHROMIUM} is not there; apt-get install chromium")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            try:
                yield browser.new_page(viewport={"width": 1280, "height": 800})
            finally:
                browser.close()
    except Error as error:
        # the browser's own words may hold the one-time link, so only their first line without addresses is told
        raise WorkerFailed(f"the browser did not do it: {error.name}") from None


def _open_wall(page: "Page", base_url: str, sign_in_link: str) -> None:
    page.goto(sign_in_link)
    page.wait_for_load_state()
    if not page.url.startswith(base_url):
        page.goto(base_url)
    page.wait_for_function(_ALL_SHOW, timeout=_SHOW_TIMEOUT_S * 1000)
    for script in _SCRIPTS:
        page.evaluate(script.read_text(encoding="utf-8"))
