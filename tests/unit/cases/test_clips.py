"""Clips in the record, on both databases: one transaction with its item, its approval looked at again, told once."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import pytest
from sqlalchemy import select

from cases.appender import Appender
from cases.casework import approvals, attaching, case_acts, recordings
from cases.casework.actor import Actor
from cases.casework.approvals import Wanted
from cases.casework.case_acts import CaseWanted
from cases.casework.rows import Case
from cases.clips.making import Cut
from cases.clips.register import ClipWanted, is_told, register
from cases.custody.check_rows import Expected
from cases.facts import fact_of, parse_entry
from cases.store.engine import Store
from cases.store.tables import clips, events
from pipeline.errors import StateConflict, ThingUnknown
from pipeline.events import RecordingStarted, StreamStarted
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened

NOW_US = 1_700_000_000_000_000
CUT = Cut("a" * 64, 1000, 8.0, 12.5, (("0001.mp4", "b" * 64), ("0002.mp4", "c" * 64)))


def actor(by: str = "usr_asks", at_us: int = NOW_US) -> Actor:
    return Actor(by, by, at_us)


class Desk:
    """A case with a recording, and an approval to copy it."""

    def __init__(self, store: Store, appender: Appender, case: Case) -> None:
        self.store, self.appender, self.case = store, appender, case
        self.wanted = ClipWanted(
            clip_id="clip_1", case_id=case.case_id, recording_id="rec_1", start_s=9.0, end_s=12.5, title="出示证件"
        )

    async def allow(self) -> str:
        wanted = Wanted(what="copy", purpose="移送", case_id=self.case.case_id)
        asked = await self.appender.change(partial(approvals.ask, actor=actor(), wanted=wanted))
        decide = partial(
            approvals.decide, actor=actor("usr_judge"), approval_id=asked.approval_id, verdict="approved", reason="",
            lasts_s=3600,
        )  # fmt: skip
        await self.appender.change(decide)
        return asked.approval_id

    async def told(self) -> list[str]:
        async with self.store.reading() as connection:
            return [row[0] for row in await connection.execute(select(events.c.kind).order_by(events.c.seq))]


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
                attach = partial(
                    recordings.attach, actor=actor(), case_id=case.case_id, recording_id="rec_1", step_id=None
                )
                await appender.change(attach)
                await test(Desk(store, appender, case))
                tasks.cancel_scope.cancel()

    anyio.run(main)


def test_a_clip_is_an_item_and_an_event_with_what_it_was_made_of(where: StoreSettings, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        approval_id = await desk.allow()
        clip = await desk.appender.change(partial(register, actor=actor(), wanted=desk.wanted, cut=CUT))
        assert (clip.approval_id, clip.cut_from_ms, clip.cut_until_ms) == (approval_id, 8000, 12_500)
        assert (await desk.told())[-2:] == ["ItemAdded", "ClipMade"]
        again = await desk.appender.change(partial(register, actor=actor(), wanted=desk.wanted, cut=CUT))
        assert again == clip
        assert (await desk.told()).count("ClipMade") == 1
        other = replace(desk.wanted, end_s=13.0)
        with pytest.raises(StateConflict):
            await desk.appender.change(partial(register, actor=actor(), wanted=other, cut=CUT))
        async with desk.store.reading() as connection:
            assert await is_told(connection, CUT.sha256)
            assert not await is_told(connection, "d" * 64)
            row = (await connection.execute(select(clips))).mappings().one()
            raws = [each[0] for each in await connection.execute(select(events.c.entry).order_by(events.c.seq))]
        expected = Expected()
        for raw in raws:
            expected.take(parse_entry(raw.encode())[0])
        assert expected.rows["clips"]["clip_1"] == dict(row), "verify builds the same row out of the log"
        body = parse_entry(raws[-1].encode())[0].body
        assert body["segments"] == [{"file": file, "sha256": sha256} for file, sha256 in CUT.segments]
        assert body["why"] == "移送"

    run(where, tmp_path, test)


def test_an_approval_that_ended_while_the_file_was_cut_makes_no_clip(where: StoreSettings, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        make = partial(register, actor=actor(), wanted=desk.wanted, cut=CUT)
        with pytest.raises(ThingUnknown, match="no approval"):
            await desk.appender.change(make)
        approval_id = await desk.allow()
        await desk.appender.change(partial(approvals.withdraw, actor=actor(), approval_id=approval_id))
        with pytest.raises(ThingUnknown, match="no approval"):
            await desk.appender.change(make)
        assert "ClipMade" not in await desk.told()
        assert "ItemAdded" not in await desk.told(), "neither half of it"

    run(where, tmp_path, test)


def test_a_recording_of_another_case_makes_no_clip(where: StoreSettings, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.allow()
        other = replace(desk.wanted, recording_id="rec_2")
        with pytest.raises(ThingUnknown, match="no such recording"):
            await desk.appender.change(partial(register, actor=actor(), wanted=other, cut=CUT))

    run(where, tmp_path, test)
