"""Kept measurements judged by the bounds of now: no media is read. A process of its own, because watches bring NumPy.

`python -m pipeline.analyse.judge_rows`: on stdin a question a line, `{"data": folder, "recordings": [[recording_id,
stream_id, started_at], …]}`, until it is closed; on stdout for each question a fact a line (pipeline/event_codec.py),
and at last `{"recordings": n, "rows": n, "passed_over": n}`: rows of another form are passed over. What was judged by
the sizes of pictures is not judged anew: no rows are kept of them.

Nearly all rows of a recording change nothing. Which ones may is computed for all of them at once (`restless` of the
watches), and the watches are fed with those alone; what comes of it is what comes of feeding every row (`judged`).
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.signal.noticed import Noticed
from models.signal.picture_watch import PictureWatch
from models.signal.pictures import PictureRow
from models.signal.sound_watch import SoundWatch
from models.signal.sounds import SoundRow
from pipeline.analyse.board import Work
from pipeline.analyse.columns import FOLDER as FOLDER_OF_COLUMNS
from pipeline.analyse.columns import Columns, Table, columns_of
from pipeline.analyse.found_before import FoundBefore
from pipeline.analyse.noticing import Noticing
from pipeline.analyse.rows import Row, Rows, form_of
from pipeline.analyse.signal_label import FILES, FOLDER, adopted_folder
from pipeline.analyse.signal_rules import SignalRules
from pipeline.event_codec import tree_of
from pipeline.events import FindingEnded, FindingRaised

_GAP_S: Final = 12.0
"""Between two key frames: a longer distance is no group of pictures but a hole."""
_PICTURE, _SOUND = "picture", "sound"
_WATCH: Final = {_PICTURE: "pictures", _SOUND: "sounds"}

Found = tuple[FindingRaised | FindingEnded, ...]
_Told = tuple[float, str, Sequence[Noticed], str]
"""When its row was measured, of which kind, what was noticed, and why it ended."""


def judged(work: Work, rows: Iterable[Row], rules: SignalRules) -> tuple[Found, int]:
    """The findings of one recording, and how many rows were of another form. rows: in the order of the axis."""
    noticing, (pictures, _, sounds) = Noticing(work, rules), rules.watches()
    passed_over, reached = 0, dict[str, float]()
    for row in rows:
        before_s = reached.get(row.kind, row.at_s)
        reached[row.kind] = row.at_s
        if row.kind == _PICTURE and row.form == form_of(PictureRow):
            if row.at_s - before_s > _GAP_S:
                noticing.notice(pictures.finish(before_s), "pictures", "source_over")
                pictures.gap(row.at_s)
            noticing.notice(pictures.feed(row.at_s, PictureRow.from_values(row.numbers)), "pictures")
        elif row.kind == _SOUND and row.form == form_of(SoundRow):
            if row.at_s - before_s > _GAP_S:
                noticing.notice(sounds.finish(before_s), "sounds", "source_over")
                sounds.gap(row.at_s)
            noticing.notice(sounds.feed(_sound(row.at_s, row.numbers)), "sounds")
        else:
            passed_over += 1
    noticing.notice(pictures.finish(reached.get(_PICTURE, 0.0)), "pictures", "source_over")
    noticing.notice(sounds.finish(reached.get(_SOUND, 0.0)), "sounds", "source_over")
    return noticing.take(), passed_over


def judged_at_once(work: Work, columns: Columns, rules: SignalRules) -> Found:
    """What `judged` finds in the same rows."""
    noticing, (pictures, _, sounds) = Noticing(work, rules), rules.watches()
    told: list[_Told] = []
    if len(columns.pictures):
        told += _of_pictures(pictures, columns.pictures)
    if len(columns.sounds):
        told += _of_sounds(sounds, columns.sounds)
    for _, kind, noticed, reason in sorted(told, key=itemgetter(0, 1)):
        noticing.notice(noticed, _WATCH[kind], reason)
    for kind, watch, table in ((_PICTURE, pictures, columns.pictures), (_SOUND, sounds, columns.sounds)):
        noticing.notice(watch.finish(float(table[-1, 0]) if len(table) else 0.0), _WATCH[kind], "source_over")
    return noticing.take()


def _of_pictures(watch: PictureWatch, table: Table) -> Iterator[_Told]:
    times, rows = table[:, 0].tolist(), table[:, 1:]

    def feed(at: int) -> list[Noticed]:
        return watch.feed(times[at], PictureRow.from_values(rows[at].tolist()))

    def pass_over(first: int, last: int) -> None:
        watch.pass_over(times[last - 1], rows[first:last])

    return _sparing(watch, table, watch.restless(rows), _PICTURE, feed, pass_over)


def _of_sounds(watch: SoundWatch, table: Table) -> Iterator[_Told]:
    rows = np.concatenate([table[:, :1], table[:, 2:]], axis=1)
    past = watch.past(rows)

    def feed(at: int) -> list[Noticed]:
        return watch.feed(SoundRow.from_values(rows[at].tolist()))

    def pass_over(first: int, last: int) -> None:
        watch.pass_over(past, first, last)

    return _sparing(watch, table, past.restless, _SOUND, feed, pass_over)


def _sparing(
    watch: PictureWatch | SoundWatch, table: Table, restless: NDArray[np.bool_], kind: str,
    feed: Callable[[int], Sequence[Noticed]], pass_over: Callable[[int, int], None],
) -> Iterator[_Told]:  # fmt: skip
    """Feeds rows that are restless, and those behind them until the watch is calm; of the others it is told at once."""
    times, is_behind_hole = table[:, 0].tolist(), np.diff(table[:, 0], prepend=table[0, 0]) > _GAP_S
    at = 0
    for begin in [*np.flatnonzero(restless | is_behind_hole).tolist(), len(table)]:
        while at < begin and not watch.is_calm:
            yield times[at], kind, feed(at), "gone"
            at += 1
        if at < begin:
            pass_over(at, begin)
        if begin == len(table):
            return
        if is_behind_hole[begin]:
            yield times[begin], kind, watch.finish(times[begin - 1]), "source_over"
            watch.gap(times[begin])
        yield times[begin], kind, feed(begin), "gone"
        at = begin + 1


def _sound(at_s: float, numbers: Sequence[float]) -> SoundRow:
    """Its time as the row has it: among the numbers it is cut to five digits, and wrong from 10,000 s on."""
    return SoundRow.from_values((at_s, *numbers[1:]))


def answer(data: Path, recordings: Iterable[tuple[str, str, float]], rules: SignalRules) -> Iterator[str]:
    """A line a fact, and one of counts. Raises: StorageError."""
    folder, counts = data / "analysis" / "measures", {"recordings": 0, "rows": 0, "passed_over": 0}
    for recording_id, stream_id, started_at in recordings:
        work = Work(f"rows:{recording_id}", "span", "signal", stream_id, recording_id, started_at)
        size = Rows(folder).size(recording_id)
        before = FoundBefore(folder / FOLDER_OF_COLUMNS / f"{recording_id}.found", work, size, rules.label)
        *lines, own = before.read() or _found(folder, work, rules, before)
        yield from lines
        counts["recordings"] += 1
        for name, count in json.loads(own).items():
            counts[name] += count
    yield json.dumps(counts)


def _found(folder: Path, work: Work, rules: SignalRules, before: FoundBefore) -> list[str]:
    """Facts of one recording, a line each, and their counts."""
    columns, passed_over = columns_of(folder, work.recording_id), 0
    if columns is not None:
        events, rows = judged_at_once(work, columns, rules), len(columns)
    else:
        kept = Rows(folder).of(work.recording_id)
        (events, passed_over), rows = judged(work, kept, rules), len(kept)
    lines = [json.dumps(tree_of(event), ensure_ascii=False) for event in events]
    lines.append(json.dumps({"rows": rows, "passed_over": passed_over}))
    if before.rows:
        before.keep(lines)
    return lines


@lru_cache(maxsize=1)
def _rules(folder: Path, seen: tuple[tuple[int, int, int], ...]) -> SignalRules:
    """seen: of the files, so that changed ones are read again. Raises: SettingsInvalid."""
    del seen
    return SignalRules.load(folder)


def _seen(folder: Path) -> tuple[tuple[int, int, int], ...]:
    stats = [(folder / name).stat() for name in FILES]
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in stats)


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        data = Path(asked["data"])
        own = adopted_folder(data)
        folder = own if own.is_dir() else FOLDER
        for told in answer(data, asked["recordings"], _rules(folder, _seen(folder))):
            sys.stdout.write(told + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
