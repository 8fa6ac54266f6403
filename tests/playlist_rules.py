"""LL-HLS playlists held to the draft that follows RFC 8216: each finding names its section.

Source: draft-pantos-hls-rfc8216bis-17; the newest seen is -20, February 2026.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')
_SKIP_VERSION, _MAP_VERSION = 9, 6  # section 8
_ROUNDING_S = 0.0006  # of targets and durations as they are printed
_CLOCK_S = 0.5  # how far arrival may wander between two segments


@dataclass(frozen=True)
class Part:
    """An EXT-X-PART."""

    uri: str
    duration_s: float
    is_independent: bool


@dataclass
class Segment:
    """A segment with what stands before it; uri "" while it is open."""

    number: int
    duration_s: float = 0.0
    uri: str = ""
    map_uri: str = ""
    dated: str = ""
    is_discontinuous: bool = False
    parts: list[Part] = field(default_factory=list)


@dataclass
class Playlist:
    """A media playlist as it was read."""

    first_line: str
    tags: dict[str, str] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    hint: str = ""
    skipped: int = 0

    def number(self, tag: str) -> int:
        return int(self.tags.get(tag, "0"))

    def attribute(self, tag: str, name: str) -> str:
        return attributes(self.tags.get(tag, "")).get(name, "")


def attributes(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}


def read(text: str) -> Playlist:
    """The playlist in `text`."""
    lines = text.splitlines()
    made = Playlist(lines[0] if lines else "")
    sequence = re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", text)
    number = int(sequence[1]) if sequence else 0
    segment, map_uri = Segment(number), ""
    for line in lines[1:]:
        name, _, value = line.partition(":")
        words = attributes(value)
        match name:
            case "#EXT-X-SKIP":
                made.skipped = int(words["SKIPPED-SEGMENTS"])
                segment = Segment(number + made.skipped)
            case "#EXT-X-MAP":
                map_uri = words["URI"]
            case "#EXT-X-DISCONTINUITY":
                segment.is_discontinuous = True
            case "#EXT-X-PROGRAM-DATE-TIME":
                segment.dated = value
            case "#EXT-X-PART":
                part = Part(words["URI"], float(words["DURATION"]), words.get("INDEPENDENT") == "YES")
                segment.parts.append(part)
            case "#EXTINF":
                segment.duration_s = float(value.rstrip(","))
            case "#EXT-X-PRELOAD-HINT":
                made.hint = words["URI"]
            case _ if line.startswith("#"):
                made.tags[name] = value
            case _:
                segment.uri, segment.map_uri = line, map_uri
                made.segments.append(segment)
                segment = Segment(segment.number + 1)
    if segment.parts:
        segment.map_uri = map_uri
        made.segments.append(segment)
    return made


def broken_alone(text: str) -> list[str]:
    """What one playlist breaks by itself."""
    made, found = read(text), []
    target_s = made.number("#EXT-X-TARGETDURATION")
    part_s = float(made.attribute("#EXT-X-PART-INF", "PART-TARGET") or 0)
    control = "#EXT-X-SERVER-CONTROL"

    def rule(section: str, holds: bool, words: str) -> None:
        if not holds:
            found.append(f"{section}: {words}")

    rule("4.4.1.1", made.first_line == "#EXTM3U", "the first line is EXTM3U")
    needed = _SKIP_VERSION if made.skipped else _MAP_VERSION
    rule("8", made.number("#EXT-X-VERSION") >= needed, f"the version is at least {needed}")
    rule("4.4.3.1", target_s > 0, "there is a target duration")
    rule("4.4.3.7", part_s > 0, "there is a part target")
    rule("4.4.3.8", made.attribute(control, "CAN-BLOCK-RELOAD") == "YES", "reload may block")
    rule("4.4.3.8", float(made.attribute(control, "PART-HOLD-BACK") or 0) >= 3 * part_s - _ROUNDING_S, "PART-HOLD-BACK")
    rule("4.4.3.8", float(made.attribute(control, "HOLD-BACK") or 0) >= 3 * target_s, "HOLD-BACK")
    rule("4.4.3.8", float(made.attribute(control, "CAN-SKIP-UNTIL") or 0) >= 6 * target_s, "CAN-SKIP-UNTIL")
    for segment in made.segments:
        where = f"segment {segment.number}"
        rule("4.4.3.1", round(segment.duration_s) <= target_s, f"{where} is longer than the target duration")
        rule("4.4.4.5", bool(segment.map_uri) or made.skipped > 0, f"{where} has no map")
        for index, part in enumerate(segment.parts):
            is_last = bool(segment.uri) and index == len(segment.parts) - 1
            rule("4.4.4.9", part.duration_s <= part_s + _ROUNDING_S, f"{where} part {index} is over the part target")
            rule("4.4.4.9", is_last or part.duration_s >= 0.85 * part_s, f"{where} part {index} is under 85 %")
        if segment.uri and segment.parts:
            whole_s = sum(part.duration_s for part in segment.parts)
            rule("4.4.4.9", abs(whole_s - segment.duration_s) < 0.001, f"{where} is not as long as its parts")
    for before, after in pairwise(made.segments):
        if before.uri and before.dated and after.dated and not after.is_discontinuous:
            apart_s = (datetime.fromisoformat(after.dated) - datetime.fromisoformat(before.dated)).total_seconds()
            rule("4.4.4.6", abs(apart_s - before.duration_s) < _CLOCK_S, f"segment {after.number} is dated elsewhere")
    is_ended = "#EXT-X-ENDLIST" in text
    rule("4.4.5.3", bool(made.hint) != is_ended, "a hint stands in every playlist that goes on, and in no other")
    return found


def broken_between(earlier: str, later: str) -> list[str]:
    """What a later full playlist breaks of the promises of an earlier one."""
    before, after, found = read(earlier), read(later), []

    def rule(section: str, holds: bool, words: str) -> None:
        if not holds:
            found.append(f"{section}: {words}")

    for tag in ("#EXT-X-TARGETDURATION", "#EXT-X-PART-INF", "#EXT-X-VERSION"):
        rule("6.2.1", before.tags.get(tag) == after.tags.get(tag), f"{tag} changed")
    gone = after.number("#EXT-X-MEDIA-SEQUENCE") - before.number("#EXT-X-MEDIA-SEQUENCE")
    rule("4.4.3.2", gone >= 0, "the media sequence went back")
    left = [segment for segment in before.segments if segment.number < after.number("#EXT-X-MEDIA-SEQUENCE")]
    counted = after.number("#EXT-X-DISCONTINUITY-SEQUENCE") - before.number("#EXT-X-DISCONTINUITY-SEQUENCE")
    if len(left) == gone:  # nothing came and went between the two
        expected = sum(segment.is_discontinuous for segment in left)
        rule("4.4.3.3", counted == expected, f"the discontinuity sequence grew by {counted} instead of {expected}")
    now = {segment.number: segment for segment in after.segments}
    for segment in before.segments:
        same = now.get(segment.number)
        if same is None:
            rule("6.2.1", segment in left, f"segment {segment.number} vanished")
            continue
        where = f"segment {segment.number}"
        if segment.uri:
            rule("6.2.1", (same.uri, same.duration_s) == (segment.uri, segment.duration_s), f"{where} changed")
        rule("6.2.1", same.map_uri == segment.map_uri, f"the map of {where} changed")
        rule("6.2.1", not same.parts or same.parts[: len(segment.parts)] == segment.parts, f"parts of {where} changed")
    came = {part.uri for segment in before.segments for part in segment.parts}
    new = [part.uri for segment in after.segments for part in segment.parts if part.uri not in came]
    # where a segment ends is only foretold, and a wrong hint there is answered with 404 (6.2.6)
    is_edge = bool(new) and any(".0.m4s" in uri for uri in (before.hint, new[0]))
    if before.hint and new and not is_edge:
        rule("4.4.5.3", before.hint == new[0], f"{new[0]} came next, and the hint was {before.hint}")
    return found


def broken_by_delta(full: str, delta: str) -> list[str]:
    """What a delta update of the same moment leaves out that it may not."""
    whole, short, found = read(full), read(delta), []
    if short.skipped == 0:
        return [] if full == delta else ["6.2.5.1: nothing is skipped and yet it differs"]
    kept = whole.segments[short.skipped :]
    skip_s = float(whole.attribute("#EXT-X-SERVER-CONTROL", "CAN-SKIP-UNTIL"))
    after_s = sum(segment.duration_s or sum(part.duration_s for part in segment.parts) for segment in kept)
    if after_s < skip_s:
        found.append(f"6.2.5.1: only {after_s:.1f} s follow what is skipped; {skip_s:.1f} s are promised")
    if [segment.number for segment in short.segments] != [segment.number for segment in kept]:
        found.append("6.2.5.1: the rest is not the rest")
    return found
