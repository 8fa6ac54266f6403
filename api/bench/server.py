"""A server of its own for a bench: a child process in a temporary folder on free ports, and what it costs."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cases.access import Access
from pipeline.errors import WorkerFailed
from pipeline.sources import Transport

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class BenchServer:
    """A running `onrecord serve`."""

    process: subprocess.Popen[bytes]
    data: Path
    port: int
    rtmp_port: int
    token: str

    def cpu_s(self) -> float:
        """User and system CPU seconds the server process has used; its decoder children are not in it."""
        return cpu_s_of(self.process.pid)

    def child_cpu_s(self) -> float:
        """User and system CPU seconds of its children that live now, and of those it has waited for."""
        pid = self.process.pid
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks = int(fields[13]) + int(fields[14])
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            try:
                fields = Path(f"/proc/{child}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            ticks += int(fields[11]) + int(fields[12])
        return ticks / _TICKS_PER_S

    def rss_bytes(self) -> int:
        """Resident memory without files mapped: what the process itself holds."""
        return rss_bytes_of(self.process.pid)

    def workers(self) -> list[int]:
        """The process ids of its analysis workers."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [int(each) for each in children if b"pipeline.worker" in Path(f"/proc/{each}/cmdline").read_bytes()]

    def add_devices(self, count: int, prefix: str = "bench") -> list[str]:
        """Stream keys of new devices."""
        access = Access.of(self.data)
        try:
            return [access.add_device(f"{prefix}-{number}")[1] for number in range(count)]
        finally:
            access.close()

    def add_sources(self, urls: list[str]) -> None:
        """New devices that are pulled."""
        access = Access.of(self.data)
        try:
            for number, url in enumerate(urls):
                access.add_source(f"camera-{number}", url, Transport.TCP)
        finally:
            access.close()

    def get(self, path: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            body: bytes = answer.read()
        return body

    def ticket(self, stream_id: str) -> str:
        """A ticket to watch `stream_id`."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/streams/{stream_id}/ticket", method="POST"
        )
        request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(json.load(answer)["ticket"])

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        page = self.get("/metrics").decode()
        return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if re.match(rf"{name}(\{{|\s)", line))

    def streams(self) -> list[dict[str, object]]:
        items: list[dict[str, object]] = json.loads(self.get("/api/v1/streams?limit=1000"))["items"]
        return items


def cpu_s_of(process_id: int) -> float:
    """User and system CPU seconds that a process has used."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rss_bytes_of(process_id: int) -> int:
    """Resident memory of a process without files mapped."""
    fields = Path(f"/proc/{process_id}/statm").read_text(encoding="ascii").split()
    return (int(fields[1]) - int(fields[2])) * _PAGE_BYTES


@contextmanager
def bench_server(stages: str = "", settings: Mapping[str, str] | None = None) -> Iterator[BenchServer]:
    """A server in a folder of its own, gone afterwards. stages: of analysis. settings: more of the environment.

    Raises: WorkerFailed: it did not start.
    """
    data = Path(tempfile.mkdtemp(prefix="onrecord-bench-"))
    try:
        access = Access.of(data)
        token = access.create_token("commander", "bench")
        access.close()
        environment = {
            **os.environ,
            "ONRECORD_DATA": str(data),
            "ONRECORD_API__PORT": "0",
            "ONRECORD_API__HOST": "127.0.0.1",
            "ONRECORD_RTMP__PORT": "0",
            "ONRECORD_RTMP__HOST": "127.0.0.1",
            "ONRECORD_LOG__FORMAT": "json",
            "ONRECORD_ANALYSE__STAGES": stages,
            "ONRECORD_PULL__ALLOWED_HOSTS": "127.0.0.1",
            **(settings or {}),
        }
        with (data / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "api.cli", "serve"], env=environment, stdout=log, stderr=log
            )
        try:
            port, rtmp_port = _ports(process, data / "server.log")
            yield BenchServer(process, data, port, rtmp_port, token)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _ports(process: subprocess.Popen[bytes], log: Path) -> tuple[int, int]:
    end_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < end_s and process.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines():
            if '"event": "ready"' in line:
                ready = json.loads(line)
                return int(ready["url"].rpartition(":")[2]), int(ready["rtmp_port"])
        time.sleep(0.1)
    raise WorkerFailed(f"the bench server did not start: {log.read_text(encoding='utf-8')[-400:]}")
