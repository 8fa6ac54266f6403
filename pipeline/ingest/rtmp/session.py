"""The server side of one RTMP connection, without I/O: bytes in, bytes to send out, packets to the publication.

Never says the stream key: not in an answer, not in a reason, not in an exception.
Source: Adobe RTMP 1.0, 7; Veovera Enhanced RTMP v2, "Enhancing NetConnection connect Command".
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto

from pipeline.errors import (
    AlreadyPublishing,
    CodecUnsupported,
    LimitExceeded,
    ProtocolError,
    PublishRefused,
    RateLimited,
)
from pipeline.ingest.door import Door, Publication
from pipeline.ingest.rtmp.flv import FlvReader
from pipeline.ingest.rtmp.tags import FOUR_CCS
from pipeline.media import Packet
from pipeline.rtmp import amf0, chunks
from pipeline.rtmp.amf0 import Value
from pipeline.rtmp.chunks import ChunkReader
from pipeline.rtmp.handshake import ServerHandshake
from pipeline.settings import IngestSettings, RtmpSettings

APPLICATION = "live"
_WINDOW_BYTES = 2_500_000  # we ask for, and send, an acknowledgement this often; the value every encoder knows
_SMALLEST_WINDOW_BYTES = 65_536  # whoever asks for more frequent acknowledgements gets this
_MAX_STRANGER_BYTES = 65_536  # encoders need about 1,000 from the handshake to publish
_MESSAGE_STREAM = 1  # the only one we give out
_CONTROL_CHUNK_STREAM, _COMMAND_CHUNK_STREAM = 2, 3
_STREAM_BEGIN, _PING_REQUEST, _PING_RESPONSE = 0, 6, 7
_DYNAMIC_LIMIT = 2
_MAX_AGGREGATE_PARTS = 1024  # a second of video and sound is about 75
_AGGREGATE_HEADER_BYTES, _AGGREGATE_TRAILER_BYTES = 11, 4
_TIME_MASK = 0xFFFFFFFF
_AUDIO, _VIDEO = chunks.AUDIO, chunks.VIDEO  # 8 and 9, the two types between which there is nothing


class Stage(Enum):
    """How far a connection has come."""

    HANDSHAKE = auto()
    COMMANDS = auto()
    PUBLISHING = auto()
    CLOSED = auto()


class RtmpSession:
    """One connection. `close_reason` is set when the peer must be closed after what `feed` returned was sent."""

    def __init__(
        self,
        *,
        door: Door,
        address: str,
        kick: Callable[[str], None],
        rtmp: RtmpSettings,
        ingest: IngestSettings,
        random: bytes,
    ) -> None:
        """address, kick: as in Door.open. random: 1528 bytes for the handshake."""
        self._door = door
        self._address = address
        self._kick = kick
        self._chunk_size = rtmp.chunk_size_bytes
        self._flv = FlvReader(ingest.max_width, ingest.max_height)
        self._handshake = ServerHandshake(random)
        self._reader = ChunkReader(self._take, rtmp.max_message_bytes)
        self._publication: Publication | None = None
        self._ids: dict[str, str] = {}
        self._ingest = ingest
        self._application_key = ""
        self._is_connected = False
        self._sending_chunk_size = chunks.DEFAULT_CHUNK_SIZE
        self._out = b""
        self._captured_at = 0.0
        self._received_bytes = 0
        self._stranger_bytes = 0
        self._acknowledge_at = _WINDOW_BYTES
        self._window_bytes = _WINDOW_BYTES
        self.stage = Stage.HANDSHAKE
        self.close_reason = ""
        self.was_refused = False
        self.parting = ""
        """How the last publication ended, where the device said goodbye."""
        self.media_messages = 0
        """Whole sound and video messages so far: what the silence deadline watches."""

    @property
    def held_bytes(self) -> int:
        """Received bytes that wait for more."""
        return self._reader.held_bytes

    def feed(self, data: bytes, captured_at: float) -> bytes:
        """Take what was received at `captured_at` (UTC seconds); return what to send.

        Raises: ProtocolError: the peer broke the rules. Call `lost` and close the connection.
        """
        self._captured_at = captured_at
        self._received_bytes += len(data)
        try:
            if self.stage is Stage.PUBLISHING:
                self._reader.feed(data)
            elif self.stage is Stage.COMMANDS:
                self._feed_stranger(data)
            elif self.stage is Stage.HANDSHAKE:
                self._shake_hands(data)
        except CodecUnsupported as error:
            self._status("error", "NetStream.Publish.Failed", str(error))
            self.lost(str(error))
        if self._received_bytes >= self._acknowledge_at:
            self._acknowledge()
        out, self._out = self._out, b""
        return out

    @property
    def ids(self) -> dict[str, str]:
        """What a line of the log about it says, also after its publication ended; empty before there was one."""
        return self._ids if self._publication is None else self._publication.ids

    def lost(self, reason: str) -> None:
        """The connection is gone or must go; the publication, if any, may come back. Idempotent."""
        self.close_reason = self.close_reason or reason
        self.stage = Stage.CLOSED
        self._ids = self.ids
        publication, self._publication = self._publication, None
        if publication is not None:
            self._publish_held(publication)
            publication.lost(reason)

    def stop_taking(self, reason: str) -> None:
        """Nothing more is taken from the peer, and nobody is told yet: for `kick`, which the Door itself calls."""
        self.close_reason = self.close_reason or reason
        self.stage = Stage.CLOSED

    def _shake_hands(self, data: bytes) -> None:
        answer, rest = self._handshake.feed(data)
        self._out += answer
        if self._handshake.is_done:
            self.stage = Stage.COMMANDS
            self._feed_stranger(rest)

    def _feed_stranger(self, data: bytes) -> None:
        """Take bytes of a peer that has shown no key yet: it may not keep us busy with commands."""
        self._stranger_bytes += len(data)
        self._reader.feed(data)
        if self.stage is Stage.COMMANDS and self._stranger_bytes > _MAX_STRANGER_BYTES:
            raise LimitExceeded(f"more than {_MAX_STRANGER_BYTES} bytes without publishing")

    def _take(self, type_id: int, stream_id: int, timestamp_ms: int, buffer: bytes, start: int, end: int) -> None:
        publication = self._publication
        if publication is not None and _AUDIO <= type_id <= _VIDEO and not self.close_reason:
            self.media_messages += 1
            flv = self._flv
            tag = flv.video if type_id == _VIDEO else flv.audio
            packet = tag(timestamp_ms, buffer, start, end, self._captured_at)
            if packet is not None:
                if flv.has_new_tracks:
                    publication.set_tracks(flv.tracks, flv.late_s(self._captured_at))
                    flv.has_new_tracks = False
                if flv.has_waiting:
                    self._publish_each(publication, flv.take_waiting())
                publication.publish(packet)
        elif self.stage is not Stage.CLOSED:
            self._take_rare(type_id, stream_id, timestamp_ms, buffer[start:end])

    @staticmethod
    def _publish_each(publication: Publication, packets: Sequence[Packet]) -> None:
        for packet in packets:
            publication.publish(packet)

    def _publish_held(self, publication: Publication) -> None:
        """Nothing follows: what the reader held back."""
        packets = self._flv.finish(self._captured_at)
        with suppress(CodecUnsupported):  # tracks that nobody carries: there is no stream to publish to
            if packets and self._flv.has_new_tracks:
                publication.set_tracks(self._flv.tracks)
            self._publish_each(publication, packets)

    def _take_rare(self, type_id: int, stream_id: int, timestamp_ms: int, payload: bytes) -> None:
        match type_id:
            case chunks.COMMAND_AMF0:
                self._command(payload)
            case chunks.COMMAND_AMF3:
                self._command(payload[1:])  # a format byte, then AMF0 all the same
            case chunks.AGGREGATE:
                self._aggregate(stream_id, timestamp_ms, payload)
            case chunks.USER_CONTROL:
                self._user_control(payload)
            case chunks.WINDOW_ACK_SIZE:
                self._window_bytes = max(_SMALLEST_WINDOW_BYTES, int.from_bytes(payload[:4], "big"))
                self._acknowledge_at = min(self._acknowledge_at, self._received_bytes + self._window_bytes)
            case chunks.DATA_AMF0:
                self._flv.promise(payload)
            # acknowledgements, bandwidth and unknown types change nothing

    def _aggregate(self, stream_id: int, timestamp_ms: int, payload: bytes) -> None:
        """Several messages in one, each as an FLV tag; their times count from the first one's."""
        at = 0
        shift_ms: int | None = None
        parts = 0
        while at < len(payload):
            parts += 1
            if parts > _MAX_AGGREGATE_PARTS:
                raise LimitExceeded(f"an aggregate message of more than {_MAX_AGGREGATE_PARTS} parts")
            body = at + _AGGREGATE_HEADER_BYTES
            end = body + int.from_bytes(payload[at + 1 : at + 4], "big")
            if end > len(payload):
                raise ProtocolError("an aggregate message ends within one of its parts")
            type_id = payload[at]
            if type_id == chunks.AGGREGATE:
                raise ProtocolError("an aggregate message within an aggregate message")
            tag_ms = int.from_bytes(payload[at + 4 : at + 7], "big") | payload[at + 7] << 24
            if shift_ms is None:
                shift_ms = timestamp_ms - tag_ms
            self._take(type_id, stream_id, tag_ms + shift_ms & _TIME_MASK, payload, body, end)
            at = end + _AGGREGATE_TRAILER_BYTES

    def _user_control(self, payload: bytes) -> None:
        if int.from_bytes(payload[:2], "big") == _PING_REQUEST:
            self._control(chunks.USER_CONTROL, _PING_RESPONSE.to_bytes(2, "big") + payload[2:6])

    def _command(self, payload: bytes) -> None:
        values = amf0.read(payload)
        name = values[0] if values else None
        if not isinstance(name, str):
            raise ProtocolError("a command without a name")
        transaction = values[1] if len(values) > 1 and isinstance(values[1], float) else 0.0
        arguments = values[2:]
        match name:
            case "connect":
                self._connect(transaction, arguments[0] if arguments else None)
            case "createStream":
                self._answer(transaction, None, float(_MESSAGE_STREAM))
            case "releaseStream":
                self._answer(transaction, None, None)
            case "FCPublish":
                self._send_command("onFCPublish", 0.0, None, _status_of("status", "NetStream.Publish.Start", "ready"))
            case "publish":
                self._publish(arguments[1] if len(arguments) > 1 else None)
            case "FCUnpublish" | "deleteStream" | "closeStream":
                self._unpublish(name)
            case "play" | "play2":
                self._status("error", "NetStream.Play.Failed", "this port takes video and gives none")
                self.was_refused = True
                self.lost("asked to play, which this port does not offer")
            # what else encoders ask (_checkbw, getStreamLength) needs no answer

    def _connect(self, transaction: float, properties: Value) -> None:
        application = properties.get("app") if isinstance(properties, dict) else None
        parts = application.partition("?")[0].strip("/").split("/", 1) if isinstance(application, str) else [""]
        if parts[0] != APPLICATION:
            info = _status_of("error", "NetConnection.Connect.InvalidApp", "publish to rtmp://HOST/live/KEY")
            self._send_command("_error", transaction, None, info)
            self.was_refused = True
            self.lost("connected to another application than 'live'")
            return
        self._application_key = parts[1] if len(parts) > 1 else ""
        self._is_connected = True
        self._control(chunks.WINDOW_ACK_SIZE, _WINDOW_BYTES.to_bytes(4, "big"))
        self._control(chunks.PEER_BANDWIDTH, _WINDOW_BYTES.to_bytes(4, "big") + bytes([_DYNAMIC_LIMIT]))
        # ffmpeg and others take over our chunk size: one chunk a picture instead of thirty
        self._control(chunks.SET_CHUNK_SIZE, self._chunk_size.to_bytes(4, "big"))
        self._sending_chunk_size = self._chunk_size
        server: dict[str, Value] = {"fmsVer": "FMS/3,5,7,7009", "capabilities": 31.0, "mode": 1.0}
        info = _status_of("status", "NetConnection.Connect.Success", "connected")
        info |= {"objectEncoding": 0.0, "fourCcList": [*FOUR_CCS], "capsEx": 0.0}
        self._answer(transaction, server, info)

    def _publish(self, name: Value) -> None:
        if not self._is_connected:
            raise ProtocolError("publish before connect")
        if self._publication is not None:
            raise ProtocolError("a second publish on one connection")
        key = name.partition("?")[0] if isinstance(name, str) else ""
        try:
            self._publication = self._door.open(key or self._application_key, self._address, self._kick)
        except PublishRefused as refusal:
            code, reason = _refusal(refusal)
            self._status("error", code, reason)
            self.was_refused = True
            self.lost(reason)
            return
        self._flv = FlvReader(self._ingest.max_width, self._ingest.max_height)
        self.stage = Stage.PUBLISHING
        self._stranger_bytes = 0
        stream_begin = _STREAM_BEGIN.to_bytes(2, "big") + _MESSAGE_STREAM.to_bytes(4, "big")
        self._control(chunks.USER_CONTROL, stream_begin)
        self._status("status", "NetStream.Publish.Start", "publishing")

    def _unpublish(self, command: str) -> None:
        self._ids = self.ids
        publication, self._publication = self._publication, None
        if publication is None:
            return
        self.stage = Stage.COMMANDS
        self.parting = f"the device ended the stream ({command})"
        self._publish_held(publication)
        publication.end(self.parting)
        self._status("status", "NetStream.Unpublish.Success", "ended")

    def _acknowledge(self) -> None:
        self._acknowledge_at = self._received_bytes + self._window_bytes
        if self.stage in (Stage.COMMANDS, Stage.PUBLISHING):
            self._control(chunks.ACKNOWLEDGEMENT, (self._received_bytes & _TIME_MASK).to_bytes(4, "big"))

    def _answer(self, transaction: float, *values: Value) -> None:
        self._send_command("_result", transaction, *values)

    def _status(self, level: str, code: str, description: str) -> None:
        self._send_command("onStatus", 0.0, None, _status_of(level, code, description), stream_id=_MESSAGE_STREAM)

    def _send_command(self, name: str, transaction: float, *values: Value, stream_id: int = 0) -> None:
        payload = amf0.write(name, transaction, *values)
        self._send(_COMMAND_CHUNK_STREAM, chunks.COMMAND_AMF0, stream_id, payload)

    def _control(self, type_id: int, payload: bytes) -> None:
        self._send(_CONTROL_CHUNK_STREAM, type_id, 0, payload)

    def _send(self, chunk_stream: int, type_id: int, stream_id: int, payload: bytes) -> None:
        self._out += chunks.whole_message(
            chunk_stream=chunk_stream,
            type_id=type_id,
            stream_id=stream_id,
            timestamp_ms=0,
            payload=payload,
            chunk_size=self._sending_chunk_size,
        )


def _status_of(level: str, code: str, description: str) -> dict[str, Value]:
    return {"level": level, "code": code, "description": description}


def _refusal(refusal: PublishRefused) -> tuple[str, str]:
    """The status code and the words for the device. Our own words: the exception's may be meant for the operator."""
    match refusal:
        case AlreadyPublishing():
            return "NetStream.Publish.BadName", "this device publishes already on another connection"
        case RateLimited():
            return "NetStream.Publish.Unauthorized", "too many wrong stream keys; try again in a minute"
        case _:
            return "NetStream.Publish.BadName", "the stream key is not known here"
