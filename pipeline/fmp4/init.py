"""The init segment: ftyp and moov for the tracks of a stream, and its reader.

Source: ISO/IEC 14496-12, 8.2 to 8.6; 23000-19 (CMAF).
"""

import struct

from pipeline.errors import BoxMalformed, CodecUnsupported
from pipeline.fmp4.boxes import BOX, box, children, full_box
from pipeline.fmp4.entries import read_entry, sample_entry
from pipeline.media import Track

_U32 = struct.Struct(">I")
_FTYP_BYTES = 28
_MATRIX = struct.pack(">9I", 0x00010000, 0, 0, 0, 0x00010000, 0, 0, 0, 0x40000000)


def init_segment(tracks: tuple[Track, ...]) -> bytes:
    """ftyp + moov for `tracks`.

    Raises: CodecUnsupported: no sample entry is known for a track's codec.
    """
    traks = b"".join(_trak(track) for track in tracks)
    trexs = b"".join(full_box(b"trex", 0, 0, struct.pack(">IIIII", t.track_id, 1, 0, 0, 0)) for t in tracks)
    mvhd = full_box(
        b"mvhd", 0, 0,
        struct.pack(">IIII", 0, 0, 1000, 0) + struct.pack(">IH10x", 0x00010000, 0x0100) + _MATRIX + bytes(24)
        + _U32.pack(max(t.track_id for t in tracks) + 1),
    )  # fmt: skip
    ftyp = box(b"ftyp", b"iso6" + _U32.pack(0) + b"iso6cmfcmp41")
    return ftyp + box(b"moov", mvhd + traks + box(b"mvex", trexs))


def init_size(data: bytes | memoryview) -> int:
    """How many bytes at the start of `data` are the init segment.

    Raises: BoxMalformed: it does not begin with a whole ftyp and moov.
    """
    offset = 0
    for expected in (b"ftyp", b"moov"):
        if offset + 8 > len(data):
            raise BoxMalformed(f"the file ends before its {expected.decode()} box; it holds no picture to save")
        size, kind = BOX.unpack_from(data, offset)
        if kind != expected or size < 8 or offset + size > len(data):
            raise BoxMalformed(f"no whole {expected.decode()} box at byte {offset}")
        offset += size
    return offset


def read_init(data: bytes | memoryview) -> tuple[Track, ...]:
    """The tracks of an init segment written by `init_segment`.

    Raises: BoxMalformed: it is not one.
    """
    try:
        moov = children(bytes(data[: init_size(data)]), _FTYP_BYTES + 8)
        return tuple(_read_trak(body) for kind, body in moov if kind == b"trak")
    except (struct.error, KeyError, IndexError, ValueError, CodecUnsupported) as error:
        raise BoxMalformed(f"the init segment cannot be read: {error}") from error


def mime_type(tracks: tuple[Track, ...]) -> str:
    """The MIME type for MediaSource.addSourceBuffer. Source: RFC 6381."""
    return f'video/mp4; codecs="{", ".join(track.codec for track in tracks)}"'


def _trak(track: Track) -> bytes:
    is_video = track.kind == "video"
    tkhd = full_box(
        b"tkhd", 0, 3,
        struct.pack(">IIIII", 0, 0, track.track_id, 0, 0) + bytes(8)
        + struct.pack(">HHHH", 0, 0 if is_video else 1, 0 if is_video else 0x0100, 0) + _MATRIX
        + struct.pack(">II", track.width << 16, track.height << 16),
    )  # fmt: skip
    mdhd = full_box(b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, track.timescale, 0, 0x55C4, 0))
    handler, name = (b"vide", b"VideoHandler\0") if is_video else (b"soun", b"SoundHandler\0")
    hdlr = full_box(b"hdlr", 0, 0, _U32.pack(0) + handler + bytes(12) + name)
    media = full_box(b"vmhd", 0, 1, bytes(8)) if is_video else full_box(b"smhd", 0, 0, bytes(4))
    dinf = box(b"dinf", full_box(b"dref", 0, 0, _U32.pack(1) + full_box(b"url ", 0, 1, b"")))
    empty = b"".join(full_box(kind, 0, 0, _U32.pack(0)) for kind in (b"stts", b"stsc", b"stco"))
    stsz = full_box(b"stsz", 0, 0, bytes(8))
    stbl = box(b"stbl", full_box(b"stsd", 0, 0, _U32.pack(1) + sample_entry(track)) + empty + stsz)
    return box(b"trak", tkhd + box(b"mdia", mdhd + hdlr + box(b"minf", media + dinf + stbl)))


def _read_trak(body: bytes) -> Track:
    boxes = dict(children(body))
    mdia = dict(children(boxes[b"mdia"]))
    stbl = dict(children(dict(children(mdia[b"minf"]))[b"stbl"]))
    track_id = struct.unpack_from(">I", boxes[b"tkhd"], 12)[0]
    timescale = struct.unpack_from(">I", mdia[b"mdhd"], 12)[0]
    if not timescale:
        raise BoxMalformed("the init segment gives a track no time scale")
    ((kind, entry),) = children(stbl[b"stsd"][8:])
    return read_entry(kind, entry, track_id, timescale)
