"""What ends while somebody is searched for: nothing is told of a search that was not allowed any more when it was told.

What a stream may be searched for is read twice a second; whatever ends in between is looked at where it is written.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import anyio
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from cases.casework import case_acts, kinds, recordings
from cases.faces import switch
from cases.faces.shapes import Judged
from cases.faces.suggestions import give_opinion
from cases.facts import Fact
from cases.store.tables import face_suggestions
from pipeline.settings import StoreSettings
from tests.unit.cases.faces.made import FakeSearcher, Site, site

End = Callable[[Site], Awaitable[None]]


class Interrupted(FakeSearcher):
    """Something happens while it searches."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def search(self, set_id: str, vector: bytes, looks: int = 2, quality: float = 1.0) -> Judged:
        found = await super().search(set_id, vector, looks, quality)
        if self.meanwhile is not None:
            await self.meanwhile()
        return found


def run(data: Path, test: Callable[[Site], Awaitable[None]]) -> None:
    async def whole() -> None:
        with anyio.fail_after(120):
            async with site(StoreSettings(), data) as made:
                made.searcher = Interrupted()
                made.matching._searcher = made.searcher
                await made.on()
                await test(made)

    anyio.run(whole)


async def begun(made: Site, *, roster: bool) -> None:
    if roster:
        gallery = await made.gallery(None)
        await made.enrol(gallery, "zhang", officer_id=made.officers[0].officer_id)
    else:
        await made.confirm(await made.enrol(await made.gallery(made.cases[0]), "zhang"))
    made.clock.now_s += 1


async def answer(made: Site, track: int) -> str:
    return (await made.matching.probe(made.probe("zhang", track=track))).answer


async def switched_off(made: Site) -> None:
    await made.appender.change(partial(switch.off, actor=made.actor(), reason="核查结束"))


async def case_closed(made: Site) -> None:
    case = made.cases[0]
    act = partial(case_acts.change_case, case_id=case.case_id, version=case.version, wanted={"state": "closed"})
    await made.appender.change(partial(act, actor=made.actor()))


async def detached(made: Site) -> None:
    link = (await made.facts("RecordingAttached"))[0].body["link_id"]
    act = partial(recordings.detach, case_id=made.cases[0].case_id, link_id=str(link))
    await made.appender.change(partial(act, actor=made.actor()))


async def step_ended(made: Site) -> None:
    step = made.steps[0]
    act = partial(case_acts.end_step, case_id=step.case_id, step_id=step.step_id)
    await made.appender.change(partial(act, actor=made.actor()))


ENDS = [(switched_off, False), (case_closed, False), (detached, False), (switched_off, True), (step_ended, True)]


def told_after(facts: Sequence[Fact], begin: int) -> list[str]:
    return [each.kind for each in facts[begin:] if each.kind in ("FaceSearched", "FaceSuggested")]


@pytest.mark.parametrize(("end", "roster"), ENDS)
def test_no_search_stands_in_the_log_behind_the_end_of_what_allowed_it(tmp_path: Path, end: End, roster: bool) -> None:
    async def test(made: Site) -> None:
        await begun(made, roster=roster)
        assert await answer(made, 1) == "suggested"
        await end(made)
        begin = len(await made.facts())
        assert await answer(made, 2) == "nothing_to_search"
        assert told_after(await made.facts(), begin) == []

    run(tmp_path, test)


@pytest.mark.parametrize(("end", "roster"), ENDS)
def test_nobody_is_suggested_once_what_allowed_the_search_ended_during_it(
    tmp_path: Path, end: End, roster: bool
) -> None:
    async def test(made: Site) -> None:
        await begun(made, roster=roster)
        assert isinstance(made.searcher, Interrupted)
        made.searcher.meanwhile = partial(end, made)
        assert await answer(made, 1) == "nothing_to_search"
        assert [each.kind for each in await made.facts("FaceSuggested")] == []
        assert len(await made.facts("FaceSearched")) == 1, "that it was searched stays in the log"

    run(tmp_path, test)


async def step_begun(made: Site, kind: str = "questioning") -> str:
    act = partial(case_acts.start_step, case_id=made.cases[0].case_id, kind=kind, kinds=kinds.load())
    return (await made.appender.change(partial(act, actor=made.actor()))).step_id


