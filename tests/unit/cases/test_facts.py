"""A fact's one canonical form."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.facts import Fact, fact_of, parse_entry
from pipeline.errors import EvidenceError
from pipeline.events import SegmentClosed

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_FACTS = st.builds(
    Fact,
    event_id=_TEXT,
    kind=_TEXT,
    at_us=st.integers(),
    ends_at_us=st.none() | st.integers(),
    stream_id=st.none() | _TEXT,
    case_id=st.none() | _TEXT,
    by=_TEXT,
    words=_TEXT,
    body=st.dictionaries(_TEXT, _JSON, max_size=4),
)


@given(_FACTS, st.integers())
def test_an_entry_gives_its_fact_back_in_one_line(fact: Fact, learned_at_us: int) -> None:
    entry = fact.entry(learned_at_us)
    assert b"\n" not in entry
    assert parse_entry(entry) == (fact, learned_at_us)


def test_what_the_media_side_tells_keeps_every_field() -> None:
    event = SegmentClosed(
        at=1.5, stream_id="st_1", recording_id="rec_1", file="0000.mp4", sha256="ab", size_bytes=7, start_s=0, end_s=2.5
    )
    fact = fact_of(event)
    assert (fact.kind, fact.at_us, fact.stream_id, fact.event_id) == (
        "SegmentClosed",
        1_500_000,
        "st_1",
        event.event_id,
    )
    assert fact.body == {
        "recording_id": "rec_1", "file": "0000.mp4", "sha256": "ab", "size_bytes": 7, "start_s": 0, "end_s": 2.5,
    }  # fmt: skip
    said = fact_of(dataclasses.replace(event, device_at="2026-11-18T11:06:41.200Z", device_offset_s=-3.25))
    assert said.event_id == fact.event_id
    assert said.body == {**fact.body, "device_at": "2026-11-18T11:06:41.200Z", "device_offset_s": -3.25}


@pytest.mark.parametrize(
    "change", [{"extra": 1}, {"at_us": 1.5}, {"at_us": True}, {"by": None}, {"body": []}, {"learned_at_us": "1"}]
)
def test_another_form_is_refused(change: dict[str, object]) -> None:
    tree = json.loads(Fact(event_id="e", kind="K", at_us=1).entry(2))
    with pytest.raises(EvidenceError):
        parse_entry(json.dumps({**tree, **change}, sort_keys=True, separators=(",", ":")).encode())


def test_the_same_values_in_another_order_are_refused() -> None:
    entry = Fact(event_id="e", kind="K", at_us=1).entry(2)
    with pytest.raises(EvidenceError, match="canonical"):
        parse_entry(json.dumps(json.loads(entry)).encode())
    with pytest.raises(EvidenceError, match="no JSON"):
        parse_entry(b"{")
