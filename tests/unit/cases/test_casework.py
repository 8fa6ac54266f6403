"""What people do with cases: each act one transaction with its fact, and the laws of a case's timeline."""

import contextlib
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from cases import timeline
from cases.appender import Appender
from cases.casework import attach_rules, attaching, case_acts, kinds, people, recordings
from cases.casework.actor import Actor
from cases.casework.attach_rules import RuleWanted
from cases.casework.case_acts import CaseWanted, ItemWanted, NoteWanted
from cases.casework.rows import AttachRule, Case, Item, Link, all_of
from cases.custody import merkle, proofs
from cases.facts import Fact, fact_of
from cases.store.engine import FILE, Store, open_store
from cases.store.tables import events, links
from cases.timeline import Question
from pipeline.errors import StateConflict, StoreUnavailable, ThingUnknown, ValueRefused, VersionStale
from pipeline.events import RecordingStarted, SegmentClosed, StreamEnded, StreamStarted
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened

T = TypeVar("T")
Change: TypeAlias = Callable[[AsyncConnection], Awaitable[tuple[T, Sequence[Fact]]]]
NOW_US = 1_795_000_000_000_000
WANTED = CaseWanted(number="京市监案〔2026〕1号", kind="food", class_="ordinary", title="超市案", party="惠民超市")


@dataclass
class Desk:
    """A store with its appender, and somebody who acts."""

    store: Store
    appender: Appender
    now_us: int = NOW_US

    def actor(self, key: str = "") -> Actor:
        self.now_us += 1_000_000
        return Actor("prin_1", "林晓岚", self.now_us, key)

    async def case(self, number: str = WANTED.number) -> Case:
        wanted = CaseWanted(number=number, kind="food", class_="ordinary", title="超市案", party="")
        return await self.appender.change(partial(case_acts.open_case, actor=self.actor(), wanted=wanted))

    async def tell(self, *events: StreamStarted | RecordingStarted | SegmentClosed | StreamEnded) -> None:
        await self.appender.append([fact_of(event) for event in events])

    async def records(self, number: int, device: str = "dev_1") -> None:
        at = self.now_us / 1e6
        await self.tell(
            StreamStarted(at=at, stream_id=f"st_{number}", device_id=device),
            RecordingStarted(at=at, stream_id=f"st_{number}", recording_id=f"rec_{number}", device_id=device),
        )

    async def closes(self, number: int, segment: int) -> None:
        await self.tell(
            SegmentClosed(
                at=self.now_us / 1e6 + segment,
                stream_id=f"st_{number}",
                recording_id=f"rec_{number}",
                file=f"{segment:04}.mp4",
                sha256="0" * 64,
                size_bytes=1,
                start_s=segment,
                end_s=segment + 1,
            )
        )

    async def shown(self, case: Case) -> list[str]:
        """Kinds of the case's facts, but for who works on it: whoever opens a case does."""
        async with self.store.reading() as connection:
            found = await timeline.page(self.store, connection, Question(case_id=case.case_id, limit=1000))
        return [each.fact.kind for each in found if each.fact.kind != "MemberAdded"]


