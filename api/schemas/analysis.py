"""The shapes of the analysis routes."""

from typing import Literal

from pydantic import BaseModel, Field

from pipeline.analyse.board import Caption
from pipeline.analyse.desk import Desk
from pipeline.analyse.open_findings import OpenFindings
from pipeline.clock import rfc3339


class StageOut(BaseModel):
    """is_on: whether it is looked for at all; why: a plain sentence where it is not. is_demo: no model for real use."""

    stage: str
    is_on: bool
    why: str
    model: str
    is_demo: bool


class StreamAnalysisOut(BaseModel):
    behind_s: float


class AnalysisOut(BaseModel):
    """step: what the busiest worker leaves out. streams: those within reach. spans_waiting: looks at recordings."""

    stages: list[StageOut]
    step: Literal["whole", "no_partials", "long_batches", "small_model", "gaps"]
    behind_s: float
    streams: dict[str, StreamAnalysisOut]
    spans_waiting: int
    workers: int


class AnalysisIn(BaseModel):
    """model: a name of `onrecord models list`; left out: the one that is used live. `signal` has none."""

    stage: Literal["speech", "signal", "faces"] = "speech"
    model: str = Field("", max_length=80)


class OrderedOut(BaseModel):
    """is_ordered: false where this very model has looked at all of it, or is at it."""

    recording_id: str
    stage: str
    model: str
    is_ordered: bool


STEPS = ("whole", "no_partials", "long_batches", "small_model", "gaps")


def analysis_out(desk: Desk, streams: frozenset[str], workers: int) -> AnalysisOut:
    behind = {stream_id: round(each, 1) for stream_id, each in desk.behind_s().items() if stream_id in streams}
    step = max((event.step for event in desk.eased.values()), key=STEPS.index, default="whole")
    return AnalysisOut.model_validate(
        {
            "stages": [
                {"stage": each.name, "is_on": each.is_on, "why": each.why, "model": each.label, "is_demo": each.is_demo}
                for each in desk.stages.values()
            ],
            "step": step,
            "behind_s": max(behind.values(), default=0.0),
            "streams": {stream_id: {"behind_s": each} for stream_id, each in behind.items()},
            "spans_waiting": desk.waiting,
            "workers": workers,
        }
    )


def open_findings_out(found: OpenFindings, streams: frozenset[str]) -> dict[str, object]:
    """What is open on these streams; one with nothing is left out."""
    shown = {
        stream_id: [
            {
                "finding_id": each.finding_id, "finding": each.finding, "group": each.group, "severity": each.severity,
                "raised_at": rfc3339(each.at), "explanation": each.explanation,
            }
            for each in found.of(stream_id)
        ]
        for stream_id in sorted(streams)
    }  # fmt: skip
    return {"streams": {stream_id: each for stream_id, each in shown.items() if each}}


def caption_out(caption: Caption, model: str, *, is_demo: bool) -> dict[str, object]:
    return {
        "stream_id": caption.stream_id, "utterance": caption.utterance, "start_s": caption.start_s,
        "end_s": caption.end_s, "text": caption.text, "settled": caption.settled, "is_final": caption.is_final,
        "late_s": caption.late_s, "speaker": caption.speaker, "model": model, "is_demo": is_demo,
    }  # fmt: skip
