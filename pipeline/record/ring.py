"""The ring: media not yet known to be on the disk, from the key frame before it on. Knows no disk and no time."""

from collections import deque
from collections.abc import Iterator
from itertools import islice

from pipeline.media import Fragment, TracksChanged

_LEAD_S = 1.0  # tracks further apart than this are not interleaved; the file opens at its first fragment


class Ring:
    """Fragments, and the TracksChanged between them, in order; each has a place (0, 1, ...) that it keeps for ever.

    Bound: its owner drops what is too much with `drop_oldest`; `size_bytes` and `span_s` say how much that is.
    header: the tracks in force before the oldest item.
    """

    __slots__ = ("_items", "_keys", "_start", "header", "size_bytes")

    def __init__(self) -> None:
        self._items: deque[Fragment | TracksChanged] = deque()
        self._keys: deque[int] = deque()  # places of the key frames
        self._start = 0
        self.size_bytes = 0
        self.header: TracksChanged | None = None

    @property
    def start(self) -> int:
        """The place of the oldest item."""
        return self._start

    @property
    def end(self) -> int:
        """The place the next item will have."""
        return self._start + len(self._items)

    @property
    def span_s(self) -> float:
        oldest = next((item for item in self._items if isinstance(item, Fragment)), None)
        newest = self._items[-1] if self._items else None
        if oldest is None or not isinstance(newest, Fragment):
            return 0.0
        return newest.end_s - oldest.pts_s

    def append(self, item: Fragment | TracksChanged) -> None:
        if isinstance(item, Fragment):
            if item.is_key:
                self._keys.append(self._start + len(self._items))
            self.size_bytes += len(item.data)
        self._items.append(item)

    def since(self, place: int) -> Iterator[Fragment | TracksChanged]:
        """The items from `place` on. The ring must not change meanwhile."""
        return islice(self._items, place - self._start, None)

    def key_before(self, place: int) -> int:
        """The place of the last key frame at or before `place`; without one, the oldest place."""
        found = self._start
        for key in self._keys:
            if self._start <= key <= place:
                found = key
        return found

    def header_at(self, place: int) -> TracksChanged | None:
        """The tracks in force for the item at `place`."""
        header = self.header
        for item in islice(self._items, max(0, place - self._start)):
            if isinstance(item, TracksChanged):
                header = item
        return header

    def opening_s(self, first: Fragment, place: int, header: TracksChanged) -> float:
        """Where a file opens whose first fragment is `first` at `place`: there, or as much earlier as the next samples
        of the other tracks lie, so that what arrives a little late keeps its time."""
        scales = {track.track_id: track.timescale for track in header.tracks}
        first_s = first.dts / scales[first.track_id]
        nearest: dict[int, float] = {}
        for number, item in enumerate(self._items, self._start):
            if not isinstance(item, Fragment):
                if number > place:
                    break
                nearest = {}
            elif item.track_id != first.track_id and item.track_id in scales:
                if number < place:
                    nearest[item.track_id] = (item.dts + item.duration) / scales[item.track_id]
                elif nearest.get(item.track_id, -_LEAD_S) < first_s - _LEAD_S:
                    nearest[item.track_id] = item.dts / scales[item.track_id]
        return min([first_s, *(each for each in nearest.values() if each >= first_s - _LEAD_S)])

    def forget_synced(self, place: int) -> None:
        """All before `place` is on the disk: keep from the last key frame at or before it."""
        keys = self._keys
        while len(keys) > 1 and keys[1] <= place:
            keys.popleft()
        keep = keys[0] if keys and keys[0] <= place else place
        while self._start < keep and self._items:
            self._pop()

    def drop_oldest(self) -> list[tuple[int, Fragment]]:
        """Drop the oldest group of pictures, or one item where no later key frame is known; what that was, with places.

        The group of the newest key frame is taken apart item by item, so the ring can always be brought to any size.
        """
        while self._keys and self._keys[0] <= self._start:
            self._keys.popleft()
        until = self._keys[0] if self._keys else self._start + 1
        dropped = []
        while self._start < until and self._items:
            place, item = self._start, self._pop()
            if isinstance(item, Fragment):
                dropped.append((place, item))
        return dropped

    def _pop(self) -> Fragment | TracksChanged:
        item = self._items.popleft()
        self._start += 1
        if isinstance(item, Fragment):
            self.size_bytes -= len(item.data)
        else:
            self.header = item
        return item
