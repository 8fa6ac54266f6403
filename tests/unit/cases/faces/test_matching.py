"""What is searched in which stream, what is told of it, and what is not kept."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest
from sqlalchemy import select, update

from cases.casework import case_acts, people, recordings
from cases.faces.faces import Faces
from cases.store.tables import face_suggestions
from cases.store.tables import recordings as recordings_table
from pipeline.errors import StoreUnavailable, ValueRefused, WorkerFailed
from pipeline.settings import FacesSettings, StoreSettings
from tests.unit.cases.faces.made import LAW, Site, digest_of, face, site


def run(where: StoreSettings, data: Path, test: Callable[[Site], Awaitable[None]]) -> None:
    async def whole() -> None:
        with anyio.fail_after(120):
            async with site(where, data) as made:
                await test(made)

    anyio.run(whole)


async def begun(made: Site, *names: str) -> str:
    """The id of the first case's gallery, with these enrolled."""
    await made.on()
    gallery = await made.gallery(made.cases[0])
    for name in names or ("zhang",):
        await made.confirm(await made.enrol(gallery, name, name=name))
    made.clock.now_s += 1
    return gallery.gallery_id


async def answer(made: Site, picture: str, stream: str = "1", track: int = 1) -> str:
    return (await made.matching.probe(made.probe(picture, stream, track))).answer


def test_a_search_is_in_the_log_with_case_and_reason_before_its_answer(tmp_path: Path, where: StoreSettings) -> None:
    async def test(made: Site) -> None:
        gallery_id = await begun(made)
        assert await answer(made, "stranger") == "unknown"
        searched = await made.facts("FaceSearched")
        assert [each.case_id for each in searched] == [made.cases[0].case_id]
        body = searched[0].body
        assert (body["gallery_id"], body["step_id"]) == (gallery_id, made.steps[0].step_id)
        assert LAW in str(body["reason"])
        assert await answer(made, "stranger~0.1") == "unknown"
        assert len(await made.facts("FaceSearched")) == 1, "once for a track"
        assert await answer(made, "stranger", track=2) == "unknown"
        assert len(await made.facts("FaceSearched")) == 2

    run(where, tmp_path, test)


