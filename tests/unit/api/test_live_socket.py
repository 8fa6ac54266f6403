"""The WebSocket door over a transport made of lists: refusals, broken peers, and how little a silent one may hold."""

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from api.directory import Directory
from api.doors import Doors
from api.faces import FaceModels, faces_of
from api.http_door import Crowd
from api.live_rights import LiveRights
from api.live_socket import LiveSocket, live_socket
from api.playbacks import Playbacks
from api.redacting import Redactions
from api.stills import Stills
from api.tickets import Tickets
from cases.access import Access
from cases.access.passwords import Passwords
from cases.casework import kinds
from cases.record import Record
from cases.uploads.desk import Uploads
from cases.uploads.parts import Parts
from pipeline.app import Runtime
from pipeline.hub import Stream
from pipeline.record.playback import Playback
from pipeline.settings import HubSettings, Settings
from tests.made import DEVICE, VIDEO, ManualClock, packet
from tests.unit.live.wire import frames

MIB = 1024 * 1024


class FakeTransport(asyncio.Transport):
    """Keeps what is written; a peer that never reads leaves it in the buffer, and the protocol is told."""

    def __init__(self, *, is_read: bool = True) -> None:
        super().__init__()
        self.data = bytearray()
        self.is_read = is_read
        self.is_reading_paused = False
        self.is_aborted = False
        self._is_closing = False
        self._high = 65536
        self._is_full = False
        self._protocol: asyncio.BaseProtocol = asyncio.Protocol()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.data += data
        if not self.is_read and len(self.data) > self._high and not self._is_full:
            self._is_full = True
            self._protocol.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        del low
        self._high = high or 65536

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    def abort(self) -> None:
        self.is_aborted = self._is_closing = True


class Hall:
    """A runtime with one live stream, and whoever comes to watch it."""

    def __init__(self, data: Path) -> None:
        self.clock = ManualClock()
        self.access = Access.of(data)
        self.runtime = Runtime(Settings(data=data), self.access, self.clock)
        self.stream = Stream("st_1", DEVICE, HubSettings(), self.clock)
        self.stream.set_tracks((VIDEO,))
        self.runtime.publications.streams["st_1"] = self.stream
        self.token = self.access.create_token("commander")
        crowd = Crowd(self.runtime.settings.api, self.clock)
        record = Record(
            self.runtime.settings.store, self.runtime.settings.data, self.runtime.outbox, self.runtime.clock
        )
        self.doors = Doors(
            self.runtime,
            self.access,
            Tickets(60, self.clock),
            crowd,
            record,
            kinds.load(),
            LiveRights(self.access.units),
            Passwords(1),
            Playback(),
            Playbacks(self.clock, self.runtime.tell),
            Uploads(Parts(data / "uploads"), self.runtime.settings.upload, self.clock, 0),
            Stills(Playback()),
            Directory(self.runtime.settings.access, "", self.clock),
            Redactions(self.runtime.settings, record, self.clock),
            faces_of(self.runtime.settings, self.clock)[0],
            FaceModels(self.runtime.settings, self.clock),
            None,
        )
        self.pictures = 0

    def film(self, pictures: int, size: int = 1000, every: int = 50) -> None:
        for _ in range(pictures):
            self.stream.publish(packet(self.pictures * 3600, is_key=self.pictures % every == 0, size=size))
            self.pictures += 1
            self.clock.now_s += 0.04

    def knock(
        self, *headers: bytes, path: bytes = b"/live/st_1/ws", is_read: bool = True
    ) -> tuple[LiveSocket, FakeTransport]:
        """As uvicorn does: the protocol is told of the connection, then of the request."""
        transport = FakeTransport(is_read=is_read)
        socket = live_socket(self.doors)(uvicorn.Config("none"), ServerState(), {})
        socket.connection_made(transport)
        lines = [
            b"GET " + path + b" HTTP/1.1", b"Host: here", b"Upgrade: websocket", b"Connection: Upgrade",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13", *headers,
        ]  # fmt: skip
        socket.data_received(b"\r\n".join([*lines, b"", b""]))
        return socket, transport

    def enter(self, *, is_read: bool = True) -> tuple[LiveSocket, FakeTransport]:
        socket, transport = self.knock(b"Authorization: Bearer " + self.token.encode(), is_read=is_read)
        assert transport.data.startswith(b"HTTP/1.1 101 "), transport.data
        return socket, transport