def at_desk(where: StoreSettings, folder: Path, act: Callable[[Desk], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opened(where, folder) as store:
            appender = await Appender.load(store, ManualClock(), [attaching.Attaching()])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                with anyio.fail_after(60):
                    await act(Desk(store, appender))
                tasks.cancel_scope.cancel()

    anyio.run(run)


def test_what_an_officer_at_a_case_records_belongs_to_it_by_itself(where: StoreSettings, tmp_path: Path) -> None:
    async def act(desk: Desk) -> None:
        case = await desk.case()
        officer = await desk.appender.change(
            partial(people.add_officer, actor=desk.actor(), name="周启明", certificate_number="1", unit="东城")
        )
        await desk.appender.change(
            partial(people.bind, actor=desk.actor(), device_id="dev_1", officer_id=officer.officer_id)
        )
        await desk.records(1)  # before the task, and still live when it starts
        task = partial(
            people.start_task, actor=desk.actor(), officer_id=officer.officer_id, case_id=case.case_id, step_id=None
        )
        await desk.appender.change(task)
        await desk.records(2)
        await desk.records(3, "dev_of_nobody")
        await desk.closes(2, 0)
        await desk.appender.change(partial(people.end_task, actor=desk.actor(), officer_id=officer.officer_id))
        await desk.records(4)
        assert sorted(await desk.shown(case)) == sorted(
            ["CaseOpened", "TaskStarted", "TaskEnded", "SegmentClosed"]
            + ["StreamStarted", "RecordingStarted", "RecordingAttached"] * 2
        )
        async with desk.store.reading() as connection:
            made = await all_of(connection, Link, links.select().order_by(links.c.recording_id))
        assert [(each.recording_id, each.how, each.made_by) for each in made] == [
            ("rec_1", "task", "prin_1"),
            ("rec_2", "task", "onrecord"),
        ]

    at_desk(where, tmp_path, act)


def ruled(desk: Desk, case: Case, from_s: int, until_s: int, key: str = "", unit: str = "") -> Change[AttachRule]:
    """What dev_1 records within so many seconds of `NOW_US`, at the market."""
    wanted = RuleWanted(
        device_id="dev_1", device_name="记录仪 1", unit=unit, from_us=NOW_US + from_s * 1_000_000,
        until_us=NOW_US + until_s * 1_000_000, place="惠民超市冷柜",
    )  # fmt: skip
    return partial(attach_rules.set_rule, actor=desk.actor(key), case_id=case.case_id, wanted=wanted)


async def linked(desk: Desk) -> list[tuple[str, str, str, bool]]:
    """(recording, how, by whom, stands) of each link, the oldest first."""
    async with desk.store.reading() as connection:
        made = await all_of(connection, Link, links.select().order_by(links.c.recording_id, links.c.made_us))
    return [(each.recording_id, each.how, each.made_by, each.undone_us is None) for each in made]


def test_what_a_device_records_in_a_time_belongs_to_the_case_whether_it_was_there_before_or_comes_after(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(desk: Desk) -> None:
        async def at(second: int, number: int, device: str = "dev_1") -> None:
            desk.now_us = NOW_US + second * 1_000_000
            await desk.records(number, device)

        async def ends(second: int, number: int) -> None:
            at_s = NOW_US / 1e6 + second
            await desk.tell(StreamEnded(at=at_s, stream_id=f"st_{number}", pts_s=1.0, reason="ended"))

        case = await desk.case()
        await at(100, 1)  # over before the rule's time
        await ends(190, 1)
        await at(150, 2)  # runs into it
        await ends(250, 2)
        await at(210, 3, "dev_2")  # another device
        await at(220, 4)  # within it
        await desk.closes(4, 0)
        rule = await desk.appender.change(ruled(desk, case, 200, 400))
        await at(300, 5)  # comes within it
        await desk.closes(5, 0)
        await at(400, 6)  # comes when it is over
        await at(310, 7, "dev_2")
        by = [("rec_2", "rule", "prin_1", True), ("rec_4", "rule", "prin_1", True), ("rec_5", "rule", "onrecord", True)]
        assert await linked(desk) == by
        shown = await desk.shown(case)
        counted = [shown.count(kind) for kind in ("AttachRuleSet", "RecordingAttached", "SegmentClosed")]
        assert counted == [1, 3, 2]
        async with desk.store.reading() as connection:
            assert len((await timeline.search(desk.store, connection, "冷柜", 10))[0]) == 1
        again = await desk.appender.change(
            partial(attach_rules.undo_rule, actor=desk.actor(), case_id=case.case_id, rule_id=rule.rule_id)
        )
        assert again.undone_by == "prin_1"
        await at(320, 8)
        assert [each[3] for each in await linked(desk)] == [False, False, False]
        shown = await desk.shown(case)
        counted = [shown.count(kind) for kind in ("AttachRuleUndone", "RecordingDetached", "SegmentClosed")]
        assert counted == [1, 3, 0]

    at_desk(where, tmp_path, act)


def test_a_recording_that_runs_into_a_rule_is_attached_at_its_end_unless_a_person_took_it_out(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(desk: Desk) -> None:
        case = await desk.case()
        await desk.records(1)
        await desk.appender.change(ruled(desk, case, 500, 600))
        assert await linked(desk) == [], "its time has not come"
        await desk.tell(StreamEnded(at=NOW_US / 1e6 + 550, stream_id="st_1", pts_s=1.0, reason="ended"))
        assert await linked(desk) == [("rec_1", "rule", "onrecord", True)]
        desk.now_us = NOW_US + 560_000_000
        await desk.records(2)
        async with desk.store.reading() as connection:
            second = (await all_of(connection, Link, links.select().where(links.c.recording_id == "rec_2")))[0]
        await desk.appender.change(
            partial(recordings.detach, actor=desk.actor(), case_id=case.case_id, link_id=second.link_id)
        )
        await desk.tell(StreamEnded(at=NOW_US / 1e6 + 590, stream_id="st_2", pts_s=1.0, reason="ended"))
        assert [each[3] for each in await linked(desk)] == [True, False]

    at_desk(where, tmp_path, act)


def test_what_a_person_took_out_of_a_rule_is_not_put_back_by_the_end_of_its_stream(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(desk: Desk) -> None:
        case = await desk.case()
        await desk.records(1)
        desk.now_us = NOW_US + 500_000_000
        await desk.appender.change(ruled(desk, case, 400, 600))
        async with desk.store.reading() as connection:
            [link] = await all_of(connection, Link, links.select())
        await desk.appender.change(
            partial(recordings.detach, actor=desk.actor(), case_id=case.case_id, link_id=link.link_id)
        )
        await desk.tell(StreamEnded(at=NOW_US / 1e6 + 550, stream_id="st_1", pts_s=1.0, reason="ended"))
        assert [each[3] for each in await linked(desk)] == [False]

    at_desk(where, tmp_path, act)


def test_a_recording_that_two_rules_mean_stays_when_one_of_them_is_undone(where: StoreSettings, tmp_path: Path) -> None:
    async def act(desk: Desk) -> None:
        case = await desk.case()
        desk.now_us = NOW_US + 100_000_000
        await desk.records(1)
        first = await desk.appender.change(ruled(desk, case, 0, 400))
        second = await desk.appender.change(ruled(desk, case, 50, 500))
        desk.now_us = NOW_US + 450_000_000
        await desk.records(2)
        assert await linked(desk) == [("rec_1", "rule", "prin_1", True), ("rec_2", "rule", "onrecord", True)]
        for rule, left in ((first, [("rec_1", True), ("rec_2", True)]), (second, [])):
            await desk.appender.change(
                partial(attach_rules.undo_rule, actor=desk.actor(), case_id=case.case_id, rule_id=rule.rule_id)
            )
            assert [(each[0], each[3]) for each in await linked(desk) if each[3]] == left

    at_desk(where, tmp_path, act)


def test_a_rule_takes_nothing_of_another_unit_nor_for_a_closed_case_and_its_key_sets_one(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(desk: Desk) -> None:
        case = await desk.case()
        await desk.appender.change(ruled(desk, case, 0, 400, unit="东城"))
        await desk.records(1)
        await desk.appender.change(ruled(desk, case, 0, 400, unit="东城"))
        assert await linked(desk) == [], "its recordings are those of no unit"
        await desk.appender.change(ruled(desk, case, -400, -300))
        assert await linked(desk) == [], "it began when the rule's time was over"
        one = await desk.appender.change(ruled(desk, case, 500, 600, "key"))
        assert await desk.appender.change(ruled(desk, case, 500, 600, "key")) == one
        with pytest.raises(StateConflict):
            await desk.appender.change(ruled(desk, case, 500, 601, "key"))
        for from_s, until_s in ((5, 5), (6, 5), (0, 40_000_000), (-2_000_000_000, 0)):
            with pytest.raises(ValueRefused):
                await desk.appender.change(ruled(desk, case, from_s, until_s))
        await desk.appender.change(
            partial(
                case_acts.change_case, actor=desk.actor(), case_id=case.case_id, version=1, wanted={"state": "closed"}
            )
        )
        desk.now_us = NOW_US + 510_000_000
        await desk.records(2)
        assert await linked(desk) == []
        with pytest.raises(StateConflict):
            await desk.appender.change(ruled(desk, case, 500, 700))

    at_desk(where, tmp_path, act)


def test_detaching_takes_a_stream_from_the_case_and_nothing_from_the_log(where: StoreSettings, tmp_path: Path) -> None:
    async def act(desk: Desk) -> None:
        case, other = await desk.case(), await desk.case("另一案")
        await desk.records(1)
        await desk.closes(1, 0)
        link = await desk.appender.change(
            partial(recordings.attach, actor=desk.actor(), case_id=case.case_id, recording_id="rec_1", step_id=None)
        )
        await desk.closes(1, 1)
        assert (await desk.shown(case)).count("SegmentClosed") == 2
        size = desk.appender.size
        undo = partial(recordings.detach, actor=desk.actor(), case_id=case.case_id, link_id=link.link_id)
        await desk.appender.change(undo)
        assert (await desk.appender.change(undo)).undone_by == "prin_1"
        await desk.closes(1, 2)
        assert await desk.shown(case) == ["CaseOpened", "RecordingAttached", "RecordingDetached"]
        assert await desk.shown(other) == ["CaseOpened"]
        assert desk.appender.size == size + 2
        await desk.appender.change(
            partial(recordings.attach, actor=desk.actor(), case_id=case.case_id, recording_id="rec_1", step_id=None)
        )
        assert (await desk.shown(case)).count("SegmentClosed") == 3
        with pytest.raises(ThingUnknown):
            await desk.appender.change(
                partial(recordings.detach, actor=desk.actor(), case_id=other.case_id, link_id=link.link_id)
            )

    at_desk(where, tmp_path, act)


def test_the_same_key_opens_one_case_and_a_number_is_given_once(where: StoreSettings, tmp_path: Path) -> None:
    async def act(desk: Desk) -> None:
        first = await desk.appender.change(partial(case_acts.open_case, actor=desk.actor("k"), wanted=WANTED))
        again = await desk.appender.change(partial(case_acts.open_case, actor=desk.actor("k"), wanted=WANTED))
        assert first == again
        assert desk.appender.size == 2
        with pytest.raises(StateConflict):
            await desk.appender.change(partial(case_acts.open_case, actor=desk.actor("other"), wanted=WANTED))
        assert desk.appender.size == 2

    at_desk(where, tmp_path, act)


def test_a_change_of_what_somebody_else_changed_is_refused_and_a_closed_case_stays_as_it_is(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(desk: Desk) -> None:
        case = await desk.case()

        def change(version: int, **fields: str) -> Awaitable[Case]:
            return desk.appender.change(
                partial(case_acts.change_case, actor=desk.actor(), case_id=case.case_id, version=version, wanted=fields)
            )

        closed = await change(1, title="新名", state="closed")
        assert (closed.version, closed.title, closed.state) == (2, "新名", "closed")
        assert closed.closed_us is not None
        for version, fields, error in (
            (1, {"title": "旧"}, VersionStale),
            (2, {"title": "旧"}, StateConflict),
            (2, {"state": "lost"}, StateConflict),
        ):
            with pytest.raises(error):
                await change(version, **fields)
        with pytest.raises(StateConflict):
            await desk.appender.change(
                partial(
                    case_acts.start_step, actor=desk.actor(), case_id=case.case_id, kind="filing", kinds=kinds.load()
                )
            )
        assert (await change(2, state="open")).closed_us is None
        assert await desk.shown(case) == ["CaseOpened", "CaseChanged", "CaseChanged"]

    at_desk(where, tmp_path, act)


@pytest.mark.parametrize(
    ("text", "at_us"),
    [
        ("合格\u202e格合不", None),
        ("a\x00b", None),
        ("\ud800", None),
        (" \n ", None),
        ("长" * 20_001, None),
        ("later", NOW_US + 3_600_000_000),
    ],
)
def test_a_note_that_cannot_be_taken_names_its_field_and_leaves_nothing(
    text: str, at_us: int | None, tmp_path: Path
) -> None:
    async def act(desk: Desk) -> None:
        case = await desk.case()
        with pytest.raises(ValueRefused) as refused:
            await desk.appender.change(
                partial(
                    case_acts.add_note, actor=desk.actor(), case_id=case.case_id,
                    wanted=NoteWanted(text=text, at_us=at_us),
                )
            )  # fmt: skip
        assert refused.value.field == ("text" if at_us is None else "at")
        assert desk.appender.size == 2

    at_desk(StoreSettings(), tmp_path, act)


def test_a_late_note_stands_where_it_happened_and_says_when_it_was_learned(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(desk: Desk) -> None:
        case = await desk.case()
        wanted = NoteWanted(text="开箱检查", at_us=NOW_US - 86_400_000_000)
        note = partial(case_acts.add_note, actor=desk.actor("k"), case_id=case.case_id, wanted=wanted)
        assert await desk.appender.change(note) == await desk.appender.change(note)
        assert await desk.shown(case) == ["NoteAdded", "CaseOpened"]
        async with desk.store.reading() as connection:
            found, _ = await timeline.search(desk.store, connection, "箱检", 10)
        assert [each.fact.at_us for each in found] == [wanted.at_us]
        assert found[0].seq == 2

    at_desk(where, tmp_path, act)


def test_an_item_is_withdrawn_and_stays_and_a_paper_needs_its_shelf(where: StoreSettings, tmp_path: Path) -> None:
    async def act(desk: Desk) -> None:
        case = await desk.case()

        def add(**fields: str) -> Awaitable[Item]:
            return desk.appender.change(
                partial(
                    case_acts.add_item, actor=desk.actor(), case_id=case.case_id,
                    wanted=ItemWanted(kind=fields["kind"], title=fields["title"], shelf_mark=fields.get("shelf")),
                )
            )  # fmt: skip

        with pytest.raises(ValueRefused):
            await add(kind="paper", title="现场笔录")
        item = await add(kind="paper", title="现场笔录", shelf="A-12-3")
        gone = await desk.appender.change(
            partial(
                case_acts.withdraw_item, actor=desk.actor(), case_id=case.case_id, item_id=item.item_id, reason="错页"
            )
        )
        assert gone.withdrawn_us is not None
        assert await desk.shown(case) == ["CaseOpened", "ItemAdded", "ItemWithdrawn"]

    at_desk(where, tmp_path, act)


async def write(appender: Appender, scope: anyio.CancelScope) -> None:
    with scope:
        await appender.run()


async def standing(desk: Desk, case: Case, recording_id: str) -> str:
    """The link by which the case has the recording."""
    asked = links.select().where(
        links.c.case_id == case.case_id, links.c.recording_id == recording_id, links.c.undone_us.is_(None)
    )
    async with desk.store.reading() as connection:
        (link,) = await all_of(connection, Link, asked)
    return link.link_id


async def crash(store: Store, size: int, after: Path) -> None:
    """What is on the disk in the middle of a transaction, in the folder `after`: as a process that is killed leaves it.

    Nothing is closed, nothing written back: the database and its log are copied as they lie, without the shared index.
    """
    row = {"seq": size, "event_id": "half", "kind": "NoteAdded", "at_us": 1, "learned_at_us": 1, "entry": "half"}
    async with store.writing() as connection:
        await connection.begin()
        await connection.execute(events.insert(), [row])
        database = Path((await connection.execute(text("PRAGMA database_list"))).all()[0][2])
        after.mkdir()
        for name in (FILE, f"{FILE}-wal"):
            shutil.copy(database.with_name(name), after / name)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("close"), st.integers(0, 2), st.integers(0, 3)),
        st.tuples(st.just("attach"), st.integers(0, 2), st.integers(0, 1)),
        st.tuples(st.just("detach"), st.integers(0, 2), st.integers(0, 1)),
        st.tuples(st.just("rule"), st.just(0), st.integers(0, 1)),
        st.tuples(st.just("undo rule"), st.just(0), st.integers(0, 1)),
        st.tuples(st.sampled_from(["restart", "crash"]), st.just(0), st.just(0)),
    ),
    max_size=14,
)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
@example(
    steps=[
        ("record", 0, 0), ("rule", 0, 0), ("crash", 0, 0), ("record", 1, 0), ("close", 1, 0), ("attach", 2, 0),
        ("detach", 0, 0), ("crash", 0, 0), ("record", 2, 0), ("rule", 0, 1), ("undo rule", 0, 0), ("close", 2, 0),
        ("restart", 0, 0), ("undo rule", 0, 1), ("crash", 0, 0), ("attach", 1, 1), ("close", 1, 1),
    ]
)  # fmt: skip
def test_a_case_shows_its_own_facts_and_those_of_attached_streams_and_the_log_only_grows(
    steps: Sequence[tuple[str, int, int]],
) -> None:
    """A model beside the store: facts by stream, links and rules by case; an end or a crash between changes nothing."""

    async def act(folder: Path) -> None:
        facts: dict[int, list[str]] = {}
        attached: tuple[dict[int, str], dict[int, str]] = {}, {}  # by case: the rule of each stream; "": by hand
        rules: dict[int, str] = {}  # by case: at most one at a time, which means all that dev_1 records
        own = {0: ["CaseOpened"], 1: ["CaseOpened"]}
        heads: list[tuple[int, bytes]] = []
        async with contextlib.AsyncExitStack() as stores:
            store = await stores.enter_async_context(opened(StoreSettings(), folder))
            desk = Desk(store, await Appender.load(store, ManualClock(), [attaching.Attaching()]))
            async with anyio.create_task_group() as tasks:
                running = anyio.CancelScope()
                tasks.start_soon(write, desk.appender, running)
                cases = [await desk.case("0"), await desk.case("1")]
                for number, (verb, stream, other) in enumerate(steps):
                    desk.now_us += 10_000_000
                    act_of = partial(partial, actor=desk.actor(), case_id=cases[other % 2].case_id)
                    if verb == "record" and stream not in facts:
                        await desk.records(stream)
                        facts[stream] = ["RecordingStarted", "StreamStarted"]
                        for case_number, rule_id in rules.items():
                            attached[case_number][stream] = rule_id
                            own[case_number].append("RecordingAttached")
                    elif verb == "close" and stream in facts:
                        await desk.closes(stream, len(facts[stream]))
                        facts[stream].append("SegmentClosed")
                    elif verb == "attach" and stream in facts and stream not in attached[other]:
                        await desk.appender.change(
                            act_of(recordings.attach, recording_id=f"rec_{stream}", step_id=None)
                        )  # fmt: skip
                        attached[other][stream] = ""
                        own[other].append("RecordingAttached")
                    elif verb == "detach" and stream in attached[other]:
                        link_id = await standing(desk, cases[other], f"rec_{stream}")
                        await desk.appender.change(act_of(recordings.detach, link_id=link_id))
                        del attached[other][stream]
                        own[other].append("RecordingDetached")
                    elif verb == "rule" and other not in rules:
                        rule = await desk.appender.change(ruled(desk, cases[other], -86_400, 86_400))
                        rules[other] = rule.rule_id
                        fresh = facts.keys() - attached[other].keys()
                        attached[other].update(dict.fromkeys(fresh, rule.rule_id))
                        own[other] += ["AttachRuleSet", *["RecordingAttached" for _ in fresh]]
                    elif verb == "undo rule" and other in rules:
                        rule_id = rules.pop(other)
                        await desk.appender.change(act_of(attach_rules.undo_rule, rule_id=rule_id))
                        by_it = [each for each, by in attached[other].items() if by == rule_id]
                        for gone in by_it:
                            del attached[other][gone]
                        own[other] += ["AttachRuleUndone", *["RecordingDetached" for _ in by_it]]
                    elif verb in ("restart", "crash"):
                        running.cancel()
                        await anyio.wait_all_tasks_blocked()
                        if verb == "crash":
                            after = folder / f"after_{number}"
                            await crash(store, desk.appender.size, after)
                            store = await stores.enter_async_context(open_store(StoreSettings(), after))
                        running = anyio.CancelScope()
                        desk.store = store
                        desk.appender = await Appender.load(store, ManualClock(), [attaching.Attaching()])
                        tasks.start_soon(write, desk.appender, running)
                    async with store.reading() as connection:
                        size = desk.appender.size
                        read = store.tile_reader(connection)
                        heads.append((size, await proofs.root(size, read)))
                        for old, old_root in heads:
                            path = await proofs.consistency(old, size, read)
                            assert proofs.is_consistent(old, old_root, size, heads[-1][1], path)
                        stored = await timeline.after(connection, -1, 1000)
                        assert [each.seq for each in stored] == list(range(size))
                        for each in stored:
                            path = await proofs.inclusion(each.seq, size, read)
                            leaf = merkle.leaf_hash(each.fact.entry(each.learned_at_us))
                            assert proofs.is_included(leaf, each.seq, size, path, heads[-1][1])
                    for case_number, case in enumerate(cases):
                        streams = attached[case_number]
                        expected = [kind for each in streams for kind in facts[each]] + own[case_number]
                        assert sorted(await desk.shown(case)) == sorted(expected)
                tasks.cancel_scope.cancel()

    with tempfile.TemporaryDirectory() as folder:
        anyio.run(act, Path(folder))


def test_a_closed_appender_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(StoreSettings(), tmp_path) as store:
            appender = await Appender.load(store, ManualClock())
            refused = 0

            async def bring() -> None:
                nonlocal refused
                try:
                    await appender.append([Fact(event_id=f"ev_{refused}", kind="X", at_us=1)])
                except StoreUnavailable:
                    refused += 1

            with anyio.fail_after(5):
                async with anyio.create_task_group() as tasks:
                    for _ in range(3):
                        tasks.start_soon(bring)
                    await anyio.wait_all_tasks_blocked()
                    appender.close()
                await bring()
            assert refused == 4

    anyio.run(act)
