"""Viewers by the hundred in one process: they read the WebSocket feed, some of them clock what they read.

Run as `python -m pipeline.simulate.watch` with a `Watch` as JSON on stdin; prints a `WatchReport` as JSON. A clocked
viewer notes when each picture's message was whole: (fragment sequence, monotonic seconds), written as float64 pairs to
`clock_file`, one array a viewer. A blocked viewer opens the feed and never reads.
"""

import json
import select
import socket
import struct
import sys
import time
from array import array
from dataclasses import asdict, dataclass

_READ_BYTES = 1 << 18
_RECEIVE_BUFFER_BYTES = 1 << 18
_OPEN_TIMEOUT_S = 30.0
_HEAD_BYTES = 112  # of a fragment; its sequence stands at byte 20


@dataclass(frozen=True, slots=True)
class Watch:
    """What to watch. viewers are spread over the streams in turn; the first `clocked` of them take times."""

    host: str
    port: int
    stream_ids: list[str]
    token: str
    viewers: int
    clocked: int
    blocked: int
    seconds: float
    clock_file: str


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What came. cpu_s: of this process while it watched; began_s: monotonic, when every viewer was open."""

    opened: int
    lost: int
    received_bytes: int
    clocked_messages: int
    gaps: int
    cpu_s: float
    began_s: float
    wall_s: float


class _Viewer:
    """One connection, before and after its handshake."""

    __slots__ = ("asked_s", "buffer", "clock", "first_ms", "gaps", "messages", "need", "sock")

    def __init__(self, sock: socket.socket, asked_s: float, *, is_clocked: bool) -> None:
        self.sock = sock
        self.buffer = bytearray()
        self.clock: array[float] | None = array("d") if is_clocked else None
        self.asked_s = asked_s
        self.first_ms = -1.0
        self.messages = 0
        self.gaps = 0
        self.need = 2  # bytes until the next frame is whole: no look before

    def take(self, data: bytes | memoryview, now_s: float) -> None:
        """Cut the bytes of a clocked viewer into frames."""
        buffer = self.buffer
        buffer += data
        while len(buffer) >= self.need:
            size, head = buffer[1] & 0x7F, 2
            if size == 126:
                head = 4
            elif size == 127:
                head = 10
            if len(buffer) < head:
                self.need = head
                return
            if head == 4:
                size = struct.unpack_from(">H", buffer, 2)[0]
            elif head == 10:
                size = struct.unpack_from(">Q", buffer, 2)[0]
            if len(buffer) < head + size:
                self.need = head + size
                return
            self._frame(buffer[0] & 0x0F, memoryview(buffer)[head : head + size], now_s)
            del buffer[: head + size]
            self.need = 2

    def _frame(self, opcode: int, payload: memoryview, now_s: float) -> None:
        with payload:
            if opcode == 1:
                self.gaps += b'"gap"' in bytes(payload[:40])
                return
            if opcode != 2 or bytes(payload[4:8]) != b"moof":
                return
            self.messages += 1
            if self.first_ms < 0:
                self.first_ms = (now_s - self.asked_s) * 1000
            at = sequence = 0
            while at + _HEAD_BYTES <= len(payload):
                sequence = struct.unpack_from(">I", payload, at + 20)[0]
                at += 104 + struct.unpack_from(">I", payload, at + 104)[0]
            if self.clock is not None:
                self.clock.append(sequence)
                self.clock.append(now_s)


def watch(plan: Watch) -> WatchReport:
    """Open every viewer, read for `plan.seconds`, close."""
    viewers = [_open(plan, number) for number in range(plan.viewers)]
    blocked = [_open(plan, number, reads=False) for number in range(plan.blocked)]
    poll = select.epoll()
    by_number = {viewer.sock.fileno(): viewer for viewer in viewers}
    for viewer in viewers:
        viewer.sock.setblocking(False)
        poll.register(viewer.sock.fileno(), select.EPOLLIN)
    received, lost = 0, 0
    scratch = memoryview(bytearray(_READ_BYTES))
    cpu_s, began_s = time.process_time(), time.monotonic()
    end_s = began_s + plan.seconds
    while time.monotonic() < end_s:
        for number, _ in poll.poll(0.05):
            viewer = by_number[number]
            try:
                size = viewer.sock.recv_into(scratch)
            except BlockingIOError:
                continue
            except OSError:
                size = 0
            if not size:
                poll.unregister(number)
                lost += 1
                continue
            received += size
            if viewer.clock is not None:
                viewer.take(scratch[:size], time.monotonic())
    report = WatchReport(
        opened=len(viewers),
        lost=lost,
        received_bytes=received,
        clocked_messages=sum(viewer.messages for viewer in viewers),
        gaps=sum(viewer.gaps for viewer in viewers),
        cpu_s=time.process_time() - cpu_s,
        began_s=began_s,
        wall_s=time.monotonic() - began_s,
    )
    _write_clocks(plan, viewers)
    for viewer in [*viewers, *blocked]:
        viewer.sock.close()
    return report


def first_picture_ms(plan: Watch, number: int) -> float:
    """Milliseconds from connecting until a key frame with its init segment is here, for one new viewer."""
    viewer = _open(plan, number)
    try:
        while viewer.first_ms < 0:
            data = viewer.sock.recv(_READ_BYTES)
            if not data:
                raise ConnectionError(f"viewer {number} was closed before its first picture")
            viewer.take(data, time.monotonic())
    finally:
        viewer.sock.close()
    return viewer.first_ms


def _open(plan: Watch, number: int, *, reads: bool = True) -> _Viewer:
    asked_s = time.monotonic()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    sock.settimeout(_OPEN_TIMEOUT_S)
    sock.connect((plan.host, plan.port))
    stream_id = plan.stream_ids[number % len(plan.stream_ids)]
    viewer = _Viewer(sock, asked_s, is_clocked=reads and number < plan.clocked)
    sock.sendall(
        (
            f"GET /live/{stream_id}/ws HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {plan.token}\r\n\r\n"
        ).encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = sock.recv(4096)
        if not data:
            break
        answer += data
    head, _, rest = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101"):
        raise ConnectionError(f"viewer {number} was refused: {head[:80]!r}")
    if reads and viewer.clock is not None:
        viewer.take(rest, time.monotonic())
    return viewer


def _write_clocks(plan: Watch, viewers: list[_Viewer]) -> None:
    with open(plan.clock_file, "wb") as file:
        for number, viewer in enumerate(viewers[: plan.clocked]):
            if viewer.clock is not None:
                file.write(struct.pack(">II", number % len(plan.stream_ids), len(viewer.clock)))
                viewer.clock.tofile(file)


def read_clocks(path: str) -> list[tuple[int, "array[float]"]]:
    """What `_write_clocks` wrote: (index of the stream, flat pairs of sequence and monotonic seconds)."""
    clocks = []
    with open(path, "rb") as file:
        while head := file.read(8):
            stream, count = struct.unpack(">II", head)
            values: array[float] = array("d")
            values.fromfile(file, count)
            clocks.append((stream, values))
    return clocks


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(watch(Watch(**json.load(sys.stdin))))))
