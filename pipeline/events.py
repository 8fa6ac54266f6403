"""What happened, as typed facts in the past tense. A fact told twice has the same id, so it stays one fact.

Every event says when it happened (`at`, UTC seconds), on which stream, and who says so (`by`: "onrecord" for the
program, a user's or device's id, or model@version).
"""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pipeline.ids import EventId, derived_event_id


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStarted:
    """A device began to publish."""

    at: float
    stream_id: str
    device_id: str
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("StreamStarted", self.stream_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInterrupted:
    """The device's connection was lost at `pts_s`; it may come back within the resume window."""

    at: float
    stream_id: str
    pts_s: float
    reason: str
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("StreamInterrupted", self.stream_id, self.pts_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamResumed:
    """The device came back; nothing was received between start_s and end_s."""

    at: float
    stream_id: str
    start_s: float
    end_s: float
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("StreamResumed", self.stream_id, self.start_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnded:
    """The stream is over: the device said so, its key was revoked, or it did not come back in time."""

    at: float
    stream_id: str
    pts_s: float
    reason: str
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("StreamEnded", self.stream_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampsRepaired:
    """The time stamps of the device went back or jumped, `count` times since this was told last; seen at `pts_s`."""

    at: float
    stream_id: str
    pts_s: float
    count: int
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("TimestampsRepaired", self.stream_id, self.pts_s, self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStarted:
    """The stream is being recorded, under this id. unit: the device's, then."""

    at: float
    stream_id: str
    recording_id: str
    device_id: str
    unit: str = ""
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("RecordingStarted", self.recording_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentClosed:
    """A segment file is complete, on disk past every cache, and in its manifest.

    captured_at: RFC 3339, arrival here of its first fragment. device_at: what the device's own clock showed then, and
    device_offset_s: that less ours, by the device's last report; None where it said nothing, or an older release told.
    """

    at: float
    stream_id: str
    recording_id: str
    file: str
    sha256: str
    size_bytes: int
    start_s: float
    end_s: float
    captured_at: str | None = None
    device_at: str | None = None
    device_offset_s: float | None = None
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("SegmentClosed", self.recording_id, self.file, self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLost:
    """The record has a hole between start_s and end_s of the stream, and why."""

    at: float
    stream_id: str
    recording_id: str
    start_s: float
    end_s: float
    cause: str
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("MediaLost", self.recording_id, self.start_s, self.cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFailed:
    """The disk refused; media is held in memory while there is room for it. An alarm."""

    at: float
    stream_id: str
    recording_id: str
    cause: str
    remedy: str
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("RecordingFailed", self.recording_id, self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRestored:
    """The disk takes media again."""

    at: float
    stream_id: str
    recording_id: str
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("RecordingRestored", self.recording_id, self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewStarted:
    """Somebody began to watch live. by_name: who that is; why: what was said, or "duty"."""

    at: float
    stream_id: str
    view_id: str
    by: str
    by_name: str = ""
    why: str = "duty"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("ViewStarted", self.view_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewEnded:
    """Somebody stopped watching."""

    at: float
    stream_id: str
    view_id: str
    by: str
    watched_s: float
    reason: str
    by_name: str = ""

    @property
    def event_id(self) -> EventId:
        return derived_event_id("ViewEnded", self.view_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackStarted:
    """Somebody began to play a recording. approval_id: what allows it; why: the purpose that was approved."""

    at: float
    stream_id: str
    recording_id: str
    view_id: str
    approval_id: str
    why: str
    by: str
    by_name: str

    @property
    def event_id(self) -> EventId:
        return derived_event_id("PlaybackStarted", self.view_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackEnded:
    """Somebody was served these spans of a recording.

    spans: from and to in seconds of its axis, without overlap and in order, as "10.000-30.000,45.000-60.000".
    watched_s: how long they are together.
    """

    at: float
    stream_id: str
    recording_id: str
    view_id: str
    approval_id: str
    spans: str
    watched_s: float
    reason: str
    by: str
    by_name: str

    @property
    def event_id(self) -> EventId:
        return derived_event_id("PlaybackEnded", self.view_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherRefused:
    """A publisher was turned away."""

    at: float
    address: str
    reason: str
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("PublisherRefused", self.address, self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStepped:
    """This machine's UTC clock jumped by step_s against its monotonic clock."""

    at: float
    step_s: float
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("ClockStepped", self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayStarted:
    """A copy of the stream is being published to another server. relay: the rule, without its key."""

    at: float
    stream_id: str
    relay: str
    connection: int
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("RelayStarted", self.stream_id, self.relay, self.connection)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayInterrupted:
    """The other server is gone, or never was there; it is tried again for ever. connection: after which, 0: none."""

    at: float
    stream_id: str
    relay: str
    connection: int
    reason: str
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("RelayInterrupted", self.stream_id, self.relay, self.connection)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayEnded:
    """Nothing more of the stream goes to the other server. packets: access units handed to it."""

    at: float
    stream_id: str
    relay: str
    packets: int
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("RelayEnded", self.stream_id, self.relay)


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsHeard:
    """Somebody said something, as a model heard it. A suggestion: no evidence until a person confirms it.

    start_s, end_s: on the stream's axis. text: simplified Chinese or English with punctuation, as heard. normal:
    numbers, plates, money and dates in one form, where that differs from text; else "". word_times: "start-end word"
    one a line, milliseconds from start_s. confidence: 0..1, the mean word probability; not calibrated. is_doubtful: low
    confidence. speaker: wearer, other or unknown. model: name@version; the same span by another model is another fact.
    """

    at: float
    stream_id: str
    recording_id: str
    start_s: float
    end_s: float
    text: str
    normal: str
    word_times: str
    language: str
    confidence: float
    is_doubtful: bool
    speaker: str
    model: str
    stage: str = "speech"
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("WordsHeard", self.stream_id, self.model, round(self.start_s, 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisGap:
    """A stage did not see the stream between start_s and end_s. It is looked at later, from the recording.

    cause: worker_lost, behind, overload, stage_failed, model_missing, feed_lost or server_stopped.
    behind_s: how far the analysis was behind when it gave up this span.
    """

    at: float
    stream_id: str
    recording_id: str
    start_s: float
    end_s: float
    stage: str
    cause: str
    behind_s: float = 0.0
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("AnalysisGap", self.stream_id, self.stage, round(self.start_s, 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisGapClosed:
    """What a stage had not seen between start_s and end_s it has looked at now, with this model."""

    at: float
    stream_id: str
    recording_id: str
    start_s: float
    end_s: float
    stage: str
    model: str
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("AnalysisGapClosed", self.stream_id, self.stage, self.model, round(self.start_s, 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisEased:
    """A worker that has too much to do does less, or does all again. step: whole, no_partials, long_batches,
    small_model or gaps. behind_s: how far it was behind."""

    at: float
    worker: str
    step: str
    behind_s: float
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("AnalysisEased", self.worker, self.step, self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSeen:
    """Text in the picture at `start_s`, read by a model because something asked for it. A suggestion, as words are.

    text: a line of the picture a line. asked: what asked for it, a duty. confidence: 0..1, the mean of its lines.
    """

    at: float
    stream_id: str
    recording_id: str
    start_s: float
    text: str
    asked: str
    confidence: float
    model: str
    stage: str = "text"
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("TextSeen", self.stream_id, self.model, round(self.start_s, 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRaised:
    """Something is wrong, or happens, since `start_s`. No evidence until a person confirms it.

    finding: its kind (lens_covered, shouting, bribe_offered). group: integrity, sound, conduct or procedure. severity:
    low, medium, high or critical. confidence: 0..1; not calibrated. rule: name@version of what judged. clip_start_s,
    clip_end_s: what to look at; it may go on. explanation: a sentence with what was found. measures: "name=value" one a
    line, the numbers that decided. quotes: the words that decided, a line each, and of_events their events.
    """

    at: float
    stream_id: str
    recording_id: str
    finding_id: str
    finding: str
    group: str
    severity: str
    confidence: float
    start_s: float
    clip_start_s: float
    clip_end_s: float
    rule: str
    explanation: str
    measures: str = ""
    quotes: str = ""
    of_events: str = ""
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("FindingRaised", self.finding_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingEnded:
    """A finding is over, by itself. reason: gone, source_over (nobody knows what came after) or worker_lost."""

    at: float
    stream_id: str
    recording_id: str
    finding_id: str
    finding: str
    start_s: float
    end_s: float
    reason: str
    by: str = "onrecord"

    @property
    def event_id(self) -> EventId:
        return derived_event_id("FindingEnded", self.finding_id)


def finding_id(stream_id: str, finding: str, rule: str, start_s: float) -> str:
    """The id of a finding: what is found twice is one. rule: name@version."""
    return str(derived_event_id("Finding", stream_id, finding, rule, round(start_s, 2)))


Event: TypeAlias = (
    StreamStarted
    | StreamInterrupted
    | StreamResumed
    | StreamEnded
    | TimestampsRepaired
    | RecordingStarted
    | SegmentClosed
    | MediaLost
    | RecordingFailed
    | RecordingRestored
    | ViewStarted
    | ViewEnded
    | PlaybackStarted
    | PlaybackEnded
    | PublisherRefused
    | ClockStepped
    | RelayStarted
    | RelayInterrupted
    | RelayEnded
    | WordsHeard
    | AnalysisGap
    | AnalysisGapClosed
    | AnalysisEased
    | TextSeen
    | FindingRaised
    | FindingEnded
)


class EventSink(Protocol):
    """Where facts go. Must not block: it is called from the media path."""

    def __call__(self, event: Event) -> None: ...
