"""The publisher's side of one RTMP connection, without I/O: handshake, connect, publish, goodbye. Muxes nothing.

Send `opening`; send what every call returns; feed what comes. Shared by the relay and the simulator.
"""

from collections import deque
from enum import Enum, auto

from pipeline.errors import ProtocolError, PublishRefused
from pipeline.rtmp import amf0, chunks
from pipeline.rtmp.amf0 import Value
from pipeline.rtmp.chunks import ChunkReader
from pipeline.rtmp.handshake import ClientHandshake

CHUNK_SIZE = 65_536
"""What we send in: a picture is one chunk or two."""
MESSAGE_STREAM = 1
"""What every server gives out first."""
VIDEO_CHUNK_STREAM, AUDIO_CHUNK_STREAM = 6, 4
MAX_ANSWER_BYTES = 65_536
"""The longest message a server may send us; answers are a few hundred bytes."""

_COMMAND_CHUNK_STREAM, _CONTROL_CHUNK_STREAM = 3, 2
_FOUR_CCS: list[Value] = ["avc1", "hvc1", "av01", "mp4a", "Opus", "fLaC"]
_CONNECT, _CREATE_STREAM = 1.0, 4.0  # the transactions whose answers are waited for
_PING_REQUEST, _PING_RESPONSE = 6, 7


class ClientStage(Enum):
    """How far a connection has come."""

    HANDSHAKE = auto()
    GREETED = auto()
    CONNECTED = auto()
    PUBLISHING = auto()
    OVER = auto()
    """The server confirmed our goodbye."""


class ClientSession:
    """One connection. Its buffers: one answer of at most MAX_ANSWER_BYTES, and the last 64 commands of the server."""

    def __init__(self, random: bytes) -> None:
        """random: 1528 bytes for the handshake."""
        self._handshake = ClientHandshake(random)
        self._reader = ChunkReader(self._take, MAX_ANSWER_BYTES)
        self._chunk_size = chunks.DEFAULT_CHUNK_SIZE
        self._stream_id = MESSAGE_STREAM
        self._key = ""
        self._out = b""
        self.stage = ClientStage.HANDSHAKE
        self.refusal_code = ""
        """The server's own word for why it refused ("NetStream.Publish.BadName"), once PublishRefused was raised."""
        self.answers: deque[list[Value]] = deque(maxlen=64)
        """Commands of the server, the newest last."""

    @property
    def opening(self) -> bytes:
        """What is sent first."""
        return self._handshake.opening

    def feed(self, data: bytes) -> bytes:
        """Take what was received; return what to send.

        Raises: ProtocolError: the peer speaks no RTMP. PublishRefused: it said no, now or in mid-stream.
        """
        rest = data
        if self.stage is ClientStage.HANDSHAKE:
            reply, rest = self._handshake.feed(data)
            self._out += reply
            if self._handshake.is_done:
                self.stage = ClientStage.GREETED
        if rest:
            self._reader.feed(rest)
        out, self._out = self._out, b""
        return out

    def connect(self, application: str, tc_url: str) -> bytes:
        """Ask for the application; the stage becomes CONNECTED. tc_url: the URL without the key."""
        size = CHUNK_SIZE.to_bytes(4, "big")
        announced = self.message(chunks.SET_CHUNK_SIZE, size, chunk_stream=_CONTROL_CHUNK_STREAM, stream_id=0)
        self._chunk_size = CHUNK_SIZE
        properties: dict[str, Value] = {"app": application, "type": "nonprivate", "flashVer": "FMLE/3.0 (OnRecord)"}
        properties |= {"tcUrl": tc_url, "fourCcList": _FOUR_CCS}
        return announced + self.command("connect", _CONNECT, properties)

    def publish(self, key: str) -> bytes:
        """Ask for a stream; the stage becomes PUBLISHING."""
        self._key = key
        return (
            self.command("releaseStream", 2.0, None, key)
            + self.command("FCPublish", 3.0, None, key)
            + self.command("createStream", _CREATE_STREAM, None)
        )

    def unpublish(self) -> bytes:
        """Say goodbye; the stage becomes OVER where the server confirms it. Not all do."""
        return self.command("FCUnpublish", 6.0, None, self._key) + self.command(
            "deleteStream", 7.0, None, float(self._stream_id)
        )

    def command(self, name: str, transaction: float, *values: Value, stream_id: int = 0) -> bytes:
        return self.message(chunks.COMMAND_AMF0, amf0.write(name, transaction, *values), stream_id=stream_id)

    def message(
        self,
        type_id: int,
        payload: bytes,
        *,
        timestamp_ms: int = 0,
        chunk_stream: int = _COMMAND_CHUNK_STREAM,
        stream_id: int | None = None,
    ) -> bytes:
        """A message in the chunk size in force. stream_id: None for the stream that is published."""
        return chunks.whole_message(
            chunk_stream=chunk_stream,
            type_id=type_id,
            stream_id=self._stream_id if stream_id is None else stream_id,
            timestamp_ms=timestamp_ms,
            payload=payload,
            chunk_size=self._chunk_size,
        )

    def _take(self, type_id: int, stream_id: int, timestamp_ms: int, buffer: bytes, start: int, end: int) -> None:  # noqa: ARG002 - the Receiver's form
        payload = buffer[start:end]
        if type_id == chunks.USER_CONTROL and int.from_bytes(payload[:2], "big") == _PING_REQUEST:
            pong = _PING_RESPONSE.to_bytes(2, "big") + payload[2:6]
            self._out += self.message(chunks.USER_CONTROL, pong, chunk_stream=_CONTROL_CHUNK_STREAM, stream_id=0)
        elif type_id == chunks.COMMAND_AMF0:
            answer = amf0.read(payload)
            self._heed(answer)
            self.answers.append(answer)

    def _heed(self, answer: list[Value]) -> None:
        name = answer[0] if answer else None
        transaction = answer[1] if len(answer) > 1 else None
        match name:
            case "_error" if transaction in (_CONNECT, _CREATE_STREAM):
                raise self._refused(answer)
            case "_result" if transaction == _CONNECT:
                self.stage = ClientStage.CONNECTED
            case "_result" if transaction == _CREATE_STREAM:
                self._begin(answer)
            case "onStatus":
                self._heed_status(answer)

    def _begin(self, answer: list[Value]) -> None:
        number = answer[3] if len(answer) > 3 else None
        if not isinstance(number, float) or not 0 < number < 0xFFFFFFFF:
            raise ProtocolError("the server gave no stream number")
        self._stream_id = int(number)
        self._out += self.command("publish", 5.0, None, self._key, "live", stream_id=self._stream_id)

    def _heed_status(self, answer: list[Value]) -> None:
        level, code = _field(answer, "level"), _field(answer, "code")
        if level == "error":
            raise self._refused(answer)
        if code == "NetStream.Publish.Start":
            self.stage = ClientStage.PUBLISHING
        elif code == "NetStream.Unpublish.Success":
            self.stage = ClientStage.OVER

    def _refused(self, answer: list[Value]) -> PublishRefused:
        self.refusal_code = _field(answer, "code")
        return PublishRefused(f"the server refused: {_field(answer, 'description') or 'without a reason'}")


def _field(answer: list[Value], name: str) -> str:
    info = answer[-1] if answer else None
    value = info.get(name) if isinstance(info, dict) else None
    return value if isinstance(value, str) else ""
