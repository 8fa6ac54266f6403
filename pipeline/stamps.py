"""Time stamps: a device's ticks become ticks of the stream's own axis, which never goes back. Knows no clock.

The axis keeps to our own clock: a device whose clock runs fast or slow (crystals: ±200 ppm, 5.8 s in an eight-hour
shift) is slewed, so that after an interruption the hole is as long as it really was. How far a device leads is the
greatest lead of a window, since the network can only delay (the minimum filter of RFC 5905, clock filter algorithm).
"""

from math import inf

from pipeline.media import Track

_BACK_S = 1.0  # further back than this is a new count, not a late packet
_AHEAD_S = 10.0  # further ahead than this is a jump, not a pause
_GRID_S = 0.02  # sound frames this near to their place are put there: device stamps are often rounded to milliseconds
_QUIET_S = 0.004  # sound this far from its place is moved by a sample a frame, which nobody hears; a jump clicks
_WINDOW_S = 10.0  # of media, over which the lead is measured
_SLEW = 0.0005  # s a second: the fastest the axis is pulled; more than twice what a crystal drifts
_STALL_S = 0.25  # a lead that changes by more from window to window is a stall or a burst, not a clock
_NEVER = 1 << 62


class _TrackStamps:
    """Where one track stands, in its own ticks."""

    __slots__ = (
        "ahead", "back", "duration", "expected", "grid", "is_audio", "last", "nominal", "offset", "quiet", "timescale",
        "window_end",
    )  # fmt: skip

    def __init__(self, track: Track) -> None:
        self.timescale = track.timescale
        self.nominal = max(1, track.frame_duration)
        self.is_audio = track.kind == "audio"
        self.grid = int(_GRID_S * track.timescale)
        self.quiet = int(_QUIET_S * track.timescale)
        self.back = int(_BACK_S * track.timescale)
        self.ahead = int(_AHEAD_S * track.timescale)
        self.offset = 0
        self.last = -1
        self.expected = -1
        self.duration = self.nominal
        self.window_end = _NEVER  # in ticks of the axis; only the track that is measured has one


class Stamps:
    """The stream's axis over all its tracks.

    An epoch is a stretch in which the device's stamps mean the same: `begin_epoch(position_s)` says that the next
    packet lies at `position_s` of the stream. A repair changes a stamp and is counted; nothing is dropped for it.
    slewed_s: how far the axis was pulled towards our clock so far; the sum is the device's drift.
    """

    __slots__ = ("_anchor_s", "_base_s", "_lead_s", "_rest_s", "_tracks", "repairs", "slewed_s")

    def __init__(self) -> None:
        self._tracks: dict[int, _TrackStamps] = {}
        self._anchor_s: float | None = 0.0
        self._base_s = 0.0
        self._lead_s = -inf  # the greatest of this window: position on the axis less arrival
        self._rest_s: float | None = None  # the lead to keep; None until a window has told it
        self.repairs = 0
        self.slewed_s = 0.0

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
        self._begin_window(max((each.last / each.timescale for each in self._tracks.values()), default=0.0))

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
                off = dts - track.expected
                if -track.grid <= off <= track.grid:
                    dts = track.expected
                    if off > track.quiet:
                        dts += 1
                    elif off < -track.quiet:
                        dts -= 1
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
        if track.window_end != _NEVER:
            lead_s = dts / track.timescale - arrival_s
            if lead_s > self._lead_s:
                self._lead_s = lead_s
            if dts >= track.window_end:
                self._end_window(dts / track.timescale)
        return dts, (track.nominal if track.is_audio else track.duration), track.timescale

    def _anchor(self, packet_dts: int, track: _TrackStamps, position_s: float) -> None:
        self._base_s = position_s - packet_dts / track.timescale
        for each in self._tracks.values():
            each.offset = round(self._base_s * each.timescale)
            each.expected = -_NEVER
        self._anchor_s = None
        self._rest_s = None
        self._begin_window(position_s)

    def _begin_window(self, start_s: float) -> None:
        """Measure the picture, or the only track there is, from `start_s` of the axis on."""
        self._lead_s = -inf
        measured = None
        for track in self._tracks.values():
            track.window_end = _NEVER
            if measured is None or not track.is_audio:
                measured = track
        if measured is not None:
            measured.window_end = round((start_s + _WINDOW_S) * measured.timescale)

    def _end_window(self, at_s: float) -> None:
        """Pull the axis by what the lead has changed, no faster than nobody sees or hears."""
        if self._rest_s is None:
            self._rest_s = self._lead_s
        drift_s = self._lead_s - self._rest_s
        if abs(drift_s) > _STALL_S:
            self._rest_s += drift_s
        else:
            most_s = _SLEW * _WINDOW_S
            pull_s = max(-most_s, min(most_s, drift_s))
            self.slewed_s += pull_s
            self._base_s -= pull_s
            for each in self._tracks.values():
                each.offset = round(self._base_s * each.timescale)
        self._begin_window(at_s)

    def _reanchor(self, packet_dts: int, track: _TrackStamps, arrival_s: float) -> int:
        self.repairs += 1
        self._anchor(packet_dts, track, max(arrival_s, (track.last + track.duration) / track.timescale))
        return packet_dts + track.offset