def run(test: Callable[[Hall], Awaitable[None]]) -> None:
    async def main(data: Path) -> None:
        hall = Hall(data)
        with contextlib.closing(hall.access):
            await test(hall)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


def frames_of(transport: FakeTransport) -> list[Frame]:
    return frames(bytes(transport.data).partition(b"\r\n\r\n")[2])


def client_frame(opcode: Opcode, payload: bytes, *, mask: bool = True) -> bytes:
    return Frame(opcode, payload).serialize(mask=mask)


def close_codes(transport: FakeTransport) -> list[int]:
    """The close codes sent; nothing may follow the first."""
    sent = frames_of(transport)
    codes = [int.from_bytes(each.data[:2], "big") for each in sent if each.opcode is Opcode.CLOSE]
    assert not codes or sent[-1].opcode is Opcode.CLOSE, "media after the goodbye"
    return codes


@pytest.mark.parametrize(
    ("status", "path", "headers"),
    [
        (404, b"/live/st_1/x", []),
        (404, b"/", []),
        (401, b"/live/st_1/ws", []),
        (401, b"/live/st_1/ws?ticket=%ff", []),
        (401, b"/live/st_1/ws", [b"Authorization: Bearer \xff\xfe"]),
        (403, b"/live/st_1/ws", [b"Origin: https://evil.example"]),
        (400, b"/live/st_1/ws", [b"Origin: http://here", b"Origin: http://there"]),
        (400, b"/live/st_1/ws", [b"Authorization: Bearer a", b"Authorization: Bearer b"]),
        (400, b"//[/live/ws", []),
    ],
)
def test_a_request_that_may_not_is_answered_with_its_status_and_closed(
    status: int, path: bytes, headers: list[bytes]
) -> None:
    async def test(hall: Hall) -> None:
        _, transport = hall.knock(*headers, path=path)
        assert transport.data.startswith(b"HTTP/1.1 %d " % status), transport.data
        assert transport.is_closing()
        assert hall.runtime.live.viewers == 0

    run(test)


def test_a_viewer_that_never_reads_holds_less_than_4_mib_and_is_cut_off() -> None:
    async def test(hall: Hall) -> None:
        hall.film(100, size=30_000, every=150)  # 3 MB since the key frame: a newcomer's burst
        socket, transport = hall.enter(is_read=False)
        assert len(transport.data) < 512 * 1024, "paused within the burst"
        for _ in range(25):
            hall.film(10, size=30_000, every=50)
            assert socket._viewer is not None
            assert len(transport.data) + socket._viewer.held_bytes < 4 * MIB
            hall.runtime.live.sweep()
        hall.clock.now_s += 1
        hall.runtime.live.sweep()
        assert hall.runtime.live.viewers == 0
        assert close_codes(transport) == [4408]

    run(test)


def test_a_viewer_that_does_not_read_gets_no_pongs_either() -> None:
    async def test(hall: Hall) -> None:
        hall.film(50)
        socket, transport = hall.enter(is_read=False)
        hall.film(100, size=30_000)
        assert transport.is_reading_paused
        socket.resume_writing()
        assert not transport.is_reading_paused

    run(test)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (client_frame(Opcode.TEXT, bytes(1025)), 1009),
        (client_frame(Opcode.BINARY, bytes(70_000)), 1009),
        (b"\x82\xff" + b"\x7f" + bytes(7), 1009),  # claims 2^63 bytes
        (client_frame(Opcode.TEXT, b"hello", mask=False), 1002),
        (b"\x83\x80\0\0\0\0", 1002),  # no such opcode
        (b"\xc1\x80\0\0\0\0", 1002),  # a reserved bit
        (client_frame(Opcode.CLOSE, b"\x03\xe8"), 1000),
    ],
    ids=["long text", "long binary", "endless", "unmasked", "unknown opcode", "reserved bit", "goodbye"],
)
def test_a_viewer_that_breaks_the_rules_or_leaves_gets_a_goodbye_and_nothing_after_it(data: bytes, code: int) -> None:
    async def test(hall: Hall) -> None:
        hall.film(50)
        socket, transport = hall.enter()
        socket.data_received(data)
        hall.film(50)
        assert close_codes(transport) == [code]
        assert hall.runtime.live.viewers == 0
        assert socket._deadline is not None, "it is cut after a moment, whether it reads or not"
        socket.connection_lost(None)
        assert socket._deadline.cancelled()

    run(test)


