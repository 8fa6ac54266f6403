"""One stream on its way to one server: connects, publishes, and connects again for ever. A Reader of the hub.

The law is the Subscription's: what the target does not take in time is skipped up to a key frame and counted. Every
fragment offered is sent, lost or still waiting. Nothing here ever waits in the hub's call.
"""

import re
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import anyio
import structlog
from anyio.abc import ByteStream, SocketAttribute

from pipeline.clock import Clock
from pipeline.errors import ProtocolError, PublishRefused
from pipeline.events import EventSink, RelayEnded, RelayInterrupted, RelayStarted
from pipeline.hub import Stream, Subscription
from pipeline.media import Ended, Fragment, Gap, Item, TracksChanged
from pipeline.relay.target import Target
from pipeline.relay.writer import Piece, Writer
from pipeline.rtmp.client import ClientSession, ClientStage
from pipeline.rtmp.handshake import RANDOM_BYTES
from pipeline.settings import RelaySettings

log = structlog.get_logger(__name__)

_READ_BYTES = 65_536
_BATCH_BYTES = 256 * 1024  # handed to the connection at once
_SEND_BUFFER_BYTES = 256 * 1024  # of the socket: what waits there can no longer be skipped
_GOODBYE_S = 1.0
_CODE = re.compile(r"Net(Stream|Connection)(\.\w{1,32}){1,3}")
_BREAKS = (
    OSError,
    ProtocolError,
    PublishRefused,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
)


@dataclass(slots=True)
class RelayCounts:
    """What a rule has done, over all its streams; plain numbers for /metrics."""

    streams: int = 0
    """Streams the rule is for, now."""
    connected: int = 0
    """Of these, those that are being published now."""
    connections: int = 0
    failures: int = 0
    """Connections that could not be made, were refused, or broke."""
    packets: int = 0
    media_bytes: int = 0
    gaps: int = 0
    lost_packets: int = 0


def back_off_s(attempt: int, settings: RelaySettings, chance: Callable[[], float]) -> float:
    """How long to wait before try number `attempt` + 1: full jitter. chance: 0..1.

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
    """
    most_s = min(settings.retry_most_s, settings.retry_first_s * 2.0 ** min(attempt, 32))
    return most_s * chance()


