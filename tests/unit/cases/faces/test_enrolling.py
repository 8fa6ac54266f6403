"""Whose face stands behind a name: no second face under it, no search by way of enrolment that leaves no trace."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from cases.faces.people import Moment, Who
from cases.faces.rows import Gallery
from pipeline.errors import FaceRefused
from pipeline.settings import StoreSettings
from tests.unit.cases.faces.made import Site, site


def run(data: Path, test: Callable[[Site, Gallery], Awaitable[None]]) -> None:
    async def whole() -> None:
        with anyio.fail_after(120):
            async with site(StoreSettings(), data) as made:
                await made.on()
                await test(made, await made.gallery(made.cases[0]))

    anyio.run(whole)


@pytest.mark.parametrize("confirmed", [True, False])
def test_another_face_is_not_put_behind_a_name_that_somebody_confirms(tmp_path: Path, confirmed: bool) -> None:
    """Or whoever enrols could have a stranger looked for, under the name and the picture of a party."""

    async def test(made: Site, gallery: Gallery) -> None:
        person = await made.enrol(gallery, "zhang")
        if confirmed:
            await made.confirm(person)
        with pytest.raises(FaceRefused) as told:
            await made.enrol(gallery, "stranger", person_id=person.person_id)
        assert told.value.code == "several_persons"
        more = await made.enrol(gallery, "zhang~0.2", person_id=person.person_id)
        assert more.person_id == person.person_id, "another picture of the same face is welcome"
        await made.confirm(person)
        made.clock.now_s += 1
        assert (await made.matching.probe(made.probe("stranger"))).answer == "unknown"
        assert (await made.matching.probe(made.probe("zhang", track=2))).answer == "suggested"

    run(tmp_path, test)


def test_who_learns_by_enrolling_that_a_face_is_somebodys_is_in_the_log(tmp_path: Path) -> None:
    async def test(made: Site, gallery: Gallery) -> None:
        person = await made.confirm(await made.enrol(gallery, "zhang"))
        with pytest.raises(FaceRefused) as told:
            await made.enrol(gallery, "zhang~0.1", by="usr_zhao", name="某人", basis="想知道是谁")
        assert told.value.code == "duplicate"
        (fact,) = await made.facts("EnrolmentRefused")
        assert (fact.by, fact.case_id) == ("usr_zhao", made.cases[0].case_id)
        assert (fact.body["reason"], fact.body["basis"]) == ("duplicate", "想知道是谁")
        assert person.person_id in str(fact.body["detail"])
        assert "某人" not in str(dict(fact.body)), "who is not enrolled is not named"

    run(tmp_path, test)


def test_what_a_person_was_enrolled_from_is_in_the_log(tmp_path: Path) -> None:
    """The files by their hashes; of a recording, the moment and the approval that let it be looked at."""

    async def test(made: Site, gallery: Gallery) -> None:
        await made.enrol(gallery, "zhang")
        await made.enrolling.enrol(
            made.actor(), gallery.gallery_id, Who(name="李四", basis="本案当事人"), "video", "moment", [b"li"],
            Moment("rec_1", 12.0, 15.5, "apr_1"),
        )  # fmt: skip
        sent, moment = (fact.body for fact in await made.facts("PersonProposed"))
        assert (sent["made_of"], sent["sent"]) == ("photos", [hashlib.sha256(b"zhang").hexdigest()])
        assert "media" not in sent
        assert (moment["made_of"], moment["approval_id"]) == ("moment", "apr_1")
        assert moment["media"] == {"recording_id": "rec_1", "start_s": 12.0, "end_s": 15.5}

    run(tmp_path, test)
