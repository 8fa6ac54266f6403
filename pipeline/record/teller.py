"""What a recording tells of itself, as events."""

from pipeline.clock import Clock
from pipeline.errors import StorageError, StorageFull
from pipeline.events import EventSink, MediaLost, RecordingFailed, RecordingRestored, SegmentClosed
from pipeline.media import Gap
from pipeline.record.lines import RecordingLine, SegmentLine


class Teller:
    """The facts of one recording, each told as it happens."""

    def __init__(self, line: RecordingLine, clock: Clock, emit: EventSink) -> None:
        self._stream_id = line.stream_id
        self._recording_id = line.recording_id
        self._clock = clock
        self._emit = emit

    def closed(self, line: SegmentLine) -> None:
        """The segment and its line are on the medium."""
        self._emit(
            SegmentClosed(
                at=self._clock.utc_s(),
                stream_id=self._stream_id,
                recording_id=self._recording_id,
                file=line.file,
                sha256=line.sha256,
                size_bytes=line.size_bytes,
                start_s=line.first_pts_s,
                end_s=line.end_s,
                captured_at=line.captured_at,
                device_at=line.device_at,
                device_offset_s=line.device_offset_s,
            )
        )

    def lost(self, gap: Gap) -> None:
        self._emit(
            MediaLost(
                at=self._clock.utc_s(),
                stream_id=self._stream_id,
                recording_id=self._recording_id,
                start_s=gap.start_s,
                end_s=gap.end_s,
                cause=str(gap.cause),
            )
        )

    def failed(self, error: StorageError) -> None:
        """The alarm: media is held in memory from here on."""
        self._emit(
            RecordingFailed(
                at=self._clock.utc_s(),
                stream_id=self._stream_id,
                recording_id=self._recording_id,
                cause="disk_full" if isinstance(error, StorageFull) else "disk_error",
                remedy=str(error),
            )
        )

    def restored(self) -> None:
        self._emit(
            RecordingRestored(at=self._clock.utc_s(), stream_id=self._stream_id, recording_id=self._recording_id)
        )
