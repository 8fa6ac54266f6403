"""What is heard: captions as they come, how analysis is doing, looks at recordings; and the door of the workers."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import StreamingResponse

from api.analysis import FACES, search_ordered, wished
from api.asking import record_of
from api.doors import Doors
from api.permissions import Asker, require, within
from api.schemas.analysis import AnalysisIn, AnalysisOut, OrderedOut, analysis_out, caption_out, open_findings_out
from cases.reach import reached_recording
from pipeline.errors import ModelMissing, ModelUnverified, StorageError, ValueRefused

router = APIRouter(prefix="/api/v1")
Watcher = Annotated[Asker, Depends(require("streams.watch"))]

_KINDS: Final = {"sound": frozenset({"audio"}), "work": frozenset({"audio", "video"})}
_LOOK_S = 1.0  # how old a look at the reader's rights may be
_NEWS_S = 0.25  # how long a finding waits here: it is to be on its tile 2 s after it began
_QUIET_S = 10.0
_STATE_S = 2.0
_MOST_LISTENERS = 500


@router.get("/analysis")
async def state(request: Request, asker: Annotated[Asker, Depends(require("streams.list"))]) -> AnalysisOut:
    """Which stages are on, with which model, and how far they are behind; of streams, those within reach."""
    doors: Doors = request.app.state.doors
    return _state(doors, asker, "streams.list")


@router.get("/captions", response_class=StreamingResponse)
async def captions(request: Request, asker: Watcher) -> StreamingResponse:
    """What is being said on the streams that the asker watches now, as server-sent events (WHATWG HTML 9.2).

    Words are part of a view, and views are logged: who watches nothing hears nothing.
    `caption`: words of an utterance; the first `settled` signs will not change; a final one (`is_final`) replaces all
    before it. `analysis`: the state of `GET /api/v1/analysis`, at first and whenever it changes. `findings`: all that
    is open on those streams, at first and whenever it changes. Nothing is resumed.
    """
    doors: Doors = request.app.state.doors
    if doors.runtime.desk.captions.listeners >= _MOST_LISTENERS:
        raise HTTPException(503, "too many listen already; try again in a minute")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_told(doors, asker), media_type="text/event-stream", headers=headers)


@router.get("/recordings/{recording_id}/units", response_class=StreamingResponse)
async def units(
    request: Request,
    asker: Annotated[Asker, Depends(require("analysis.work"))],
    recording_id: str,
    start: Annotated[float, Query(ge=0, le=1e7)] = 0.0,
    end: Annotated[float, Query(gt=0, le=1e7)] = 1e7,
    tracks: Literal["sound", "work"] = "work",
) -> StreamingResponse:
    """Closed segments between two seconds, as the live feed gives them: sound, or all. For workers, never a person."""
    del asker
    doors: Doors = request.app.state.doors
    folder = await anyio.to_thread.run_sync(doors.runtime.archive.folder, recording_id)
    await anyio.to_thread.run_sync(doors.playback.contents, folder)
    chunks = doors.playback.units(folder, start, end, _KINDS[tracks])

    async def sent() -> AsyncIterator[bytes]:
        while (chunk := await anyio.to_thread.run_sync(next, chunks, None)) is not None:
            yield chunk

    return StreamingResponse(sent(), media_type="video/mp4", headers={"Cache-Control": "no-store"})


@router.post("/recordings/{recording_id}/analyses", status_code=202)
async def order(
    request: Request,
    asker: Annotated[Asker, Depends(require("analysis.order"))],
    recording_id: str,
    wanted: AnalysisIn | None = None,
) -> OrderedOut:
    """Have a recording that is over looked at (again), by another model or where that was not done yet.

    What it finds stands beside what others found; nothing is taken back.
    """
    doors: Doors = request.app.state.doors
    asked = wanted or AnalysisIn()
    async with record_of(request).store.reading() as connection:
        await reached_recording(connection, asker.within, recording_id)
    desk = doors.runtime.desk
    stage = desk.stages.get(asked.stage)
    if stage is None or not stage.is_on:
        raise HTTPException(409, f"{asked.stage} is off: {stage.why if stage is not None else 'analyse.stages'}")
    try:
        name, label = wished(doors.runtime.settings, stage, asked.model)
    except (ModelMissing, ModelUnverified) as error:
        raise ValueRefused("model", str(error)) from error
    recorded = await anyio.to_thread.run_sync(doors.runtime.archive.ended, recording_id)
    if asked.stage == FACES:
        by, now_s = asker.principal, doors.runtime.clock.utc_s()
        await record_of(request).appender.append([search_ordered(recorded, label, by.by, by.name, now_s)])
    is_ordered = await desk.order(recorded, asked.stage, name, label)
    return OrderedOut(recording_id=recording_id, stage=asked.stage, model=label, is_ordered=is_ordered)


def _state(doors: Doors, asker: Asker, permission: str) -> AnalysisOut:
    rights = doors.live_rights
    reached = frozenset(
        each.stream_id for each in doors.runtime.streams() if rights.may(asker.principal, permission, each)
    )
    return analysis_out(doors.runtime.desk, reached, 0 if doors.workers is None else doors.workers.alive)


async def _told(doors: Doors, asker: Asker) -> AsyncIterator[str]:
    """Until the listener goes or may no longer watch."""
    desk, shown, said_s, looked_s = doors.runtime.desk, "", anyio.current_time(), -_LOOK_S
    state_s, watched, told, open_ = -_STATE_S, frozenset[str](), (-1, frozenset[str]()), ""
    with desk.captions.listening() as listener:
        yield ": here\n\n"
        while True:
            now_s = anyio.current_time()
            if now_s - looked_s >= _LOOK_S:
                looked_s = now_s
                found = _still(doors, asker)
                if found is None:
                    return
                asker, watched = found, _watched(doors, found)
            if now_s - state_s >= _STATE_S:
                state_s = now_s
                state_now = _state(doors, asker, "streams.watch").model_dump_json()
                if state_now != shown:
                    shown, said_s = state_now, now_s
                    yield f"event: analysis\ndata: {state_now}\n\n"
            lines = []
            for caption, model in await listener.take(_NEWS_S):
                if caption.stream_id in watched:
                    is_demo = any(each.is_demo and each.label == model for each in desk.stages.values())
                    tree = json.dumps(caption_out(caption, model, is_demo=is_demo), ensure_ascii=False)
                    lines.append(f"event: caption\ndata: {tree}\n\n")
            if told != (desk.open_findings.version, watched):
                told = desk.open_findings.version, watched
                open_now = json.dumps(open_findings_out(desk.open_findings, watched), ensure_ascii=False)
                if open_now != open_:
                    open_ = open_now
                    lines.append(f"event: findings\ndata: {open_now}\n\n")
            if lines or anyio.current_time() - said_s >= _QUIET_S:
                said_s = anyio.current_time()
                yield "".join(lines) or ": still here\n\n"


def _watched(doors: Doors, asker: Asker) -> frozenset[str]:
    """The streams that this one watches now, and may."""
    right_id, runtime = asker.principal.principal_id, doors.runtime
    views = {(by, stream_id) for by, stream_id, _ in runtime.live.watched()} | runtime.hls.watched()
    streams = [runtime.stream(stream_id) for by, stream_id in views if by == right_id]
    return frozenset(
        each.stream_id for each in streams
        if each is not None and doors.live_rights.may(asker.principal, "streams.watch", each)
    )  # fmt: skip


def _still(doors: Doors, asker: Asker) -> Asker | None:
    """The asker with the rights of now; None: they may watch no longer."""
    try:
        principal = doors.access.named(asker.principal.principal_id)
    except StorageError:
        return asker  # rights cannot be read: what was known last holds, and the server says so
    if principal is None:
        return None
    try:
        return Asker(principal, within(doors, principal, "streams.watch"))
    except HTTPException:
        return None
