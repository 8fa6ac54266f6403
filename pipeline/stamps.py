"""Time stamps: a device's ticks become ticks of the stream's own axis, which never goes back. Knows no clock."""

from pipeline.media import Track

_BACK_S = 1.0  # further back than this is a new count, not a late packet
_AHEAD_S = 10.0  # further ahead than this is a jump, not a pause
_GRID_S = 0.02  # sound frames this near to their place are put there: device stamps are often rounded to milliseconds


class _TrackStamps:
    """Where one track stands, in its own ticks."""

    __slots__ = ("ahead", "back", "duration", "expected", "grid", "is_audio", "last", "nominal", "offset", "timescale")

    def __init__(self, track: Track) -> None:
        self.timescale = track.timescale
        self.nominal = max(1, track.frame_duration)
        self.is_audio = track.kind == "audio"
        self.grid = int(_GRID_S * track.timescale)
        self.back = int(_BACK_S * track.timescale)
        self.ahead = int(_AHEAD_S * track.timescale)
        self.offset = 0
        self.last = -1
        self.expected = -1
        self.duration = self.nominal


class Stamps:
    """The stream's axis over all its tracks.

    An epoch is a stretch in which the device's stamps mean the same: `begin_epoch(position_s)` says that the next
    packet lies at `position_s` of the stream. A repair changes a stamp and is counted; nothing is dropped for it.
    """

    __slots__ = ("_anchor_s", "_base_s", "_tracks", "repairs")

    def __init__(self) -> None:
        self._tracks: dict[int, _TrackStamps] = {}
        self._anchor_s: float | None = 0.0
        self._base_s = 0.0
        self.repairs = 0

    def set_tracks(self, tracks: tuple[Track, ...]) -> None:
        """From here on these tracks; one that keeps its id and timescale goes on where it was."""
        before = self._tracks
        self._tracks = {track.track_id: _TrackStamps(track) for track in tracks}
        for track_id, now in self._tracks.items():
            was = before.get(track_id)
            if was is not None and was.timescale == now.timescale:
                now.last, now.expected, now.offset, now.duration = was.last, was.expected, was.offset, was.duration
            elif self._anchor_s is None:
                now.offset = round(self._base_s * now.timescale)

    def begin_epoch(self, position_s: float) -> None:
        """The next packet, whatever its stamp, lies at `position_s` of the stream."""
        self._anchor_s = position_s

    def stamp(self, track_id: int, packet_dts: int, arrival_s: float) -> tuple[int, int, int]:
        """(dts, duration, timescale) of a packet on the stream's axis, in ticks of its track.

        dts grows strictly in each track.
        arrival_s: seconds since the stream began, by our own clock; the place a packet gets when its stamp jumps.
        duration: predicted from the distance to the packet before, so that nothing waits for the packet after.
        Raises: KeyError: no such track was set.
        """
        track = self._tracks[track_id]
        if self._anchor_s is not None:
            self._anchor(packet_dts, track, self._anchor_s)
        dts = packet_dts + track.offset
        last = track.last
        if last >= 0:
            delta = dts - last
            if delta < -track.back or delta > track.ahead:
                dts = self._reanchor(packet_dts, track, arrival_s)
                delta = dts - last
            if track.is_audio:
                if -track.grid <= dts - track.expected <= track.grid:
                    dts = track.expected
                elif delta <= 0:
                    dts = last + 1
                    self.repairs += 1
            else:
                if delta <= 0:
                    dts = last + 1
                    self.repairs += 1
                elif delta <= track.timescale:
                    track.duration = delta
        elif dts < 0:
            dts = 0
            self.repairs += 1
        track.last = dts
        track.expected = dts + track.nominal
        return dts, (track.nominal if track.is_audio else track.duration), track.timescale

    def _anchor(self, packet_dts: int, track: _TrackStamps, position_s: float) -> None:
        self._base_s = position_s - packet_dts / track.timescale
        for each in self._tracks.values():
            each.offset = round(self._base_s * each.timescale)
            each.expected = -(1 << 62)
        self._anchor_s = None

    def _reanchor(self, packet_dts: int, track: _TrackStamps, arrival_s: float) -> int:
        self.repairs += 1
        self._anchor(packet_dts, track, max(arrival_s, (track.last + track.duration) / track.timescale))
        return packet_dts + track.offset
