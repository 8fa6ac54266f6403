"""The lines of a manifest: what each says, its one canonical form, and its way back. Knows no file and no private key.

A line is UTF-8 JSON with sorted keys, no spaces and a newline; a line in any other form is refused, so that every
flipped bit shows. Times on the stream's axis are seconds with at most four decimals.
Source: docs/recording-format.md.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from pipeline.errors import EvidenceError
from pipeline.media import Gap, GapCause

FORMAT = "onrecord-recording"
VERSION = 1
MAX_LINE_BYTES = 1 << 20  # a line is about 1 KB; a longer one is no line of ours

T = TypeVar("T")
Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True)
class RecordingLine:
    """Line 0: what is recorded. Bound to all that follows by the chain of `prev`."""

    recording_id: str
    stream_id: str
    device_id: str
    device_name: str
    officer: str
    unit: str
    started_at: str


@dataclass(frozen=True, slots=True)
class SegmentLine:
    """One closed segment file.

    first_pts_s, last_pts_s, end_s: on the stream's axis. base_ticks: what to add to the times in the file to get
    there, by track id. captured_at, captured_until: arrival here of its first and last fragment. device_at,
    device_offset_s: what the device's own clock said, None where it said nothing. is_suspect: the disk did not
    confirm these bytes. is_recovered: closed after a crash; its unwritten tail was cut.
    conversions: how we changed what the device sent, by track id; empty where the file holds the device's own bytes.
    """

    file: str
    size_bytes: int
    sha256: str
    prev: str
    first_pts_s: float
    last_pts_s: float
    end_s: float
    base_ticks: tuple[tuple[int, int], ...]
    codecs: tuple[str, ...]
    captured_at: str
    captured_until: str
    device_at: str | None
    device_offset_s: float | None
    gaps: tuple[Gap, ...]
    is_recovered: bool
    is_suspect: bool
    conversions: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KeyChange:
    """The owner of the old key says which key follows it. Keys: 32 raw bytes; signature: 64 bytes, by the old key."""

    old_public_key: bytes
    new_public_key: bytes
    at: str
    signature: bytes

    def signed_bytes(self) -> bytes:
        """What the signature is made over: the line without it."""
        tree = _tree(self)
        del tree["signature"]
        return canonical(tree)


@dataclass(frozen=True, slots=True)
class HeadLine:
    """A signature over everything before it. The last one is final and says why the recording ended.

    line_count: lines before this one. gaps: what is missing after the last segment, on the final head only.
    """

    prev: str
    recording_id: str
    line_count: int
    at: str
    is_final: bool
    reason: str | None
    gaps: tuple[Gap, ...]
    key_changes: tuple[KeyChange, ...]
    key_id: str
    public_key: bytes
    signature: bytes

    def signed_bytes(self) -> bytes:
        """What the signature is made over: the line without it."""
        tree = _tree(self)
        del tree["signature"]
        return canonical(tree)

    def with_signature(self, signature: bytes) -> "HeadLine":
        return replace(self, signature=signature)


Line: TypeAlias = RecordingLine | SegmentLine | HeadLine | KeyChange


def canonical(tree: Json) -> bytes:
    """Sorted keys, no spaces, UTF-8, a newline. Raises: ValueError: a number is not finite or a text not Unicode."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def encode(line: Line) -> bytes:
    """The line's one form, newline included."""
    return canonical(_tree(line))


def parse(raw: bytes) -> Line:
    """The line that `raw` (with its newline) is the one form of.

    Raises: EvidenceError: it is not a line, or not in its one form.
    """
    if len(raw) > MAX_LINE_BYTES:
        raise EvidenceError(f"a line of {len(raw)} bytes; at most {MAX_LINE_BYTES} are allowed")
    try:
        line = _line(_Fields(json.loads(raw)))
        same = encode(line) == raw
    except (ValueError, RecursionError, TypeError) as error:
        raise EvidenceError(f"not a line of a manifest: {error}") from error
    if not same:
        raise EvidenceError("not in canonical form: parsed and written again it has other bytes")
    return line


def digest(raw: bytes) -> str:
    """What the next line says as `prev`."""
    return hashlib.sha256(raw).hexdigest()


def seconds(value_s: float) -> float:
    """`value_s` as the manifest writes it: four decimals, so that no exponent is ever needed."""
    return round(value_s, 4) + 0.0


def _tree(line: Line) -> dict[str, Json]:
    match line:
        case RecordingLine():
            return {
                "type": "recording", "format": FORMAT, "version": VERSION, "recording_id": line.recording_id,
                "stream_id": line.stream_id, "device_id": line.device_id, "device_name": line.device_name,
                "officer": line.officer, "unit": line.unit, "started_at": line.started_at,
            }  # fmt: skip
        case SegmentLine():
            return {
                "type": "segment", "file": line.file, "size_bytes": line.size_bytes, "sha256": line.sha256,
                "prev": line.prev, "first_pts_s": line.first_pts_s, "last_pts_s": line.last_pts_s,
                "end_s": line.end_s, "base_ticks": {str(track): base for track, base in line.base_ticks},
                "codecs": list(line.codecs), "captured_at": line.captured_at, "captured_until": line.captured_until,
                "device_at": line.device_at, "device_offset_s": line.device_offset_s,
                "gaps": [_gap_tree(gap) for gap in line.gaps], "recovered": line.is_recovered,
                "suspect": line.is_suspect, **conversions_tree(line.conversions),
            }  # fmt: skip
        case HeadLine():
            return {
                "type": "head", "prev": line.prev, "recording_id": line.recording_id, "line_count": line.line_count,
                "at": line.at, "final": line.is_final, "reason": line.reason,
                "gaps": [_gap_tree(gap) for gap in line.gaps],
                "key_changes": [_tree(change) for change in line.key_changes], "key_id": line.key_id,
                "public_key": _base64(line.public_key), "signature": _base64(line.signature),
            }  # fmt: skip
        case KeyChange():
            return {
                "type": "key_change", "at": line.at, "old_public_key": _base64(line.old_public_key),
                "new_public_key": _base64(line.new_public_key), "signature": _base64(line.signature),
            }  # fmt: skip


