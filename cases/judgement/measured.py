"""Kept measurements of recordings judged again, by a process of its own: pictures and sound are not decoded again."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
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
"""For the recordings of one case."""


class Measured:
    """A process that judges rows, for one case after the other; it is started with the first that has any.

    Used in one thread at a time. A context: what it started is gone afterwards.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Measured":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def again(self, sources: Sequence[Source]) -> tuple[Signals, frozenset[str]]:
        """(what the bounds of now find, which recordings rows were kept of). Raises: WorkerFailed."""
        folder = self._data / "analysis" / "measures"
        kept = [each for each in sources if (folder / f"{each.recording_id}.jsonl").is_file()]
        if not kept:
            return (), frozenset()
        asked = {
            "data": str(self._data),
            "recordings": [[each.recording_id, each.stream_id, each.begin_s] for each in kept],
        }
        try:
            found = [event_from(tree) for tree in self._answers(json.dumps(asked))]
        except (OSError, ValueError, EvidenceError) as error:
            self._kill()
            raise WorkerFailed(f"measurements cannot be judged again ({type(error).__name__}); see the log") from error
        signals = [each for each in found if isinstance(each, FindingRaised | FindingEnded)]
        return signals, frozenset(each.recording_id for each in kept)

    def close(self) -> None:
        """It ends when nobody can ask it any more."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):
                process.communicate()

    def _answers(self, question: str) -> Iterator[dict[str, object]]:
        """Facts as trees. Raises: OSError: it is gone. ValueError: it says what nobody understands, or too late."""
        process = self._process or self._started()
        watch = threading.Timer(_LONGEST_S, process.kill)
        watch.start()
        try:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - `_started` asks for pipes
            process.stdin.write(question + "\n")
            process.stdin.flush()
            for line in process.stdout:
                tree = json.loads(line)
                if "kind" not in tree:
                    return
                yield tree
        finally:
            watch.cancel()
        raise ValueError("no end of the answer")

    def _started(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.analyse.judge_rows"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
        )  # fmt: skip
        return self._process

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self.close()


def measured_again(data: Path, sources: Sequence[Source]) -> tuple[Signals, frozenset[str]]:
    """Of one case, by a process that is gone afterwards. Called in a thread. Raises: WorkerFailed."""
    with Measured(data) as measured:
        return measured.again(sources)


def is_same_signal(one: FindingRaised, other: FindingRaised) -> bool:
    is_near = abs(one.start_s - other.start_s) <= _NEAR_S
    return one.recording_id == other.recording_id and one.finding == other.finding and is_near
