"""Questions to a timeline, on both databases, against the same questions asked of a list in memory."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from cases import timeline
from cases.appender import Appender
from cases.facts import Fact
from cases.store.engine import Store
from cases.timeline import Question
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened

_WORDS = ("检查食品经营许可证", "出示执法证件", "")
_FACTS = [
    Fact(
        event_id=f"ev_{number}",
        kind=("NoteAdded", "SegmentClosed", "WordsHeard")[number % 3],
        at_us=(number * 37) % 100,  # out of order, and several at one time
        case_id=("c1", "c2", None)[number % 7 % 3],
        stream_id=("s1", "s2")[number % 5 % 2],
        words=_WORDS[number % 4 % 3],
    )
    for number in range(200)
]
Ask = Callable[[Store, AsyncConnection], Awaitable[None]]


def asked(where: StoreSettings, data: Path, ask: Ask) -> None:
    async def main() -> None:
        async with opened(where, data) as store:
            appender = await Appender.load(store, ManualClock())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                for at in range(0, len(_FACTS), 60):
                    await appender.append(_FACTS[at : at + 60])
                tasks.cancel_scope.cancel()
            async with store.reading() as connection:
                await ask(store, connection)

    anyio.run(main)


def expected(question: Question) -> list[str]:
    found = [
        (fact.at_us, seq, fact.event_id)
        for seq, fact in enumerate(_FACTS)
        if question.case_id in (None, fact.case_id)
        and question.stream_id in (None, fact.stream_id)
        and (not question.kinds or fact.kind in question.kinds)
        and (question.from_us is None or fact.at_us >= question.from_us)
        and (question.to_us is None or fact.at_us < question.to_us)
        and question.words in fact.words
        and (question.after is None or (fact.at_us, seq) > question.after)
    ]
    return [event_id for _, _, event_id in sorted(found)][: question.limit]


@pytest.mark.parametrize(
    "question",
    [
        Question(),
        Question(case_id="c1", limit=1000),
        Question(case_id="c2", kinds=("NoteAdded", "WordsHeard"), from_us=20, to_us=60),
        Question(stream_id="s2", after=(50, 3), limit=17),
        Question(case_id="c1", words="许可", limit=1000),
        Question(words="执法证", kinds=("SegmentClosed",), from_us=10),
        Question(case_id="none"),
        Question(words="没有这个"),
        Question(case_id="c1", after=(98, 10**6), limit=5),
    ],
    ids=str,
)
def test_the_answer_is_what_a_list_in_memory_answers(where: StoreSettings, tmp_path: Path, question: Question) -> None:
    async def ask(store: Store, connection: AsyncConnection) -> None:
        found = await timeline.page(store, connection, question)
        assert [each.fact.event_id for each in found] == expected(question)
        assert all(_FACTS[each.seq] == each.fact for each in found)

    asked(where, tmp_path, ask)


def test_pages_together_are_the_whole(where: StoreSettings, tmp_path: Path) -> None:
    async def ask(store: Store, connection: AsyncConnection) -> None:
        found: list[str] = []
        last: tuple[int, int] | None = None
        while part := await timeline.page(store, connection, Question(case_id="c1", after=last, limit=7)):
            found += [each.fact.event_id for each in part]
            last = part[-1].fact.at_us, part[-1].seq
        assert found == expected(Question(case_id="c1", limit=1000))

    asked(where, tmp_path, ask)


def test_words_and_places_of_the_log(where: StoreSettings, tmp_path: Path) -> None:
    async def ask(store: Store, connection: AsyncConnection) -> None:
        newest = [seq for seq, fact in enumerate(_FACTS) if "证件" in fact.words][::-1]
        found, following = await timeline.search(store, connection, "证件", 10)
        assert [each.seq for each in found] == newest[:10]
        assert following == newest[9]
        assert await timeline.search(store, connection, "?!", 10) == ([], None)
        assert [each.seq for each in await timeline.after(connection, 150, 20)] == list(range(151, 171))
        assert [each.seq for each in await timeline.after(connection, -1, 2)] == [0, 1]
        one = await timeline.one(connection, "ev_7")
        assert one is not None
        assert one.seq == 7
        assert await timeline.one(connection, "ev_none") is None

    asked(where, tmp_path, ask)


@pytest.mark.parametrize("may", [None, 3, 0])
def test_pages_of_a_search_hold_everything_once_also_where_much_is_out_of_reach(
    where: StoreSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may: int | None
) -> None:
    monkeypatch.setattr(timeline, "_MOST_FOUND", 7)  # fewer than there are

    async def reached(places: Sequence[int]) -> frozenset[int]:
        return frozenset(place for place in places if may and place % may == 0)

    async def ask(store: Store, connection: AsyncConnection) -> None:
        newest = [seq for seq, fact in enumerate(_FACTS) if "证件" in fact.words][::-1]
        found: list[int] = []
        pages = 0
        before: dict[str, int] = {}
        while pages < 100:
            page, following = await timeline.search(
                store, connection, "证件", 4, None if may is None else reached, **before
            )
            assert len(page) <= 4
            found += [each.seq for each in page]
            pages += 1
            if following is None:
                break
            before = {"before": following}
        assert found == [seq for seq in newest if may is None or (may and seq % may == 0)]

    asked(where, tmp_path, ask)


def test_what_is_said_often_seldom_or_long_ago_is_found_and_the_newest_of_it_first(
    where: StoreSettings, tmp_path: Path
) -> None:
    """More events than one look at the newest covers."""
    said = ["从前有过", "罕见的话", *["从前有过"] * 19, *["经常说到"] * 5_100]
    facts = [Fact(event_id=f"ev_{n}", kind="WordsHeard", at_us=n, words=words) for n, words in enumerate(said)]

    async def main() -> None:
        async with opened(where, tmp_path) as store:
            appender = await Appender.load(store, ManualClock())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                await appender.append(facts)
                tasks.cancel_scope.cancel()
            async with store.reading() as connection:
                for words, places in (
                    ("经常", range(len(said) - 1, len(said) - 11, -1)),
                    ("从前", range(20, 10, -1)),
                    ("罕见", [1]),
                    ("没有", []),
                ):
                    found, _ = await timeline.search(store, connection, words, 10)
                    assert [each.seq for each in found] == list(places)

    anyio.run(main)
