"""The planner of batches: finals first, every stream its turn, nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.speech.batches import Batches, Request


def request(
    stream: str, at_s: float, *, is_final: bool = True, length_s: float = 3.0, due_s: float = 1e9
) -> Request[str]:
    return Request(stream, is_final, length_s, at_s, due_s, f"{stream}@{at_s}")


def batches(most_together: int = 4, window_s: float = 0.05, most_finals: int = 100) -> Batches[str]:
    return Batches(most_together, window_s, most_finals)


def test_a_request_waits_for_company_and_no_longer() -> None:
    plan = batches()
    plan.add(request("a", 10.0))
    assert plan.due(10.04) == []
    assert plan.next_s() == pytest.approx(10.05)
    assert [each.stream_id for each in plan.due(10.05)] == ["a"]
    assert plan.next_s() == float("inf")


def test_a_full_batch_waits_for_nothing() -> None:
    plan = batches()
    for stream in "abcde":
        plan.add(request(stream, 10.0))
    assert [each.stream_id for each in plan.due(10.0)] == ["a", "b", "c", "d"]
    assert len(plan) == 1


def test_who_is_due_before_the_window_does_not_wait_for_it() -> None:
    plan = batches(window_s=1.0)
    plan.add(request("a", 10.0, due_s=10.2))
    assert plan.due(10.1) == []
    assert plan.due(10.2)


def test_finals_come_before_partials() -> None:
    plan = batches()
    plan.add(request("a", 10.0, is_final=False))
    plan.add(request("b", 10.3))
    assert [each.stream_id for each in plan.due(10.4)] == ["b"]
    assert [each.stream_id for each in plan.due(10.4)] == ["a"]


def test_of_a_stream_s_partials_the_newest_waits_and_a_final_makes_it_needless() -> None:
    plan = batches()
    plan.add(request("a", 10.0, is_final=False))
    plan.add(request("a", 10.5, is_final=False))
    plan.add(request("b", 10.0, is_final=False))
    plan.add(request("b", 10.5))
    assert [each.payload for each in plan.due(11)] == ["b@10.5"]
    assert [each.payload for each in plan.due(11)] == ["a@10.5"]
    assert plan.replaced == 2


def test_those_of_like_length_go_together() -> None:
    plan = batches()
    for stream, length_s in (("a", 3.0), ("b", 9.0), ("c", 4.0), ("d", 0.3)):
        plan.add(request(stream, 10.0, length_s=length_s))
    assert [each.stream_id for each in plan.due(10)] == ["a", "c"]
    assert [each.stream_id for each in plan.due(11)] == ["b"]
    assert [each.stream_id for each in plan.due(11)] == ["d"]


def test_short_ones_go_together_however_they_differ() -> None:
    plan = batches()
    plan.add(request("a", 10.0, length_s=0.2))
    plan.add(request("b", 10.0, length_s=0.9))
    assert len(plan.due(11)) == 2


def test_a_stream_that_talks_without_end_does_not_keep_others_waiting() -> None:
    plan = batches(most_together=1)
    for number in range(20):
        plan.add(request("loud", 10.0 + number / 100))
    plan.due(11)
    plan.add(request("quiet", 11.0))
    assert plan.due(11.1)[0].stream_id == "quiet"


def test_too_many_finals_are_refused_not_forgotten() -> None:
    plan = batches(most_finals=2)
    assert plan.add(request("a", 1))
    assert plan.add(request("b", 1))
    assert not plan.add(request("c", 1))
    assert plan.add(request("c", 1, is_final=False))
    assert len(plan) == 3


def test_what_waited_of_a_stream_that_is_gone_comes_back() -> None:
    plan = batches()
    plan.add(request("a", 1))
    plan.add(request("a", 1, is_final=False))
    plan.add(request("b", 1))
    assert len(plan.withdraw("a")) == 2
    assert [each.stream_id for each in plan.due(9)] == ["b"]


steps = st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.integers(1, 100), st.booleans()), max_size=60)


@given(steps, st.integers(1, 5))
def test_no_final_is_lost_and_none_comes_twice(acts: list[tuple[str, bool, int, bool]], most_together: int) -> None:
    plan, now_s, added, given_out = batches(most_together), 0.0, [], []
    for number, (stream, is_final, tenths, is_asked) in enumerate(acts):
        now_s += 0.01
        one = Request(stream, is_final, tenths / 10, now_s, now_s + 1, str(number))
        plan.add(one)
        added += [one] if is_final else []
        batch = plan.due(now_s) if is_asked else []
        assert len(batch) <= most_together
        assert len({each.is_final for each in batch}) <= 1
        given_out += batch
    while len(plan):
        batch = plan.due(now_s + 10)
        assert batch
        given_out += batch
    assert sorted((each for each in given_out if each.is_final), key=lambda each: int(each.payload)) == added
    for stream in "abcdef":
        order = [int(each.payload) for each in given_out if each.is_final and each.stream_id == stream]
        assert order == sorted(order), "a stream's finals come in their order"


@given(st.lists(st.integers(1, 100), min_size=2, max_size=8), st.integers(1, 4))
def test_no_stream_starves(lengths: list[int], most_together: int) -> None:
    plan, served = batches(most_together), dict.fromkeys(range(len(lengths)), 0)
    for stream in served:
        plan.add(request(str(stream), 0.0, length_s=lengths[stream] / 10))
    for turn in range(1, len(lengths) * 5 + 1):  # whoever is served at once wants more
        for one in plan.due(float(turn)):
            served[int(one.stream_id)] += 1
            plan.add(request(one.stream_id, float(turn), length_s=one.length_s))
    assert min(served.values()) >= 5
