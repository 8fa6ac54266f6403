"""A viewer's connection made of lists, and what a standard parser reads from it."""

import json
from dataclasses import dataclass, field

from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from pipeline.live.viewer import Viewer


@dataclass
class TapeWire:
    """Keeps what it is given. With a viewer and `most_writes`, it is full after so many."""

    data: bytearray = field(default_factory=bytearray)
    closes: list[tuple[int, str]] = field(default_factory=list)
    most_writes: int | None = None
    viewer: Viewer | None = None

    def write(self, data: bytes) -> None:
        assert not self.closes, "written after the goodbye"
        self.data += data
        if self.most_writes is not None:
            self.most_writes -= 1
            if self.most_writes == 0 and self.viewer is not None:
                self.viewer.pause()

    def close(self, code: int, reason: str) -> None:
        self.closes.append((code, reason))

    @property
    def messages(self) -> list[dict[str, object] | bytes]:
        """All messages in order: texts as JSON, the others as they are."""
        return [
            json.loads(bytes(each.data)) if each.opcode is Opcode.TEXT else bytes(each.data)
            for each in frames(self.data)
        ]

    @property
    def texts(self) -> list[dict[str, object]]:
        return [message for message in self.messages if isinstance(message, dict)]

    @property
    def media(self) -> list[bytes]:
        return [message for message in self.messages if isinstance(message, bytes)]

    def of_kind(self, kind: str) -> list[dict[str, object]]:
        return [text for text in self.texts if text["type"] == kind]

    @property
    def sequences(self) -> list[int]:
        """The sequence numbers of all fragments received."""
        return [number for message in self.media for number in sequences(message)]


def frames(data: bytes | bytearray) -> list[Frame]:
    """The WebSocket frames in `data`, parsed as a client of the `websockets` library does."""
    reader = StreamReader()
    reader.feed_data(bytes(data))
    reader.feed_eof()
    made = []
    while reader.buffer:
        parser = Frame.parse(reader.read_exact, mask=False, max_size=None)
        try:
            while True:
                next(parser)
        except StopIteration as stop:
            made.append(stop.value)
    return made


def sequences(message: bytes) -> list[int]:
    """The sequence numbers (mfhd) of the fragments in a binary message; none in an init segment."""
    found, offset = [], 0
    while offset < len(message):
        size, kind = int.from_bytes(message[offset : offset + 4], "big"), message[offset + 4 : offset + 8]
        assert size >= 8, "no box"
        if kind == b"moof":
            assert message[offset + 12 : offset + 16] == b"mfhd"
            found.append(int.from_bytes(message[offset + 20 : offset + 24], "big"))
        else:
            assert kind in (b"mdat", b"ftyp", b"moov"), kind
        offset += size
    assert offset == len(message), "a box is cut"
    return found
