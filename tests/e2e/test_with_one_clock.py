"""Two recordings of a case in the browser, on one clock: what is allowed plays in step, the rest says why not."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import ROOT
from tests.serving import Server, allow, onrecord, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SECONDS = 30
STEP_MS = 150  # of two pictures that shall be of one moment


@dataclass(frozen=True)
class Two:
    """A case with two recordings whose ends overlap by most of their length."""

    server: Server
    token: str
    link: str
    case_id: str
    recording_ids: tuple[str, str]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    if not (ROOT / "web" / "dist" / "index.html").exists():
        pytest.skip("web/dist is not built: run `npm ci && npm run build` in web/")
    folder = tmp_path_factory.mktemp("two")
    with Server(folder / "data") as server:
        case_id = str(server.ask("/api/v1/cases", "POST", {"number": "1", "title": "案"}).tree()["case_id"])
        made = []
        for name in ("cam 1", "cam 2"):
            clip = folder / f"{name}.mp4"
            subprocess.run(
                ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15", "-t", str(SECONDS),
                 "-c:v", "libx264", "-preset", "ultrafast", "-g", "30", str(clip)], check=True, timeout=60,
            )  # fmt: skip
            server.add_device(name)
            done = onrecord(server.data, "ingest", str(clip), "--device", name, "--case", "1", "--json")
            assert done.returncode == 0, done.stderr
            made.append(str(json.loads(done.stdout)["items"][0]["recording_id"]))
        where = f"/api/v1/cases/{case_id}/recordings"
        until(lambda: len(server.ask(where).items()) == 2, "both in the case")
        with server.access() as access:
            account = access.accounts.add("chen", "陈指挥", "commander")
            token = server.keep(access.create_token("commander", account_id=account.account_id))
            code = access.accounts.link(account.account_id, 600, must_enrol=False)
        link = f"http://127.0.0.1:{server.port}/#code={code}"
        yield Two(server, token, link, case_id, (made[0], made[1]))


def moments(page: Page) -> list[float]:
    """What moment of the clock each picture is of, in milliseconds."""
    found: list[float] = page.evaluate(
        "() => [...document.querySelectorAll('video')].map(v => Number(v.dataset.zeroMs) + 1000 * v.currentTime)"
    )
    return found


def test_two_devices_play_in_step_and_only_what_is_allowed(page: Page, two: Two, tmp_path: Path) -> None:
    for recording_id, end_s in zip(two.recording_ids, (SECONDS, 20), strict=True):
        wanted: dict[str, object] = {"what": "play", "recording_id": recording_id, "start_s": 0, "end_s": end_s}
        allow(two.server, wanted, two.token)
    page.goto(two.link)
    page.locator("main[data-layout]").wait_for()
    page.goto(f"http://127.0.0.1:{two.server.port}/#/cases/{two.case_id}")
    page.locator("[data-action=together]").first.click()
    page.locator("[data-lane]").nth(1).wait_for()
    page.locator("button[data-action=together]").click()
    moment = page.locator("input[name=moment]")
    moment.fill("8")
    page.locator("video").nth(1).wait_for()
    until(lambda: page.evaluate("() => [...document.querySelectorAll('video')].every(v => !v.paused)"), "both play", 30)
    page.wait_for_timeout(4_000)
    differences = []
    for _ in range(8):
        first, second = moments(page)
        differences.append(abs(first - second))
        page.wait_for_timeout(250)
    assert sorted(differences)[4] < STEP_MS, differences
    assert page.locator("[data-watermark]").count() == 2
    page.screenshot(path=os.environ.get("ONRECORD_SCREENSHOT", str(tmp_path / "together.png")))
    moment.fill("27")  # behind what is allowed of the second one
    expect(page.locator("[data-dark=notAllowed]")).to_have_count(1)
    expect(page.locator("video")).to_have_count(1)
    page.locator("button[data-action=together]").click()
    until(
        lambda: page.evaluate("() => [...document.querySelectorAll('video')].every(v => v.paused)"), "it stands still"
    )
