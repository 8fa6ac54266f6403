"""The RTMP port: sockets, deadlines and counts around `RtmpSession`. Everything runs in the event loop's thread."""

import asyncio
import errno
import secrets
from typing import cast

import structlog

from pipeline.clock import Clock
from pipeline.errors import AddressInUse, ProtocolError
from pipeline.ingest.door import Door
from pipeline.ingest.rtmp.session import RtmpSession, Stage
from pipeline.rtmp.handshake import RANDOM_BYTES
from pipeline.settings import IngestSettings, RtmpSettings

_SCAN_INTERVAL_S = 0.25  # deadlines are kept to within this
_FAREWELL_S = 0.5  # a refused peer has this long to read why
_BACKLOG = 1024  # a whole city reconnects after a power cut
_MAX_UNREAD_BYTES = 65_536  # of our answers; who asks and never reads is closed

log = structlog.get_logger()


class RtmpServer:
    """Listens, and runs a session a connection. The attributes below are counts for the metrics."""

    def __init__(self, settings: RtmpSettings, ingest: IngestSettings, door: Door, clock: Clock) -> None:
        self.settings = settings
        self.ingest = ingest
        self.door = door
        self.clock = clock
        self.accepted = 0
        self.refused = 0
        """Connections turned away: the door said no, another application, or too many at once."""
        self.protocol_errors = 0
        self.bytes_in = 0
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._scan_timer: asyncio.TimerHandle | None = None
        self._is_empty = asyncio.Event()

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    @property
    def port(self) -> int:
        """The port that is listened on; differs from the setting where that is 0."""
        if self._server is None:
            return self.settings.port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Raises: AddressInUse: another program has the port."""
        loop = asyncio.get_running_loop()
        host, port = self.settings.host, self.settings.port
        try:
            self._server = await loop.create_server(lambda: _Connection(self), host, port, backlog=_BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise AddressInUse(
                    f"cannot listen on rtmp.host {host}, rtmp.port {port} ({error.strerror}); "
                    "set ONRECORD_RTMP__HOST and ONRECORD_RTMP__PORT"
                ) from error
            raise AddressInUse(
                f"rtmp.port {port} on {host} is taken by another program; stop it ('ss -ltnp' names it) "
                "or set ONRECORD_RTMP__PORT"
            ) from error
        self._scan()

    async def stop(self) -> None:
        """Stop listening, close every connection, and wait until all are gone."""
        if self._scan_timer is not None:
            self._scan_timer.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.kick("the server stops")
        if self._connections:
            self._is_empty.clear()
            await self._is_empty.wait()

    def close_overdue(self) -> None:
        """Close whoever missed a deadline. Called by a timer; a test with its own clock may call it."""
        now_s = self.clock.monotonic_s()
        for connection in list(self._connections):
            connection.check_deadline(now_s)

    def joined(self, connection: "_Connection") -> bool:
        """Whether there is room for one more."""
        if len(self._connections) >= self.settings.max_connections:
            self.refused += 1
            return False
        self.accepted += 1
        self._connections.add(connection)
        return True

    def left(self, connection: "_Connection") -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._is_empty.set()

    def _scan(self) -> None:
        self.close_overdue()
        self._scan_timer = asyncio.get_running_loop().call_later(_SCAN_INTERVAL_S, self._scan)


class _Connection(asyncio.Protocol):
    """One socket and its session."""

    def __init__(self, server: RtmpServer) -> None:
        self._server = server
        self._utc_s = server.clock.utc_s
        self._transport: asyncio.Transport | None = None
        self._session: RtmpSession | None = None
        self._stage = Stage.HANDSHAKE
        self._since_s = 0.0  # monotonic: the beginning of the stage, or the last media message seen by the scan
        self._media_messages = 0
        self._address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio promises a Transport to a Protocol on a stream socket, and types it as the base
        self._transport = cast(asyncio.Transport, transport)
        if not self._server.joined(self):
            log.warning(
                "rtmp connection refused", reason="too many connections", max=self._server.settings.max_connections
            )
            self._transport.abort()
            return
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else ""
        self._since_s = self._server.clock.monotonic_s()
        self._session = RtmpSession(
            door=self._server.door,
            address=self._address,
            kick=self.kick,
            rtmp=self._server.settings,
            ingest=self._server.ingest,
            random=secrets.token_bytes(RANDOM_BYTES),
        )
        log.debug("rtmp connected", **{"pii.address": self._address})

    def data_received(self, data: bytes) -> None:
        session = self._session
        if session is None:
            return
        self._server.bytes_in += len(data)
        try:
            answer = session.feed(data, self._utc_s())
        except ProtocolError as error:
            self._server.protocol_errors += 1
            session.lost(str(error))
            answer = b""
        if answer or session.close_reason:
            self._after(session, answer)
        if session.stage is not self._stage:
            self._enter(session.stage)

    def connection_lost(self, exc: Exception | None) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        broken = "connection reset" if exc else "connection closed by the device"
        session.lost(session.close_reason or session.parting or broken)
        self._server.left(self)
        log.info("rtmp closed", reason=session.close_reason, **{"pii.address": self._address})

    def kick(self, reason: str) -> None:
        """Close at once; the publication hears of it when the socket is gone."""
        if self._session is not None and self._transport is not None:
            self._session.stop_taking(reason)
            self._transport.abort()

    def check_deadline(self, now_s: float) -> None:
        session = self._session
        if session is None:
            return
        if session.media_messages != self._media_messages:
            self._media_messages = session.media_messages
            self._since_s = now_s
        settings = self._server.settings
        match self._stage:
            case Stage.HANDSHAKE:
                limit_s, reason = settings.handshake_timeout_s, "no handshake within rtmp.handshake_timeout_s"
            case Stage.COMMANDS:
                limit_s, reason = settings.publish_timeout_s, "no publish within rtmp.publish_timeout_s"
            case Stage.PUBLISHING:
                limit_s, reason = settings.silence_timeout_s, "no media within rtmp.silence_timeout_s"
            case Stage.CLOSED:
                return  # its farewell timer runs
        if now_s - self._since_s > limit_s:
            self.kick(reason)

    def _after(self, session: RtmpSession, answer: bytes) -> None:
        """Send what the session wants sent; close where it wants that, with time for the peer to read why."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if answer:
            transport.write(answer)
        if transport.get_write_buffer_size() > _MAX_UNREAD_BYTES:
            self.kick("does not read our answers")
        elif session.close_reason and self._stage is not Stage.CLOSED:
            if session.was_refused:
                self._server.refused += 1
            if not answer:
                transport.abort()
                return
            if transport.can_write_eof():
                transport.write_eof()
            asyncio.get_running_loop().call_later(_FAREWELL_S, transport.abort)

    def _enter(self, stage: Stage) -> None:
        self._stage = stage
        self._since_s = self._server.clock.monotonic_s()
        if stage is Stage.PUBLISHING:
            log.info("rtmp publishing", **{"pii.address": self._address})
