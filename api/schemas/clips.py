"""The shapes of clips."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cases.clips.making import MOST_S
from cases.clips.register import Clip


class ClipIn(BaseModel):
    """Seconds of the recording's axis. purpose: what for; empty: what the approval says."""

    model_config = ConfigDict(extra="forbid")

    case_id: Annotated[str, Field(min_length=1, max_length=80)]
    start_s: float = Field(ge=0, le=1e7)
    end_s: float = Field(gt=0, le=1e7, description=f"At most {MOST_S:.0f} s behind start_s.")
    title: Annotated[str, Field(max_length=200)] = ""
    purpose: Annotated[str, Field(max_length=500)] = ""


class ClipOut(BaseModel):
    clip_id: str
    case_id: str
    item_id: str
    recording_id: str
    approval_id: str
    sha256: str
    size_bytes: int
    start_s: float
    end_s: float
    cut_start_s: float = Field(description="The second of the recording that the file begins with: a key frame.")
    cut_end_s: float


def clip_out(clip: Clip) -> ClipOut:
    return ClipOut(
        clip_id=clip.clip_id, case_id=clip.case_id, item_id=clip.item_id, recording_id=clip.recording_id,
        approval_id=clip.approval_id, sha256=clip.sha256, size_bytes=clip.size_bytes, start_s=clip.start_ms / 1000,
        end_s=clip.end_ms / 1000, cut_start_s=clip.cut_from_ms / 1000, cut_end_s=clip.cut_until_ms / 1000,
    )  # fmt: skip
