"""Fragmented MP4 (CMAF) in pure Python: the init segment, one fragment an access unit, and the reader of both.

The fragment has one fixed layout of 112 bytes before its sample, so it is packed and checked with a single struct:
moof(mfhd, traf(tfhd, tfdt v1, trun v1 with one sample)) mdat. Knows no file and no socket.

Live fragments carry the stream's own time. A segment file must open at 0 and show its true length in any player, so
the recorder writes `rebased_head(fragment, base)` and then the sample bytes as they are: 8 bytes of a fragment differ
between the wire and the disk, the sample never. (An edit list would keep all bytes, but FFmpeg-based players then show
the stream's whole age as the file's length.)
Source: ISO/IEC 14496-12 (boxes), 14496-14 (mp4a), 14496-15 (avc1), 23000-19 (CMAF).
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.errors import BoxMalformed, CodecUnsupported
from pipeline.media import Track

HEAD_BYTES = 112
_MOOF_BYTES = 104
_KEY_FLAGS = 0x02000000  # sample_depends_on = 2: depends on no other
_DELTA_FLAGS = 0x01010000  # sample_depends_on = 1, sample_is_non_sync_sample
_TRUN_FLAGS = 0x01000F01  # version 1; data offset, duration, size, flags, composition offset
_BASE_IS_MOOF = 0x00020000
_HEAD = struct.Struct(">I4sI4sIII4sI4sIII4sIQI4sIIiIIIiI4s")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_TFDT_AT = 60  # byte of the decode time within the head
_BOX = struct.Struct(">I4s")


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


def init_segment(tracks: tuple[Track, ...]) -> bytes:
    """ftyp + moov for `tracks`.

    Raises: CodecUnsupported: no sample entry is known for a track's codec.
    """
    traks = b"".join(_trak(track) for track in tracks)
    trexs = b"".join(_full(b"trex", 0, 0, struct.pack(">IIIII", t.track_id, 1, 0, 0, 0)) for t in tracks)
    mvhd = _full(
        b"mvhd", 0, 0,
        struct.pack(">IIII", 0, 0, 1000, 0) + struct.pack(">IH10x", 0x00010000, 0x0100) + _MATRIX + bytes(24)
        + _U32.pack(max(t.track_id for t in tracks) + 1),
    )  # fmt: skip
    ftyp = _box(b"ftyp", b"iso6" + _U32.pack(0) + b"iso6cmfcmp41")
    return ftyp + _box(b"moov", mvhd + traks + _box(b"mvex", trexs))


def init_size(data: bytes | memoryview) -> int:
    """How many bytes at the start of `data` are the init segment.

    Raises: BoxMalformed: it does not begin with a whole ftyp and moov.
    """
    offset = 0
    for expected in (b"ftyp", b"moov"):
        if offset + 8 > len(data):
            raise BoxMalformed(f"the file ends before its {expected.decode()} box; it holds no picture to save")
        size, kind = _BOX.unpack_from(data, offset)
        if kind != expected or size < 8 or offset + size > len(data):
            raise BoxMalformed(f"no whole {expected.decode()} box at byte {offset}")
        offset += size
    return offset


def read_init(data: bytes | memoryview) -> tuple[Track, ...]:
    """The tracks of an init segment written by `init_segment`.

    Raises: BoxMalformed: it is not one.
    """
    try:
        moov = _children(bytes(data[: init_size(data)]), _FTYP_BYTES + 8)
        return tuple(_read_trak(body) for kind, body in moov if kind == b"trak")
    except (struct.error, KeyError, IndexError, ValueError) as error:
        raise BoxMalformed(f"the init segment cannot be read: {error}") from error


def mime_type(tracks: tuple[Track, ...]) -> str:
    """The MIME type for MediaSource.addSourceBuffer. Source: RFC 6381."""
    return f'video/mp4; codecs="{", ".join(track.codec for track in tracks)}"'


_FTYP_BYTES = 28
_MATRIX = struct.pack(">9I", 0x00010000, 0, 0, 0, 0x00010000, 0, 0, 0, 0x40000000)


def _box(kind: bytes, body: bytes) -> bytes:
    return _BOX.pack(8 + len(body), kind) + body


def _full(kind: bytes, version: int, flags: int, body: bytes) -> bytes:
    return _box(kind, _U32.pack(version << 24 | flags) + body)


def _trak(track: Track) -> bytes:
    is_video = track.kind == "video"
    tkhd = _full(
        b"tkhd", 0, 3,
        struct.pack(">IIIII", 0, 0, track.track_id, 0, 0) + bytes(8)
        + struct.pack(">HHHH", 0, 0 if is_video else 1, 0 if is_video else 0x0100, 0) + _MATRIX
        + struct.pack(">II", track.width << 16, track.height << 16),
    )  # fmt: skip
    mdhd = _full(b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, track.timescale, 0, 0x55C4, 0))
    handler, name = (b"vide", b"VideoHandler\0") if is_video else (b"soun", b"SoundHandler\0")
    hdlr = _full(b"hdlr", 0, 0, _U32.pack(0) + handler + bytes(12) + name)
    media = _full(b"vmhd", 0, 1, bytes(8)) if is_video else _full(b"smhd", 0, 0, bytes(4))
    dinf = _box(b"dinf", _full(b"dref", 0, 0, _U32.pack(1) + _full(b"url ", 0, 1, b"")))
    empty = b"".join(_full(kind, 0, 0, _U32.pack(0)) for kind in (b"stts", b"stsc", b"stco"))
    stsz = _full(b"stsz", 0, 0, bytes(8))
    stbl = _box(b"stbl", _full(b"stsd", 0, 0, _U32.pack(1) + _sample_entry(track)) + empty + stsz)
    return _box(b"trak", tkhd + _box(b"mdia", mdhd + hdlr + _box(b"minf", media + dinf + stbl)))


def _sample_entry(track: Track) -> bytes:
    make = _SAMPLE_ENTRIES.get(track.codec.split(".")[0])
    if make is None:
        raise CodecUnsupported(f"no MP4 sample entry for codec {track.codec!r}")
    return make(track)


def _avc1(track: Track) -> bytes:
    return _box(
        b"avc1",
        struct.pack(">6xH16xHH", 1, track.width, track.height)
        + struct.pack(">III", 0x00480000, 0x00480000, 0)
        + struct.pack(">H32xHh", 1, 0x18, -1)
        + _box(b"avcC", track.config),
    )


def _mp4a(track: Track) -> bytes:
    def descriptor(tag: int, body: bytes) -> bytes:
        return struct.pack(">BBBBB", tag, 0x80, 0x80, 0x80, len(body)) + body

    decoder = struct.pack(">BBBBBII", 0x40, 0x15, 0, 0, 0, 0, 0) + descriptor(5, track.config)
    esds = _full(b"esds", 0, 0, descriptor(3, struct.pack(">HB", 0, 0) + descriptor(4, decoder) + descriptor(6, b"\2")))
    rate = track.rate_hz << 16 if track.rate_hz < 65536 else 0
    return _box(b"mp4a", struct.pack(">6xH8xHHII", 1, track.channels, 16, 0, rate) + esds)


_SAMPLE_ENTRIES: dict[str, Callable[[Track], bytes]] = {"avc1": _avc1, "mp4a": _mp4a}


def _children(data: bytes, offset: int = 0) -> list[tuple[bytes, bytes]]:
    found = []
    while offset < len(data):
        size, kind = _BOX.unpack_from(data, offset)
        if size < 8 or offset + size > len(data):
            raise BoxMalformed(f"box {kind!r} at byte {offset} claims {size} bytes")
        found.append((kind, data[offset + 8 : offset + size]))
        offset += size
    return found


def _read_trak(body: bytes) -> Track:
    boxes = dict(_children(body))
    mdia = dict(_children(boxes[b"mdia"]))
    stbl = dict(_children(dict(_children(mdia[b"minf"]))[b"stbl"]))
    track_id = struct.unpack_from(">I", boxes[b"tkhd"], 12)[0]
    timescale = struct.unpack_from(">I", mdia[b"mdhd"], 12)[0]
    ((kind, entry),) = _children(stbl[b"stsd"][8:])
    if kind == b"avc1":
        width, height = struct.unpack_from(">HH", entry, 24)
        config = dict(_children(entry[78:]))[b"avcC"]
        codec = f"avc1.{config[1:4].hex()}"
        return Track(track_id, "video", codec, config, timescale, width=width, height=height)
    if kind == b"mp4a":
        channels, _, _, rate = struct.unpack_from(">HHII", entry, 16)
        config = _audio_config(dict(_children(entry[28:]))[b"esds"])
        object_type = config[0] >> 3
        codec = f"mp4a.40.{object_type}"
        return Track(track_id, "audio", codec, config, timescale, rate_hz=rate >> 16, channels=channels)
    raise BoxMalformed(f"unknown sample entry {kind!r}")


def _audio_config(esds: bytes) -> bytes:
    """The AudioSpecificConfig in an esds box body as `_mp4a` writes it (5-byte descriptor heads)."""
    at = 4 + 5 + 3 + 5 + 13
    if esds[at] != 5:
        raise BoxMalformed("esds holds no decoder specific info")
    return esds[at + 5 : at + 5 + esds[at + 4]]
