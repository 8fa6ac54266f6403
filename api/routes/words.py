"""Spoken words: what was heard in a recording, as data and as subtitles; corrections on the timeline of a case.

Words are content of a recording, so who may play a span may read it: `recordings.play`, with an approval in force, and
only spans that lie wholly, in all their versions, within what it names. Each reading is an event, as each playing is.
On the timeline of a case its readers see the words of what is attached to it, by `cases.read`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from api.asking import Acted, actor_of, cursor_of, must_be_logged, place_of, record_of
from api.doors import Doors
from api.permissions import Asker, require, within
from api.schemas.words import CorrectionIn, CorrectionOut, WordsOut, span_out
from cases import subtitles, words
from cases.casework.approvals import playable
from cases.casework.corrections import correct_words
from cases.casework.rows import Recording
from cases.facts import Fact, JsonValue
from cases.reach import reached_case, reached_event, reached_recording
from cases.words import Span
from pipeline.ids import derived_event_id

router = APIRouter(prefix="/api/v1")
Corrector = Annotated[Asker, Depends(require("words.correct"))]
Player = Annotated[Asker, Depends(require("recordings.play"))]
Model = Annotated[str, Query(max_length=200, description="name@version; left out: the version that counts.")]
Zero = Annotated[float, Query(ge=0, le=1e7, description="The second of the recording that is the file's time 0.")]


class Vtt(Response):
    media_type = "text/vtt"


class Srt(Response):
    media_type = "application/x-subrip"


@router.post("/cases/{case_id}/corrections", status_code=201)
async def correct(request: Request, asker: Corrector, case_id: str, wanted: CorrectionIn) -> CorrectionOut:
    """What was said, by whoever listened: it counts over what any model heard, which stays on record beside it."""
    actor = actor_of(request, asker.principal)

    async def act(connection: AsyncConnection) -> Acted[str]:
        await reached_case(connection, asker.within, case_id)
        await reached_event(connection, asker.within, wanted.event_id)
        return await correct_words(connection, actor, case_id, wanted.event_id, wanted.text)

    return CorrectionOut(event_id=await record_of(request).appender.change(act))


@router.get("/recordings/{recording_id}/words")
async def read_words(
    request: Request,
    asker: Player,
    recording_id: str,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> WordsOut:
    """What was heard, span by span, every version of it; only within what an approval in force names, 403 without."""
    after = place_of(cursor) if cursor else (-1, -1)
    read = await _read(request, asker, recording_id)
    left = [span for span in read.spans if _place_of(span) > after]
    more, left = len(left) > limit, left[:limit]
    await _log(request, asker, read, "json")
    return WordsOut(
        items=[span_out(span) for span in left], next_cursor=cursor_of(*_place_of(left[-1])) if more else None
    )


@router.get("/recordings/{recording_id}/subtitles.vtt", response_class=Vtt)
async def read_vtt(request: Request, asker: Player, recording_id: str, model: Model = "", zero: Zero = 0.0) -> Vtt:
    """WebVTT of what an approval in force names, 403 without one. Its head says that a machine made it, and which."""
    read = await _read(request, asker, recording_id)
    await _log(request, asker, read, "vtt")
    return Vtt(subtitles.vtt(words.chosen(read.spans, model), zero), headers=_named(recording_id, "vtt"))


@router.get("/recordings/{recording_id}/subtitles.srt", response_class=Srt)
async def read_srt(request: Request, asker: Player, recording_id: str, model: Model = "", zero: Zero = 0.0) -> Srt:
    """As subtitles.vtt, as SubRip."""
    read = await _read(request, asker, recording_id)
    await _log(request, asker, read, "srt")
    return Srt(subtitles.srt(words.chosen(read.spans, model), zero), headers=_named(recording_id, "srt"))


@dataclass(frozen=True, slots=True)
class _Read:
    """spans: those that the reader may know. allowed: milliseconds of the recording that approvals name."""

    recording: Recording
    spans: Sequence[Span]
    allowed: Sequence[tuple[int, int]]


async def _read(request: Request, asker: Asker, recording_id: str) -> _Read:
    """Raises: ThingUnknown: out of reach. HTTPException 403: no approval in force. StorageError: unlogged."""
    doors: Doors = request.app.state.doors
    now_us = actor_of(request, asker.principal).now_us
    async with record_of(request).store.reading() as connection:
        reach = within(doors, asker.principal, "recordings.list")
        recording = await reached_recording(connection, reach, recording_id)
        allowed = await playable(connection, asker.principal.by, recording_id, now_us)
        if not allowed:
            raise HTTPException(403, "no approval in force names any of this recording; ask for one")
        must_be_logged(request)
        spans = await words.of_recording(connection, recording)
    return _Read(recording, [span for span in spans if _is_within(span, allowed)], allowed)


def _is_within(span: Span, allowed: Sequence[tuple[int, int]]) -> bool:
    return any(low <= span.start_s * 1000 and span.end_s * 1000 <= high for low, high in allowed)


def _place_of(span: Span) -> tuple[int, int]:
    return round(span.start_s * 1000), round(span.end_s * 1000)


async def _log(request: Request, asker: Asker, read: _Read, form: str) -> None:
    """Committed before a word is sent. spans: in seconds, what the reader was allowed then."""
    actor = actor_of(request, asker.principal)
    spans = ",".join(f"{low / 1000:.3f}-{high / 1000:.3f}" for low, high in read.allowed)
    body: dict[str, JsonValue] = {
        "recording_id": read.recording.recording_id, "form": form, "spans": spans, "by_name": actor.name,
    }  # fmt: skip
    fetched = Fact(
        event_id=derived_event_id("WordsFetched", read.recording.recording_id, actor.by, actor.now_us, form),
        kind="WordsFetched", at_us=actor.now_us, stream_id=read.recording.stream_id, by=actor.by, body=body,
    )  # fmt: skip
    await record_of(request).appender.append([fetched])


def _named(recording_id: str, form: str) -> dict[str, str]:
    return {"Content-Disposition": f'inline; filename="{recording_id}.{form}"'}
