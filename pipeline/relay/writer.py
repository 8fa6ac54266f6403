"""One connection's media: the hub's fragments as RTMP messages. Begins at a key frame; knows no socket and no clock."""

from dataclasses import dataclass

from pipeline import fmp4
from pipeline.media import VIDEO_TRACK, Fragment, Track, TracksChanged
from pipeline.rtmp import chunks, tags
from pipeline.rtmp.client import AUDIO_CHUNK_STREAM, VIDEO_CHUNK_STREAM, ClientSession

_HEAD_ROOM_MS = 200  # the first picture's time stamp: sound that comes after it may be a little older
_TIME_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Piece:
    """A fragment and the tracks it belongs to, as a Subscription holds it."""

    fragment: Fragment
    header: TracksChanged

    @property
    def is_key(self) -> bool:
        return self.fragment.is_key

    @property
    def pts_s(self) -> float:
        return self.fragment.pts_s

    @property
    def end_s(self) -> float:
        return self.fragment.end_s

    @property
    def size_bytes(self) -> int:
        return len(self.fragment.data)

    @property
    def fragments(self) -> int:
        return 1


class Writer:
    """Pieces in order in, messages out."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session
        self._header: TracksChanged | None = None
        self._tracks: dict[int, Track] = {}
        self._codes: dict[int, str] = {}
        self._base_ms: int | None = None

    def message(self, piece: Piece) -> bytes:
        """What to send for `piece`; empty where nothing can be shown before a key frame."""
        fragment = piece.fragment
        if self._base_ms is None and not fragment.is_key:
            return b""
        changed = self._take_header(piece.header)
        track = self._tracks[fragment.track_id]
        time_ms = round(fragment.dts * 1000 / track.timescale)
        if self._base_ms is None:
            self._base_ms = time_ms - _HEAD_ROOM_MS
        time_ms = max(0, time_ms - self._base_ms)
        opening = b"".join([self._configuration(each, time_ms) for each in changed])
        code = self._codes[fragment.track_id]
        data = fragment.data[fmp4.HEAD_BYTES :]
        if fragment.track_id != VIDEO_TRACK:
            return opening + self._audio(time_ms, tags.audio_frame(code, data))
        composition_ms = round((fragment.pts - fragment.dts) * 1000 / track.timescale)
        frame = tags.video_frame(code, data, is_key=fragment.is_key, composition_ms=composition_ms)
        return opening + self._video(time_ms, frame)

    def _take_header(self, header: TracksChanged) -> list[Track]:
        """The tracks whose configuration this connection has still to be told."""
        if header is self._header:
            return []
        changed = [track for track in header.tracks if self._tracks.get(track.track_id) != track]
        self._header = header
        self._tracks = {track.track_id: track for track in header.tracks}
        self._codes = {number: tags.four_cc(track.codec) for number, track in self._tracks.items()}
        return changed

    def _configuration(self, track: Track, time_ms: int) -> bytes:
        code = self._codes[track.track_id]
        if track.kind == "video":
            return self._video(time_ms, tags.video_configuration(code, track.config))
        return self._audio(time_ms, tags.audio_configuration(code, track.config))

    def _video(self, time_ms: int, payload: bytes) -> bytes:
        return self._session.message(
            chunks.VIDEO, payload, timestamp_ms=time_ms & _TIME_MASK, chunk_stream=VIDEO_CHUNK_STREAM
        )

    def _audio(self, time_ms: int, payload: bytes) -> bytes:
        return self._session.message(
            chunks.AUDIO, payload, timestamp_ms=time_ms & _TIME_MASK, chunk_stream=AUDIO_CHUNK_STREAM
        )
