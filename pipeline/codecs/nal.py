"""Length-prefixed NAL units, as MP4 and RTMP carry H.264 and H.265. Source: ISO/IEC 14496-15 4.3.3."""

from pipeline.errors import LimitExceeded, ProtocolError

_MAX_NAL_UNITS = 4096  # of one picture; the most slices any level allows is 1,700 or so


def with_long_nal_lengths(data: bytes, nal_length_bytes: int) -> bytes:
    """An access unit whose NAL lengths have `nal_length_bytes` (1 or 2) with lengths of 4 bytes.

    Raises: ProtocolError: the lengths run past its end. LimitExceeded: more NAL units than a picture can have.
    """
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        if len(parts) >= 2 * _MAX_NAL_UNITS:
            raise LimitExceeded(f"a picture of more than {_MAX_NAL_UNITS} NAL units")
        size = int.from_bytes(data[at : at + nal_length_bytes], "big")
        at += nal_length_bytes
        if at + size > len(data):
            raise ProtocolError("the NAL lengths of a picture run past its end")
        parts += [size.to_bytes(4, "big"), data[at : at + size]]
        at += size
    return b"".join(parts)


def prefixed_nal_units(data: bytes) -> list[bytes]:
    """The NAL units of an access unit with 4-byte lengths; empty ones are left out.

    Raises: ProtocolError: the lengths do not add up to its size.
    """
    units: list[bytes] = []
    at = 0
    size = len(data)
    for _ in range(_MAX_NAL_UNITS):
        if at + 4 > size:
            break
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > at + 4:
            units.append(data[at + 4 : end])
        at = end
    if at != size:
        raise ProtocolError("the NAL lengths of a picture do not add up; the publisher must send AVCC, not Annex B")
    return units
