"""A session description: the media it offers, as far as RTP needs it. Source: RFC 4566 5 and 6; RFC 2326 C.1."""

import re
from dataclasses import dataclass, field

from pipeline.errors import LimitExceeded, ProtocolError

_MAX_LINES = 512
_MAX_MEDIA = 16
_RTPMAP = re.compile(r"(\d{1,3})\s+([\w.-]{1,40})/(\d{1,7})(?:/(\d{1,3}))?")
_STATIC = {0: ("PCMU", 8000, 1), 8: ("PCMA", 8000, 1)}  # RFC 3551, table 4


@dataclass(frozen=True, slots=True)
class Media:
    """One m= section with the first of its payload types. control: the URL, absolute or to be joined.

    encoding: upper-case name; format: the parameters of a=fmtp by lower-case name.
    """

    kind: str
    payload_type: int
    encoding: str
    clock_hz: int
    channels: int
    control: str
    format: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Session:
    """control: of the whole session; "" where it names none."""

    control: str
    media: tuple[Media, ...]


def read_sdp(body: bytes) -> Session:
    """Raises: ProtocolError, LimitExceeded."""
    lines = body.decode("utf-8", "replace").splitlines()
    if len(lines) > _MAX_LINES:
        raise LimitExceeded(f"a session description of more than {_MAX_LINES} lines")
    sections: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            sections.append([])
            if len(sections) > _MAX_MEDIA + 1:
                raise LimitExceeded(f"a session description of more than {_MAX_MEDIA} media")
        sections[-1].append(line.strip())
    if len(sections) < 2:
        raise ProtocolError("the session description offers no media")
    media = tuple(each for section in sections[1:] if (each := _read_media(section)) is not None)
    return Session(_attribute(sections[0], "control"), media)


def _read_media(lines: list[str]) -> Media | None:
    """None where it is not RTP or of a form nobody knows."""
    words = lines[0][2:].split()
    if (
        len(words) < 4
        or not words[2].startswith("RTP/")
        or not words[3].isdecimal()
        or len(words[3]) > 3
        or int(words[3]) > 127
    ):
        return None
    payload_type = int(words[3])
    name, clock_hz, channels = _STATIC.get(payload_type, ("", 0, 1))
    parameters = ""
    for line in lines[1:]:
        if line.startswith("a=rtpmap:") and (match := _RTPMAP.match(line[9:])) and int(match[1]) == payload_type:
            name, clock_hz, channels = match[2].upper(), int(match[3]), int(match[4] or 1)
        elif line.startswith("a=fmtp:"):
            number, _, rest = line[7:].strip().partition(" ")
            if number == str(payload_type):
                parameters = rest
    if not name or not 1000 <= clock_hz <= 1_000_000:
        return None
    pairs = (each.strip().partition("=") for each in parameters.split(";"))
    form = {key.strip().lower(): value.strip() for key, _, value in pairs if key}
    return Media(words[0], payload_type, name, clock_hz, channels, _attribute(lines, "control"), form)


def _attribute(lines: list[str], name: str) -> str:
    start = f"a={name}:"
    return next((line[len(start) :].strip() for line in lines if line.startswith(start)), "")
