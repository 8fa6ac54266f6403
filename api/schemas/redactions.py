"""The shapes of redactions: copies of clips with faces hidden, and the drafts of such."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cases.clips.redacting import (
    MOST_DRAWN,
    MOST_POINTS,
    Clear,
    Marks,
    Redaction,
    Removed,
    Track,
    marks_of,
    plan_of,
    tracks_of,
)
from pipeline.analyse.covers import Box, Path, Point
from pipeline.clock import rfc3339

_TrackId = Annotated[str, Field(pattern=r"^[fd][0-9]{1,6}$")]
_Pixel = Annotated[float, Field(ge=-20_000, le=20_000)]
_MOST_TRACKS = 5000


class RedactionIn(BaseModel):
    """detect: whether faces are looked for first; false: all boxes are drawn by hand."""

    model_config = ConfigDict(extra="forbid")

    detect: bool = True


class BoxPoint(BaseModel):
    """Where a box is at a second of the clip's file, in pixels of its pictures; between two points it moves evenly."""

    model_config = ConfigDict(extra="forbid")

    at_s: float = Field(ge=-10, le=1e7)
    left: _Pixel
    top: _Pixel
    right: _Pixel
    bottom: _Pixel


class ClearIn(BaseModel):
    """A face that stays to be seen: whose it is, and why."""

    model_config = ConfigDict(extra="forbid")

    track_id: _TrackId
    name: Annotated[str, Field(min_length=1, max_length=200)]
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class RemovedIn(BaseModel):
    """A track of the detector that is no face: what it is."""

    model_config = ConfigDict(extra="forbid")

    track_id: _TrackId
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class DrawnIn(BaseModel):
    """A box that somebody drew; hidden from its first point to its last."""

    model_config = ConfigDict(extra="forbid")

    points: Annotated[list[BoxPoint], Field(min_length=2, max_length=MOST_POINTS)]


class TracksIn(BaseModel):
    """All that people say of the draft, in place of what was said before. What is named nowhere is hidden."""

    model_config = ConfigDict(extra="forbid")

    clear: Annotated[list[ClearIn], Field(max_length=_MOST_TRACKS)] = []
    removed: Annotated[list[RemovedIn], Field(max_length=_MOST_TRACKS)] = []
    drawn: Annotated[list[DrawnIn], Field(max_length=MOST_DRAWN)] = []


class CopyIn(BaseModel):
    """title: empty: the clip's. purpose: what for; empty: what the approval says."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(max_length=200)] = ""
    purpose: Annotated[str, Field(max_length=500)] = ""


class TrackOut(BaseModel):
    """source: who found it. state: what the copy does with it. looks: pictures in which the detector found the face."""

    track_id: str
    source: Literal["detector", "person"]
    state: Literal["hidden", "clear", "removed"]
    name: str
    reason: str
    looks: int
    points: list[BoxPoint]


class RedactionShortOut(BaseModel):
    """error: why the last thing that was tried failed; empty: it did not. far_s: of what is under way.

    sha256, size_bytes, item_id: of the copy, once it is made; of_sha256: of the clip, which stays as it is.
    """

    redaction_id: str
    clip_id: str
    case_id: str
    state: Literal["finding", "draft", "making", "made"]
    error: str
    far_s: float | None
    length_s: float
    width: int = Field(description="Of the clip's pictures; 0: nobody looked yet.")
    height: int
    detector: str = Field(description="Model and version; empty: no detector looked for faces.")
    edits: int
    asked_by: str
    asked_at: str
    of_sha256: str
    item_id: str | None
    sha256: str | None
    size_bytes: int | None
    made_at: str | None


class RedactionOut(RedactionShortOut):
    """tracks: all of them, the detector's with their margins in time and space as they are hidden."""

    tracks: list[TrackOut]


class RedactionsOut(BaseModel):
    items: list[RedactionShortOut]
    next_cursor: str | None


def marks_in(wanted: TracksIn) -> Marks:
    return Marks(
        tuple(Clear(each.track_id, each.name, each.reason) for each in wanted.clear),
        tuple(Removed(each.track_id, each.reason) for each in wanted.removed),
        tuple(Path(tuple(_point_in(point) for point in each.points)) for each in wanted.drawn),
    )


def redaction_short_out(redaction: Redaction, far_s: float | None) -> RedactionShortOut:
    return RedactionShortOut.model_validate(_told(redaction, far_s))


def redaction_out(redaction: Redaction, far_s: float | None) -> RedactionOut:
    plan, found = plan_of(redaction), len(tracks_of(redaction)) - len(marks_of(redaction).drawn)
    tracks = [
        _track_out(each, "detector" if place < found else "person", plan.clear, plan.removed)
        for place, each in enumerate(tracks_of(redaction))
    ]  # fmt: skip
    return RedactionOut.model_validate({**_told(redaction, far_s), "tracks": tracks})


def _told(redaction: Redaction, far_s: float | None) -> dict[str, object]:
    same = (
        "redaction_id", "clip_id", "case_id", "state", "error", "width", "height", "detector", "edits", "asked_by",
        "of_sha256", "item_id", "sha256", "size_bytes",
    )  # fmt: skip
    return {
        **{name: getattr(redaction, name) for name in same}, "far_s": far_s, "length_s": redaction.length_ms / 1000,
        "asked_at": rfc3339(redaction.asked_us / 1e6),
        "made_at": None if redaction.made_us is None else rfc3339(redaction.made_us / 1e6),
    }  # fmt: skip


def _track_out(
    track: Track, source: Literal["detector", "person"], clear: dict[str, Clear], removed: dict[str, Removed]
) -> TrackOut:
    kept, gone = clear.get(track.track_id), removed.get(track.track_id)
    return TrackOut(
        track_id=track.track_id, source=source, state="clear" if kept else "removed" if gone else "hidden",
        name=kept.name if kept else "", reason=kept.reason if kept else gone.reason if gone else "",
        looks=track.looks, points=[_point_out(each) for each in track.path.points],
    )  # fmt: skip


def _point_in(point: BoxPoint) -> Point:
    return Point(point.at_s, Box(point.left, point.top, point.right, point.bottom))


def _point_out(point: Point) -> BoxPoint:
    box = point.box
    return BoxPoint(at_s=point.at_s, left=box.left, top=box.top, right=box.right, bottom=box.bottom)
