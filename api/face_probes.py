"""The door of the workers of faces: whether a stream is to be looked at, and who a track may be. For service tokens.

A probe is a vector of a person's face: it is checked, handed to matching, and forgotten; no answer and no error holds
anything of it. Switch, gallery, expiry and case are looked at by matching, in each call.
"""

import base64
import binascii
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.doors import Doors
from api.permissions import Asker, require
from cases.faces.shapes import MOST_SIZE, AnswerKind, Probe, checked
from pipeline.errors import ValueRefused

router = APIRouter(prefix="/api/v1/faces")
Worker = Annotated[Asker, Depends(require("analysis.work"))]

MOST_SHOT_BYTES: Final = 64 * 1024
"""A face of 112 x 112 pixels as JPEG is 8 KiB."""
_JPEG: Final = b"\xff\xd8\xff"
Second = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
Label = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}@[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class ProbeIn(BaseModel):
    """A track of a face as far as it was seen. first: it was not asked about before. start_s: of the track; at_s: of
    its best shot; on the recording's axis. looks: pictures that the vector is made of. model, detector: name@version.

    vector: float32, little-endian, of unit length, as base64. shot: JPEG of the best shot as base64; empty: as before.
    """

    model_config = ConfigDict(extra="forbid")

    stream_id: str = Field(min_length=1, max_length=64)
    recording_id: str = Field(min_length=1, max_length=64)
    work_id: str = Field(min_length=1, max_length=300)
    track: int = Field(ge=0, le=1_000_000_000)
    first: bool
    start_s: Second
    at_s: Second
    looks: int = Field(ge=1, le=1_000_000)
    model: Label
    detector: Label
    quality: float = Field(ge=0, le=1, allow_inf_nan=False)
    vector: str = Field(min_length=4, max_length=4 * MOST_SIZE * 4 // 3 + 4, repr=False)
    shot: str = Field("", max_length=MOST_SHOT_BYTES * 4 // 3 + 4, repr=False)


class AnswerOut(BaseModel):
    """until: why nothing more is sought in this stream; empty: it goes on."""

    answer: AnswerKind
    until: str


class WatchingOut(BaseModel):
    """revision: another one where what is sought changed. why: in words, where nothing is."""

    watching: bool
    revision: int
    why: str


@router.get("/watching")
async def watching(
    request: Request, asker: Worker, stream_id: Annotated[str, Query(min_length=1, max_length=64)],
    model: Annotated[Label | Literal[""], Query()] = "",
) -> WatchingOut:  # fmt: skip
    """Whether faces of this stream are to be looked at now. Workers ask every second, and stop within two.

    model: the embedder's label; nothing is to be looked at with a model that made no template of these galleries.
    """
    del asker
    doors: Doors = request.app.state.doors
    found = await doors.faces.matching.watching(stream_id, model)
    return WatchingOut(watching=found.watching, revision=found.revision, why=found.why)


@router.post("/probes")
async def probe(request: Request, asker: Worker, sent: ProbeIn) -> AnswerOut:
    """Who this may be, in the galleries that may be searched for this stream now. What is unknown is kept nowhere."""
    del asker
    doors: Doors = request.app.state.doors
    found = await doors.faces.matching.probe(probe_of(sent))
    return AnswerOut(answer=found.answer, until=found.until)


def probe_of(sent: ProbeIn) -> Probe:
    """Raises: ValueRefused: what is wrong with it; nothing of what is in it."""
    shot = _bytes("shot", sent.shot)
    if shot and (not shot.startswith(_JPEG) or len(shot) > MOST_SHOT_BYTES):
        raise ValueRefused("shot", f"it is no JPEG of at most {MOST_SHOT_BYTES} bytes")
    if sent.at_s < sent.start_s:
        raise ValueRefused("at_s", "it lies before start_s")
    return Probe(
        stream_id=sent.stream_id, recording_id=sent.recording_id, work_id=sent.work_id, track=sent.track,
        first=sent.first, start_s=sent.start_s, at_s=sent.at_s, looks=sent.looks, model=sent.model,
        detector=sent.detector, quality=sent.quality, vector=checked(_bytes("vector", sent.vector)), shot=shot,
    )  # fmt: skip


def _bytes(field: str, text: str) -> bytes:
    """Raises: ValueRefused."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueRefused(field, "it is no base64") from error
