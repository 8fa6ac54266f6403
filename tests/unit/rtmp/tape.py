"""A door and its publications that keep everything, and a publisher made of bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.errors import KeyUnknown, PublishRefused
from pipeline.ingest.rtmp.session import RtmpSession
from pipeline.media import AUDIO_TRACK, VIDEO_TRACK, Packet, Track
from pipeline.rtmp import amf0, chunks
from pipeline.rtmp.amf0 import Value
from pipeline.settings import IngestSettings, RtmpSettings

KEY = "dev.k3y"
# 320x240, 25 pictures a second, High profile; as ffmpeg and x264 wrote it
AVCC = bytes.fromhex("0164000dffe100196764000dacd94141fb011000000300100000030320f142996001000668ebe3cb22c0fdf8f800")
RANDOM = bytes(1528)
HANDSHAKE = b"\x03" + bytes(2 * 1536)
VIDEO_CONFIG = b"\x17\0\0\0\0" + AVCC
AUDIO_CONFIG = b"\xaf\0\x11\x88"
KEY_PICTURE = b"\x17\1\0\0\0" + b"\0\0\0\3\x65ab"
PICTURE = b"\x27\1\0\0\0" + b"\0\0\0\3\x41cd"
SOUND = b"\xaf\1sound"


@dataclass
class TapePublication:
    """Keeps what it is given."""

    packets: list[Packet] = field(default_factory=list)
    tracks: list[tuple[Track, ...]] = field(default_factory=list)
    ends: list[tuple[str, str]] = field(default_factory=list)
    pressure: float = 0.0
    late_s: list[float] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    device_offsets_s: list[float] = field(default_factory=list)

    def set_tracks(self, tracks: tuple[Track, ...], late_s: float = 0.0) -> None:
        self.late_s.append(late_s)
        self.tracks.append(tracks)

    def publish(self, packet: Packet) -> None:
        self.packets.append(packet)

    def say_time(self, device_s: float, arrival_s: float) -> None:
        self.device_offsets_s.append(device_s - arrival_s)

    def lost(self, reason: str) -> None:
        self.ends.append(("lost", reason))

    def end(self, reason: str) -> None:
        self.ends.append(("end", reason))

    def holds(self, packets: int) -> bool:
        return len(self.packets) >= packets

    def of(self, track_id: int) -> list[Packet]:
        return [packet for packet in self.packets if packet.track_id == track_id]

    @property
    def pictures(self) -> list[Packet]:
        return self.of(VIDEO_TRACK)

    @property
    def sounds(self) -> list[Packet]:
        return self.of(AUDIO_TRACK)


@dataclass
class TapeDoor:
    """Opens for KEY; refuses the rest, or everybody with `refusal`."""

    publications: list[TapePublication] = field(default_factory=list)
    kicks: list[Callable[[str], None]] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    refusal: PublishRefused | None = None
    keys: Sequence[str] = (KEY,)

    def open(self, stream_key: str, address: str, kick: Callable[[str], None]) -> TapePublication:
        if self.refusal is not None:
            raise self.refusal
        if stream_key not in self.keys:
            raise KeyUnknown("no device has this key")
        publication = TapePublication()
        self.publications.append(publication)
        self.kicks.append(kick)
        self.addresses.append(address)
        return publication


def session(door: TapeDoor, **rtmp: int) -> RtmpSession:
    return RtmpSession(
        door=door,
        address="192.0.2.7",
        kick=lambda _reason: None,
        rtmp=RtmpSettings.model_validate(rtmp),
        ingest=IngestSettings(),
        random=RANDOM,
    )


def message(
    type_id: int, payload: bytes, timestamp_ms: int = 0, *, chunk_stream: int = 4, chunk_size: int = 128
) -> bytes:
    return chunks.whole_message(
        chunk_stream=chunk_stream,
        type_id=type_id,
        stream_id=1,
        timestamp_ms=timestamp_ms,
        payload=payload,
        chunk_size=chunk_size,
    )


def command(name: str, *values: Value) -> bytes:
    return message(chunks.COMMAND_AMF0, amf0.write(name, 1.0, *values), chunk_stream=3)


def connect(application: str = "live") -> bytes:
    return HANDSHAKE + command("connect", {"app": application})


def publish(key: str = KEY) -> bytes:
    return command("createStream", None) + command("publish", None, key, "live")


def opening(key: str = KEY) -> bytes:
    """Everything up to and with the configurations of both tracks."""
    return connect() + publish(key) + message(chunks.VIDEO, VIDEO_CONFIG) + message(chunks.AUDIO, AUDIO_CONFIG)


@dataclass
class Answers:
    """What a server sent after the handshake, taken apart."""

    sent: bytes
    messages: list[tuple[int, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        chunks.ChunkReader(self._take, 1 << 20).feed(self.sent)

    def _take(self, type_id: int, stream_id: int, timestamp_ms: int, buffer: bytes, start: int, end: int) -> None:  # noqa: ARG002 - the Receiver's form
        self.messages.append((type_id, buffer[start:end]))

    @property
    def commands(self) -> list[list[Value]]:
        return [amf0.read(payload) for type_id, payload in self.messages if type_id == chunks.COMMAND_AMF0]

    @property
    def codes(self) -> list[Value]:
        infos = [values[-1] for values in self.commands]
        return [info["code"] for info in infos if isinstance(info, dict) and "code" in info]
