"""What goes over a wire comes out the same, and nothing else comes out."""

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analyse.board import Caption, Ended, Lease, Report, Work
from pipeline.analyse.wire import line_of, told, told_from, tree_from
from pipeline.errors import WorkerFailed
from pipeline.events import AnalysisGap
from tests.boards import report, work

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
wholes = st.integers(0, 2**53)
works = st.builds(
    Work,
    texts,
    st.sampled_from(["live", "span"]),
    texts,
    texts,
    texts,
    numbers,
    numbers,
    numbers,
    texts,
    st.lists(texts, max_size=3).map(tuple),
    texts,
)
captions = st.builds(Caption, texts, wholes, numbers, numbers, texts, wholes, st.booleans(), numbers, texts)
gaps = st.builds(
    AnalysisGap,
    at=numbers,
    stream_id=texts,
    recording_id=texts,
    start_s=numbers,
    end_s=numbers,
    stage=texts,
    cause=texts,
)
reports = st.builds(
    Report,
    texts,
    wholes,
    wholes,
    st.lists(gaps, max_size=3).map(tuple),
    st.lists(captions, max_size=3).map(tuple),
    numbers,
    numbers,
    texts,
    st.sampled_from(["running", "done", "failed"]),
    texts,
)
things = st.one_of(
    works, captions, reports, st.builds(Lease, works, wholes), st.builds(Ended, works, wholes, st.booleans(), texts)
)


@given(things)
@settings(max_examples=200, deadline=None)
def test_a_thing_comes_out_of_its_line_as_it_was(thing: Work | Lease | Report | Caption | Ended) -> None:
    line = line_of(told(thing))
    assert line.count(b"\n") == 1
    tree = tree_from(line)
    back: object
    match thing:
        case Work():
            back = told_from(Work, tree)
        case Lease():
            back = told_from(Lease, tree)
        case Report():
            back = told_from(Report, tree)
        case Caption():
            back = told_from(Caption, tree)
        case Ended():
            back = told_from(Ended, tree)
    assert back == thing


def test_what_has_a_default_may_be_left_out_and_nothing_else() -> None:
    tree = told(work("a"))
    del tree["hot_words"]
    assert told_from(Work, tree).hot_words == ()
    del tree["stage"]
    with pytest.raises(WorkerFailed, match="Work without stage"):
        told_from(Work, tree)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("token", "1"),
        ("token", 1.0),
        ("token", True),
        ("covered_to_s", True),
        ("covered_to_s", math.inf),
        ("covered_to_s", None),
        ("events", {}),
        ("events", ["text"]),
        ("captions", [{"stream_id": "s"}]),
        ("state", "over"),
        ("model", 7),
        ("secret", 1),
    ],
)
def test_a_field_of_another_type_is_refused_without_its_text(field: str, value: object) -> None:
    tree = {**told(report("a", 1, 1)), field: value}
    with pytest.raises(WorkerFailed) as refused:
        told_from(Report, tree)
    assert "营业执照" not in str(refused.value)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_bytes_of_any_kind_are_a_tree_or_are_refused(line: bytes) -> None:
    with contextlib.suppress(WorkerFailed):
        assert isinstance(tree_from(line), dict)


def test_a_number_that_json_does_not_know_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        line_of(told(report("a", 1, 1)) | {"covered_to_s": math.nan})
