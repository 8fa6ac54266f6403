"""Only the sound of a stream: what a worker that listens needs. Pictures are left out by choice, which is no gap."""

from pipeline import fmp4
from pipeline.media import AUDIO_TRACK, Fragment, TracksChanged


class SoundOnly:
    """Keeps nothing. Every fragment is a place to begin at, as sound has no key frames."""

    def tracks(self, item: TracksChanged) -> TracksChanged | None:
        """The same without pictures; None when there is no sound."""
        sounds = tuple(track for track in item.tracks if track.track_id == AUDIO_TRACK)
        if not sounds:
            return None
        return TracksChanged(sounds, fmp4.init_segment(sounds), fmp4.mime_type(sounds))

    def pick(self, fragment: Fragment) -> Fragment | None:
        return fragment._replace(is_key=True) if fragment.track_id == AUDIO_TRACK else None
