"""What the recorder counts. Plain numbers, changed by the event loop's thread only."""

from dataclasses import dataclass


@dataclass(slots=True)
class RecorderStats:
    """What the recorder has done since the start; plain numbers for /metrics. lost_s: media that had reached us."""

    segments_closed: int = 0
    bytes_written: int = 0
    write_s_total: float = 0.0
    sync_s_total: float = 0.0
    sync_s_max: float = 0.0
    lost_s: float = 0.0
