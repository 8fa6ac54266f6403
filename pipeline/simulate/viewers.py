"""Viewers over WebSocket, by the hundred in one process, of any server of ours: plain or with TLS.

Run as `python -m pipeline.simulate.viewers` with a `ViewersPlan` as JSON on stdin (it holds a token); prints a
`ViewersReport` as JSON. Latency is taken from the server's own `time` messages: from the arrival of the picture there
until its message is here, by the clocks of both machines.
"""

import asyncio
import base64
import json
import resource
import secrets
import ssl
import struct
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import cast

import uvloop

from pipeline.media import VIDEO_TRACK

_OPEN_TIMEOUT_S = 30.0
_CONNECTING_AT_ONCE = 32
_MAX_HEAD_BYTES = 16_384
_TRACK_AT = 44  # byte of the track id within a fragment
_MOOF_BYTES = 104
_TEXT, _BINARY = 1, 2


@dataclass(frozen=True, slots=True)
class ViewersPlan:
    """What to watch; the viewers are spread over the streams in turn."""

    host: str
    port: int
    is_tls: bool
    stream_ids: list[str]
    token: str = field(repr=False)
    viewers: int
    seconds: float


@dataclass(slots=True)
class ViewersReport:
    """What came. cpu_s, rss_bytes: of this process."""

    opened: int = 0
    refused: int = 0
    lost: int = 0
    pictures: int = 0
    messages: int = 0
    received_bytes: int = 0
    gaps: int = 0
    gap_s: float = 0.0
    latency_ms: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    rss_bytes: int = 0
    wall_s: float = 0.0


class Frames:
    """Cuts what a server sends into frames: (opcode, payload). Bound: the longest message of the server."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        buffer = self._buffer
        buffer += data
        frames = []
        at = 0
        while len(buffer) - at >= 2:
            size, head = buffer[at + 1] & 0x7F, 2
            if size >= 126:
                head = 4 if size == 126 else 10
                if len(buffer) - at < head:
                    break
                size = int.from_bytes(buffer[at + 2 : at + head], "big")
            if len(buffer) - at < head + size:
                break
            frames.append((buffer[at] & 15, bytes(buffer[at + head : at + head + size])))
            at += head + size
        del buffer[:at]
        return frames


def pictures_in(payload: bytes) -> int:
    """How many of the fragments in a binary message are pictures; 0 for an init segment."""
    count = at = 0
    while payload[at + 4 : at + 8] == b"moof" and at + _MOOF_BYTES + 4 <= len(payload):
        count += struct.unpack_from(">I", payload, at + _TRACK_AT)[0] == VIDEO_TRACK
        at += _MOOF_BYTES + struct.unpack_from(">I", payload, at + _MOOF_BYTES)[0]
    return count


class _Viewer(asyncio.Protocol):
    """One connection."""

    def __init__(self, plan: ViewersPlan, stream_id: str, report: ViewersReport) -> None:
        self.opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.is_closing = False
        self._plan = plan
        self._stream_id = stream_id
        self._report = report
        self._head = b""
        self._frames: Frames | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self.transport.write(
            (
                f"GET /live/{self._stream_id}/ws HTTP/1.1\r\nHost: {self._plan.host}:{self._plan.port}\r\n"
                f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                f"Sec-WebSocket-Version: 13\r\nAuthorization: Bearer {self._plan.token}\r\n\r\n"
            ).encode()
        )

    def data_received(self, data: bytes) -> None:
        self._report.received_bytes += len(data)
        if self._frames is None:
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found and len(self._head) < _MAX_HEAD_BYTES:
                return
            self._open(is_taken=head.startswith(b"HTTP/1.1 101"))
        if self._frames is not None:
            for opcode, payload in self._frames.feed(data):
                self._take(opcode, payload)

    def connection_lost(self, _: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_result(False)
        elif not self.is_closing and self._frames is not None:
            self._report.lost += 1

    def _open(self, *, is_taken: bool) -> None:
        if is_taken:
            self._frames = Frames()
        elif self.transport is not None:
            self.transport.abort()
        if not self.opened.done():
            self.opened.set_result(is_taken)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == _BINARY:
            self._report.messages += 1
            self._report.pictures += pictures_in(payload)
        elif opcode == _TEXT:
            said = json.loads(payload)
            if said["type"] == "gap":
                self._report.gaps += 1
                self._report.gap_s += said["lost_s"]
            elif said["type"] == "time":
                captured_s = datetime.fromisoformat(said["captured_at"]).timestamp()
                self._report.latency_ms.append((time.time() - captured_s) * 1000)


async def watch(plan: ViewersPlan) -> ViewersReport:
    """Open every viewer, read for `plan.seconds`, close. What comes while others still open counts too."""
    report = ViewersReport()
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context() if plan.is_tls else None
    room = asyncio.Semaphore(_CONNECTING_AT_ONCE)
    viewers: list[_Viewer] = []

    async def open_one(number: int) -> None:
        stream_id = plan.stream_ids[number % len(plan.stream_ids)]
        async with room:
            try:
                async with asyncio.timeout(_OPEN_TIMEOUT_S):
                    _, viewer = await loop.create_connection(
                        lambda: _Viewer(plan, stream_id, report), plan.host, plan.port, ssl=context
                    )
                    viewers.append(viewer)
                    is_taken = await viewer.opened
            except OSError:
                is_taken = False
        report.opened += is_taken
        report.refused += not is_taken

    cpu_s, began_s = time.process_time(), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(plan.viewers):
            group.create_task(open_one(number))
    report.latency_ms.clear()  # the first messages of a view are as old as its group of pictures
    await asyncio.sleep(plan.seconds)
    report.wall_s = time.monotonic() - began_s
    report.cpu_s = time.process_time() - cpu_s
    report.rss_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for viewer in viewers:
        viewer.is_closing = True
        if viewer.transport is not None:
            viewer.transport.abort()
    return report


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(uvloop.run(watch(ViewersPlan(**json.load(sys.stdin)))))))
