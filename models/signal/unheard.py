"""Where nobody could have understood what was said, from the rows of a stream. Knows no media and no words."""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from models.signal.sounds import ROW_S, SoundRow

Reason: TypeAlias = Literal["silent", "clipped", "cut", "drowned"]

_SILENT_DB: Final = -85.0
_FLAT: Final = 0.2
_SHARE_LOST: Final = 0.25
_VOICED: Final = 0.25
"""Where that many frames have a pitch, one voice is over all else."""
_TALK_DB: Final = -26.0
"""Level, 300 to 4,000 Hz, of someone two steps away whose words are wanted. Assumed, not measured."""
_LEAST_SNR_DB: Final = 0.0
"""Half of all sentences in noise are understood at about -5 dB; what is at 0 dB costs effort and models their words.
Source: Plomp and Mimpen 1979, 10.3109/00206097909072618, for people; for models not measured."""
_SHORTEST_S: Final = 1.0


def unheard(rows: Iterable[SoundRow]) -> list[tuple[float, float, Reason]]:
    """Spans (start_s, end_s, why), in order and apart. rows: in order of time; where they are missing, nothing is said.

    Spans of less than a second are not told. A quiet room is heard well: whoever spoke there would be.
    """
    spans: list[tuple[float, float, Reason]] = []
    for row in rows:
        reason = _reason(row)
        if reason is None:
            continue
        if spans and spans[-1][2] == reason and row.at_s - spans[-1][1] < ROW_S / 2:
            spans[-1] = (spans[-1][0], row.at_s + ROW_S, reason)
        else:
            spans.append((row.at_s, row.at_s + ROW_S, reason))
    return [span for span in spans if span[1] - span[0] >= _SHORTEST_S]


def _reason(row: SoundRow) -> Reason | None:
    """A loud voice does not drown itself: it has pauses, or a pitch that is clear."""
    if row.level_db <= _SILENT_DB:
        return "silent"
    if row.flat >= _FLAT and row.peak >= 0.4 and row.tonal < 0.5:
        return "clipped"
    if row.drops > 0 and row.zero >= _SHARE_LOST:
        return "cut"
    if row.floor_db > _TALK_DB - _LEAST_SNR_DB and row.voiced < _VOICED:
        return "drowned"
    return None
