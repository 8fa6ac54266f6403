"""Bytes of a feed or of a span of a recording become tracks and access units. Plain code; knows no socket and no codec.

Both sources give the same: init segments and fragments (pipeline/fmp4) with the stream's own times.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from pipeline.errors import BoxMalformed
from pipeline.fmp4.boxes import BOX
from pipeline.fmp4.fragments import HEAD_BYTES, read_head
from pipeline.fmp4.init import read_init
from pipeline.media import Track

_MOST_BYTES: Final = 16 * 1024 * 1024
"""Of one box: an access unit is at most 4 MiB."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One access unit. pts_s, duration_s: on the stream's axis."""

    track_id: int
    pts_s: float
    duration_s: float
    is_key: bool
    data: bytes


Piece: TypeAlias = tuple[Track, ...] | Unit


class Units:
    """Keeps what is not whole yet, one box at most."""

    def __init__(self) -> None:
        self._held = b""
        self._tracks: dict[int, Track] = {}

    def feed(self, data: bytes) -> list[Piece]:
        """The tracks where they change, and the units of known tracks, in their order.

        Raises: BoxMalformed: these are no bytes of ours.
        """
        held = self._held + data if self._held else data
        found: list[Piece] = []
        at = 0
        while at + 8 <= len(held):
            size, kind = BOX.unpack_from(held, at)
            if kind == b"ftyp":
                moov_at = at + size
                if moov_at + 8 > len(held) or moov_at + BOX.unpack_from(held, moov_at)[0] > len(held):
                    self._check(size)
                    break
                end = moov_at + BOX.unpack_from(held, moov_at)[0]
                tracks = read_init(held[at:end])
                self._tracks = {track.track_id: track for track in tracks}
                found.append(tracks)
                at = end
                continue
            if at + HEAD_BYTES > len(held):
                break
            info = read_head(held, at)
            if info is None:
                raise BoxMalformed("no fragment of ours")
            self._check(info.size_bytes)
            if at + info.size_bytes > len(held):
                break
            track = self._tracks.get(info.track_id)
            if track is not None:
                found.append(
                    Unit(
                        info.track_id,
                        info.pts / track.timescale,
                        info.duration / track.timescale,
                        info.is_key,
                        held[at + HEAD_BYTES : at + info.size_bytes],
                    )
                )
            at += info.size_bytes
        self._held = held[at:]
        return found

    @staticmethod
    def _check(size: int) -> None:
        if not 8 <= size <= _MOST_BYTES:
            raise BoxMalformed(f"a box of {size} bytes")
