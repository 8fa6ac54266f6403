"""Only the key frames of a stream: for small tiles, thin lines and workers. Sound and other pictures are left out.

What is left out by choice is no gap. Each key frame is stretched until the next is expected, so that a player shows it
until then.
"""

from pipeline import fmp4
from pipeline.media import VIDEO_TRACK, Fragment, TracksChanged

_FIRST_DISTANCE_S = 2.0  # the usual group of pictures, until two key frames have been seen
_LONGEST_S = 30.0


class KeyFrames:
    """Keeps the distance of the last two key frames. Owned by one feed."""

    def __init__(self) -> None:
        self._distance_s = _FIRST_DISTANCE_S
        self._last_s: float | None = None

    def tracks(self, item: TracksChanged) -> TracksChanged | None:
        """The same without sound; None when there is no picture."""
        pictures = tuple(track for track in item.tracks if track.track_id == VIDEO_TRACK)
        if not pictures:
            return None
        return TracksChanged(pictures, fmp4.init_segment(pictures), fmp4.mime_type(pictures))

    def pick(self, fragment: Fragment) -> Fragment | None:
        """A key frame, stretched; None for everything else."""
        if not fragment.is_key or fragment.track_id != VIDEO_TRACK:
            return None
        if self._last_s is not None and 0 < fragment.pts_s - self._last_s <= _LONGEST_S:
            self._distance_s = fragment.pts_s - self._last_s
        self._last_s = fragment.pts_s
        duration = round(self._distance_s * fragment.duration / fragment.duration_s)
        return fragment._replace(
            duration=duration,
            duration_s=self._distance_s,
            data=fmp4.fragment(
                fragment.sequence,
                fragment.track_id,
                fragment.dts,
                fragment.pts - fragment.dts,
                duration,
                True,
                fragment.data[fmp4.HEAD_BYTES :],
            ),
        )