def test_pings_are_answered_and_other_messages_ignored() -> None:
    async def test(hall: Hall) -> None:
        hall.film(50)
        socket, transport = hall.enter()
        before = len(frames_of(transport))
        socket.data_received(client_frame(Opcode.TEXT, b"hello") + client_frame(Opcode.PING, b"abc"))
        (pong,) = frames_of(transport)[before:]
        assert (pong.opcode, pong.data) == (Opcode.PONG, b"abc")
        assert hall.runtime.live.viewers == 1

    run(test)


def test_a_closed_view_waits_for_the_peers_answer_and_closing_twice_is_closing_once() -> None:
    async def test(hall: Hall) -> None:
        hall.film(50)
        socket, transport = hall.enter()
        hall.runtime.live.close()
        socket.shutdown()
        hall.film(10)
        assert close_codes(transport) == [1001]
        assert not transport.is_closing()
        socket.data_received(client_frame(Opcode.CLOSE, b"\x03\xe9"))
        assert transport.is_closing()
        socket.connection_lost(None)
        socket.close(1000, "again")
        socket.write(b"late")
        assert close_codes(transport) == [1001]

    run(test)


def test_a_server_that_stops_says_so_and_sends_no_more_media() -> None:
    async def test(hall: Hall) -> None:
        hall.film(50)
        socket, transport = hall.enter()
        socket.shutdown()
        hall.film(10)
        assert close_codes(transport) == [1001]

    run(test)


def test_a_connection_that_breaks_is_no_viewer_any_more() -> None:
    async def test(hall: Hall) -> None:
        hall.film(50)
        socket, _ = hall.enter()
        socket.connection_lost(ConnectionResetError())
        hall.film(10)
        assert hall.runtime.live.viewers == 0

    run(test)


pieces = st.lists(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda opcode, payload, mask: client_frame(opcode, payload, mask=mask),
            st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.PONG, Opcode.CLOSE, Opcode.CONT]),
            st.binary(max_size=125),
            st.booleans(),
        ),
        st.sampled_from([b"eof", b"media"]),
    ),
    max_size=12,
)


@given(pieces)
@settings(max_examples=150, deadline=None)
def test_fuzz_no_bytes_of_a_viewer_raise_or_get_media_after_the_goodbye(pieces: list[bytes]) -> None:
    async def test(hall: Hall) -> None:
        hall.film(50)
        socket, transport = hall.enter()
        for piece in pieces:
            if piece == b"media":
                hall.film(2)
            elif transport.is_closing():
                break
            elif piece == b"eof":
                socket.eof_received()
            else:
                socket.data_received(piece)
        hall.film(2)
        assert len(close_codes(transport)) <= 1
        socket.connection_lost(None)
        assert hall.runtime.live.viewers == 0

    run(test)


@given(st.binary(max_size=100), st.lists(st.binary(max_size=60), max_size=3))
@settings(max_examples=100, deadline=None)
def test_fuzz_no_request_raises(path: bytes, headers: list[bytes]) -> None:
    async def test(hall: Hall) -> None:
        _, transport = hall.knock(*headers, path=b"/" + path)
        assert transport.data.startswith(b"HTTP/1.1 4") or not transport.data

    run(test)
