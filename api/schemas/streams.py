"""The shapes of the stream routes."""

from typing import Annotated

from pydantic import BaseModel, Field

from pipeline.clock import rfc3339
from pipeline.hub import Stream


class VideoOut(BaseModel):
    codec: str
    width: int
    height: int
    fps: float


class AudioOut(BaseModel):
    codec: str
    rate_hz: int
    channels: int


class StreamOut(BaseModel):
    """One stream of the list."""

    stream_id: str
    device_id: str
    device_name: str
    officer: str
    unit: str
    state: str
    started_at: str
    video: VideoOut | None
    audio: AudioOut | None
    viewers: int
    bitrate_bps: int
    last_keyframe_at: str | None


class StreamsOut(BaseModel):
    """A page of streams. now: the server's clock, so that a page can tell its own clock's offset."""

    items: list[StreamOut]
    next_cursor: str | None
    now: str


class TicketIn(BaseModel):
    """why: what the view is for; it stands in the log of views."""

    why: Annotated[str, Field(min_length=1, max_length=200)] = "duty"


class TicketOut(BaseModel):
    ticket: str
    expires_at: str


def stream_out(stream: Stream) -> StreamOut:
    video = next((track for track in stream.tracks if track.kind == "video"), None)
    audio = next((track for track in stream.tracks if track.kind == "audio"), None)
    return StreamOut(
        stream_id=stream.stream_id,
        device_id=stream.device.device_id,
        device_name=stream.device.name,
        officer=stream.device.officer,
        unit=stream.device.unit,
        state=stream.state.value,
        started_at=rfc3339(stream.started_at),
        video=None
        if video is None
        else VideoOut(
            codec=video.codec,
            width=video.width,
            height=video.height,
            fps=round(video.timescale / video.frame_duration, 2) if video.frame_duration else 0.0,
        ),
        audio=None if audio is None else AudioOut(codec=audio.codec, rate_hz=audio.rate_hz, channels=audio.channels),
        viewers=stream.viewers + stream.hls_viewers,
        bitrate_bps=round(stream.bitrate_bps),
        last_keyframe_at=rfc3339(stream.last_key.captured_at) if stream.last_key else None,
    )
