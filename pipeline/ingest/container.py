"""Which container a body is: by its Content-Type, else by its first bytes. Reads no further than those."""

from enum import StrEnum

from pipeline.errors import ContainerUnknown

HEAD_BYTES = 12
"""As many first bytes as are needed to tell."""

_TS_SYNC = 0x47
_MP4_BOXES = frozenset({b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"free", b"mdat"})


class Container(StrEnum):
    """A container that can be taken; the value is the name libav has for its reader."""

    MPEG_TS = "mpegts"
    FLV = "flv"
    MP4 = "mp4"


_BY_TYPE = {
    "video/mp2t": Container.MPEG_TS,
    "video/x-flv": Container.FLV,
    "video/flv": Container.FLV,
    "video/mp4": Container.MP4,
    "video/iso.segment": Container.MP4,
}


def container_of(content_type: str, head: bytes) -> Container:
    """What a body is. head: its first bytes, HEAD_BYTES of them where there are so many.

    Raises: ContainerUnknown: neither its type nor its bytes tell.
    """
    named = _BY_TYPE.get(content_type.partition(";")[0].strip().lower())
    if named is not None:
        return named
    if head.startswith(b"FLV"):
        return Container.FLV
    if head[4:8] in _MP4_BOXES:
        return Container.MP4
    if head and head[0] == _TS_SYNC:
        return Container.MPEG_TS
    raise ContainerUnknown("neither its Content-Type nor its first bytes say MPEG-TS, FLV or fragmented MP4")