def test_nothing_of_a_stranger_reaches_the_disk(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await begun(made)
        assert await answer(made, "someone", track=1) == "unknown"
        before = digest_of(made.data)
        for _ in range(3):
            assert await answer(made, "stranger", track=1) == "unknown"
        assert digest_of(made.data) == before
        raw = b"".join(path.read_bytes() for path in made.data.rglob("*") if path.is_file())
        assert face("stranger")[:16] not in raw
        assert b"\xff\xd8shot" not in raw

    run(StoreSettings(), tmp_path, test)


def test_a_match_is_suggested_once_a_track_and_person_on_the_cases_timeline(
    tmp_path: Path, where: StoreSettings
) -> None:
    async def test(made: Site) -> None:
        await begun(made, "zhang", "li")
        for _ in range(3):
            assert await answer(made, "zhang~0.2") == "suggested"
        assert await answer(made, "zhang", track=2) == "suggested"
        assert await answer(made, "li", track=2) == "suggested"
        told = await made.facts("FaceSuggested")
        assert [each.body["name"] for each in told] == ["zhang", "zhang", "li"]
        first = told[0]
        assert (first.case_id, first.stream_id) == (made.cases[0].case_id, "st_1")
        assert (first.body["one_in"], first.body["basis"], first.body["model"]) == (10_000, "measured", "sface@1")
        assert first.body["media"] == {"recording_id": "rec_1", "start_s": 0.0, "end_s": 5.0}
        assert 0.5 < float(str(first.body["similarity"])) < 1
        async with made.store.reading() as connection:
            rows = list(await connection.execute(select(face_suggestions.c.sealed_shot)))
        assert len(rows) == 3
        assert all(b"shot" not in bytes(row[0]) for row in rows)

    run(where, tmp_path, test)


def test_a_case_is_searched_in_its_own_streams_alone(tmp_path: Path, where: StoreSettings) -> None:
    async def test(made: Site) -> None:
        await begun(made)
        assert await answer(made, "zhang", "2") == "nothing_to_search"
        assert not (await made.matching.watching("st_2")).watching
        assert (await made.matching.watching("st_1")).watching
        officer = made.officers[1].officer_id
        await made.write(
            update(recordings_table).where(recordings_table.c.recording_id == "rec_2").values(officer_id=officer)
        )
        begin = partial(people.start_task, officer_id=officer, case_id=made.cases[0].case_id, step_id=None)
        await made.appender.change(partial(begin, actor=made.actor()))
        made.clock.now_s += 1
        assert await answer(made, "zhang", "2") == "suggested", "its officer is at the case now"
        await made.write(
            update(recordings_table).where(recordings_table.c.recording_id == "rec_2").values(officer_id=None)
        )

    run(where, tmp_path, test)


def test_the_roster_is_searched_while_a_step_of_the_streams_case_runs(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await made.on()
        roster = await made.gallery(None)
        for number, officer in enumerate(made.officers):
            await made.enrol(roster, f"officer {number}", officer_id=officer.officer_id)
        made.clock.now_s += 1
        assert await answer(made, "officer 0", "2") == "nothing_to_search", "the stream is of no case"
        assert await answer(made, "officer 0", "1") == "suggested"
        step = made.steps[0]

        assert await answer(made, "officer 1", "1", 2) == "suggested"
        told = await made.facts("FaceSuggested")
        assert [each.body["officer_id"] for each in told] == [each.officer_id for each in made.officers]
        assert {each.body["step_id"] for each in told} == {step.step_id}
        end = partial(case_acts.end_step, case_id=step.case_id, step_id=step.step_id)
        await made.appender.change(partial(end, actor=made.actor()))
        made.clock.now_s += 1
        assert await answer(made, "officer 0", "1", 3) == "nothing_to_search"

    run(StoreSettings(), tmp_path, test)


def test_the_filmed_are_to_be_told_once_a_stream(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        gallery_id = await begun(made)
        for _ in range(3):
            made.clock.now_s += 1
            assert (await made.matching.watching("st_1")).watching
        told = await made.facts("FaceNoticeDue")
        assert [(each.stream_id, each.body["gallery_id"]) for each in told] == [("st_1", gallery_id)]
        assert "比对人脸" in str(told[0].body["notice"])

    run(StoreSettings(), tmp_path, test)


def test_vectors_that_are_none_or_of_another_size_are_refused(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await begun(made)
        good = made.probe("zhang")
        nan, endless = b"\x00\x00\xc0\x7f" * 64, b"\x00\x00\x80\x7f" * 64
        wrong = [b"", b"abc", face("a")[:-4], face("a") * 2, nan, endless, bytes(256)]
        for vector in wrong:
            bad = type(good)(**{name: getattr(good, name) for name in good.__slots__} | {"vector": vector})
            with pytest.raises(ValueRefused):
                await made.matching.probe(bad)
        assert await made.facts("FaceSuggested") == []

    run(StoreSettings(), tmp_path, test)


def test_templates_of_another_model_are_not_compared(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await begun(made)
        made.enrolment.model = "arcface@1"
        assert await answer(made, "zhang") == "nothing_to_search"
        assert await made.facts("FaceSearched") == [], "nothing was searched"

    run(StoreSettings(), tmp_path, test)


def test_a_search_that_died_is_loaded_anew(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await begun(made)
        assert await answer(made, "zhang") == "suggested"
        made.searcher.is_broken = True
        with pytest.raises(WorkerFailed):
            await answer(made, "zhang")
        assert await answer(made, "zhang", track=2) == "suggested"

    run(StoreSettings(), tmp_path, test)


def test_a_detached_stream_is_no_longer_searched(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await begun(made)
        before = await made.matching.watching("st_1")
        link = (await made.facts("RecordingAttached"))[0].body["link_id"]
        act = partial(recordings.detach, case_id=made.cases[0].case_id, link_id=str(link))
        await made.appender.change(partial(act, actor=made.actor()))
        made.clock.now_s += 1
        after = await made.matching.watching("st_1")
        assert before.watching
        assert not after.watching
        assert after.why == "no_gallery"

    run(StoreSettings(), tmp_path, test)


def test_the_end_is_held_against_the_clock_in_each_call_and_not_by_what_was_read_before(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await made.on(days=30)
        gallery = await made.gallery(made.cases[0], days=1)
        await made.confirm(await made.enrol(gallery, "zhang"))
        made.clock.now_s += gallery.expires_us / 1e6 - made.clock.utc_s() - 0.1
        assert await answer(made, "zhang") == "suggested"
        made.clock.now_s += 0.2
        assert await answer(made, "zhang", track=2) == "nothing_to_search"
        found = await made.matching.watching("st_1", made.enrolment.model)
        assert (found.watching, found.why) == (False, "expired")

    run(StoreSettings(), tmp_path, test)


def test_while_the_record_is_closed_nothing_is_held_in_the_open(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await begun(made)
        faces = Faces(FacesSettings(), made.data, made.clock, made.searcher, made.enrolment)
        with pytest.raises(StoreUnavailable):
            _ = faces.matching
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(faces.run, made.store, made.appender)
            with anyio.fail_after(10):
                while faces.count == 0:
                    await anyio.sleep(0.01)
            assert (await faces.matching.probe(made.probe("zhang"))).answer == "suggested"
            assert made.searcher.sets
            tasks.cancel_scope.cancel()
        assert made.searcher.sets == {}
        assert faces.count == 0
        assert (faces.alarm, faces.settings.most_persons) == (80_000, 100_000)

    run(StoreSettings(), tmp_path, test)
