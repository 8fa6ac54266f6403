"""The stamp in a segment file: which recording it belongs to, which number it has, where its times lie.

A `uuid` box at the end of the moov; players pass over it. With it a file says what it is without its manifest: recovery
reads the time axis from it, and the verifier knows a foreign file by name. Knows no disk.
Source: ISO/IEC 14496-12 4.2 (user extension boxes).
"""

import json
import struct
from dataclasses import dataclass

from pipeline import fmp4
from pipeline.errors import BoxMalformed
from pipeline.record.lines import RecordingLine, canonical, conversions_tree

_UUID = bytes.fromhex("6f6e7265636f7264a7c1f3d2945e8b60")  # "onrecord" and eight random bytes
_BOX = struct.Struct(">I4s")
_BOX_HEAD_BYTES = 8


@dataclass(frozen=True, slots=True)
class Stamp:
    """base_ticks: what to add to the file's times to get the stream's, by track id. captured_at: RFC 3339, arrival of
    the first fragment. conversions: as in SegmentLine."""

    recording: RecordingLine
    file: str
    base_ticks: tuple[tuple[int, int], ...]
    captured_at: str
    conversions: tuple[tuple[int, str], ...] = ()


def stamped(init: bytes, stamp: Stamp) -> bytes:
    """The init segment `init` (ftyp + moov) with `stamp` in its moov."""
    line = stamp.recording
    body = canonical(
        {
            "recording_id": line.recording_id, "stream_id": line.stream_id, "device_id": line.device_id,
            "device_name": line.device_name, "officer": line.officer, "unit": line.unit,
            "started_at": line.started_at, "file": stamp.file, "captured_at": stamp.captured_at,
            "base_ticks": {str(track): base for track, base in stamp.base_ticks},
            **conversions_tree(stamp.conversions),
        }
    )  # fmt: skip
    box = _BOX.pack(_BOX_HEAD_BYTES + len(_UUID) + len(body), b"uuid") + _UUID + body
    at = _BOX.unpack_from(init)[0]
    moov_size: int = _BOX.unpack_from(init, at)[0]
    return init[:at] + _BOX.pack(moov_size + len(box), b"moov") + init[at + _BOX_HEAD_BYTES :] + box


def read_stamp(data: bytes | memoryview) -> Stamp:
    """The stamp of the segment file that begins with `data`.

    Raises: BoxMalformed: it has no whole init segment, or no stamp at the end of it.
    """
    init = bytes(data[: fmp4.init_size(data)])
    at = init.rfind(b"uuid" + _UUID)
    if at < 0:
        raise BoxMalformed("the moov holds no stamp of ours")
    try:
        tree = json.loads(init[at + 4 + len(_UUID) :])
        texts = {name: tree[name] for name in _TEXTS}
        if not all(isinstance(text, str) for text in texts.values()):
            raise ValueError("a field is not a text")
        recording = RecordingLine(**{name: texts[name] for name in _TEXTS[:7]})
        base_ticks = tuple((int(track), int(base)) for track, base in tree["base_ticks"].items())
        conversions = tuple((int(track), str(text)) for track, text in tree.get("conversions", {}).items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BoxMalformed(f"the stamp cannot be read: {error}") from error
    return Stamp(recording, texts["file"], base_ticks, texts["captured_at"], conversions)


_TEXTS = (
    "recording_id", "stream_id", "device_id", "device_name", "officer", "unit", "started_at", "file", "captured_at",
)  # fmt: skip
