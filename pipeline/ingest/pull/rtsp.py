"""One connection to one RTSP source: the conversation, its packets, its deadlines. No part of it outlives `run`.

Source: RFC 2326; RFC 3550 6.4.2; RFC 7826 only for status 461.
"""

import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack

import anyio
import structlog
from anyio.abc import ByteStream

from pipeline.clock import Clock
from pipeline.codecs.picture import VIDEO_TIMESCALE
from pipeline.errors import CodecUnsupported, OnRecordError, ProtocolError, SourceDenied, SourceError
from pipeline.ingest.addresses import Addresses
from pipeline.ingest.door import Publication
from pipeline.ingest.pull.counts import PullCounts
from pipeline.ingest.pull.lanes import Lane, PictureLane, align, check_channel, lane_of
from pipeline.ingest.pull.ports import Port, open_pair
from pipeline.media import Packet, Track
from pipeline.rtsp import auth
from pipeline.rtsp.messages import Interleaved, Message, MessageReader, write_interleaved, write_request
from pipeline.rtsp.rtp import read_rtp, read_sender_reports, write_receiver_report
from pipeline.rtsp.sdp import Media, Session, read_sdp
from pipeline.settings import Settings
from pipeline.sources import Source, SourceUrl, Transport

_RECEIVE_BYTES = 256 * 1024
_REORDER_S = 0.2  # how long UDP waits for a packet that is late
_REPORT_EVERY_S = 5.0
_TICK_S = 0.5
_USUAL_TIMEOUT_S = 60.0  # RFC 2326 12.37
_SHORTEST_KEEP_ALIVE_S = 2.0
_ALIGN_S = 3.0  # how long the first reports of a sender are waited for; RFC 3550 6.2 has them within 2.5 s
_MOST_HELD_BYTES = 8 * 1024 * 1024
_MAX_BAD_PACKETS = 100  # in a row; then the source sends something else
_MAX_URL = 2048
_BROKEN = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)  # also of TLS

log = structlog.get_logger(__name__)


