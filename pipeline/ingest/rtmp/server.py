"""The RTMP port: sockets, deadlines and counts around `RtmpSession`. Everything runs in the event loop's thread."""

import asyncio
import errno
import secrets
from typing import cast

import structlog

from pipeline.clock import Clock
from pipeline.descriptors import is_scarce
from pipeline.errors import AddressInUse, ProtocolError
from pipeline.ingest.door import Door
from pipeline.ingest.rtmp.session import RtmpSession, Stage
from pipeline.rtmp.handshake import RANDOM_BYTES
from pipeline.settings import IngestSettings, RtmpSettings
from pipeline.tls import Certificate

_SCAN_INTERVAL_S = 0.25  # deadlines are kept to within this
_TELL_EVERY_S = 1.0  # a full door is a line in the log this often, not one a connection
_FAREWELL_S = 0.5  # a refused peer has this long to read why
_BACKLOG = 1024  # a whole city reconnects after a power cut
_MAX_UNREAD_BYTES = 65_536  # of our answers; who asks and never reads is closed

log = structlog.get_logger()


class RtmpServer:
    """Listens, and runs a session a connection. The attributes below are counts for the metrics."""

    def __init__(
        self,
        settings: RtmpSettings,
        ingest: IngestSettings,
        door: Door,
        clock: Clock,
        certificate: Certificate | None = None,
    ) -> None:
        """certificate: of the RTMPS port, which there is with one only."""
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
        self._strangers: dict[_Connection, None] = {}  # those that have not published yet, the oldest first
        self.crowded_out = 0
        """Connections closed because the door was full."""
        self._told, self._told_at_s = 0, 0.0
        self._certificate = certificate
        self._server: asyncio.Server | None = None
        self._tls_server: asyncio.Server | None = None
        self._scan_timer: asyncio.TimerHandle | None = None
        self._is_empty = asyncio.Event()

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    @property
    def port(self) -> int:
        """The plain port that is listened on, which differs from a setting of 0; 0 where it is shut."""
        return 0 if self._server is None else _port_of(self._server)

    @property
    def tls_port(self) -> int | None:
        """The RTMPS port that is listened on; None without one."""
        return None if self._tls_server is None else _port_of(self._tls_server)

    async def start(self) -> None:
        """Raises: AddressInUse: another program has a port."""
        settings = self.settings
        if settings.has_plain_port:
            self._server = await self._listen("port", settings.port)
        if self._certificate is not None and settings.tls_port is not None:
            self._tls_server = await self._listen("tls_port", settings.tls_port, self._certificate)
        self._scan()

    async def stop(self) -> None:
        """Stop listening, close every connection, and wait until all are gone."""
        if self._scan_timer is not None:
            self._scan_timer.cancel()
        for server in (self._server, self._tls_server):
            if server is not None:
                server.close()
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

    def joined(self, connection: "_Connection", descriptor: int) -> bool:
        """Whether there is room for one more; the oldest stranger makes it."""
        if len(self._connections) >= self.settings.max_connections or is_scarce(descriptor):
            self.crowded_out += 1
            oldest = next(iter(self._strangers), None)
            if oldest is None:
                self.refused += 1
                return False
            del self._strangers[oldest]
            oldest.kick("made way for a newer connection")
        self.accepted += 1
        self._connections.add(connection)
        self._strangers[connection] = None
        return True

    def published(self, connection: "_Connection") -> None:
        """It showed a key, and is no stranger any more."""
        self._strangers.pop(connection, None)

    def left(self, connection: "_Connection") -> None:
        self._connections.discard(connection)
        self._strangers.pop(connection, None)
        if not self._connections:
            self._is_empty.set()

    async def _listen(self, name: str, port: int, certificate: Certificate | None = None) -> asyncio.Server:
        """A server on `port`; name: of its setting. What stalls in the TLS handshake is closed by its deadline."""
        host = self.settings.host
        try:
            return await asyncio.get_running_loop().create_server(
                lambda: _Connection(self),
                host,
                port,
                backlog=_BACKLOG,
                ssl=None if certificate is None else certificate.context,
                ssl_handshake_timeout=None if certificate is None else self.settings.handshake_timeout_s,
                ssl_shutdown_timeout=None if certificate is None else _FAREWELL_S,
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise AddressInUse(
                    f"cannot listen on rtmp.host {host}, rtmp.{name} {port} ({error.strerror}); "
                    f"set ONRECORD_RTMP__HOST and ONRECORD_RTMP__{name.upper()}"
                ) from error
            raise AddressInUse(
                f"rtmp.{name} {port} on {host} is taken by another program; stop it ('ss -ltnp' names it) "
                f"or set ONRECORD_RTMP__{name.upper()}"
            ) from error

    def _scan(self) -> None:
        self.close_overdue()
        now_s = self.clock.monotonic_s()
        if self.crowded_out != self._told and now_s - self._told_at_s > _TELL_EVERY_S:
            log.warning(
                "the rtmp door is full; the oldest that does not publish gives way",
                closed=self.crowded_out - self._told,
                open=self.open,
                remedy="raise rtmp.max_connections and the limit of open files (ulimit -n), or look who crowds it",
            )
            self._told, self._told_at_s = self.crowded_out, now_s
        self._scan_timer = asyncio.get_running_loop().call_later(_SCAN_INTERVAL_S, self._scan)


def _port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


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
        sock = transport.get_extra_info("socket")
        if not self._server.joined(self, sock.fileno() if sock is not None else 0):
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
        log.info("rtmp closed", **session.ids, reason=session.close_reason, **{"pii.address": self._address})

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
            self._server.published(self)
            ids = {} if self._session is None else self._session.ids
            log.info("rtmp publishing", **ids, **{"pii.address": self._address})