class Relay:
    """Owned by the event loop's thread. Bound: settings.buffer_s and buffer_bytes, and one batch under way."""

    def __init__(
        self,
        stream: Stream,
        target: Target,
        name: str,
        counts: RelayCounts,
        settings: RelaySettings,
        context: ssl.SSLContext,
        clock: Clock,
        emit: EventSink,
        chance: Callable[[], float],
    ) -> None:
        """name: what people call the rule; holds no secret."""
        self.stream = stream
        self._target = target
        self._name = name
        self._counts = counts
        self._settings = settings
        self._context = context
        self._clock = clock
        self._emit = emit
        self._chance = chance
        self._held: Subscription[Piece] = Subscription(max_s=settings.buffer_s, max_bytes=settings.buffer_bytes)
        self._header: TracksChanged | None = None
        self._news = anyio.Event()
        self._is_over = False
        self._overflows = 0
        self._attempt = 0
        self._connection = 0
        self._is_told = False  # that it is interrupted; told once, not at every try
        self._sent_packets = 0

    @property
    def held_bytes(self) -> int:
        return self._held.size_bytes

    def offer(self, item: Item) -> None:
        """From the hub."""
        if type(item) is Fragment:
            if self._header is not None:
                self._held.offer(Piece(item, self._header))
                self._counts.gaps += self._held.overflows - self._overflows
                self._overflows = self._held.overflows
        elif type(item) is TracksChanged:
            self._header = item
        elif type(item) is Ended:
            self._is_over = True
            self._held.finish()
        self._news.set()

    async def run(self) -> None:
        """Until the stream is over and sent, or the target cannot be reached when it is."""
        self._counts.streams += 1
        try:
            while True:
                is_sent = await self._try()
                if is_sent or self._is_over:
                    break
                await self._pause()
        finally:
            self._counts.streams -= 1
            self._lose_rest()
            self._tell_end()

    async def _try(self) -> bool:
        """One connection; whether all of the stream was sent."""
        is_sent = False
        reason = ""
        try:
            is_sent = await self._publish()
        except* PublishRefused as group:
            reason = _said(group)
        except* ssl.SSLCertVerificationError as group:
            reason = f"the certificate does not hold: {_first(group).verify_message}"
        except* TimeoutError:
            reason = "no answer in time, or it takes nothing"
        except* _BREAKS as group:
            reason = _described(group)
        if reason:
            self._counts.failures += 1
            self._attempt += 1
            self._tell_break(reason)
        return is_sent

    async def _publish(self) -> bool:
        session = ClientSession(secrets.token_bytes(RANDOM_BYTES))
        with anyio.fail_after(self._settings.connect_timeout_s):
            wire = await self._connect()
        async with wire:
            try:
                with anyio.fail_after(self._settings.connect_timeout_s):
                    await self._greet(wire, session)
            except PublishRefused as refusal:
                raise PublishRefused(_code(session)) from refusal
            self._begin()
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._listen, wire, session)
                    await self._send_all(wire, session)
                    tasks.cancel_scope.cancel()
                return True
            finally:
                self._counts.connected -= 1
                with anyio.move_on_after(_GOODBYE_S, shield=True):
                    await self._say_goodbye(wire, session)

    async def _connect(self) -> ByteStream:
        target = self._target
        if target.is_tls:
            return await anyio.connect_tcp(
                target.host, target.port, tls=True, ssl_context=self._context, tls_standard_compatible=False
            )
        wire = await anyio.connect_tcp(target.host, target.port)
        own = wire.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio's typed attributes, no SQL
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        return wire

    async def _greet(self, wire: ByteStream, session: ClientSession) -> None:
        await wire.send(session.opening)
        await _until(wire, session, ClientStage.GREETED)
        await wire.send(session.connect(self._target.application, self._target.tc_url))
        await _until(wire, session, ClientStage.CONNECTED)
        await wire.send(session.publish(self._target.key))
        await _until(wire, session, ClientStage.PUBLISHING)

    async def _listen(self, wire: ByteStream, session: ClientSession) -> None:
        """Answers pings; ends the connection when the server does."""
        while True:
            data = await wire.receive(_READ_BYTES)
            try:
                reply = session.feed(data)
            except PublishRefused as refusal:
                raise PublishRefused(_code(session)) from refusal
            if reply:
                await wire.send(reply)

    async def _send_all(self, wire: ByteStream, session: ClientSession) -> None:
        writer = Writer(session)
        while True:
            messages, packets, media_bytes = self._take(writer)
            if messages:
                await self._send(wire, b"".join(messages), packets, media_bytes)
            elif self._is_over and not len(self._held):
                return
            elif not len(self._held):
                self._news = anyio.Event()
                await self._news.wait()

    def _take(self, writer: Writer) -> tuple[list[bytes], int, int]:
        """The next messages, about a batch of them; what cannot be shown before a key frame is lost."""
        messages: list[bytes] = []
        packets = size = media_bytes = 0
        while size < _BATCH_BYTES and (item := self._held.take()) is not None:
            if isinstance(item, Gap):
                self._counts.lost_packets += item.fragments
                continue
            message = writer.message(item)
            if not message:
                self._counts.lost_packets += 1
                continue
            messages.append(message)
            packets += 1
            size += len(message)
            media_bytes += item.size_bytes
        return messages, packets, media_bytes

    async def _send(self, wire: ByteStream, data: bytes, packets: int, media_bytes: int) -> None:
        is_sent = False
        try:
            with anyio.fail_after(self._settings.stall_timeout_s):
                await wire.send(data)
            is_sent = True
        finally:
            if is_sent:
                self._counts.packets += packets
                self._counts.media_bytes += media_bytes
                self._sent_packets += packets
            else:
                self._counts.lost_packets += packets
        self._attempt = 0

    async def _say_goodbye(self, wire: ByteStream, session: ClientSession) -> None:
        try:
            await wire.send(session.unpublish())
            await _until(wire, session, ClientStage.OVER)
        except _BREAKS:
            return  # it closed first, as many servers do

    async def _pause(self) -> None:
        """The back-off, shorter where the stream ends."""
        with anyio.move_on_after(back_off_s(self._attempt - 1, self._settings, self._chance)):
            while not self._is_over:
                self._news = anyio.Event()
                await self._news.wait()

    def _begin(self) -> None:
        self._counts.connected += 1
        self._counts.connections += 1
        self._connection += 1
        self._is_told = False
        self._emit(
            RelayStarted(
                at=self._clock.utc_s(),
                stream_id=self.stream.stream_id,
                relay=self._name,
                connection=self._connection,
            )
        )
        log.info("relay started", stream_id=self.stream.stream_id, relay=self._name)

    def _tell_break(self, reason: str) -> None:
        if self._is_told:
            return
        self._is_told = True
        self._emit(
            RelayInterrupted(
                at=self._clock.utc_s(),
                stream_id=self.stream.stream_id,
                relay=self._name,
                connection=self._connection,
                reason=reason,
            )
        )
        log.warning("relay interrupted", stream_id=self.stream.stream_id, relay=self._name, reason=reason)

    def _tell_end(self) -> None:
        self._emit(
            RelayEnded(
                at=self._clock.utc_s(),
                stream_id=self.stream.stream_id,
                relay=self._name,
                packets=self._sent_packets,
            )
        )

    def _lose_rest(self) -> None:
        """What was never sent is lost."""
        self._held.finish()
        while (item := self._held.take()) is not None:
            self._counts.lost_packets += item.fragments


async def _until(wire: ByteStream, session: ClientSession, stage: ClientStage) -> None:
    while session.stage is not stage:
        reply = session.feed(await wire.receive(_READ_BYTES))
        if reply:
            await wire.send(reply)


def _code(session: ClientSession) -> str:
    """The server's own words may hold the key; its code does not, where it has the form of one."""
    code = session.refusal_code
    return f"the server refused: {code if _CODE.fullmatch(code) else 'without a code'}"


def _first(group: BaseExceptionGroup[ssl.SSLCertVerificationError]) -> ssl.SSLCertVerificationError:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    if not isinstance(found, ssl.SSLCertVerificationError):
        raise TypeError(found)
    return found


def _said(group: BaseExceptionGroup[PublishRefused]) -> str:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return str(found)


def _described(group: BaseException) -> str:
    """What broke, without foreign words that could hold a key."""
    found = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    match found:
        case ProtocolError():
            return str(found)
        case OSError():
            return found.strerror or "the server cannot be reached"
        case _:
            return "the server closed the connection"
