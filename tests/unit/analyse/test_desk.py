"""The desk: what is offered, what is told, and that every second is seen once, whatever becomes of the workers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from pipeline.analyse.board import Caption, Lease, Report
from pipeline.analyse.coverage import Span
from pipeline.analyse.desk import Desk
from pipeline.analyse.local_board import MOST_REPORTS, LocalBoard
from pipeline.analyse.marks import Mark, Marks
from pipeline.analyse.rows import Rows
from pipeline.analyse.subjects import Recorded, Stage
from pipeline.errors import LeaseLost
from pipeline.events import AnalysisGap, AnalysisGapClosed, Event, FindingEnded, FindingRaised, WordsHeard, finding_id
from tests.made import ManualClock

LABEL = "made@1"
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class LiveStream:
    """A stream as the desk sees it."""

    stream_id: str = "st_1"
    started_at: float = 1_700_000_000.0
    position_s: float = 0.0
    has_sound: bool = True
    is_over: bool = False


@dataclass
class Medium:
    """Facts on their way to the disk; may refuse."""

    is_failed: bool = False
    flushes: int = 0

    async def flush(self, *, is_whole: bool = True) -> None:
        assert not is_whole, "facts of before may be on their way"
        self.flushes += 1


@dataclass
class Shelf:
    """Recordings that are over."""

    recordings: list[Recorded] = field(default_factory=list)

    def ended_since(self, since_s: float) -> list[Recorded]:
        assert since_s > 0
        return self.recordings


@dataclass
class Room:
    """A desk over a board of this process, and a worker that does as it is told."""

    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)
    events: list[Event] = field(default_factory=list)
    medium: Medium = field(default_factory=Medium)
    shelf: Shelf = field(default_factory=Shelf)
    stream: LiveStream = field(default_factory=LiveStream)
    numbers: dict[Lease, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.board = LocalBoard(3.0, 3, self.clock)
        self.stage = Stage("speech", True, model="made", label=LABEL)
        self.marks = Marks(self.folder)
        self.rows = Rows(self.folder / "measures")
        self.desk = Desk(
            self.board, [self.stage], self.medium, self.marks, self.rows, self.shelf, self.clock, self._tell, 3600.0
        )

    def _tell(self, event: Event) -> None:
        self.events.append(event)

    async def claim(self) -> Lease:
        with anyio.fail_after(5):
            return await self.board.claim("one")

    async def report(
        self,
        lease: Lease,
        start_s: float,
        end_s: float,
        *told: Event,
        reason: str = "",
        state: str = "running",
        rows: str = "",
    ) -> None:
        self.numbers[lease] = number = self.numbers.get(lease, 0) + 1
        await self.board.report(
            Report(
                lease.work.work_id, lease.token, number, told, (), start_s, end_s, LABEL,
                "done" if state == "done" else "failed" if state == "failed" else "running", reason, rows=rows,
            )
        )  # fmt: skip
        await self.settled()

    async def settled(self) -> None:
        """Until the desk took all there is."""
        with anyio.fail_after(5):
            while self.board.take_nowait() is not None or self.desk.unmarked:
                await anyio.sleep(0.002)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


def words(start_s: float, text: str = "你好") -> WordsHeard:
    return WordsHeard(
        at=1_700_000_000.0 + start_s, stream_id="st_1", recording_id="rec_1", start_s=start_s, end_s=start_s + 1,
        text=text, normal="", word_times="", language="zh", confidence=0.9, is_doubtful=False, speaker="unknown",
        model=LABEL,
    )  # fmt: skip


async def run(room: Room, scene: Callable[[], Awaitable[None]]) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(room.desk.run)
        await scene()
        tasks.cancel_scope.cancel()


async def test_words_of_a_live_stream_are_told_and_their_span_is_marked_behind_them(tmp_path: Path) -> None:
    room = Room(tmp_path)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        assert (lease.work.kind, lease.work.stage, lease.work.model) == ("live", "speech", "made")
        await room.report(lease, 0.0, 3.0, words(1.0))
        assert room.events == [words(1.0)]
        assert room.marks.of("rec_1") == [Mark("rec_1", "speech", LABEL, 0.0, 3.0)]
        room.stream.position_s = 14.0
        assert room.desk.behind_s() == {"st_1": 0.0}, "an utterance may be on its way"
        room.stream.position_s = 25.0
        assert room.desk.behind_s() == {"st_1": 10.0}
        await room.board.report(Report(lease.work.work_id, lease.token, 2, (), (), behind_s=30.5))
        await room.settled()
        assert room.desk.behind_s() == {"st_1": 30.5}

    await run(room, scene)
    assert room.medium.flushes == 1


async def test_a_stream_without_sound_is_no_work(tmp_path: Path) -> None:
    room = Room(tmp_path, stream=LiveStream(has_sound=False))

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        await room.desk.sweep()
        assert room.board.claim_nowait("one") is None

    await run(room, scene)


async def test_a_stage_that_is_off_is_no_work_until_it_is_on(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.stage.is_on = False

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        await room.desk.sweep()
        assert room.board.claim_nowait("one") is None
        room.stage.is_on = True
        await room.desk.sweep()
        assert room.board.claim_nowait("one") is not None

    await run(room, scene)


async def test_what_is_marked_only_after_its_facts_are_on_the_medium(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.medium.is_failed = True

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        await room.board.report(Report(lease.work.work_id, lease.token, 1, (words(1.0),), (), 0.0, 3.0, LABEL))
        await anyio.sleep(0.1)
        assert room.marks.of("rec_1") == []
        room.medium.is_failed = False
        with anyio.fail_after(5):
            while not room.marks.of("rec_1"):
                await anyio.sleep(0.02)

    await run(room, scene)


async def test_what_the_disk_refuses_delays_no_finding_and_is_marked_when_it_takes_it_again(tmp_path: Path) -> None:
    room = Room(tmp_path / "analysis")
    (tmp_path / "analysis").write_bytes(b"")  # no folder can be made here
    looks(room)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        for number in range(1, 2 * MOST_REPORTS):  # more than the board holds
            told = (frozen(float(number)),) if number == 2 * MOST_REPORTS - 1 else ()
            report = Report(
                lease.work.work_id, lease.token, number, told, (), number - 1.0, float(number), LABEL, rows="r\n"
            )
            with anyio.fail_after(20):
                await room.board.report(report)
        with anyio.fail_after(20):
            while not room.desk.open_findings.of("st_1"):
                await anyio.sleep(0.01)
        assert room.desk.unmarked == 2 * MOST_REPORTS - 1
        (tmp_path / "analysis").unlink()
        await room.settled()
        assert len(room.marks.of("rec_1")) == 2 * MOST_REPORTS - 1
        assert (tmp_path / "analysis" / "measures" / "rec_1.jsonl").read_text() == "r\n" * (2 * MOST_REPORTS - 1)

    await run(room, scene)


async def test_many_reports_are_one_sync(tmp_path: Path) -> None:
    room = Room(tmp_path)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        for number in range(1, 41):
            room.board.report_nowait(
                Report(lease.work.work_id, lease.token, number, (), (), number - 1.0, float(number), LABEL)
            )
        await room.settled()
        assert len(room.marks.of("rec_1")) == 40

    await run(room, scene)
    assert room.medium.flushes <= 2


async def test_what_waits_for_its_mark_is_marked_at_the_stop(tmp_path: Path) -> None:
    room = Room(tmp_path)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        room.medium.is_failed = True
        await room.board.report(Report(lease.work.work_id, lease.token, 1, (words(1.0),), (), 0.0, 3.0, LABEL))
        with anyio.fail_after(5):
            while not room.desk.unmarked:
                await anyio.sleep(0.002)
        room.medium.is_failed = False

    await run(room, scene)
    assert room.marks.of("rec_1") == [Mark("rec_1", "speech", LABEL, 0.0, 3.0)]


async def test_a_hole_between_two_workers_is_told_and_looked_at_once_its_media_is_recorded(tmp_path: Path) -> None:
    room = Room(tmp_path)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        first = await room.claim()
        await room.report(first, 0.0, 10.0, words(4.0))
        room.clock.now_s += 3.5  # it is killed: its lease runs out
        second = await room.claim()
        assert (second.work, second.token > first.token) == (first.work, True)
        room.stream.position_s = 21.0
        await room.report(second, 0.0, 0.0)  # captions alone
        await room.report(second, 17.5, 20.0, words(18.0))
        (gap,) = room.of(AnalysisGap)
        assert isinstance(gap, AnalysisGap)
        assert (gap.start_s, gap.end_s, gap.cause, gap.recording_id) == (10.0, 17.5, "worker_lost", "rec_1")
        await room.desk.sweep()
        assert room.board.claim_nowait("one") is None, "the segment is not closed yet"
        room.desk.recorded("rec_1", 18.0)
        await room.desk.sweep()
        look = await room.claim()
        assert (look.work.kind, look.work.start_s, look.work.end_s) == ("span", 10.0, 17.5)
        await room.report(look, 10.0, 13.0, words(11.0))
        await room.report(look, 13.0, 17.0, words(14.0), state="done")
        (closed,) = room.of(AnalysisGapClosed)
        assert isinstance(closed, AnalysisGapClosed)
        assert (closed.start_s, closed.end_s, closed.model) == (10.0, 17.5, LABEL)
        assert [each.start_s for each in room.of(WordsHeard) if isinstance(each, WordsHeard)] == [4.0, 18.0, 11.0, 14.0]
        assert room.desk.waiting == 0

    await run(room, scene)


async def test_a_worker_that_wakes_up_late_tells_nothing(tmp_path: Path) -> None:
    room = Room(tmp_path)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        frozen = await room.claim()
        room.clock.now_s += 3.5
        await room.claim()
        with pytest.raises(LeaseLost):
            await room.report(frozen, 0.0, 3.0, words(1.0))
        assert room.events == []

    await run(room, scene)


async def test_a_look_that_was_broken_off_tells_nothing_twice(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.shelf.recordings = [Recorded("rec_1", "st_1", 1_700_000_000.0, 30.0)]

    async def scene() -> None:
        first = await room.claim()
        assert (first.work.kind, first.work.reason) == ("span", "recorded")
        await room.report(first, 0.0, 12.0, words(3.0), words(8.0))
        room.clock.now_s += 3.5
        again = await room.claim()
        await room.report(again, 0.0, 12.0, words(3.02), words(8.01))
        await room.report(again, 12.0, 20.0, words(15.0), state="done")
        assert [each.start_s for each in room.of(WordsHeard) if isinstance(each, WordsHeard)] == [3.0, 8.0, 15.0]
        assert room.of(AnalysisGap) == [], "a recording that nobody looked at before has no gap"

    await run(room, scene)


async def test_the_end_of_a_stream_that_nobody_followed_is_a_hole(tmp_path: Path) -> None:
    room = Room(tmp_path)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        await room.report(lease, 0.0, 5.0)
        room.stream.position_s, room.stream.is_over = 9.0, True
        await room.desk.sweep()
        assert room.of(AnalysisGap) == [], "its worker has ten seconds for the rest"
        room.clock.now_s += 11
        await room.desk.sweep()
        (gap,) = room.of(AnalysisGap)
        assert isinstance(gap, AnalysisGap)
        assert (gap.start_s, gap.end_s) == (5.0, 9.0)
        await room.desk.sweep()
        look = await room.claim()
        assert (look.work.kind, look.work.start_s) == ("span", 5.0)

    await run(room, scene)


async def test_a_worker_that_saw_the_end_leaves_no_hole(tmp_path: Path) -> None:
    room = Room(tmp_path)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        room.stream.position_s, room.stream.is_over = 9.0, True
        await room.report(lease, 0.0, 8.4, words(2.0), state="done")
        await room.desk.sweep()
        assert room.of(AnalysisGap) == []
        assert room.marks.of("rec_1") == [Mark("rec_1", "speech", LABEL, 0.0, 9.0)]
        assert room.desk.behind_s() == {}

    await run(room, scene)


async def test_a_stream_that_nobody_follows_for_long_is_told_while_it_lasts(tmp_path: Path) -> None:
    room = Room(tmp_path)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        room.stream.position_s = 75.0
        await room.desk.sweep()
        (gap,) = room.of(AnalysisGap)
        assert isinstance(gap, AnalysisGap)
        assert (gap.start_s, gap.end_s, gap.cause, gap.behind_s) == (0.0, 65.0, "behind", 10.0)
        await room.desk.sweep()
        assert len(room.of(AnalysisGap)) == 1

    await run(room, scene)


async def test_a_worker_that_saw_nothing_of_a_stream_has_not_seen_it(tmp_path: Path) -> None:
    room = Room(tmp_path)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        room.stream.position_s, room.stream.is_over = 9.0, True
        await room.report(lease, 0.0, 0.0, state="done")
        await room.desk.sweep()
        (gap,) = room.of(AnalysisGap)
        assert isinstance(gap, AnalysisGap)
        assert (gap.start_s, gap.end_s) == (0.0, 9.0)
        assert room.marks.of("rec_1") == []
        look = await room.claim()
        assert look.work.kind == "span"
        await room.report(look, 0.0, 0.0, state="done")
        assert room.marks.of("rec_1") == [Mark("rec_1", "speech", LABEL, 0.0, 9.0)], "there was nothing to see"

    await run(room, scene)


async def test_recordings_leave_room_for_what_is_live_and_what_a_rule_asks_for(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.desk.stages["text"] = Stage("text", True, label="reads@1", needs_sound=False, is_asked=True)
    room.shelf.recordings = [Recorded(f"rec_{each}", f"st_{each}", 1_700_000_000.0, 30.0) for each in range(100, 140)]

    async def scene() -> None:
        first = [await room.claim() for _ in range(16)]
        assert {lease.work.kind for lease in first} == {"span"}
        await room.desk.sweep()
        assert room.board.claim_nowait("one") is None, "the others wait"
        room.desk.follow(room.stream, "rec_1")
        assert room.desk.ask(room.shelf.recordings[0], "text", 0.0, 10.0, "certificate_shown")
        assert {(await room.claim()).work.stage for _ in range(2)} == {"speech", "text"}
        await room.report(first[0], 0.0, 30.0, state="done")
        assert (await room.claim()).work.kind == "span", "the next one"

    await run(room, scene)


async def test_what_was_lost_when_its_stream_was_over_is_told_at_once_and_left_to_the_recording(tmp_path: Path) -> None:
    room = Room(tmp_path)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        await room.report(lease, 0.0, 5.0)
        room.stream.position_s, room.stream.is_over = 9.0, True
        await room.report(lease, 0.0, 0.0, state="failed", reason="the feed was closed")
        await room.desk.sweep()
        (gap,) = room.of(AnalysisGap)
        assert isinstance(gap, AnalysisGap)
        assert (gap.start_s, gap.end_s, gap.cause) == (5.0, 9.0, "worker_lost")
        assert (await room.claim()).work.kind == "span", "there is no feed any more that a worker could follow"

    await run(room, scene)


async def test_after_a_restart_only_what_is_not_marked_is_looked_at(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.marks.write([Mark("rec_1", "speech", LABEL, 0.0, 10.0), Mark("rec_1", "speech", LABEL, 14.0, 20.0)])
    room.shelf.recordings = [Recorded("rec_1", "st_1", 1_700_000_000.0, 30.0, (Span(25.0, 30.0),))]

    async def scene() -> None:
        looks = [await room.claim(), await room.claim()]
        assert [(each.work.start_s, each.work.end_s) for each in looks] == [(10.0, 14.0), (20.0, 25.0)]
        gaps = [(each.start_s, each.cause) for each in room.of(AnalysisGap) if isinstance(each, AnalysisGap)]
        assert gaps == [(10.0, "server_stopped"), (20.0, "server_stopped")]

    await run(room, scene)


async def test_a_span_that_breaks_every_worker_is_laid_aside_and_told(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.shelf.recordings = [Recorded("rec_1", "st_1", 1_700_000_000.0, 30.0)]

    async def scene() -> None:
        for _ in range(3):
            lease = await room.claim()
            await room.report(lease, 0.0, 0.0, state="failed", reason="broke")
        (gap,) = room.of(AnalysisGap)
        assert isinstance(gap, AnalysisGap)
        assert (gap.start_s, gap.end_s, gap.cause) == (0.0, 30.0, "stage_failed")
        assert room.desk.waiting == 0

    await run(room, scene)


async def test_another_model_looks_at_what_is_seen_and_the_same_one_does_not(tmp_path: Path) -> None:
    room = Room(tmp_path)
    recorded = Recorded("rec_1", "st_1", 1_700_000_000.0, 30.0)
    room.marks.write([Mark("rec_1", "speech", LABEL, 0.0, 30.0)])

    async def scene() -> None:
        assert not await room.desk.order(recorded, "speech", "made", LABEL)
        assert await room.desk.order(recorded, "speech", "large", "large@1")
        assert not await room.desk.order(recorded, "speech", "large", "large@1"), "it is on the board already"
        lease = await room.claim()
        assert (lease.work.model, lease.work.reason) == ("large", "asked")

    await run(room, scene)


async def test_captions_go_to_who_listens_and_leave_no_trace(tmp_path: Path) -> None:
    room = Room(tmp_path)
    caption = Caption("st_1", 1, 1.0, 2.0, "你好", 1, False)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        with room.desk.captions.listening() as listener:
            await room.board.report(Report(lease.work.work_id, lease.token, 1, (), (caption,), model=LABEL))
            assert await listener.take(5.0) == [(caption, LABEL)]
        assert (room.events, room.medium.flushes) == ([], 0)

    await run(room, scene)


def frozen(start_s: float) -> FindingRaised:
    rule = "pictures.frozen@1"
    return FindingRaised(
        at=1_700_000_000.0 + start_s, stream_id="st_1", recording_id="rec_1",
        finding_id=finding_id("st_1", "frozen", rule, start_s), finding="frozen", group="integrity", severity="high",
        confidence=1.0, start_s=start_s, clip_start_s=start_s, clip_end_s=start_s + 7, rule=rule, explanation="静止",
    )  # fmt: skip


def thawed(start_s: float, end_s: float) -> FindingEnded:
    return FindingEnded(
        at=1_700_000_000.0 + end_s, stream_id="st_1", recording_id="rec_1", finding_id=frozen(start_s).finding_id,
        finding="frozen", start_s=start_s, end_s=end_s, reason="gone",
    )  # fmt: skip


def looks(room: Room, *, is_asked: bool = False) -> None:
    room.desk.stages["speech"] = Stage("signal", True, label=LABEL, needs_sound=False, is_asked=is_asked)


async def test_a_stage_that_needs_no_sound_follows_a_stream_without_it(tmp_path: Path) -> None:
    room = Room(tmp_path, stream=LiveStream(has_sound=False))
    looks(room)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        assert (await room.claim()).work.stage == "signal"

    await run(room, scene)


async def test_a_finding_is_open_while_it_lasts(tmp_path: Path) -> None:
    room = Room(tmp_path)
    looks(room)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        await room.report(lease, 0.0, 6.0, frozen(4.0))
        assert room.desk.open_findings.of("st_1") == (frozen(4.0),)
        await room.report(lease, 6.0, 9.0, thawed(4.0, 8.0))
        assert room.desk.open_findings.of("st_1") == ()
        assert room.events == [frozen(4.0), thawed(4.0, 8.0)]

    await run(room, scene)


async def test_a_worker_that_is_lost_ends_what_it_found_where_it_saw_last(tmp_path: Path) -> None:
    room = Room(tmp_path)
    looks(room)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        await room.report(lease, 0.0, 6.0, frozen(4.0))
        room.clock.now_s += 3.5  # it is killed: its lease runs out
        await room.claim()
        await room.settled()
        (ended,) = room.of(FindingEnded)
        assert isinstance(ended, FindingEnded)
        assert (ended.finding_id, ended.end_s, ended.reason) == (frozen(4.0).finding_id, 6.0, "worker_lost")
        assert room.desk.open_findings.of("st_1") == ()

    await run(room, scene)


async def test_the_end_of_a_stream_ends_what_is_open(tmp_path: Path) -> None:
    room = Room(tmp_path)
    looks(room)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        await room.report(lease, 0.0, 6.0, frozen(4.0))
        room.stream.is_over, room.stream.position_s = True, 6.0
        await room.desk.sweep()
        room.clock.now_s += 11.0
        await room.desk.sweep()
        assert [each.reason for each in room.of(FindingEnded) if isinstance(each, FindingEnded)] == ["worker_lost"]

    await run(room, scene)


async def test_what_is_found_in_a_recording_is_no_news_of_now(tmp_path: Path) -> None:
    room = Room(tmp_path)
    looks(room)
    room.shelf.recordings = [Recorded("rec_1", "st_1", 1_700_000_000.0, 30.0)]

    async def scene() -> None:
        lease = await room.claim()
        await room.report(lease, 0.0, 30.0, frozen(4.0), thawed(4.0, 8.0), state="done")
        assert room.events == [frozen(4.0), thawed(4.0, 8.0)]
        assert room.desk.open_findings.version == 0

    await run(room, scene)


async def test_what_was_measured_is_kept_before_its_span_is_marked(tmp_path: Path) -> None:
    room = Room(tmp_path)
    looks(room)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        lease = await room.claim()
        await room.report(lease, 0.0, 3.0, rows='["sound", "ab", 1.0, 2.5]\n')
        assert [row.numbers for row in room.rows.of("rec_1")] == [(2.5,)]
        assert room.marks.of("rec_1") != []

    await run(room, scene)


async def test_a_stage_that_is_asked_looks_at_nothing_else(tmp_path: Path) -> None:
    room = Room(tmp_path)
    looks(room, is_asked=True)
    room.shelf.recordings = [Recorded("rec_1", "st_1", 1_700_000_000.0, 30.0)]
    room.desk.stages = {"text": Stage("text", True, model="reader", label="reader@1", is_asked=True)}

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_9")
        await anyio.sleep(0.05)
        await room.desk.sweep()
        assert room.board.claim_nowait("one") is None
        recorded = Recorded("rec_1", "st_1", 1_700_000_000.0, 0.0)
        assert room.desk.ask(recorded, "text", 2.0, 12.0, "certificate_shown")
        await room.desk.sweep()
        work = (await room.claim()).work
        assert (work.kind, work.stage, work.start_s, work.end_s, work.asked, work.model) == (
            "span", "text", 2.0, 12.0, "certificate_shown", "reader",
        )  # fmt: skip
        assert not room.desk.ask(recorded, "speech", 2.0, 12.0, "x"), "a stage that is not there does nothing"

    await run(room, scene)


@dataclass
class Chosen:
    """Streams that are to be looked at, as the law and its galleries say."""

    streams: set[str] = field(default_factory=set)

    async def wanted(self, stage: str, stream_id: str) -> bool:
        assert stage == "faces"
        return stream_id in self.streams


def choosing(room: Room) -> Chosen:
    chosen = Chosen()
    room.desk.stages = {"faces": Stage("faces", True, model="made", label=LABEL, needs_sound=False, is_chosen=True)}
    room.desk.wanted = chosen.wanted
    return chosen


async def no_work(room: Room, within_s: float = 1.2) -> None:
    with anyio.move_on_after(within_s):
        raise AssertionError(f"nothing was to be done: {await room.board.claim('one')}")


async def test_a_stage_that_chooses_looks_only_at_streams_that_are_wanted(tmp_path: Path) -> None:
    room = Room(tmp_path)
    chosen = choosing(room)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        room.stream.position_s = 500.0
        await no_work(room)
        chosen.streams.add("st_1")
        lease = await room.claim()
        assert (lease.work.kind, lease.work.stage) == ("live", "faces")
        assert room.desk.behind_s() == {"st_1": 0.0}, "what passed before was not due"
        await room.report(lease, 501.5, 504.0)
        assert room.of(AnalysisGap) == []

    await run(room, scene)


async def test_a_stream_that_is_no_longer_wanted_is_taken_from_its_worker_and_leaves_no_gap(tmp_path: Path) -> None:
    room = Room(tmp_path)
    chosen = choosing(room)

    async def scene() -> None:
        room.desk.follow(room.stream, "rec_1")
        chosen.streams.add("st_1")
        lease = await room.claim()
        await room.report(lease, 0.0, 10.0)
        room.stream.position_s = 12.0
        chosen.streams.clear()
        with anyio.fail_after(2):  # a gallery whose time is over is searched for two seconds at most
            while await room.board.renew([lease]) == []:
                await anyio.sleep(0.05)
        with pytest.raises(LeaseLost):
            await room.report(lease, 10.0, 12.0)
        room.stream.position_s = 100.0
        await no_work(room)
        chosen.streams.add("st_1")
        again = await room.claim()
        await room.report(again, 101.0, 103.0)
        assert room.of(AnalysisGap) == [], "from 12 s to 100 s nothing was due"
        room.stream.position_s = 111.0
        await room.report(again, 106.0, 111.0)
        (gap,) = room.of(AnalysisGap)
        assert isinstance(gap, AnalysisGap)
        assert (gap.start_s, gap.end_s) == (103.0, 106.0)

    await run(room, scene)


async def test_recordings_are_not_looked_through_for_what_a_stage_chooses(tmp_path: Path) -> None:
    recorded = Recorded("rec_9", "st_9", 1_700_000_000.0, 20.0)
    room = Room(tmp_path, shelf=Shelf([recorded]))
    chosen = choosing(room)
    chosen.streams.add("st_9")

    async def scene() -> None:
        await no_work(room)
        assert await room.desk.order(recorded, "faces", "made", LABEL)
        lease = await room.claim()
        assert (lease.work.kind, lease.work.recording_id, lease.work.reason) == ("span", "rec_9", "asked")

    await run(room, scene)


async def test_a_span_in_which_nothing_is_sought_is_not_looked_at_even_where_it_is_ordered(tmp_path: Path) -> None:
    recorded = Recorded("rec_9", "st_9", 1_700_000_000.0, 20.0)
    room = Room(tmp_path)
    choosing(room)

    async def scene() -> None:
        assert not await room.desk.order(recorded, "faces", "made", LABEL)
        await no_work(room)
        assert room.desk.waiting == 0

    await run(room, scene)
