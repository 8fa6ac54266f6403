"""Kept measurements of recordings judged again, by a process of its own: pictures and sound are not decoded again."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cases.judgement.heard import Source
from pipeline.errors import EvidenceError, WorkerFailed
from pipeline.event_codec import event_from
from pipeline.events import FindingEnded, FindingRaised

Signals = Sequence[FindingRaised | FindingEnded]

UNMEASURED: Final = frozenset(("stream_thin", "frozen", "undecodable", "clock_off"))
"""Kinds that are judged, or may be, by more than the rows that are kept: that they are not found again says nothing."""
_NEAR_S: Final = 3.0
"""Two findings of a kind that begin no further apart are one: bounds that differ a little begin a little later."""
_LONGEST_S: Final = 900.0


def measured_again(data: Path, sources: Sequence[Source]) -> tuple[Signals, frozenset[str]]:
    """(what the bounds of now find, which recordings rows were kept of). Called in a thread. Raises: WorkerFailed."""
    folder = data / "analysis" / "measures"
    kept = [each for each in sources if (folder / f"{each.recording_id}.jsonl").is_file()]
    if not kept:
        return (), frozenset()
    asked = {
        "data": str(data), "recordings": [[each.recording_id, each.stream_id, each.begin_s] for each in kept],
    }  # fmt: skip
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.analyse.judge_rows"],
            input=json.dumps(asked), capture_output=True, text=True, timeout=_LONGEST_S, check=True,
        )  # fmt: skip
        *lines, _ = done.stdout.splitlines()
        found = [event_from(json.loads(line)) for line in lines]
    except (OSError, ValueError, subprocess.SubprocessError, EvidenceError) as error:
        raise WorkerFailed(f"measurements cannot be judged again ({type(error).__name__}); see the log") from error
    signals = [each for each in found if isinstance(each, FindingRaised | FindingEnded)]
    return signals, frozenset(each.recording_id for each in kept)


def is_same_signal(one: FindingRaised, other: FindingRaised) -> bool:
    is_near = abs(one.start_s - other.start_s) <= _NEAR_S
    return one.recording_id == other.recording_id and one.finding == other.finding and is_near
