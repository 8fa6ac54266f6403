"""One fragment an access unit, and its reader.

The fragment has one fixed layout of 112 bytes before its sample, so it is packed and checked with a single struct:
moof(mfhd, traf(tfhd, tfdt v1, trun v1 with one sample)) mdat.

Live fragments carry the stream's own time. A segment file must open at 0 and show its true length in any player, so
the recorder writes `rebased_head(fragment, base)` and then the sample bytes as they are: 8 bytes of a fragment differ
between the wire and the disk, the sample never. (An edit list would keep all bytes, but FFmpeg-based players then show
the stream's whole age as the file's length.)
Source: ISO/IEC 14496-12, 8.8; 23000-19 (CMAF).
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

HEAD_BYTES = 112
JOINED_SAMPLE_BYTES = 16
"""What the head of a joined fragment takes for a sample."""
_MOOF_BYTES = 104
_KEY_FLAGS = 0x02000000  # sample_depends_on = 2: depends on no other
_DELTA_FLAGS = 0x01010000  # sample_depends_on = 1, sample_is_non_sync_sample
_TRUN_FLAGS = 0x01000F01  # version 1; data offset, duration, size, flags, composition offset
_BASE_IS_MOOF = 0x00020000
_HEAD = struct.Struct(">I4sI4sIII4sI4sIII4sIQI4sIIiIIIiI4s")
_U64 = struct.Struct(">Q")
_TFDT_AT = 60  # byte of the decode time within the head
_GIST = struct.Struct(">4x4s36xI12xQ24xI4xiI4s")  # kind, track, decode time, sample size, composition, mdat


def fragment(
    sequence: int, track_id: int, dts: int, composition: int, duration: int, is_key: bool, data: bytes
) -> bytes:
    """moof + mdat for one sample.

    dts, composition (= pts - dts, may be negative), duration: ticks of the track; dts 0..2^64-1.
    """
    size = len(data)
    return (
        _HEAD.pack(
            _MOOF_BYTES, b"moof",
            16, b"mfhd", 0, sequence & 0xFFFFFFFF,
            80, b"traf",
            16, b"tfhd", _BASE_IS_MOOF, track_id,
            20, b"tfdt", 0x01000000, dts,
            36, b"trun", _TRUN_FLAGS, 1, HEAD_BYTES,
            duration, size, _KEY_FLAGS if is_key else _DELTA_FLAGS, composition,
            8 + size, b"mdat",
        )
        + data
    )  # fmt: skip


def rebased_head(data: bytes, base: int) -> bytes:
    """The first HEAD_BYTES of the fragment `data` with its decode time moved back by `base` ticks, at least to 0."""
    dts: int = _U64.unpack_from(data, _TFDT_AT)[0]
    return data[:_TFDT_AT] + _U64.pack(max(0, dts - base)) + data[_TFDT_AT + 8 : HEAD_BYTES]


@dataclass(frozen=True, slots=True)
class FragmentInfo:
    """A fragment as found in a file: where it lies and what its head says. Ticks of its track."""

    offset: int
    size_bytes: int
    sequence: int
    track_id: int
    dts: int
    pts: int
    duration: int
    sample_size: int
    is_key: bool


def walk(data: bytes | memoryview, offset: int = 0) -> Iterator[FragmentInfo]:
    """The whole, well-formed fragments from `offset` on; stops without an error at the first thing that is not one."""
    end = len(data)
    while offset + HEAD_BYTES <= end:
        info = read_head(data, offset)
        if info is None or offset + info.size_bytes > end:
            return
        yield info
        offset += info.size_bytes


def read_head(data: bytes | memoryview, offset: int) -> FragmentInfo | None:
    """The fragment whose head of HEAD_BYTES lies at `offset`, or None if these bytes are not one of ours."""
    (
        moof_size, moof,
        mfhd_size, mfhd, mfhd_flags, sequence,
        traf_size, traf,
        tfhd_size, tfhd, tfhd_flags, track_id,
        tfdt_size, tfdt, tfdt_flags, dts,
        trun_size, trun, trun_flags, count, data_offset,
        duration, size, flags, composition,
        mdat_size, mdat,
    ) = _HEAD.unpack_from(data, offset)  # fmt: skip
    if (moof_size, moof, mfhd_size, mfhd, mfhd_flags, traf_size, traf) != (
        _MOOF_BYTES, b"moof", 16, b"mfhd", 0, 80, b"traf",
    ):  # fmt: skip
        return None
    if (tfhd_size, tfhd, tfhd_flags, tfdt_size, tfdt, tfdt_flags) != (
        16, b"tfhd", _BASE_IS_MOOF, 20, b"tfdt", 0x01000000,
    ):  # fmt: skip
        return None
    if (trun_size, trun, trun_flags, count, data_offset, mdat_size, mdat) != (
        36, b"trun", _TRUN_FLAGS, 1, HEAD_BYTES, 8 + size, b"mdat",
    ):  # fmt: skip
        return None
    if flags not in (_KEY_FLAGS, _DELTA_FLAGS):
        return None
    return FragmentInfo(
        offset, HEAD_BYTES + size, sequence, track_id, dts, dts + composition, duration, size, flags == _KEY_FLAGS
    )


def pts_range(data: bytes, offset: int) -> dict[int, tuple[int, int]]:
    """The least and the greatest presentation time of each track, ticks by track id: of what `walk` finds, faster."""
    found = dict[int, tuple[int, int]]()
    while offset + HEAD_BYTES <= len(data):
        moof, track_id, dts, size, composition, mdat_size, mdat = _GIST.unpack_from(data, offset)
        offset += HEAD_BYTES + size
        if (moof, mdat, mdat_size) != (b"moof", b"mdat", 8 + size) or offset > len(data):
            break
        pts = dts + composition
        least, greatest = found.get(track_id, (pts, pts))
        found[track_id] = (min(least, pts), max(greatest, pts))
    return found


def spare_bytes(count: int, track_count: int) -> int:
    """How much shorter `count` fragments become when they are joined into one of so many tracks."""
    return (HEAD_BYTES - JOINED_SAMPLE_BYTES) * count - 32 - 64 * track_count


def joined_head(fragments: Sequence[FragmentInfo], dts: Sequence[int]) -> tuple[bytes, int]:
    """(one moof and the head of one mdat for all these samples, the length of it all with the samples).

    The samples of a track must lie next to one another: it has one `trun`. Of several libav keeps only where the last
    one begins, and puts an earlier fragment that it reads later in their midst.
    dts: of each, as it shall be. A sample lasts until the next one of its track.
    """
    runs = [list(run) for _, run in groupby(range(len(fragments)), lambda place: fragments[place].track_id)]
    size_bytes = 24 + 64 * len(runs) + 16 * len(fragments)
    at, trafs = size_bytes + 8, b""
    for run in runs:
        table, start = b"", at
        for place, following in zip(run, [*run[1:], None], strict=True):
            each = fragments[place]
            lasts = each.duration if following is None else max(0, dts[following] - dts[place])
            flags = _KEY_FLAGS if each.is_key else _DELTA_FLAGS
            table += struct.pack(">IIIi", lasts, each.sample_size, flags, each.pts - each.dts)
            at += each.sample_size
        body = struct.pack(">I4sII", 16, b"tfhd", _BASE_IS_MOOF, fragments[run[0]].track_id)
        body += struct.pack(">I4sIQ", 20, b"tfdt", 0x01000000, dts[run[0]])
        body += struct.pack(">I4sIIi", 20 + len(table), b"trun", _TRUN_FLAGS, len(run), start) + table
        trafs += struct.pack(">I4s", 8 + len(body), b"traf") + body
    sequence = fragments[0].sequence & 0xFFFFFFFF
    head = struct.pack(">I4sI4sII", size_bytes, b"moof", 16, b"mfhd", 0, sequence) + trafs
    return head + struct.pack(">I4s", at - size_bytes, b"mdat"), at
