"""Copies with faces hidden in the record, on both databases: who is named stays, the rest is hidden, told once."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import pytest
from sqlalchemy import select, update

from cases.appender import Appender
from cases.casework import approvals, attaching, case_acts, recordings
from cases.casework.actor import Actor
from cases.casework.approvals import Wanted
from cases.casework.case_acts import CaseWanted
from cases.clips import redacting
from cases.clips.making import Cut
from cases.clips.redacting import DRAFT, FINDING, MADE, MAKING, Clear, Copy, CopyWanted, Marks, Redaction, Removed
from cases.clips.register import ClipWanted, is_told, register
from cases.custody.check_rows import Expected, of_rows
from cases.facts import Fact, fact_of, parse_entry
from cases.store.engine import Store
from cases.store.tables import events, redactions
from pipeline.analyse.blurring import Film
from pipeline.analyse.covers import Box, Point
from pipeline.analyse.covers import Path as FacePath
from pipeline.errors import EvidenceError, StateConflict, ThingUnknown, ValueRefused, VersionStale
from pipeline.events import RecordingStarted, StreamStarted
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened

NOW_US = 1_700_000_000_000_000
CUT = Cut("a" * 64, 1000, 8.0, 12.5, (("0001.mp4", "b" * 64),))
FILM = Film(640, 360, 4.5, 112, 45, 0)
COPY = Copy("e" * 64, 900, added_right=1)


def face(left: float, begin_s: float = 0.0, end_s: float = 4.0) -> FacePath:
    box = Box(left, 10, left + 40, 60)
    return FacePath((Point(begin_s, box), Point(end_s, box.moved(20, 0))), 12)


def actor(by: str = "usr_asks") -> Actor:
    return Actor(by, by, NOW_US)


class Desk:
    """A case with a clip and an approval to copy it."""

    def __init__(self, store: Store, appender: Appender, case_id: str, approval_id: str) -> None:
        self.store, self.appender, self.case_id, self.approval_id = store, appender, case_id, approval_id

    async def begin(self, *, detects: bool = True) -> Redaction:
        return await self.appender.change(
            partial(redacting.begin, actor=actor(), clip_id="clip_1", detects=detects)
        )  # fmt: skip

    async def draft(self) -> Redaction:
        """With two faces that the detector found."""
        begun = await self.begin()
        found = partial(
            redacting.found, redaction_id=begun.redaction_id, detector="yunet@1", film=FILM,
            paths=[face(100), face(300)],
        )  # fmt: skip
        return await self.appender.change(found)

    async def mark(self, draft: Redaction, marks: Marks) -> Redaction:
        act = partial(redacting.mark, redaction_id=draft.redaction_id, version=draft.version, marks=marks)
        return await self.appender.change(act)

    async def ask(self, draft: Redaction) -> Redaction:
        wanted = CopyWanted(redaction_id=draft.redaction_id, version=draft.version)
        return await self.appender.change(partial(redacting.ask, actor=actor(), wanted=wanted))

    async def register(self, draft: Redaction) -> Redaction:
        act = partial(redacting.register, redaction_id=draft.redaction_id, copy=COPY, now_us=NOW_US)
        return await self.appender.change(act)

    async def facts(self) -> list[Fact]:
        async with self.store.reading() as connection:
            raws = [row[0] for row in await connection.execute(select(events.c.entry).order_by(events.c.seq))]
        return [parse_entry(raw.encode())[0] for raw in raws]

    async def defects(self) -> list[str]:
        expected = Expected()
        for fact in await self.facts():
            expected.take(fact)
        async with self.store.reading() as connection:
            return [each.defect async for each in of_rows(connection, expected)]


def run(where: StoreSettings, data: Path, test: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        async with opened(where, data) as store:
            appender = await Appender.load(store, ManualClock(), [attaching.Attaching()])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                wanted = CaseWanted(number="1", kind="food", class_="ordinary", title="案", party="")
                case = await appender.change(partial(case_acts.open_case, actor=actor(), wanted=wanted))
                names = {"stream_id": "st_1", "device_id": "dev_1"}
                started = RecordingStarted(at=NOW_US / 1e6, recording_id="rec_1", unit="", **names)
                await appender.append([fact_of(StreamStarted(at=NOW_US / 1e6, **names)), fact_of(started)])
                await appender.change(
                    partial(recordings.attach, actor=actor(), case_id=case.case_id, recording_id="rec_1", step_id=None)
                )
                asked = Wanted(what="copy", purpose="移送", case_id=case.case_id)
                approval = await appender.change(partial(approvals.ask, actor=actor(), wanted=asked))
                decide = partial(
                    approvals.decide, actor=actor("usr_judge"), approval_id=approval.approval_id, verdict="approved",
                    reason="", lasts_s=3600,
                )  # fmt: skip
                await appender.change(decide)
                clip = ClipWanted(
                    clip_id="clip_1", case_id=case.case_id, recording_id="rec_1", start_s=9.0, end_s=12.5, title="现场"
                )
                await appender.change(partial(register, actor=actor(), wanted=clip, cut=CUT))
                await test(Desk(store, appender, case.case_id, approval.approval_id))
                tasks.cancel_scope.cancel()

    anyio.run(main)


def test_whoever_is_not_named_is_hidden_and_the_event_says_who_is_clear_and_why(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def test(desk: Desk) -> None:
        draft = await desk.draft()
        assert (draft.state, draft.version, draft.width) == (DRAFT, 2, 640)
        assert [each.track_id for each in redacting.plan_of(draft).hidden] == ["f1", "f2"]
        marks = Marks((Clear("f2", " 甲 ", "执法人员"),), (), (face(500),))
        draft = await desk.mark(draft, marks)
        assert [each.track_id for each in redacting.plan_of(draft).hidden] == ["f1", "d1"]
        assert redacting.tracks_of(draft)[2].path.points == face(500).points
        assert (await desk.mark(draft, marks)).edits == 1, "the same again is no edit"
        making = await desk.ask(draft)
        assert (making.state, making.title, making.purpose) == (MAKING, "现场（人脸已遮）", "移送")
        made = await desk.register(making)
        assert (made.state, made.sha256, made.approval_id) == (MADE, COPY.sha256, desk.approval_id)
        assert await desk.register(making) == made, "told once"
        facts = await desk.facts()
        assert [each.kind for each in facts[-2:]] == ["ItemAdded", "ClipBlurred"]
        body = facts[-1].body
        assert body["clear"] == [{"track_id": "f2", "name": "甲", "reason": "执法人员"}]
        assert (body["blurred"], body["drawn"], body["edits"], body["of_clip"]) == (2, 1, 1, CUT.sha256)
        assert (body["added_right"], body["added_below"]) == (1, 0), "of odd sides"
        assert body["plan_sha256"] == redacting.plan_sha256(made)
        assert body["media"] == {"recording_id": "rec_1", "start_s": 8.0, "end_s": 12.5}
        async with desk.store.reading() as connection:
            assert await is_told(connection, COPY.sha256)
        assert await desk.defects() == []

    run(where, tmp_path, test)


def test_a_row_that_says_something_else_than_the_log_is_named(where: StoreSettings, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        made = await desk.register(await desk.ask(await desk.draft()))
        assert await desk.defects() == []

        async def tamper(connection, **values):  # type: ignore[no-untyped-def]
            await connection.execute(update(redactions).values(**values))
            return None, ()

        await desk.appender.change(partial(tamper, of_sha256="f" * 64))
        assert await desk.defects() == ["row_differs"]
        await desk.appender.change(partial(tamper, of_sha256=made.of_sha256, state=DRAFT))
        assert await desk.defects() == ["row_missing"], "what is a draft again was made, says the log"
        expected, facts = Expected(), await desk.facts()
        for fact in facts[:-1]:
            expected.take(fact)
        with pytest.raises(EvidenceError):
            expected.take(replace(facts[-1], body={**facts[-1].body, "of_clip": "f" * 64}))

    run(where, tmp_path, test)


def test_drafts_are_no_facts(where: StoreSettings, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        before = len(await desk.facts())
        draft = await desk.mark(await desk.draft(), Marks((), (Removed("f1", "旗帜"),), ()))
        assert await desk.defects() == []
        assert len(await desk.facts()) == before
        assert [each.track_id for each in redacting.plan_of(draft).hidden] == ["f2"]

    run(where, tmp_path, test)


def test_marks_that_name_nothing_or_twice_or_without_a_reason_are_refused(where: StoreSettings, tmp_path: Path) -> None:
    clear = Clear("f1", "甲", "r")
    short = FacePath((Point(1.0, Box(0, 0, 10, 10)),))
    bad = (
        Marks((replace(clear, track_id="f3"),)), Marks((clear, clear)), Marks((clear,), (Removed("f1", "r"),)),
        Marks((replace(clear, name=" "),)), Marks((replace(clear, reason=""),)), Marks((), (Removed("f1", " "),)),
        Marks((), (), (short,)), Marks((), (), (face(0, 3.0, 2.0),)), Marks((), (), (face(0, -1.0, 2.0),)),
        Marks((), (), (face(0, 1.0, 60.0),)), Marks((), (Removed("d1", "r"),), (face(0),)),
    )  # fmt: skip

    async def test(desk: Desk) -> None:
        draft = await desk.draft()
        for marks in bad:
            with pytest.raises(ValueRefused):
                await desk.mark(draft, marks)

    run(where, tmp_path, test)


def test_nobodys_change_is_lost_and_only_a_draft_can_be_changed_or_made(where: StoreSettings, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        begun = await desk.begin()
        assert begun.state == FINDING
        with pytest.raises(StateConflict):
            await desk.mark(begun, Marks())
        draft = await desk.appender.change(partial(redacting.failed, redaction_id=begun.redaction_id, why="no model"))
        assert (draft.state, draft.error) == (DRAFT, "no model")
        with pytest.raises(StateConflict, match="nothing would be hidden"):
            await desk.ask(draft)
        drawn = await desk.mark(draft, Marks((), (), (face(0),)))
        for act in (desk.ask(draft), desk.mark(draft, Marks())):
            with pytest.raises(VersionStale):
                await act
        making = await desk.ask(drawn)
        for act in (desk.ask(making), desk.mark(making, Marks())):
            with pytest.raises(StateConflict):
                await act

    run(where, tmp_path, test)


def test_an_approval_that_ended_while_the_copy_was_made_makes_none(where: StoreSettings, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        making = await desk.ask(await desk.draft())
        late = partial(
            redacting.register, redaction_id=making.redaction_id, copy=COPY, now_us=NOW_US + 7200 * 1_000_000
        )  # fmt: skip
        with pytest.raises(ThingUnknown, match="no approval"):
            await desk.appender.change(late)
        await desk.appender.change(partial(approvals.withdraw, actor=actor(), approval_id=desk.approval_id))
        with pytest.raises(ThingUnknown, match="no approval"):
            await desk.register(making)
        with pytest.raises(ThingUnknown, match="no approval"):
            await desk.begin()
        assert "ClipBlurred" not in [each.kind for each in await desk.facts()]
        assert await desk.defects() == []

    run(where, tmp_path, test)


def test_only_so_many_wait_and_the_oldest_comes_first(where: StoreSettings, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        begun = [await desk.begin() for _ in range(redacting.MOST_WAIT)]
        with pytest.raises(StateConflict, match="waiting"):
            await desk.begin()
        assert (await desk.begin(detects=False)).state == DRAFT, "which needs no turn"
        async with desk.store.reading() as connection:
            first = await redacting.oldest_waiting(connection)
        assert first is not None
        assert first.redaction_id == min(each.redaction_id for each in begun)

    run(where, tmp_path, test)
