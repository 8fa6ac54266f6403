"""The laws of the board, under any order of calls: one lease a work, each report once, nothing of an older token."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipeline.analyse import local_board
from pipeline.analyse.board import Ended, Lease, Report
from pipeline.analyse.local_board import LocalBoard
from pipeline.clock import AwakeClock
from pipeline.errors import BoardUnavailable, LeaseLost, WorkerFailed
from tests.boards import report, work
from tests.made import ManualClock

LEASE_S = 3.0
MOST_TRIES = 3
NAMES = ("a", "b", "c")
WORKERS = ("v", "w")
State: TypeAlias = Literal["running", "done", "failed"]
STATES: st.SearchStrategy[State] = st.sampled_from(("running", "running", "done", "failed"))


@dataclass
class Known:
    """What the test knows of a lease: whose it is, until when, and how many reports of it were kept."""

    lease: Lease
    worker_id: str
    ends_s: float
    number: int = 0
    is_over: bool = False


class Laws(RuleBasedStateMachine):
    """A desk, two workers, three works, and a clock that they all share."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.board = LocalBoard(LEASE_S, MOST_TRIES, self.clock)
        self.known: list[Known] = []
        self.kept: list[Report] = []
        self.taken: list[Report] = []
        self.bad_ends = 0
        self.told_ends = 0

    def is_valid(self, each: Known) -> bool:
        return not each.is_over and self.clock.now_s < each.ends_s

    def ended(self, each: Known) -> None:
        self.bad_ends += not each.is_over
        each.is_over = True

    @rule(name=st.sampled_from(NAMES))
    def offer(self, name: str) -> None:
        self.board.offer_nowait(work(name))

    @rule(name=st.sampled_from(NAMES))
    def withdraw(self, name: str) -> None:
        self.board.withdraw_nowait(name)
        for each in self.known:
            if each.lease.work.work_id == name:
                if not self.is_valid(each):
                    self.ended(each)  # it ran out before
                each.is_over = True

    @rule(worker_id=st.sampled_from(WORKERS))
    def claim(self, worker_id: str) -> None:
        lease = self.board.claim_nowait(worker_id)
        if lease is None:
            return
        of_work = [each for each in self.known if each.lease.work == lease.work]
        assert not any(self.is_valid(each) for each in of_work), "two have it"
        assert all(each.lease.token < lease.token for each in of_work)
        self.known.append(Known(lease, worker_id, self.clock.now_s + LEASE_S))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.known), max_size=3, unique_by=id))
        lost = self.board.renew_nowait([each.lease for each in chosen])
        assert lost == [each.lease for each in chosen if not self.is_valid(each)]
        for each in chosen:
            if self.is_valid(each):
                each.ends_s = self.clock.now_s + LEASE_S

    @precondition(lambda self: self.known)
    @rule(data=st.data(), state=STATES, step=st.integers(-1, 2))
    def report(self, data: st.DataObject, state: State, step: int) -> None:
        each = data.draw(st.sampled_from(self.known))
        number = each.number + step
        if number < 1:
            return
        told = report(each.lease.work.work_id, each.lease.token, number, state)
        is_valid = self.is_valid(each)
        try:
            self.board.report_nowait(told)
        except LeaseLost:
            assert not is_valid
            assert step > 0
        except WorkerFailed:
            assert is_valid
            assert step == 2
        else:
            assert step <= 0 or (step == 1 and is_valid)
            if step == 1:
                self.kept.append(told)
                each.number = number
                each.is_over = state == "done"
                if state == "failed":
                    self.ended(each)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(self.known))
        self.board.give_back_nowait(each.lease)
        each.is_over |= self.is_valid(each)

    @rule(worker_id=st.sampled_from(WORKERS))
    def lose(self, worker_id: str) -> None:
        self.board.lose(worker_id)
        for each in self.known:
            if each.worker_id == worker_id:
                self.ended(each)

    @rule(step_s=st.floats(0.1, 2 * LEASE_S))
    def wait(self, step_s: float) -> None:
        self.clock.now_s += step_s

    @rule()
    def take(self) -> None:
        items = self.board.take_nowait()
        if items is None:
            return
        assert self.board.take_nowait() == items
        self.board.taken_nowait(items)
        self.board.taken_nowait(items)
        for item in items:
            if isinstance(item, Report):
                self.taken.append(item)
                continue
            self.told_ends += 1
            assert item.is_laid_aside == (item.tries >= MOST_TRIES)
            assert 1 <= item.tries <= MOST_TRIES

    @invariant()
    def no_report_of_an_older_token_follows_one_of_a_newer(self) -> None:
        assert self.taken == self.kept[: len(self.taken)]
        for name in NAMES:
            tokens = [each.token for each in self.taken if each.work_id == name]
            assert tokens == sorted(tokens)

    def teardown(self) -> None:
        self.clock.now_s += LEASE_S
        for each in self.known:
            self.ended(each)
        while self.board.take_nowait() is not None:
            self.take()
        assert self.taken == self.kept, "each report is taken once, in order"
        assert self.told_ends == self.bad_ends, "every try that ended badly is told once"


TestLaws = Laws.TestCase
TestLaws.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_a_board_that_is_full_refuses_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_board, "MOST_WORKS", 2)
    board = LocalBoard(LEASE_S, MOST_TRIES, ManualClock())
    board.offer_nowait(work("a"))
    board.offer_nowait(work("b"))
    board.offer_nowait(work("a"))
    with pytest.raises(BoardUnavailable):
        board.offer_nowait(work("c"))
    board.withdraw_nowait("a")
    board.offer_nowait(work("c"))


def test_time_in_which_the_server_stood_still_ends_no_lease() -> None:
    clock = ManualClock()
    board = LocalBoard(LEASE_S, MOST_TRIES, AwakeClock(clock))
    board.offer_nowait(work("a"))
    lease = board.claim_nowait("w")
    assert lease is not None
    clock.now_s += 60.0
    assert board.take_nowait() is None
    assert board.renew_nowait([lease]) == [], "what it said meanwhile is heard"
    for _ in range(5):
        clock.now_s += 0.5
        assert board.take_nowait() is None
    clock.now_s += 0.5
    assert board.take_nowait() == (Ended(work("a"), 1, False, "the lease was not renewed"),)


def test_an_end_that_nobody_took_yet_does_not_free_the_work_of_another() -> None:
    board = LocalBoard(LEASE_S, 1, ManualClock())
    board.offer_nowait(work("a"))
    first = board.claim_nowait("w")
    assert first is not None
    done = report("a", first.token, 1, "done")
    assert board.report_nowait(done)
    board.withdraw_nowait("a")
    board.offer_nowait(work("a"))
    second = board.claim_nowait("w")
    assert second is not None
    board.lose("w")
    board.taken_nowait([done])
    board.offer_nowait(work("a"))
    assert board.claim_nowait("w") is None, "it is laid aside"
    assert board.take_nowait() == (Ended(work("a"), 1, True, "the worker is gone"),)
