"""A running `onrecord demo` and Debian's Chromium for the browser tests; skips aloud where one is missing.

Both end with this package: the demo costs half a core, and Playwright keeps an event loop running in the main thread,
in which no other test could start its own.
"""

import contextlib
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from cases.access import Access

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The wall's tests first: they need the demo's first 45 s, before its planned faults."""
    items.sort(key=lambda item: "e2e/test_wall" not in item.nodeid)


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that runs: its address, its one-time sign-in link, its data folder."""

    url: str
    link: str
    data: Path

    def token(self) -> str:
        """A fresh commander's token."""
        return self.run("token", "create", "--role", "commander")

    def run(self, *arguments: str) -> str:
        """What a command over the demo's data prints."""
        environment = {**os.environ, "ONRECORD_DATA": str(self.data)}
        made = subprocess.run(
            [*_onrecord(), *arguments], env=environment, check=True, capture_output=True, text=True, timeout=30
        )
        return made.stdout.strip()

    def link_of(self, login: str) -> str:
        """A link that signs one of the demo's people in, as the demo prints them."""
        with contextlib.closing(Access.of(self.data)) as access:
            code = access.accounts.link(access.accounts.named(login).account_id, 600, must_enrol=False)
        return f"{self.url}/#code={code}"


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    if not (ROOT / "web" / "dist" / "index.html").exists():
        pytest.skip("web/dist is not built: run `npm ci && npm run build` in web/")
    data = tmp_path_factory.mktemp("demo")
    ports = [str(port) for port in _free_ports(2)]
    command = [*_onrecord(), "demo", "--headless", "--data", str(data), "--port", ports[0], "--rtmp-port", ports[1]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    try:
        link = _link(process)
        yield Demo(url=link.split("/#")[0], link=link, data=data)
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is missing: apt-get install chromium (Playwright's own has no H.264)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, locale="zh-CN", color_scheme="dark")
    yield context.new_page()
    context.close()


def _onrecord() -> list[str]:
    return [str(Path(sys.executable).with_name("onrecord"))]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(sock.getsockname()[1]) for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def _link(process: subprocess.Popen[str]) -> str:
    """The sign-in link the demo prints; its later output is read on and thrown away so that its pipe never fills."""
    lines: queue.Queue[str] = queue.Queue(maxsize=10_000)
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    said: list[str] = []
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and (process.poll() is None or not lines.empty()):
        try:
            said.append(lines.get(timeout=0.5))
        except queue.Empty:
            continue
        found = re.search(r"http://\S+/#code=\S+", said[-1])
        if found is not None:
            return found.group()
    pytest.fail("the demo printed no sign-in link:\n" + "".join(said[-40:]))


def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if not lines.full():
            lines.put_nowait(line)
