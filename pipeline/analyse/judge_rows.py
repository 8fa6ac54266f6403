"""Kept measurements judged by the bounds of now: no media is read. A process of its own, because watches bring NumPy.

`python -m pipeline.analyse.judge_rows`: on stdin `{"data": folder, "recordings": [[recording_id, stream_id,
started_at], …]}`; on stdout a fact a line (pipeline/event_codec.py), and at last
`{"recordings": n, "rows": n, "passed_over": n}`: rows of another form are passed over. What was judged by the sizes of
pictures is not judged anew: no rows are kept of them.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from models.signal.pictures import PictureRow
from models.signal.sounds import SoundRow
from pipeline.analyse.board import Work
from pipeline.analyse.noticing import Noticing
from pipeline.analyse.rows import Row, Rows, form_of
from pipeline.analyse.signal_label import FOLDER, adopted_folder
from pipeline.analyse.signal_rules import SignalRules
from pipeline.event_codec import tree_of
from pipeline.events import FindingEnded, FindingRaised

_GAP_S: Final = 12.0
"""Between two key frames: a longer distance is no group of pictures but a hole."""


def judged(work: Work, rows: Iterable[Row], rules: SignalRules) -> tuple[tuple[FindingRaised | FindingEnded, ...], int]:
    """The findings of one recording, and how many rows were of another form. rows: in the order of the axis."""
    noticing, (pictures, _, sounds) = Noticing(work, rules), rules.watches()
    passed_over, reached = 0, dict[str, float]()
    for row in rows:
        before_s = reached.get(row.kind, row.at_s)
        reached[row.kind] = row.at_s
        if row.kind == "picture" and row.form == form_of(PictureRow):
            if row.at_s - before_s > _GAP_S:
                noticing.notice(pictures.finish(before_s), "pictures", "source_over")
                pictures.gap(row.at_s)
            noticing.notice(pictures.feed(row.at_s, PictureRow.from_values(row.numbers)), "pictures")
        elif row.kind == "sound" and row.form == form_of(SoundRow):
            if row.at_s - before_s > _GAP_S:
                noticing.notice(sounds.finish(before_s), "sounds", "source_over")
                sounds.gap(row.at_s)
            noticing.notice(sounds.feed(SoundRow.from_values(row.numbers)), "sounds")
        else:
            passed_over += 1
    noticing.notice(pictures.finish(reached.get("picture", 0.0)), "pictures", "source_over")
    noticing.notice(sounds.finish(reached.get("sound", 0.0)), "sounds", "source_over")
    return noticing.take(), passed_over


def main() -> None:
    asked = json.load(sys.stdin)
    data = Path(asked["data"])
    own = adopted_folder(data)
    rules, kept = SignalRules.load(own if own.is_dir() else FOLDER), Rows(data / "analysis" / "measures")
    counts = {"recordings": 0, "rows": 0, "passed_over": 0}
    for recording_id, stream_id, started_at in asked["recordings"]:
        rows = kept.of(recording_id)
        work = Work(f"rows:{recording_id}", "span", "signal", stream_id, recording_id, started_at)
        events, passed_over = judged(work, rows, rules)
        for event in events:
            sys.stdout.write(json.dumps(tree_of(event), ensure_ascii=False) + "\n")
        counts["recordings"] += 1
        counts["rows"] += len(rows)
        counts["passed_over"] += passed_over
    sys.stdout.write(json.dumps(counts) + "\n")


if __name__ == "__main__":
    main()
