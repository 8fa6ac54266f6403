"""Another embedder: templates are made anew from sealed pictures, each whole or not at all; what cannot be is told."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest
from sqlalchemy import select, update

from cases.faces import people, renewing, switch
from cases.faces.people import crop_name, vector_name
from cases.faces.renewing import heir_of
from cases.faces.rows import Gallery, Person, Template
from cases.store.tables import face_templates
from pipeline.errors import StateConflict, StorageError, ThingUnknown
from pipeline.settings import StoreSettings
from tests.unit.cases.faces.made import Site, digest_of, face, site

NEW = "arcface@2"


def run(where: StoreSettings, data: Path, test: Callable[[Site, Gallery], Awaitable[None]]) -> None:
    async def whole() -> None:
        with anyio.fail_after(120):
            async with site(where, data) as made:
                await made.on()
                await test(made, await made.gallery(made.cases[0]))

    anyio.run(whole)


async def held(made: Site, person: Person) -> list[Template]:
    async with made.store.reading() as connection:
        return await people.templates_of(connection, person.person_id)


async def sealed(made: Site, template_id: str) -> tuple[bytes, bytes]:
    of_it = face_templates.c
    asked = select(of_it.sealed_vector, of_it.sealed_crop).where(of_it.template_id == template_id)
    async with made.store.reading() as connection:
        row = (await connection.execute(asked)).one()
    return bytes(row[0]), bytes(row[1])


def test_a_template_is_made_anew_from_its_picture_and_the_old_one_is_destroyed(
    tmp_path: Path, where: StoreSettings
) -> None:
    async def test(made: Site, gallery: Gallery) -> None:
        person = await made.confirm(await made.enrol(gallery, "zhang"))
        (old,) = await held(made, person)
        stolen, old_crop = await sealed(made, old.template_id)
        made.enrolment.model = NEW
        made.clock.now_s += 1
        assert (await made.matching.probe(made.probe("zhang~0.1"))).answer == "nothing_to_search"
        done = await made.renewing.renew(made.actor("usr_wang"), gallery.gallery_id, NEW)
        assert (done.renewed, done.refused, done.next_after, done.left) == (1, (), "", 0)
        (new,) = await held(made, person)
        assert new.template_id != old.template_id
        assert (new.model, new.state) == (NEW, "enrolled")
        assert (new.added_by, new.added_us, new.quality) == (old.added_by, old.added_us, old.quality)
        key = gallery.gallery_id, person.person_id
        vector, crop = await sealed(made, new.template_id)
        assert made.vault.open(*key, vector_name(new.template_id), vector) == face("zhang")
        assert made.vault.open(*key, crop_name(new.template_id), crop).endswith(b"crop of zhang")
        for name, raw in ((vector_name(old.template_id), stolen), (crop_name(old.template_id), old_crop)):
            with pytest.raises(ThingUnknown):
                made.vault.open(*key, name, raw)
        assert made.vault.owned(gallery.gallery_id) == [(person.person_id, new.template_id)]
        made.clock.now_s += 1
        assert (await made.matching.probe(made.probe("zhang~0.1", track=2))).answer == "suggested"
        (told,) = await made.facts("TemplateRenewed")
        assert (told.by, told.case_id, told.body["of"]) == ("usr_wang", made.cases[0].case_id, old.template_id)
        again = await made.renewing.renew(made.actor(), gallery.gallery_id, NEW)
        assert (again.renewed, again.left) == (0, 0)
        made.enrolment.model = "third@1"
        await made.renewing.renew(made.actor(), gallery.gallery_id, "third@1")
        (last,) = await held(made, person)
        for each in (old, new, last):
            assert await made.read(partial(heir_of, template_id=each.template_id)) == last.template_id

    run(where, tmp_path, test)


def test_what_cannot_be_made_anew_is_told_by_template_and_reason_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewing, "MOST_AT_ONCE", 9)

    async def test(made: Site, gallery: Gallery) -> None:
        names = {"zhang": "张三", "li": "李四", "wu": "吴五", "zhao": "赵六", "sun": "孙七"}
        persons = {who: await made.confirm(await made.enrol(gallery, who, name=name)) for who, name in names.items()}
        of = {who: (await held(made, person))[0].template_id for who, person in persons.items()}
        made.vault.shred_one(gallery.gallery_id, persons["li"].person_id, of["li"])
        same = face_templates.c.template_id == of["wu"]
        await made.write(update(face_templates).where(same).values(sealed_crop=b"changed behind the log's back"))
        made.enrolment.model, made.enrolment.broken = NEW, {"zhao"}
        made.enrolment.alike = {"sun": "zhang"} if of["zhang"] < of["sun"] else {"zhang": "sun"}
        twin = next(iter(made.enrolment.alike))
        done = await made.renewing.renew(made.actor(), gallery.gallery_id, NEW)
        assert done.renewed == 1
        assert {each.template_id: (each.reason, each.name) for each in done.refused} == {
            of["li"]: ("no_key", "李四"), of["wu"]: ("damaged", "吴五"), of["zhao"]: ("unreadable", "赵六"),
            of[twin]: ("duplicate", names[twin]),
        }  # fmt: skip
        for who in ("li", "wu", "zhao", twin):
            assert [each.template_id for each in await held(made, persons[who])] == [of[who]], "it stays as it is"
        told = {str(fact.body["template_id"]): fact.body["reason"] for fact in await made.facts("TemplateNotRenewed")}
        assert told == {each.template_id: each.reason for each in done.refused}

    run(StoreSettings(), tmp_path, test)


def test_a_disk_that_fails_in_between_leaves_the_old_template_whole(tmp_path: Path) -> None:
    async def test(made: Site, gallery: Gallery) -> None:
        person = await made.confirm(await made.enrol(gallery, "zhang"))
        (old,) = await held(made, person)
        made.enrolment.model = NEW
        seal, tries = made.vault.seal, iter(range(9))

        def full(gallery_id: str, person_id: str, name: str, plain: bytes) -> bytes:
            if next(tries) == 1:
                raise StorageError("no space is left")
            return seal(gallery_id, person_id, name, plain)

        made.vault.seal = full  # type: ignore[method-assign]
        with pytest.raises(StorageError):
            await made.renewing.renew(made.actor(), gallery.gallery_id, NEW)
        assert await held(made, person) == [old]
        vector, _ = await sealed(made, old.template_id)
        key = gallery.gallery_id, person.person_id
        assert made.vault.open(*key, vector_name(old.template_id), vector) == face("zhang")
        made.vault.seal = seal  # type: ignore[method-assign]
        await made.keeper.sweep()
        assert made.vault.owned(gallery.gallery_id) == [(person.person_id, old.template_id)], "half a new one is swept"
        assert (await made.renewing.renew(made.actor(), gallery.gallery_id, NEW)).renewed == 1

    run(StoreSettings(), tmp_path, test)


def test_some_are_made_anew_in_a_call_and_the_next_goes_on_behind_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewing, "MOST_AT_ONCE", 2)

    async def test(made: Site, gallery: Gallery) -> None:
        for who in ("zhang", "li", "wu"):
            await made.confirm(await made.enrol(gallery, who, name=who))
        made.enrolment.model, made.enrolment.broken = NEW, {"zhang", "li", "wu"}
        first = await made.renewing.renew(made.actor(), gallery.gallery_id, NEW)
        assert (first.renewed, len(first.refused), first.left) == (0, 2, 1)
        last = await made.renewing.renew(made.actor(), gallery.gallery_id, NEW, first.next_after)
        assert (last.renewed, len(last.refused), last.left, last.next_after) == (0, 1, 0, "")

    run(StoreSettings(), tmp_path, test)


def test_what_waits_for_a_second_person_still_waits_and_nothing_is_made_anew_while_faces_are_off(
    tmp_path: Path,
) -> None:
    async def test(made: Site, gallery: Gallery) -> None:
        person = await made.enrol(gallery, "zhang")
        made.enrolment.model = NEW
        assert (await made.renewing.renew(made.actor("usr_wang"), gallery.gallery_id, NEW)).renewed == 1
        assert [(each.state, each.added_by) for each in await held(made, person)] == [("proposed", "usr_lin")]
        with pytest.raises(StateConflict):
            await made.confirm(person, "usr_lin")
        await made.confirm(person, "usr_wang")
        made.enrolment.model = "sface@1"
        await made.appender.change(partial(switch.off, actor=made.actor("usr_rev"), reason="评估到期"))
        before, asked = digest_of(made.data / "faces-keys"), made.enrolment.asked
        with pytest.raises(StateConflict):
            await made.renewing.renew(made.actor(), gallery.gallery_id, "sface@1")
        assert digest_of(made.data / "faces-keys") == before
        assert made.enrolment.asked == asked, "no picture was opened"

    run(StoreSettings(), tmp_path, test)


def test_a_person_who_is_deleted_meanwhile_comes_not_back(tmp_path: Path) -> None:
    async def test(made: Site, gallery: Gallery) -> None:
        person = await made.confirm(await made.enrol(gallery, "zhang"))
        made.enrolment.model = NEW
        enrol = made.enrolment.enrol

        async def slow(kind: str, data: bytes) -> object:
            if kind == "crop":
                act = partial(people.delete, vault=made.vault, person_id=person.person_id, reason="误录")
                await made.appender.change(partial(act, actor=made.actor()))
            return await enrol(kind, data)

        made.enrolment.enrol = slow  # type: ignore[assignment,method-assign]
        done = await made.renewing.renew(made.actor(), gallery.gallery_id, NEW)
        assert (done.renewed, done.refused) == (0, ())
        assert await held(made, person) == []
        assert made.vault.owned(gallery.gallery_id) == []

    run(StoreSettings(), tmp_path, test)


def test_a_stream_is_not_looked_at_with_a_model_that_made_no_template(tmp_path: Path) -> None:
    async def test(made: Site, gallery: Gallery) -> None:
        await made.confirm(await made.enrol(gallery, "zhang"))
        assert (await made.matching.watching("st_1")).watching
        assert (await made.matching.watching("st_1", "sface@1")).watching
        other = await made.matching.watching("st_1", NEW)
        assert (other.watching, other.why) == (False, "other_model")
        made.enrolment.model = NEW
        answer = await made.matching.probe(made.probe("zhang"))
        assert (answer.answer, answer.until) == ("nothing_to_search", "other_model")
        assert await made.facts("FaceSearched") == []
        await made.renewing.renew(made.actor(), gallery.gallery_id, NEW)
        assert (await made.matching.watching("st_1", NEW)).watching
        old = await made.matching.watching("st_1", "sface@1")
        assert (old.watching, old.why) == (False, "other_model")

    run(StoreSettings(), tmp_path, test)
