"""An event as it is stored: one line of canonical JSON that the custody log hashes. Knows no database.

Times are UTC microseconds since 1970. Canonical: keys sorted, no spaces, UTF-8, no NaN (the order and form of RFC 8785
for the values used here, but that numbers are written as Python writes them; nobody needs to write them again).
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from pipeline.errors import EvidenceError
from pipeline.events import AnalysisGap, Event, WordsHeard

JsonValue: TypeAlias = str | int | float | bool | list["JsonValue"] | dict[str, "JsonValue"] | None

_ENTRY_KEYS = frozenset(
    ("event_id", "kind", "at_us", "ends_at_us", "learned_at_us", "stream_id", "case_id", "by", "words", "body")
)
_OWN = frozenset(("at", "stream_id", "by"))  # fields of an event that have a place of their own


_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(tree: Mapping[str, JsonValue]) -> bytes:
    """One line without its end. Raises: ValueError: a number that is none (NaN, infinity)."""
    return _CANONICAL.encode(tree).encode()


def microseconds(utc_s: float) -> int:
    return round(utc_s * 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What happened. The same fact told twice has the same `event_id` and is one row.

    words: what full-text search finds in it. body: everything else the event says.
    """

    event_id: str
    kind: str
    at_us: int
    ends_at_us: int | None = None
    stream_id: str | None = None
    case_id: str | None = None
    by: str = "onrecord"
    words: str = ""
    body: Mapping[str, JsonValue] = field(default_factory=dict)

    def entry(self, learned_at_us: int) -> bytes:
        """What the log hashes: the fact, and when it was learned."""
        return canonical(
            {
                "event_id": self.event_id,
                "kind": self.kind,
                "at_us": self.at_us,
                "ends_at_us": self.ends_at_us,
                "learned_at_us": learned_at_us,
                "stream_id": self.stream_id,
                "case_id": self.case_id,
                "by": self.by,
                "words": self.words,
                "body": dict(self.body),
            }
        )


def fact_of(event: Event) -> Fact:
    """What the media side tells, as it is stored; a field that says nothing (None) is left out."""
    fields = {name: getattr(event, name) for name in (each.name for each in dataclasses.fields(event))}
    body = {name: value for name, value in fields.items() if name not in _OWN and value is not None}
    return Fact(
        event_id=event.event_id,
        kind=type(event).__name__,
        at_us=microseconds(event.at),
        ends_at_us=_ends_at_us(event),
        stream_id=fields.get("stream_id"),
        by=event.by,
        words=_words(event),
        body=body,
    )


def _ends_at_us(event: Event) -> int | None:
    """Where what the event speaks about lasts, and `at` is its beginning."""
    if isinstance(event, WordsHeard | AnalysisGap):
        return microseconds(event.at + max(0.0, event.end_s - event.start_s))
    return None


def _words(event: Event) -> str:
    """Spoken words as heard, then in their normal form, so that 五百一十元 is found by 510 too."""
    if not isinstance(event, WordsHeard):
        return ""
    return event.text if event.normal in ("", event.text) else f"{event.text}\n{event.normal}"


def parse_entry(entry: bytes) -> tuple[Fact, int]:
    """The fact in `entry` and when it was learned.

    Raises: EvidenceError: it is no entry, or not in its one canonical form.
    """
    try:
        tree = json.loads(entry)
    except ValueError as error:
        raise EvidenceError("an entry of the log is no JSON") from error
    if not isinstance(tree, dict) or tree.keys() != _ENTRY_KEYS:
        raise EvidenceError("an entry of the log has other keys than an entry has")
    learned_at_us = tree.pop("learned_at_us")
    is_typed = (
        all(isinstance(tree[name], str) for name in ("event_id", "kind", "by", "words"))
        and all(tree[name] is None or isinstance(tree[name], str) for name in ("stream_id", "case_id"))
        and type(tree["at_us"]) is int
        and type(learned_at_us) is int
        and (tree["ends_at_us"] is None or type(tree["ends_at_us"]) is int)
        and isinstance(tree["body"], dict)
    )
    if not is_typed:
        raise EvidenceError("an entry of the log holds a value of another type")
    fact = Fact(**tree)
    if fact.entry(learned_at_us) != entry:
        raise EvidenceError("an entry of the log is not in its canonical form")
    return fact, learned_at_us