def test_who_was_filmed_before_a_step_began_was_not_seen_in_it(tmp_path: Path) -> None:
    """An old recording that is looked at again while another step runs is no witness of that step."""

    async def test(made: Site) -> None:
        await begun(made, roster=True)
        made.clock.now_s += 3600
        await step_ended(made)
        later = await step_begun(made)
        made.clock.now_s += 1
        assert await answer(made, 1) == "nothing_to_search"
        assert await made.facts("FaceSuggested") == []
        probe = made.probe("zhang")
        now = type(probe)(**{name: getattr(probe, name) for name in probe.__slots__} | {"at_s": 3601.5})
        assert (await made.matching.probe(now)).answer == "suggested"
        assert [each.body["step_id"] for each in await made.facts("FaceSuggested")] == [later]

    run(tmp_path, test)


def test_one_track_answers_for_each_step_apart(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await begun(made, roster=True)
        assert await answer(made, 1) == "suggested"
        await step_ended(made)
        later = await step_begun(made)
        made.clock.now_s += 10
        probe = made.probe("zhang")
        still = type(probe)(**{name: getattr(probe, name) for name in probe.__slots__} | {"at_s": 5.0})
        assert (await made.matching.probe(still)).answer == "suggested"
        for kind in ("FaceSearched", "FaceSuggested"):
            assert [each.body["step_id"] for each in await made.facts(kind)] == [made.steps[0].step_id, later]

    run(tmp_path, test)


def test_tracks_that_were_numbered_anew_are_searches_of_their_own(tmp_path: Path) -> None:
    """A worker that begins anew counts its tracks from one again, in the same stream."""

    async def test(made: Site) -> None:
        await begun(made, roster=False)
        assert await answer(made, 1) == "suggested"
        probe = made.probe("zhang")
        later = {"start_s": 60.0, "at_s": 61.0}
        again = type(probe)(**{name: getattr(probe, name) for name in probe.__slots__} | later)
        for _ in range(2):
            assert (await made.matching.probe(again)).answer == "suggested"
        for kind in ("FaceSearched", "FaceSuggested"):
            assert [each.body["start_s"] for each in await made.facts(kind)] == [1.0, 60.0]

    run(tmp_path, test)


def test_the_filmed_of_each_case_are_to_be_told(tmp_path: Path) -> None:
    """One camera, one roster, two cases: whoever is filmed in the second was told nothing in the first."""

    async def test(made: Site) -> None:
        await begun(made, roster=True)
        assert (await made.matching.watching("st_1")).watching
        await detached(made)
        act = partial(recordings.attach, case_id=made.cases[1].case_id, recording_id="rec_1", step_id=None)
        await made.appender.change(partial(act, actor=made.actor()))
        made.clock.now_s += 1
        assert (await made.matching.watching("st_1")).watching
        told = await made.facts("FaceNoticeDue")
        assert [each.case_id for each in told] == [each.case_id for each in made.cases]

    run(tmp_path, test)


def test_the_picture_that_somebody_judged_stays_the_picture(tmp_path: Path) -> None:
    """Two persons must have looked at the same; a better picture comes too late then."""

    async def test(made: Site) -> None:
        await begun(made, roster=False)
        assert await answer(made, 1) == "suggested"

        async def kept() -> bytes:
            async with made.store.reading() as connection:
                return bytes((await connection.execute(select(face_suggestions.c.sealed_shot))).scalar_one())

        first = await kept()
        assert (await made.matching.probe(made.probe("zhang", shot=b"\xff\xd8better"))).answer == "suggested"
        second = await kept()
        assert second != first
        name = str((await made.facts("FaceSuggested"))[0].body["suggestion_id"])
        for by in ("usr_a", "usr_b"):
            act = partial(give_opinion, vault=made.vault, suggestion_id=name, verdict="same", reason="五官一致")
            await made.appender.change(partial(act, actor=made.actor(by)))
            assert (await made.matching.probe(made.probe("zhang", shot=b"\xff\xd8other"))).answer == "suggested"
            assert await kept() == second

    run(tmp_path, test)


def test_what_cannot_be_destroyed_is_tried_again_and_told_once(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await begun(made, roster=False)
        (gallery_id,) = made.vault.galleries()
        key = made.data / "faces-keys" / gallery_id / "gallery.key"
        moved = key.rename(made.data / "gallery.key")
        key.symlink_to(moved)  # what destroys keys follows no link
        await switched_off(made)
        with capture_logs() as lines:
            for _ in range(4):
                await made.keeper.turn()
        assert [line["log_level"] for line in lines] == ["error"]
        assert await made.facts("GalleryClosed") == [], "nothing is told before it is so"
        assert await answer(made, 1) == "nothing_to_search"
        key.unlink()
        moved.rename(key)
        await made.keeper.turn()
        assert len(await made.facts("GalleryClosed")) == 1
        assert made.vault.galleries() == []

    run(tmp_path, test)
