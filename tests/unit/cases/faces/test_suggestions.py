"""Two persons, each alone and blind to the other: what is hidden, what decides, and what is kept of it."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest
from sqlalchemy import select, update

from cases.faces import people, suggestions
from cases.faces.rows import Suggestion
from cases.faces.suggestions import give_opinion, opinions_of, shown_to, the_suggestion
from cases.store.tables import face_opinions, face_suggestions
from pipeline.errors import StateConflict, ValueRefused
from pipeline.settings import StoreSettings
from tests.unit.cases.faces.made import Site, site


def run(where: StoreSettings, data: Path, test: Callable[[Site, str], Awaitable[None]]) -> None:
    """test: with the id of a suggestion."""

    async def whole() -> None:
        with anyio.fail_after(120):
            async with site(where, data) as made:
                await made.on()
                gallery = await made.gallery(made.cases[0])
                await made.confirm(await made.enrol(gallery, "zhang"))
                made.clock.now_s += 1
                assert (await made.matching.probe(made.probe("zhang~0.1"))).answer == "suggested"
                told = (await made.facts("FaceSuggested"))[0]
                await test(made, str(told.body["suggestion_id"]))

    anyio.run(whole)


async def says(made: Site, name: str, by: str, verdict: str) -> Suggestion:
    act = partial(give_opinion, vault=made.vault, suggestion_id=name, verdict=verdict, reason=f"因为{by}")
    return await made.appender.change(partial(act, actor=made.actor(by)))


async def shown(made: Site, name: str, by: str) -> list[str]:
    async with made.store.reading() as connection:
        found = await the_suggestion(connection, name)
        return [each.verdict for each in shown_to(by, found, await opinions_of(connection, name))]


def test_two_who_say_the_same_confirm_and_neither_saw_the_other(tmp_path: Path, where: StoreSettings) -> None:
    async def test(made: Site, name: str) -> None:
        assert (await says(made, name, "usr_a", "same")).state == "open"
        assert await shown(made, name, "usr_b") == []
        assert await shown(made, name, "usr_a") == ["same"]
        given = (await made.facts("FaceOpinionGiven"))[0]
        assert "same" not in str(dict(given.body))
        assert "因为" not in str(dict(given.body))
        with pytest.raises(StateConflict):
            await says(made, name, "usr_a", "same")
        assert (await says(made, name, "usr_b", "same")).state == "confirmed"
        assert await shown(made, name, "usr_c") == ["same", "same"]
        confirmed = (await made.facts("FaceConfirmed"))[0]
        assert (confirmed.case_id, confirmed.body["name"]) == (made.cases[0].case_id, "张三")
        opinions = confirmed.body["opinions"]
        assert isinstance(opinions, list)
        assert [each["by"] for each in opinions if isinstance(each, dict)] == ["usr_a", "usr_b"]
        with pytest.raises(StateConflict):
            await says(made, name, "usr_c", "different")

    run(where, tmp_path, test)


def test_two_who_differ_split_and_a_third_decides(tmp_path: Path) -> None:
    async def test(made: Site, name: str) -> None:
        await says(made, name, "usr_a", "same")
        assert (await says(made, name, "usr_b", "different")).state == "split"
        assert await shown(made, name, "usr_c") == []
        assert await shown(made, name, "usr_a") == ["same"]
        assert (await says(made, name, "usr_c", "cannot_tell")).state == "split"
        assert (await says(made, name, "usr_d", "different")).state == "rejected"
        assert len(await made.facts("FaceRejected")) == 1

    run(StoreSettings(), tmp_path, test)


def test_a_rejection_counts_against_the_bound_and_the_strangers_face_is_gone(
    tmp_path: Path, where: StoreSettings
) -> None:
    async def test(made: Site, name: str) -> None:
        await says(made, name, "usr_a", "different")
        assert (await says(made, name, "usr_b", "different")).state == "rejected"
        async with made.store.reading() as connection:
            counted = await suggestions.record(connection)
            sealed = (await connection.execute(select(face_suggestions.c.sealed_shot))).scalar()
        assert [(each.model, each.threshold, each.suggested, each.confirmed, each.rejected) for each in counted] == [
            ("sface@1", 0.5, 1, 0, 1)
        ]
        assert sealed is None
        made.clock.now_s += 1
        assert (await made.matching.probe(made.probe("zhang"))).answer == "suggested"
        async with made.store.reading() as connection:
            assert (await the_suggestion(connection, name)).has_shot is False, "a better look of a stranger neither"

    run(where, tmp_path, test)


def test_cannot_tell_decides_nothing_and_a_wrong_word_is_refused(tmp_path: Path) -> None:
    async def test(made: Site, name: str) -> None:
        for by in ("usr_a", "usr_b"):
            assert (await says(made, name, by, "cannot_tell")).state == "open"
        for verdict in ("", "yes", "SAME"):
            with pytest.raises(ValueRefused):
                await says(made, name, "usr_c", verdict)
        act = partial(give_opinion, vault=made.vault, suggestion_id=name, verdict="same", reason="  ")
        with pytest.raises(ValueRefused):
            await made.appender.change(partial(act, actor=made.actor("usr_c")))

    run(StoreSettings(), tmp_path, test)


def test_an_opinion_that_is_changed_afterwards_is_found(tmp_path: Path, where: StoreSettings) -> None:
    async def test(made: Site, name: str) -> None:
        await says(made, name, "usr_a", "same")
        await says(made, name, "usr_b", "same")
        for values in ({"verdict": "different"}, {"reason": "x"}, {"commitment": "0"}):
            async with made.store.reading() as connection:
                before = (await opinions_of(connection, name))[0]
            mine = face_opinions.c.by == before.by
            await made.write(update(face_opinions).where(mine).values(**values))
            assert len(await made.defects()) == 1, values
            back = {key: getattr(before, key) for key in values}
            await made.write(update(face_opinions).where(mine).values(**back))

    run(where, tmp_path, test)


def test_with_the_person_what_waits_is_withdrawn_and_its_pictures_are_gone(tmp_path: Path) -> None:
    async def test(made: Site, name: str) -> None:
        async with made.store.reading() as connection:
            person_id = (await the_suggestion(connection, name)).person_id
        act = partial(people.delete, vault=made.vault, person_id=person_id, reason="认错人")
        await made.appender.change(partial(act, actor=made.actor()))
        async with made.store.reading() as connection:
            found = await the_suggestion(connection, name)
        assert (found.state, found.has_shot) == ("withdrawn", False)

    run(StoreSettings(), tmp_path, test)
