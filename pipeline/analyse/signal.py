"""Is the recording of one lease sound, and is something loud in it: units, pictures and sound become findings and rows.

Plain code: no clock, no I/O, no decoder. Whoever runs it decodes, and takes what is covered. Times are seconds on the
stream's axis.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.signal.flow_watch import FlowWatch
from models.signal.noticed import Lasting
from models.signal.picture_watch import PictureWatch
from models.signal.pictures import PictureMeter, PictureRow
from models.signal.sound_watch import SoundWatch
from models.signal.sounds import SoundMeter, SoundRow
from pipeline.analyse.board import Work
from pipeline.analyse.noticing import Kinds, Noticing
from pipeline.analyse.progress import Covered
from pipeline.analyse.rows import Row, form_of
from pipeline.analyse.sound import RATE_HZ, Sound

_SILENT_AFTER_S: Final = 1.5
"""Sound that comes this much later than its pictures counts as silence: a device interleaves closer than that."""
_UNDECODABLE: Final = "undecodable"
_PICTURES, _FLOW, _SOUNDS, _DECODER = "pictures", "flow", "sounds", "decoder"


class Signal:
    """has_sound: the stream promises sound; set when its tracks are known."""

    def __init__(self, work: Work, kinds: Kinds, pictures: PictureWatch, flow: FlowWatch, sounds: SoundWatch) -> None:
        self.has_sound = False
        self._work = work
        self._noticing = Noticing(work, kinds)
        self._picture_meter = PictureMeter()
        self._sound_meter = SoundMeter()
        self._pictures = pictures
        self._flow = flow
        self._sounds = sounds
        undecodable, _ = kinds.of(_UNDECODABLE)
        self._undecodable = Lasting(_UNDECODABLE, undecodable.enter_s, undecodable.leave_s)
        self._rows: list[Row] = []
        self._from_s: float | None = None
        self._reached_s = 0.0
        self._unit_s = 0.0  # the latest moment of a unit: with B-frames they do not come in the order of the axis
        self._media_s = 0.0  # where media began, or goes on behind a hole
        self._sound_s: float | None = None  # where the sound that came ends
        self._covered: list[Covered] = []
        self._reason = ""  # of the hole before what is covered next

    @property
    def has_news(self) -> bool:
        """Whether something began or ended that nobody was told yet."""
        return bool(self._noticing.events)

    @property
    def unreported_s(self) -> float:
        """How long the span is that `take` would cover."""
        return 0.0 if self._from_s is None else self._reached_s - self._from_s

    def unit(self, start_s: float, duration_s: float, size_bytes: int, *, is_key: bool, is_video: bool) -> None:
        """An access unit came; what is in it may follow."""
        self._begin(start_s)
        self._unit_s = max(self._unit_s, start_s)
        self._noticing.notice(self._flow.feed(self._unit_s, size_bytes, is_key, is_video), _FLOW)
        self._reached_s = max(self._reached_s, start_s + duration_s)
        if is_video and self.has_sound:
            self._without_sound(start_s)

    def picture(self, at_s: float, luma: NDArray[np.uint8] | None) -> None:
        """A key frame; None: it could not be decoded."""
        undecodable = self._undecodable.feed(at_s, luma is None)
        self._noticing.notice([] if undecodable is None else [undecodable], _DECODER)
        if luma is None:
            return
        row = self._picture_meter.measure(luma)
        self._rows.append(Row("picture", form_of(PictureRow), at_s, row.values()))
        self._noticing.notice(self._pictures.feed(at_s, row), _PICTURES)

    def sound(self, sound: Sound) -> None:
        """A piece of it, in order."""
        self._begin(sound.start_s)
        end_s = sound.start_s + len(sound.samples) / RATE_HZ
        if self._sound_s is not None and end_s <= self._sound_s:
            return  # it came when silence was counted for it already
        if sound.is_new_run:
            self._sound_meter.gap(sound.start_s)
        self._hear(sound.start_s, sound.samples)
        self._sound_s = end_s
        self._reached_s = max(self._reached_s, end_s)

    def missed(self, start_s: float, end_s: float, *, is_ours: bool) -> None:
        """Nothing came between the two. is_ours: it is in the recording; else there is no such media."""
        self._break(start_s)
        if is_ours:
            self._close()
            self._from_s = end_s
            self._reason = "feed_lost"
        self._reached_s = max(self._reached_s, end_s)
        self._media_s = end_s
        self._sound_s = end_s if self._sound_s is not None else None

    def finish(self) -> None:
        """The stream or span is over."""
        self._break(self._reached_s)

    def take(self) -> tuple[list[Covered], str]:
        """What is new since the last call, in order; and the rows of it."""
        self._close()
        covered, self._covered = self._covered, []
        rows, self._rows = "".join(f"{row.line()}\n" for row in self._rows), []
        return covered, rows

    def _begin(self, start_s: float) -> None:
        if self._from_s is None:
            self._from_s = 0.0 if start_s < _SILENT_AFTER_S and self._work.kind == "live" else start_s
            self._from_s = self._work.start_s if self._work.kind == "span" else self._from_s
            self._reached_s = max(self._reached_s, self._from_s)
            self._media_s = start_s

    def _close(self) -> None:
        if self._from_s is None:
            return
        if self._reached_s > self._from_s or self._noticing.events:
            reached_s = max(self._reached_s, self._from_s)
            self._covered.append(Covered(self._from_s, reached_s, self._noticing.take(), self._reason))
            self._reason = ""
            self._from_s = max(self._reached_s, self._from_s)

    def _without_sound(self, at_s: float) -> None:
        """Where pictures come and no sound with them, the sound is silence."""
        reached_s = self._sound_s if self._sound_s is not None else self._media_s
        missing_s = at_s - _SILENT_AFTER_S - reached_s
        if missing_s > 0:
            self._hear(reached_s, np.zeros(round(missing_s * RATE_HZ), np.float32))
            self._sound_s = reached_s + missing_s

    def _hear(self, start_s: float, samples: NDArray[np.float32]) -> None:
        for row in self._sound_meter.feed(start_s, samples):
            self._rows.append(Row("sound", form_of(SoundRow), row.at_s, row.values()))
            self._noticing.notice(self._sounds.feed(row), _SOUNDS)

    def _break(self, at_s: float) -> None:
        """What follows does not follow: everything open ends here."""
        undecodable = self._undecodable.finish(at_s)
        self._noticing.notice(self._pictures.finish(at_s), _PICTURES, "source_over")
        self._noticing.notice(self._flow.finish(at_s), _FLOW, "source_over")
        self._noticing.notice(self._sounds.finish(at_s), _SOUNDS, "source_over")
        self._noticing.notice([] if undecodable is None else [undecodable], _DECODER, "source_over")
        self._pictures.gap(at_s)
        self._flow.gap(at_s)
        self._sounds.gap(at_s)
        self._sound_meter.gap(at_s)
        self._picture_meter.gap()
