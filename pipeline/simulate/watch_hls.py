"""Viewers by the hundred in one process, by LL-HLS: each holds one connection and asks as hls.js does.

Run as `python -m pipeline.simulate.watch_hls` with a `WatchHls` as JSON on stdin; prints a `WatchHlsReport` as JSON. A
viewer asks for the playlist with the part that comes next, is kept waiting, fetches the parts that are new to it, and
asks again: one playlist and one part a part's length.
"""

import json
import re
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass

_READ_BYTES = 1 << 18
_RECEIVE_BUFFER_BYTES = 1 << 18
_OPEN_TIMEOUT_S = 30.0
_PART = re.compile(rb'URI="part(\d+)\.(\d+)\.m4s\?session=([\w-]+)"')
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WatchHls:
    """What to watch. rights: a ticket a viewer, each of which is a view of its own. clocked: how many take times."""

    host: str
    port: int
    stream_id: str
    rights: list[str]
    clocked: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WatchHlsReport:
    """What came. skipped_parts: new in a playlist but not the newest. refused: answers other than 200.

    part_wait_ms: sorted; from the moment the playlist named a part until its last byte, of the clocked viewers.
    """

    opened: int
    lost: int
    refused: int
    playlists: int
    parts: int
    skipped_parts: int
    received_bytes: int
    part_wait_ms: list[float]
    cpu_s: float
    wall_s: float


class _Viewer:
    """One connection: what it waits for, and what it has."""

    __slots__ = ("asked_s", "head", "is_playlist", "left", "newest", "query", "sock", "text", "wanted")

    def __init__(self, sock: socket.socket, ticket: str) -> None:
        self.sock = sock
        self.query = f"ticket={ticket}"
        self.head = b""
        self.left = -1  # bytes of the body that are still to come; -1: its head is not whole
        self.is_playlist = True
        self.text = b""
        self.newest = (-1, -1)
        self.wanted: list[tuple[int, int]] = []
        self.asked_s = 0.0


class _Crowd:
    """All viewers and what they count. Owned by the one thread there is."""

    def __init__(self, plan: WatchHls) -> None:
        self._plan = plan
        self._clocked: set[_Viewer] = set()
        self.lost = self.refused = self.playlists = self.parts = self.skipped = self.received = 0
        self.waits_ms: list[float] = []
        self.viewers = [self._open(ticket) for ticket in plan.rights]
        self._clocked.update(self.viewers[: plan.clocked])

    def _open(self, ticket: str) -> _Viewer:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(_OPEN_TIMEOUT_S)
        sock.connect((self._plan.host, self._plan.port))
        viewer = _Viewer(sock, ticket)
        self._ask(viewer, "index.m3u8?" + viewer.query)
        sock.setblocking(False)
        return viewer

    def run(self) -> float:
        """Watch for plan.seconds; how long it was."""
        poll = select.epoll()
        by_number = {viewer.sock.fileno(): viewer for viewer in self.viewers}
        for number in by_number:
            poll.register(number, select.EPOLLIN)
        scratch = memoryview(bytearray(_READ_BYTES))
        began_s = time.monotonic()
        end_s = began_s + self._plan.seconds
        while time.monotonic() < end_s:
            for number, _ in poll.poll(0.05):
                viewer = by_number[number]
                try:
                    size = viewer.sock.recv_into(scratch)
                    if size:
                        self.received += size
                        self._take(viewer, scratch[:size])
                        continue
                except BlockingIOError:
                    continue
                except OSError:
                    pass
                poll.unregister(number)
                self.lost += 1
        return time.monotonic() - began_s

    def _ask(self, viewer: _Viewer, name: str) -> None:
        plan = self._plan
        viewer.is_playlist = name.startswith("index")
        viewer.asked_s = time.monotonic()
        request = f"GET /live/{plan.stream_id}/{name} HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\nAccept: */*\r\n\r\n"
        viewer.sock.sendall(request.encode())

    def _take(self, viewer: _Viewer, data: memoryview) -> None:
        if viewer.left < 0:
            viewer.head += bytes(data)
            end = viewer.head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(viewer.head, 0, end + 2)
            self.refused += not viewer.head.startswith(b"HTTP/1.1 200")
            body = viewer.head[end + 4 :]
            viewer.left = int(length[1]) - len(body) if length else 0
            viewer.head, viewer.text = b"", body if viewer.is_playlist else b""
        else:
            viewer.left -= len(data)
            if viewer.is_playlist:
                viewer.text += bytes(data)
        if viewer.left <= 0:
            viewer.left = -1
            self._answered(viewer)

    def _answered(self, viewer: _Viewer) -> None:
        if viewer.is_playlist:
            self.playlists += 1
            self._read(viewer)
        else:
            self.parts += 1
            if viewer in self._clocked:
                self.waits_ms.append((time.monotonic() - viewer.asked_s) * 1000)
        if viewer.wanted:
            number, index = viewer.wanted.pop(0)
            viewer.newest = (number, index)
            self._ask(viewer, f"part{number}.{index}.m4s?{viewer.query}")
        else:
            number, index = viewer.newest
            self._ask(viewer, f"index.m3u8?{viewer.query}&_HLS_msn={number}&_HLS_part={index + 1}")

    def _read(self, viewer: _Viewer) -> None:
        """Want the parts that are new; of a first playlist only the newest."""
        found = _PART.findall(viewer.text[-4096:])  # the last is the hint's
        if not found:
            return
        viewer.query = f"session={found[-1][2].decode()}"
        listed = [(int(number), int(index)) for number, index, _ in found[:-1]]
        if viewer.newest < (0, 0):
            viewer.wanted = listed[-1:]
        else:
            viewer.wanted = [part for part in listed if part > viewer.newest]
            self.skipped += max(0, len(viewer.wanted) - 2)


def watch(plan: WatchHls) -> WatchHlsReport:
    """Open every viewer, watch for `plan.seconds`, close."""
    crowd = _Crowd(plan)
    cpu_s = time.process_time()
    wall_s = crowd.run()
    report = WatchHlsReport(
        opened=len(crowd.viewers),
        lost=crowd.lost,
        refused=crowd.refused,
        playlists=crowd.playlists,
        parts=crowd.parts,
        skipped_parts=crowd.skipped,
        received_bytes=crowd.received,
        part_wait_ms=sorted(crowd.waits_ms),
        cpu_s=time.process_time() - cpu_s,
        wall_s=wall_s,
    )
    for viewer in crowd.viewers:
        viewer.sock.close()
    return report


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(watch(WatchHls(**json.load(sys.stdin))))))
