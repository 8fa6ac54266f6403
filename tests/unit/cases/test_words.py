"""Words of two Chinese characters are found, in both databases; and nothing that only looks alike."""

from pathlib import Path

import anyio
import pytest
from sqlalchemy import text

from cases.appender import Appender
from cases.facts import Fact
from cases.store.words import fts5_phrase, tokens, tsquery
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("请出示营业执照。", ["请", "出", "示", "营", "业", "执", "照"]),
        ("Lot 5号, ＱＲ-code", ["lot", "5", "号", "qr", "code"]),
        ("snake_case ｶﾞ", ["snake", "case", "ガ"]),
        ("!?…", []),
    ],
)
def test_tokens(said: str, found: list[str]) -> None:
    assert tokens(said) == found


def test_a_text_without_end_is_cut_and_a_long_word_divided() -> None:
    assert len(tokens("执" * 50_000)) == 16_000
    assert [len(token) for token in tokens("a" * 450)] == [200, 200, 50]


def test_a_phrase_is_found_and_the_same_characters_apart_are_not(where: StoreSettings, tmp_path: Path) -> None:
    notes = ["请出示营业执照", "执行照明检查", "the licence, please: it's 2026", "'quoted' \"twice\" a:1 \\"]

    async def act() -> None:
        async with opened(where, tmp_path) as store:
            appender = await Appender.load(store, ManualClock())

            async def search(query: str) -> list[int]:
                if store.is_sqlite:
                    asked, words = "SELECT rowid FROM texts WHERE texts MATCH :words ORDER BY rowid", fts5_phrase(query)
                else:
                    asked = "SELECT seq FROM texts WHERE tokens @@ CAST(:words AS tsquery) ORDER BY seq"
                    words = tsquery(query)
                async with store.reading() as connection:
                    return [row[0] for row in await connection.execute(text(asked), {"words": words})]

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                await appender.append(
                    [Fact(event_id=f"e{at}", kind="NoteAdded", at_us=at, words=note) for at, note in enumerate(notes)]
                )
                tasks.cancel_scope.cancel()
            assert await search("执照") == [0]
            assert await search("照明") == [1]
            assert await search("执") == [0, 1]
            assert await search("Licence please") == [2]
            assert await search("please licence") == []
            assert await search("it's") == [2]
            assert await search("quoted\" 'twice") == [3]

    anyio.run(act)
