"""A segment file of the recorder, alone in Debian's Chromium: it begins at 0, knows its length, and plays."""

import json
import shutil
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CLOSED_WITHIN_S = 60.0


def later_segment(data: Path) -> tuple[Path, float]:
    """A closed segment that is not its recording's first, and how long the manifest says it is."""
    deadline = time.monotonic() + CLOSED_WITHIN_S
    while time.monotonic() < deadline:
        for manifest in data.rglob("manifest.jsonl"):
            lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
            closed = [line for line in lines if line["type"] == "segment" and line["first_pts_s"] > 5]
            if closed:
                return manifest.parent / closed[0]["file"], closed[0]["end_s"] - closed[0]["first_pts_s"]
        time.sleep(0.5)
    pytest.fail("no second segment was closed within a minute")


def test_chromium_plays_a_segment_file_by_itself(page: Page, demo: Demo, tmp_path: Path) -> None:
    segment, length_s = later_segment(demo.data)
    shutil.copy(segment, tmp_path / "segment.mp4")
    (tmp_path / "page.html").write_text("<video src='segment.mp4' muted autoplay></video>", encoding="utf-8")
    page.goto(f"file://{tmp_path}/page.html")
    page.wait_for_function("document.querySelector('video').currentTime > 1.5", timeout=20_000)
    told = page.evaluate("(() => { const v = document.querySelector('video'); return [v.duration, v.videoWidth]; })()")
    assert abs(told[0] - length_s) < 0.5, (told, length_s)
    assert told[1] == 640
