"""What the sizes of coded pictures tell, undecoded: that there are fewer, or nothing new in them. Knows no codec."""

from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import Final

from models.signal.bounds import Bounds
from models.signal.noticed import Lasting, Noticed

FROZEN: Final = frozenset(
    {
        "motion_max",
        "motion_max_leave",
        "moved_min",
        "structure_min",
        "same_min",
        "flow_bytes_max",
        "flow_share_max",
        "flow_share_max_leave",
    }
)
"""Bounds of `frozen`, which is judged from key frames and from sizes."""
_WINDOW_S: Final = 1.0  # over which pictures are counted
_BITS_S: Final = 2.0  # over which bits are: at least one key frame is among them, as a rule
_LEARN_S: Final = 5.0
"""How long a stream is only listened to. An encoder's rate control settles within two groups of pictures."""
_USUAL_S: Final = 30.0  # over which what is usual is learned
_FEWEST: Final = 3  # pictures after a key frame, to tell that nothing is in them
_KEYS_BEFORE: Final = 4  # key frames, from which it is known how large one is
_LARGE_KEY: Final = 0.4  # of the usual size of a key frame: one of a black picture is far below
_SMALLEST_KEY: Final = 3000
"""Bytes below which a key frame holds next to nothing: what does not change in it tells nothing."""
_MOST: Final = 1000  # units kept: 4 s at 240 pictures a second


class FlowWatch:
    """Of one stream; told of each access unit in the order of its axis."""

    WANTED: Final[Mapping[str, frozenset[str]]] = {
        "stream_thin": frozenset(
            {"pictures_share_max", "pictures_share_max_leave", "bits_share_max", "bits_share_max_leave", "kbit_s_max"}
        ),
        "frozen": FROZEN,
    }

    def __init__(self, bounds: Bounds) -> None:
        thin, frozen = bounds.kinds["stream_thin"], bounds.kinds["frozen"]
        self._thin_bounds, self._frozen_bounds = thin.bounds, frozen.bounds
        self._thin = Lasting("stream_thin", thin.enter_s, thin.leave_s)
        self._frozen = Lasting("frozen", 0.0, 0.0)
        self._units: deque[tuple[float, int]] = deque(maxlen=_MOST)
        self._usual_rate = 0.0  # pictures a second
        self._usual_bits = 0.0  # bits a second
        self._keys: deque[int] = deque(maxlen=8)
        self._group: list[int] = []
        self._group_s = 0.0
        self._is_learned = False
        self._begun_s: float | None = None
        self._learned_s = 0.0

    def feed(self, at_s: float, size_bytes: int, is_key: bool, is_video: bool) -> list[Noticed]:
        """What began or ended with this unit; one of sound moves the time on."""
        if self._begun_s is None:
            if not is_video:
                return []
            self._begun_s = self._learned_s = self._group_s = at_s
        found: list[Noticed | None] = []
        if is_video:
            self._units.append((at_s, size_bytes))
            if is_key:
                self._keys.append(size_bytes)
                self._group, self._group_s = [size_bytes], at_s
            else:
                self._group.append(size_bytes)
                found.append(self._judge_frozen(at_s))
        while self._units and self._units[0][0] <= at_s - _BITS_S:
            self._units.popleft()
        if at_s - self._begun_s >= _BITS_S:
            found.append(self._judge_thin(at_s))
        return [each for each in found if each is not None]

    def gap(self, at_s: float) -> None:
        """What comes next does not follow what came before `at_s`. What is usual stays known."""
        del at_s
        self._thin.forget()
        self._frozen.forget()
        self._units.clear()
        self._group = []
        self._begun_s = None

    def finish(self, at_s: float) -> list[Noticed]:
        """The stream is over: what is open ends."""
        return [each for each in (self._thin.finish(at_s), self._frozen.finish(at_s)) if each is not None]

    def _judge_thin(self, at_s: float) -> Noticed | None:
        begun_s = at_s if self._begun_s is None else self._begun_s
        bounds = self._thin_bounds
        rate = sum(1 for each, _ in self._units if each > at_s - _WINDOW_S) / _WINDOW_S
        bits = sum(size for _, size in self._units) * 8 / _BITS_S
        gone_s = at_s - self._learned_s
        if at_s - begun_s < _LEARN_S or not self._usual_rate:
            if not self._is_learned:  # behind a gap an encoder settles too, and may be a thin one now
                self._learn(at_s, rate, bits, gone_s / _BITS_S)
            return None
        self._is_learned = True
        rate_share, bits_share = rate / self._usual_rate, bits / max(self._usual_bits, 1.0)
        is_starved = bits_share <= bounds["bits_share_max"] and bits <= bounds["kbit_s_max"] * 1000
        is_fed = bits_share > bounds["bits_share_max_leave"] or bits > bounds["kbit_s_max"] * 1000
        is_on = True if rate_share <= bounds["pictures_share_max"] or is_starved else None
        if is_on is None and rate_share > bounds["pictures_share_max_leave"] and is_fed:
            is_on = False
            self._learn(at_s, rate, bits, gone_s / _USUAL_S)
        measures = (("pictures_a_second", rate), ("usual_pictures", self._usual_rate), ("kbit_s", bits / 1000))
        return self._thin.feed(at_s, is_on, 1 - min(rate_share, bits_share) / 2, measures, since_s=at_s - _WINDOW_S)

    def _learn(self, at_s: float, rate: float, bits: float, weight: float) -> None:
        weight = min(1.0, max(0.0, weight)) if self._usual_rate else 1.0
        self._usual_rate += (rate - self._usual_rate) * weight
        self._usual_bits += (bits - self._usual_bits) * weight
        self._learned_s = at_s

    def _judge_frozen(self, at_s: float) -> Noticed | None:
        """An encoder that gets the same picture again codes that nothing changed; the noise of a sensor is a change.

        Holds where the encoder has a finest quantiser, as those of cameras do; one that may spend its bits on refining
        the same picture forever does not show it.
        """
        key, *others = self._group or (0,)
        if len(self._keys) < _KEYS_BEFORE or len(others) < _FEWEST:
            return None
        bounds, size = self._frozen_bounds, median(others)
        share = size / max(key, 1)
        is_empty = share <= bounds["flow_share_max"] or size <= bounds["flow_bytes_max"]
        is_still = is_empty and key >= _LARGE_KEY * median(self._keys) and key >= _SMALLEST_KEY
        is_on = True if is_still else False if share > bounds["flow_share_max_leave"] else None
        return self._frozen.feed(at_s, is_on, 0.9, (("others_to_key", share),), since_s=self._group_s)
