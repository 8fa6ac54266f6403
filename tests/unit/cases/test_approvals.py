"""Approvals and reach, on both databases: who reaches which row, and which approval is in force for what."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest
from sqlalchemy import select

from cases.access.principal import Principal
from cases.appender import Appender
from cases.casework import approvals, attaching, case_acts, people, recordings
from cases.casework.actor import Actor
from cases.casework.approvals import Wanted
from cases.casework.case_acts import CaseWanted
from cases.casework.rows import Case, Officer
from cases.facts import fact_of
from cases.reach import Within, reached_case, reached_places, reached_recording
from cases.rights import Reach
from cases.store.engine import Store
from cases.store.tables import cases as cases_table
from cases.store.tables import events
from cases.store.tables import recordings as recordings_table
from pipeline.errors import StateConflict, ThingUnknown, ValueRefused
from pipeline.events import RecordingStarted, StreamStarted
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened

NOW_US = 1_700_000_000_000_000


def actor(by: str = "usr_asks", at_us: int = NOW_US) -> Actor:
    return Actor(by, by, at_us)


class Desk:
    """Two cases of two units, and a recording of each, the second made by an officer."""

    def __init__(self, store: Store, appender: Appender) -> None:
        self.store = store
        self.appender = appender
        self.cases: dict[str, Case] = {}
        self.officer: Officer | None = None

    async def fill(self) -> None:
        for number, unit, kind in (("1", "东", "ordinary"), ("2", "西", "major")):
            wanted = CaseWanted(number=number, kind="food", class_=kind, title="案", party="", unit=unit)
            self.cases[unit] = await self.appender.change(
                partial(case_acts.open_case, actor=actor(f"usr_{unit}"), wanted=wanted)
            )
        self.officer = await self.appender.change(
            partial(people.add_officer, actor=actor(), name="林", certificate_number="A1", unit="西")
        )
        await self.appender.change(
            partial(people.bind, actor=actor(), device_id="dev_西", officer_id=self.officer.officer_id)
        )
        at = NOW_US / 1e6 + 1
        for unit in ("东", "西"):
            names = {"stream_id": f"st_{unit}", "device_id": f"dev_{unit}"}
            started = RecordingStarted(at=at, recording_id=f"rec_{unit}", unit=unit, **names)
            await self.appender.append([fact_of(StreamStarted(at=at, **names)), fact_of(started)])
        await self.appender.change(
            partial(
                recordings.attach, actor=actor(), case_id=self.cases["西"].case_id, recording_id="rec_西", step_id=None
            )
        )

    async def seen(self, within: Within) -> tuple[set[str], set[str]]:
        """Units of the cases and of the recordings within reach."""
        async with self.store.reading() as connection:
            found = await connection.execute(select(cases_table.c.unit).where(within.cases()))
            of_recordings = await connection.execute(select(recordings_table.c.unit).where(within.recordings()))
            return {row[0] for row in found}, {row[0] for row in of_recordings}

    async def ask(self, wanted: Wanted, by: str = "usr_asks"):  # type: ignore[no-untyped-def]  # as `approvals.ask`
        return await self.appender.change(partial(approvals.ask, actor=actor(by), wanted=wanted))

    async def decide(self, approval_id: str, by: str, verdict: str = "approved", lasts_s: float = 1000):  # type: ignore[no-untyped-def]
        return await self.appender.change(
            partial(
                approvals.decide, actor=actor(by), approval_id=approval_id, verdict=verdict, reason="", lasts_s=lasts_s
            )
        )

    async def in_force(self, start_ms: int, end_ms: int, after_s: float = 1, by: str = "usr_asks") -> bool:
        async with self.store.reading() as connection:
            try:
                await approvals.in_force(connection, by, "rec_东", start_ms, end_ms, NOW_US + round(after_s * 1e6))
            except ThingUnknown:
                return False
        return True


def at_desk(where: StoreSettings, folder: Path, act: Callable[[Desk], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opened(where, folder) as store:
            appender = await Appender.load(store, ManualClock(), [attaching.Attaching()])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                with anyio.fail_after(60):
                    desk = Desk(store, appender)
                    await desk.fill()
                    await act(desk)
                tasks.cancel_scope.cancel()

    anyio.run(run)


def within(
    reach: Reach, *, account: str = "usr_x", units: frozenset[str] | None = frozenset(("东",)), officer: str = ""
) -> Within:
    return Within(Principal("ses", "n", "role", None, account, "东" if units else "", officer), reach, units)


def test_what_is_within_reach_follows_unit_work_and_the_device_one_carries(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(desk: Desk) -> None:
        assert desk.officer is not None
        officer = desk.officer.officer_id
        both, east, west, none = {"东", "西"}, {"东"}, {"西"}, set[str]()
        for asked, expected in (
            (within(Reach.BUREAU, units=None), (both, both)),
            (within(Reach.UNIT), (east, east)),
            (within(Reach.UNIT, account="usr_西"), (both, both)),
            (within(Reach.OWN), (none, none)),
            (within(Reach.OWN, account="usr_西"), (west, west)),
            (within(Reach.OWN, officer=officer), (none, west)),
            (within(Reach.APPROVED), (none, none)),
        ):
            assert await desk.seen(asked) == expected, asked
        await desk.ask(Wanted(what="play", purpose="p", recording_id="rec_西", end_s=1.0), "usr_x")
        assert await desk.seen(within(Reach.APPROVED)) == (none, west)
        await desk.appender.change(
            partial(approvals.withhold, actor=actor(), recording_id="rec_西", officer_id=officer, reason="投诉")
        )
        assert await desk.seen(within(Reach.OWN, officer=officer)) == (none, none)
        assert await desk.seen(within(Reach.BUREAU, units=None, officer=officer)) == (both, east)
        await desk.appender.change(
            partial(approvals.release, actor=actor(), recording_id="rec_西", officer_id=officer, reason="已核实")
        )
        assert await desk.seen(within(Reach.OWN, officer=officer)) == (none, west)
        with pytest.raises(ThingUnknown):
            await desk.appender.change(
                partial(approvals.release, actor=actor(), recording_id="rec_西", officer_id=officer, reason="再")
            )
        async with desk.store.reading() as connection:
            await reached_case(connection, within(Reach.UNIT), desk.cases["东"].case_id)
            await reached_recording(connection, within(Reach.UNIT), "rec_东")
            for refused in (
                reached_case(connection, within(Reach.UNIT), desk.cases["西"].case_id),
                reached_recording(connection, within(Reach.UNIT), "rec_西"),
            ):
                with pytest.raises(ThingUnknown):
                    await refused
            places = [row[0] for row in await connection.execute(select(events.c.seq))]
            whole = await reached_places(connection, within(Reach.BUREAU, units=None), places)
            own = await reached_places(connection, within(Reach.OWN, account="usr_西"), places)
            kinds = {
                row[0]
                for row in await connection.execute(select(events.c.kind).where(events.c.seq.in_(set(places) - whole)))
            }
        assert kinds == {"OfficerAdded", "OfficerBound", "ApprovalAsked", "RecordingWithheld", "RecordingReleased"}
        assert own < whole

    at_desk(where, tmp_path, act)


def test_an_approval_is_in_force_for_its_span_its_time_and_its_person_only(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(desk: Desk) -> None:
        asked = await desk.ask(Wanted(what="play", purpose="核查", recording_id="rec_东", start_s=10.0, end_s=30.0))
        assert (asked.needed, asked.unit, asked.state) == (1, "东", "asked")
        assert not await desk.in_force(10_000, 30_000)
        with pytest.raises(StateConflict):
            await desk.decide(asked.approval_id, "usr_asks")
        given = await desk.decide(asked.approval_id, "usr_judge", lasts_s=1000)
        assert given.expires_us == NOW_US + 1_000_000_000
        assert await desk.in_force(10_000, 30_000)
        assert await desk.in_force(12_345, 23_456)
        for start_ms, end_ms, after_s, by in (
            (9_999, 30_000, 1, "usr_asks"), (10_000, 30_001, 1, "usr_asks"), (10_000, 30_000, 1000, "usr_asks"),
            (10_000, 30_000, 1, "usr_judge"),
        ):  # fmt: skip
            assert not await desk.in_force(start_ms, end_ms, after_s, by)
        with pytest.raises(StateConflict):
            await desk.decide(asked.approval_id, "usr_other", "refused")
        await desk.appender.change(partial(approvals.withdraw, actor=actor(), approval_id=asked.approval_id))
        assert not await desk.in_force(10_000, 30_000)

    at_desk(where, tmp_path, act)


def test_two_persons_say_yes_where_a_major_case_is_touched_and_one_no_is_enough(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(desk: Desk) -> None:
        play = await desk.ask(Wanted(what="play", purpose="p", recording_id="rec_西", end_s=1.0))
        copy = await desk.ask(Wanted(what="copy", purpose="p", case_id=desk.cases["西"].case_id))
        assert (play.needed, copy.needed) == (2, 2)
        assert (await desk.decide(copy.approval_id, "usr_1")).state == "asked"
        with pytest.raises(StateConflict):
            await desk.decide(copy.approval_id, "usr_1")
        assert (await desk.decide(copy.approval_id, "usr_2")).state == "approved"
        await desk.decide(play.approval_id, "usr_1")
        with pytest.raises(ValueRefused):
            await desk.decide(play.approval_id, "usr_2", "refused")
        with pytest.raises(ValueRefused):
            await desk.decide(play.approval_id, "usr_2", "perhaps")

    at_desk(where, tmp_path, act)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(what="play", purpose="p", recording_id="rec_东", start_s=2.0, end_s=2.0),
        Wanted(what="play", purpose="p", recording_id="rec_东", start_s=0.0, end_s=86_401.0),
        Wanted(what="play", purpose=" \n", recording_id="rec_东", end_s=1.0),
        Wanted(what="play", purpose="p"),
        Wanted(what="copy", purpose="p"),
        Wanted(what="burn", purpose="p", case_id="case_1"),
    ],
)
def test_an_application_that_says_too_little_or_too_much_is_refused(tmp_path: Path, wanted: Wanted) -> None:
    async def act(desk: Desk) -> None:
        size = desk.appender.size
        with pytest.raises(ValueRefused):
            await desk.ask(wanted)
        assert desk.appender.size == size

    at_desk(StoreSettings(), tmp_path, act)
