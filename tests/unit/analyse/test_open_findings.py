"""What is open on the streams now: raised, ended, settled, shown for a while, and bounded."""

from pipeline.analyse.open_findings import OpenFindings
from pipeline.events import FindingRaised, finding_id
from tests.made import ManualClock


def raised(finding: str = "frozen", start_s: float = 5.0, stream_id: str = "st_1") -> FindingRaised:
    rule = "pictures.frozen@1"
    return FindingRaised(
        at=1_700_000_000.0 + start_s, stream_id=stream_id, recording_id="rec_1",
        finding_id=finding_id(stream_id, finding, rule, start_s), finding=finding, group="integrity", severity="high",
        confidence=1.0, start_s=start_s, clip_start_s=start_s, clip_end_s=start_s + 7, rule=rule, explanation="静止",
    )  # fmt: skip


def test_what_is_raised_is_open_until_it_is_gone() -> None:
    board = OpenFindings(ManualClock().monotonic_s)
    board.raised(raised(), "live:st_1:signal")
    assert [each.finding for each in board.of("st_1")] == ["frozen"]
    assert board.count() == {"frozen": 1}
    before = board.version
    board.gone("st_1", raised().finding_id)
    assert board.of("st_1") == ()
    assert board.version == before + 1


def test_what_is_gone_twice_changes_nothing() -> None:
    board = OpenFindings(ManualClock().monotonic_s)
    board.gone("st_1", raised().finding_id)
    assert board.version == 0


def test_a_lost_owner_ends_its_own_findings_and_no_others() -> None:
    board = OpenFindings(ManualClock().monotonic_s)
    board.raised(raised(), "live:st_1:signal")
    board.raised(raised("bribe_offered"), "judgement", 30.0)
    (ended,) = board.close("live:st_1:signal", 9.0, 1_700_000_000.0, "worker_lost")
    assert (ended.finding_id, ended.end_s, ended.at, ended.reason) == (
        raised().finding_id, 9.0, 1_700_000_009.0, "worker_lost",
    )  # fmt: skip
    assert [each.finding for each in board.of("st_1")] == ["bribe_offered"]


def test_an_end_is_never_before_the_beginning() -> None:
    board = OpenFindings(ManualClock().monotonic_s)
    board.raised(raised(start_s=5.0), "owner")
    (ended,) = board.close("owner", 3.0, 0.0, "worker_lost")
    assert ended.end_s == 5.0


def test_what_was_shown_long_enough_is_taken_away() -> None:
    clock = ManualClock()
    board = OpenFindings(clock.monotonic_s)
    board.raised(raised(), "judgement", 30.0)
    clock.now_s += 29.0
    board.sweep()
    assert len(board.of("st_1")) == 1
    clock.now_s += 2.0
    board.sweep()
    assert board.of("st_1") == ()


def test_of_a_stream_of_nothing_but_findings_the_newest_hundred_stay() -> None:
    board = OpenFindings(ManualClock().monotonic_s)
    for number in range(300):
        board.raised(raised(start_s=float(number)), "owner")
    kept = [each.start_s for each in board.of("st_1")]
    assert kept == [float(number) for number in range(200, 300)]