class RtspPull:
    """One attempt at one source; owned by the event loop's thread."""

    def __init__(
        self, source: Source, addresses: Addresses, settings: Settings, clock: Clock, counts: PullCounts
    ) -> None:
        self.packets = 0
        self.media_at_s = clock.monotonic_s()
        self._source = source
        self._url: SourceUrl = source.url
        self._addresses = addresses
        self._settings = settings
        self._clock = clock
        self._counts = counts
        self._reader = MessageReader()
        self._sequence = 0
        self._challenge: auth.Challenge | None = None
        self._nonce_uses = 0
        self._session = ""
        self._timeout_s = _USUAL_TIMEOUT_S
        self._keep_alive = "OPTIONS"
        self._control = ""
        self._lanes: list[Lane] = []
        self._tracks: tuple[Track, ...] = ()
        self._first_s: float | None = None
        self._device_offset_s: float | None = None  # the sender's wall clock less ours, by its last report
        self._held: list[tuple[Lane, int, Packet]] = []  # with the lane's offset at that time
        self._held_bytes = 0
        self._is_open = False  # what comes is handed on at once
        self._bad = 0
        self._publication: Publication | None = None
        self._ports: list[Port] = []
        self._ssrc = secrets.randbits(32)
        self._failure: OnRecordError | None = None
        self._answers: dict[int, Message] = {}
        self._stream: ByteStream | None = None
        self._sending = anyio.Lock()  # answers and keep-alives come from two tasks

    async def run(self, publication: Callable[[], Publication]) -> None:
        """Pull until it breaks. publication(): opens the door, once there is media to expect.

        Raises: SourceError, ProtocolError, CodecUnsupported; and what `publication` raises.
        """
        limit_s = self._settings.pull.connect_timeout_s
        async with AsyncExitStack() as stack:
            try:
                with anyio.fail_after(limit_s):
                    stream, address = await self._addresses.dial(self._url)
                self._stream = stream
                stack.push_async_callback(anyio.aclose_forcefully, stream)
                await self._begin(stack, address)
                self._publication = publication()
                self._counts.connected += 1
                self.media_at_s = self._clock.monotonic_s()
                await self._carry(stream)
            except TimeoutError as error:
                raise SourceError(f"{self._url} gives no answer within pull.connect_timeout_s") from error
            except _BROKEN as error:
                raise SourceError(f"{self._url} closed the connection") from error
            finally:
                self._open()
                for lane in self._lanes:
                    self._publish(lane, lane.finish(self._clock.utc_s()))
                    self._counts.lost_packets += lane.order.lost
                    if isinstance(lane, PictureLane):
                        self._counts.dropped_pictures += lane.pictures.dropped

    async def _begin(self, stack: AsyncExitStack, address: str) -> None:
        url = self._url.wire
        options = await self._ask("OPTIONS", url)
        if "GET_PARAMETER" in options.headers.get("public", ""):
            self._keep_alive = "GET_PARAMETER"
        described = await self._ask("DESCRIBE", url, {"Accept": "application/sdp"})
        session = read_sdp(described.body)
        base = _safe(described.headers.get("content-base") or described.headers.get("content-location") or url)
        self._control = _joined(base, session.control)
        chosen = self._choose(session)
        transport = self._source.transport
        for media in chosen:
            transport = await self._set_up(stack, _joined(base, media.control), media, transport, address)
        playing = await self._ask("PLAY", self._control, {"Range": "npt=0.000-"})
        starts = _rtp_info(playing.headers.get("rtp-info", ""))
        if len(starts) == len(self._lanes):
            for lane, start in zip(self._lanes, starts, strict=True):
                lane.start_at(start)
        self._lanes.sort(key=lambda lane: lane.media.kind != "video")

    def _choose(self, session: Session) -> list[Media]:
        """The first picture and the first sound that can be carried. Raises: CodecUnsupported: there is none."""
        taken: dict[str, Media] = {}
        for media in session.media:
            if media.kind in ("video", "audio") and media.kind not in taken:
                try:
                    lane = self._lane(media, 0.0)
                except CodecUnsupported:
                    if media.kind == "video":
                        raise
                    lane = None
                if lane is not None:
                    taken[media.kind] = media
                else:
                    log.warning("a track is not carried", track=f"{media.kind} {media.encoding}")
        if not taken:
            raise CodecUnsupported(f"{self._url} offers no H.264, H.265, AAC, G.711 or Opus by RTP")
        return sorted(taken.values(), key=lambda media: media.kind != "video")

    def _lane(self, media: Media, window_s: float) -> Lane | None:
        ingest = self._settings.ingest
        size = self._settings.push.max_access_unit_bytes
        return lane_of(media, window_s, ingest.max_width, ingest.max_height, size)

    async def _set_up(
        self, stack: AsyncExitStack, url: str, media: Media, transport: Transport, address: str
    ) -> Transport:
        """How it was set up in the end."""
        number = len(self._lanes)
        wish = f"RTP/AVP/TCP;unicast;interleaved={2 * number}-{2 * number + 1}"
        if transport is Transport.UDP:
            first, pair = await open_pair(stack, self._take_datagram, address)
            self._ports += pair
            wish = f"RTP/AVP;unicast;client_port={first}-{first + 1}"
        answer = await self._ask("SETUP", url, {"Transport": wish}, also=461)
        if answer.status == 461:
            if transport is Transport.UDP:
                raise SourceError(f"{self._url} refuses RTP over UDP; use --transport tcp")
            return await self._set_up(stack, url, media, Transport.UDP, address)
        session, _, parameters = answer.headers.get("session", "").partition(";")
        self._session = _safe(session.strip())
        name, _, value = parameters.strip().partition("=")
        if name == "timeout" and value.isdecimal() and len(value) < 6:
            self._timeout_s = float(value)
        said = answer.headers.get("transport", "").lower()
        if transport is Transport.TCP and f"interleaved={2 * number}-{2 * number + 1}" not in said:
            raise ProtocolError("the server gives other channels than were asked for")
        lane = self._lane(media, 0.0 if transport is Transport.TCP else _REORDER_S)
        if lane is None:
            raise CodecUnsupported(f"{media.encoding} cannot be carried")
        self._lanes.append(lane)
        if transport is Transport.UDP:
            ports = next((part[12:].split("-") for part in said.split(";") if part.startswith("server_port=")), [])
            if len(ports) == 2 and all(port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536 for port in ports):
                for port, far in zip(self._ports[-2:], ports, strict=True):
                    port.peer = (address, int(far))
                    port.send(write_receiver_report(self._ssrc, 0, 0, 0))  # opens the way through a NAT
            for port in self._ports[-2:]:
                port.lane = lane
        return transport

    async def _ask(self, method: str, url: str, headers: dict[str, str] | None = None, also: int = 0) -> Message:
        """The answer of 200, or of `also`.

        Raises: SourceError, SourceDenied, ProtocolError, TimeoutError.
        """
        for is_again in (False, True):
            sequence = await self._send(method, url, headers)
            with anyio.fail_after(self._settings.pull.connect_timeout_s):
                while sequence not in self._answers:
                    await self._receive()
            answer = self._answers.pop(sequence)
            if answer.status in (200, also):
                return answer
            if answer.status == 401 and not is_again:
                self._take_challenge(answer)
                continue
            if answer.status in (401, 403):
                raise SourceDenied(f"{self._url} refuses the user and password ({answer.status})")
            if 300 <= answer.status < 400:
                raise SourceError(f"{self._url} redirects ({answer.status}); enter the address it is really at")
            raise SourceError(f"{self._url} answers {method} with {answer.status}")
        raise SourceDenied(f"{self._url} refuses the user and password")

    def _take_challenge(self, answer: Message) -> None:
        challenge = auth.read_challenge(answer.headers.get("www-authenticate", ""))
        if challenge is None or not self._url.user:
            raise SourceDenied(f"{self._url} asks for a user and password; put them into the URL")
        if self._challenge is not None and not challenge.is_stale:
            raise SourceDenied(f"{self._url} refuses the user and password (401)")
        is_clear = challenge.algorithm == "basic" and not self._url.is_tls
        if is_clear and not self._settings.pull.allow_basic_without_tls:
            raise SourceDenied(
                f"{self._url} asks for the password in clear; set the camera to Digest, use rtsps, "
                "or set pull.allow_basic_without_tls"
            )
        self._challenge, self._nonce_uses = challenge, 0

    def _renew(self, answer: Message) -> None:
        """The nonce of a keep-alive was too old: the next one uses the new one."""
        challenge = auth.read_challenge(answer.headers.get("www-authenticate", ""))
        if challenge is not None and self._challenge is not None and challenge.algorithm == self._challenge.algorithm:
            self._challenge, self._nonce_uses = challenge, 0

    async def _send(self, method: str, url: str, headers: dict[str, str] | None = None) -> int:
        self._sequence += 1
        more = dict(headers or {})
        if self._session:
            more["Session"] = self._session
        if self._challenge is not None:
            self._nonce_uses += 1
            more["Authorization"] = auth.answer(
                self._challenge, self._url.user, self._url.password, method, url, self._nonce_uses, secrets.token_hex(8)
            )
        await self._write(write_request(method, url, self._sequence, more))
        return self._sequence

    async def _write(self, data: bytes) -> None:
        if self._stream is not None:
            with anyio.fail_after(self._settings.pull.connect_timeout_s):
                async with self._sending:
                    await self._stream.send(data)

    async def _receive(self) -> None:
        """Take what comes next on the connection."""
        assert self._stream is not None  # noqa: S101 - set before anybody asks
        received = self._reader.feed(await self._stream.receive(_RECEIVE_BYTES))
        now_s, utc_s = self._clock.monotonic_s(), self._clock.utc_s()
        for each in received:
            if isinstance(each, Interleaved):
                if self._publication is not None and self._lanes:
                    lane = check_channel(each.channel, self._lanes)
                    self.take(lane, each.channel & 1 == 1, each.data, now_s, utc_s)
            elif each.status == 0:
                await self._write(f"RTSP/1.0 501 Not Implemented\r\nCSeq: {each.sequence}\r\n\r\n".encode())
            else:
                if each.sequence == self._sequence:
                    self._answers = {each.sequence: each}
                if each.status == 401 and self._publication is not None:
                    self._renew(each)

    async def _carry(self, stream: ByteStream) -> None:
        del stream
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, scope)
                try:
                    while True:
                        await self._receive()
                except (OnRecordError, *_BROKEN) as error:  # a timeout is an OSError
                    known = error if isinstance(error, OnRecordError) else None
                    self._fail(known or SourceError(f"{self._url} closed the connection"), scope)
        if self._failure is not None:
            raise self._failure

    async def _watch(self, scope: anyio.CancelScope) -> None:
        """Keep the session alive, report, and hold the source to its silence deadline."""
        alive_s = report_s = self._clock.monotonic_s()
        keep_alive_s = max(_SHORTEST_KEEP_ALIVE_S, self._timeout_s / 2)
        while True:
            await anyio.sleep(_TICK_S)
            now_s = self._clock.monotonic_s()
            try:
                if self._failure is not None:
                    raise self._failure
                if now_s - self.media_at_s > self._settings.pull.silence_timeout_s:
                    raise SourceError(f"{self._url} gives no media within pull.silence_timeout_s")
                if now_s - alive_s > keep_alive_s:
                    alive_s = now_s
                    await self._send(self._keep_alive, self._control)
                if now_s - report_s > _REPORT_EVERY_S:
                    report_s = now_s
                    await self._report()
            except TimeoutError:
                self._fail(SourceError(f"{self._url} does not read what we send"), scope)
            except (OnRecordError, *_BROKEN) as error:
                known = error if isinstance(error, OnRecordError) else None
                self._fail(known or SourceError(f"{self._url} closed the connection"), scope)

    async def _report(self) -> None:
        for number, lane in enumerate(self._lanes):
            report = write_receiver_report(self._ssrc, lane.ssrc, lane.order.lost, lane.order.highest)
            if not self._ports:
                await self._write(write_interleaved(2 * number + 1, report))
        for port in self._ports:
            if port.is_control and port.lane is not None:
                lane = port.lane
                port.send(write_receiver_report(self._ssrc, lane.ssrc, lane.order.lost, lane.order.highest))

    def _fail(self, error: OnRecordError, scope: anyio.CancelScope) -> None:
        self._failure = self._failure or error
        scope.cancel()

    def _take_datagram(self, lane: Lane, is_control: bool, data: bytes) -> None:
        """The same as `take`, from a socket's callback: what goes wrong ends the pull at its next tick."""
        if self._publication is None or self._failure is not None:
            return
        try:
            self.take(lane, is_control, data, self._clock.monotonic_s(), self._clock.utc_s())
        except OnRecordError as error:
            self._failure = error

    def take(self, lane: Lane, is_control: bool, data: bytes, now_s: float, utc_s: float) -> None:
        """now_s, utc_s: when it came.

        Raises: CodecUnsupported, ProtocolError: too many packets in a row that are none."""
        if is_control:
            for report in read_sender_reports(data):
                lane.report(report)
                if report.utc_s is not None:
                    self._device_offset_s = report.utc_s - utc_s
                    self._say_time(utc_s)
            align(self._lanes)
            self._open_in_time()
            return
        try:
            packet = read_rtp(data)
            if packet.payload_type != lane.media.payload_type:
                raise ProtocolError(f"RTP of payload type {packet.payload_type}, which was not offered")
            self._first_s = now_s if self._first_s is None else self._first_s
            for each, is_broken in lane.order.feed(packet, now_s):
                found = lane.feed(each, is_broken, utc_s, now_s - self._first_s)
                if found:
                    self._publish(lane, found)
        except ProtocolError:
            self._counts.bad_packets += 1
            self._bad += 1
            if self._bad > _MAX_BAD_PACKETS:
                raise
        else:
            self._bad = 0

    def _say_time(self, arrival_s: float) -> None:
        if self._publication is not None and self._device_offset_s is not None:
            self._publication.say_time(arrival_s + self._device_offset_s, arrival_s)

    def _publish(self, lane: Lane, packets: list[Packet]) -> None:
        if self._is_open:
            self._hand_on(packets)
            return
        self.media_at_s = self._clock.monotonic_s()
        for packet in packets:
            self._held.append((lane, lane.offset, packet))
            self._held_bytes += len(packet.data)
        self._open_in_time()

    def _open_in_time(self) -> None:
        """Begin once the sender's reports have told where sound belongs beside the picture, or have been waited for."""
        is_told = len(self._lanes) < 2 or all(lane.zero_ntp_s is not None for lane in self._lanes)
        waited_s = self._clock.monotonic_s() - self._first_s if self._first_s is not None else 0.0
        if self._held and (is_told or waited_s > _ALIGN_S or self._held_bytes > _MOST_HELD_BYTES):
            self._open()

    def _open(self) -> None:
        """Hand on what was held, where it belongs by what is known now."""
        self._is_open = True
        held, self._held = self._held, []
        for lane, offset, packet in held:
            timescale = VIDEO_TIMESCALE if lane.track is None else lane.track.timescale
            shift = round((lane.offset - offset) * timescale / VIDEO_TIMESCALE)
            self._hand_on([packet._replace(dts=packet.dts + shift, pts=packet.pts + shift)])

    def _hand_on(self, packets: list[Packet]) -> None:
        if self._publication is None:
            return
        is_opening = not self._tracks
        if is_opening and self._lanes[0].media.kind == "video" and packets[0].track_id != 1:
            return  # sound before the first key frame
        tracks = tuple([lane.track for lane in self._lanes if lane.track is not None])
        if tracks != self._tracks:
            self._tracks = tracks
            self._publication.set_tracks(tracks, max(0.0, self._clock.utc_s() - packets[0].captured_at))
            self._say_time(packets[0].captured_at)
        for packet in packets:
            self._publication.publish(packet)
        self.packets += len(packets)
        self.media_at_s = self._clock.monotonic_s()


def _safe(text: str) -> str:
    """Raises: ProtocolError: it may not stand in a request."""
    if len(text) > _MAX_URL or any(not "!" <= sign <= "~" for sign in text):
        raise ProtocolError("the server names a URL or session that cannot be asked for")
    return text


def _joined(base: str, control: str) -> str:
    if not control or control == "*":
        return base
    return _safe(control if "://" in control else f"{base.rstrip('/')}/{control}")


def _rtp_info(text: str) -> list[int]:
    """The rtptime of each track, in the order of the tracks; empty where one is missing."""
    starts = []
    for entry in text.split(","):
        fields = dict(part.strip().partition("=")[::2] for part in entry.split(";"))
        time = fields.get("rtptime", "")
        if not time.isdecimal() or len(time) > 10:
            return []
        starts.append(int(time) & 0xFFFFFFFF)
    return starts