def conversions_tree(conversions: tuple[tuple[int, str], ...]) -> dict[str, Json]:
    """The field `conversions`, which is left out where nothing was converted."""
    return {"conversions": {str(track): text for track, text in conversions}} if conversions else {}


def _line(fields: "_Fields") -> Line:
    match fields.text("type"):
        case "recording":
            if fields.text("format") != FORMAT or fields.whole("version") != VERSION:
                raise ValueError(f"format is not {FORMAT} version {VERSION}")
            return RecordingLine(
                fields.text("recording_id"), fields.text("stream_id"), fields.text("device_id"),
                fields.text("device_name"), fields.text("officer"), fields.text("unit"), fields.text("started_at"),
            )  # fmt: skip
        case "segment":
            return _segment(fields)
        case "head":
            return HeadLine(
                fields.text("prev"), fields.text("recording_id"), fields.whole("line_count"), fields.text("at"),
                fields.flag("final"), fields.text_or_none("reason"), _gaps(fields),
                tuple(_key_change(each) for each in fields.each("key_changes")), fields.text("key_id"),
                fields.raw("public_key"), fields.raw("signature"),
            )  # fmt: skip
        case "key_change":
            return _key_change(fields)
        case kind:
            raise ValueError(f"unknown type of line {kind!r}")


def _segment(fields: "_Fields") -> SegmentLine:
    base = fields.under("base_ticks")
    converted = fields.under("conversions") if fields.has("conversions") else None
    return SegmentLine(
        fields.text("file"), fields.whole("size_bytes"), fields.text("sha256"), fields.text("prev"),
        fields.number("first_pts_s"), fields.number("last_pts_s"), fields.number("end_s"),
        tuple((int(track), base.whole(track)) for track in base.names()), fields.texts("codecs"),
        fields.text("captured_at"), fields.text("captured_until"), fields.text_or_none("device_at"),
        fields.number_or_none("device_offset_s"), _gaps(fields), fields.flag("recovered"), fields.flag("suspect"),
        tuple((int(track), converted.text(track)) for track in converted.names()) if converted else (),
    )  # fmt: skip


def _gaps(fields: "_Fields") -> tuple[Gap, ...]:
    return tuple(
        Gap(each.number("start_s"), each.number("end_s"), GapCause(each.text("cause")), each.whole("fragments"))
        for each in fields.each("gaps")
    )


def _key_change(fields: "_Fields") -> KeyChange:
    return KeyChange(
        fields.raw("old_public_key"), fields.raw("new_public_key"), fields.text("at"), fields.raw("signature")
    )


def _gap_tree(gap: Gap) -> Json:
    return {
        "start_s": seconds(gap.start_s), "end_s": seconds(gap.end_s), "cause": str(gap.cause),
        "fragments": gap.fragments,
    }  # fmt: skip


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


class _Fields:
    """A JSON object, read field by field. Every call Raises: ValueError: the field is missing or of another type."""

    def __init__(self, tree: object) -> None:
        if not isinstance(tree, dict):
            raise ValueError("not a JSON object")
        self._tree: dict[str, object] = tree

    def has(self, name: str) -> bool:
        return name in self._tree

    def names(self) -> list[str]:
        return list(self._tree)

    def text(self, name: str) -> str:
        return self._typed(name, str)

    def text_or_none(self, name: str) -> str | None:
        return None if self._tree.get(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        return self._typed(name, bool)

    def whole(self, name: str) -> int:
        if self._typed(name, int) is True or self._tree[name] is False:
            raise ValueError(f"{name!r} is not a number")
        return self._typed(name, int)

    def number(self, name: str) -> float:
        return self._typed(name, float)

    def number_or_none(self, name: str) -> float | None:
        return None if self._tree.get(name) is None else self.number(name)

    def raw(self, name: str) -> bytes:
        return base64.b64decode(self.text(name), validate=True)

    def texts(self, name: str) -> tuple[str, ...]:
        values = self._typed(name, list)
        if not all(isinstance(value, str) for value in values):
            raise ValueError(f"{name!r} is not a list of texts")
        return tuple(map(str, values))

    def under(self, name: str) -> "_Fields":
        return _Fields(self._tree.get(name))

    def each(self, name: str) -> "list[_Fields]":
        return [_Fields(value) for value in self._typed(name, list)]

    def _typed(self, name: str, kind: type[T]) -> T:
        value = self._tree.get(name)
        if not isinstance(value, kind):
            raise ValueError(f"{name!r} is missing or not of type {kind.__name__}")
        return value
