"""The switch, galleries and persons: what takes two, what ends, and what the database itself refuses."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest
from sqlalchemy import Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from cases.casework import case_acts
from cases.casework.actor import Actor
from cases.casework.case_acts import change_case
from cases.faces import galleries, people, switch
from cases.faces.galleries import GalleryWanted
from cases.faces.matching import Matching
from cases.faces.rows import Gallery
from cases.store.tables import face_galleries, face_switches, face_templates
from pipeline.errors import FaceRefused, OnRecordError, StateConflict, StoreUnavailable, ThingUnknown, ValueRefused
from pipeline.settings import StoreSettings
from tests.unit.cases.faces.made import LAW, FakeSearcher, Site, site


def run(where: StoreSettings, data: Path, test: Callable[[Site], Awaitable[None]]) -> None:
    async def whole() -> None:
        with anyio.fail_after(120):
            async with site(where, data) as made:
                await test(made)

    anyio.run(whole)


async def refused(error: type[OnRecordError], act: Awaitable[object]) -> str:
    with pytest.raises(error) as told:
        await act
    return str(told.value)


def test_faces_are_off_until_two_different_persons_switch_them_on(tmp_path: Path, where: StoreSettings) -> None:
    async def test(made: Site) -> None:
        assert await made.read(switch.current) is None
        await refused(StateConflict, made.gallery(made.cases[0]))
        asked = await made.ask()
        await refused(StateConflict, made.gallery(made.cases[0]))
        approve = partial(switch.approve, switch_id=asked.switch_id)
        said = await refused(StateConflict, made.appender.change(partial(approve, actor=made.actor("usr_sec"))))
        assert "himself" in said
        assert (await made.read(switch.current)).state == "asked"  # type: ignore[union-attr]
        on = await made.appender.change(partial(approve, actor=made.actor("usr_rev")))
        assert on.is_on(made.now_us)
        await refused(StateConflict, made.appender.change(partial(approve, actor=made.actor("usr_other"))))
        await refused(StateConflict, made.ask())
        assert (await made.gallery(made.cases[0])).state == "open"

    run(where, tmp_path, test)


@pytest.mark.parametrize("field", ["legal_basis", "approver", "assessment_id", "reason"])
def test_a_switch_without_what_the_law_asks_for_is_refused(tmp_path: Path, field: str) -> None:
    async def test(made: Site) -> None:
        await refused(ValueRefused, made.ask(told={field: "  "}))
        for days in (-1, 0, 366):
            await refused(ValueRefused, made.ask(days=days))
        assert await made.read(switch.current) is None

    run(StoreSettings(), tmp_path, test)


def test_the_database_itself_holds_the_law(tmp_path: Path, where: StoreSettings) -> None:
    async def test(made: Site) -> None:
        await made.on()
        gallery = await made.gallery(made.cases[0])
        row = {name: getattr(gallery, name) for name in gallery.__slots__} | {"gallery_id": "fgal_x"}
        wrong_galleries: list[dict[str, object]] = [
            {"kind": "watch_list", "case_id": None}, {"kind": "roster"}, {"case_id": None}, {"legal_basis": " "},
            {"notice": ""}, {"state": "hidden"},
        ]  # fmt: skip
        on = await made.read(switch.current)
        assert on is not None
        switched = {name: getattr(on, name) for name in on.__slots__} | {"switch_id": "fsw_x"}
        wrong_switches: list[dict[str, object]] = [
            {"approved_by": on.asked_by}, {"approved_by": None}, {"legal_basis": ""}, {"assessment_id": " "},
            {"state": "always"},
        ]  # fmt: skip
        tries = [insert(face_galleries).values({**row, **each}) for each in wrong_galleries]
        tries += [insert(face_switches).values({**switched, **each}) for each in wrong_switches]
        tries.append(insert(face_galleries).values({**row, "expires_us": None}))
        for wrong in tries:
            with pytest.raises(StoreUnavailable) as told:
                await made.write(wrong)
            assert isinstance(told.value.__cause__, IntegrityError), wrong.compile().params

    run(where, tmp_path, test)


def test_only_the_roster_or_an_open_case_gets_a_gallery_within_the_switchs_time(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await made.on(days=30)
        case = made.cases[0]
        await refused(ValueRefused, made.gallery(case, days=31))
        await refused(ValueRefused, made.gallery(case, days=-1))
        open_ = galleries.open_gallery
        for kind, case_id in (("watch", None), ("case", None), ("roster", case.case_id)):
            wanted = GalleryWanted(
                kind=kind, case_id=case_id, legal_basis=LAW, notice="n", expires_us=made.now_us + 86_400_000_000
            )
            await refused(ValueRefused, made.appender.change(partial(open_, actor=made.actor(), wanted=wanted)))
        await made.gallery(case)
        await refused(StateConflict, made.gallery(case))
        await made.gallery(None)
        await refused(StateConflict, made.gallery(None))
        other = made.cases[1]
        await made.appender.change(
            partial(change_case, actor=made.actor(), case_id=other.case_id, version=1, wanted={"state": "closed"})
        )
        await refused(StateConflict, made.gallery(other))

    run(StoreSettings(), tmp_path, test)


def test_a_person_of_a_case_is_searched_only_once_a_second_person_confirmed(
    tmp_path: Path, where: StoreSettings
) -> None:
    async def test(made: Site) -> None:
        await made.on()
        gallery = await made.gallery(made.cases[0])
        person = await made.enrol(gallery, "zhang")
        assert person.state == "proposed"
        assert (await made.matching.probe(made.probe("zhang~0.1"))).answer == "nothing_to_search"
        assert made.searcher.searched == 1, "only enrolment compared"
        assert "himself" in await refused(StateConflict, made.confirm(person, "usr_lin"))
        assert (await made.confirm(person)).state == "enrolled"
        made.clock.now_s += 1
        assert (await made.matching.probe(made.probe("zhang~0.1"))).answer == "suggested"
        await refused(StateConflict, made.confirm(person, "usr_zhao"))
        await made.enrol(gallery, "li", name="李四")
        assert (await made.matching.probe(made.probe("li~0.1", track=2))).answer == "unknown", "nobody confirmed him"
        again = Matching(made.store, made.appender, made.vault, FakeSearcher(), made.clock)
        assert (await again.probe(made.probe("li~0.1", track=3))).answer == "unknown", "nor after a start"
        more = await made.enrol(gallery, "zhang~0.2", "usr_wang", person_id=person.person_id)
        assert more.person_id == person.person_id
        async with made.store.reading() as connection:
            held = await people.templates_of(connection, person.person_id)
        assert [each.state for each in held] == ["enrolled", "proposed"]
        await refused(StateConflict, made.confirm(person, "usr_wang"))
        await made.confirm(person, "usr_lin")
        assert len(made.searcher.sets[f"{gallery.gallery_id}|sface@1"]) == 2

    run(where, tmp_path, test)


def test_a_refused_person_leaves_nothing_and_neither_does_a_deleted_one(tmp_path: Path, where: StoreSettings) -> None:
    async def test(made: Site) -> None:
        await made.on()
        gallery = await made.gallery(made.cases[0])
        person = await made.enrol(gallery, "zhang")
        act = partial(people.refuse, vault=made.vault, person_id=person.person_id, reason="证件不符")
        assert (await made.appender.change(partial(act, actor=made.actor("usr_wang")))).state == "refused"
        assert await made.read(people.count) == 0
        assert made.vault.persons(gallery.gallery_id) == []
        again = await made.confirm(await made.enrol(gallery, "zhang"))
        act = partial(people.delete, vault=made.vault, person_id=again.person_id, reason="不再需要")
        assert (await made.appender.change(partial(act, actor=made.actor()))).state == "deleted"
        await made.matching.removed(gallery.gallery_id, again.person_id)
        assert await made.read(people.count) == 0
        assert made.vault.persons(gallery.gallery_id) == []
        made.clock.now_s += 1
        assert (await made.matching.probe(made.probe("zhang"))).answer == "nothing_to_search"
        await refused(StateConflict, made.appender.change(partial(act, actor=made.actor())))

    run(where, tmp_path, test)


def test_poor_pictures_and_duplicates_are_refused_with_the_reason_and_nothing_is_stored(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await made.on()
        gallery = await made.gallery(made.cases[0])
        for picture in ("no_face", "several_faces", "blurred"):
            assert picture in await refused(FaceRefused, made.enrol(gallery, picture))
        assert "no number" in await refused(ValueRefused, made.enrol(gallery, "nan"))
        who = people.Who(name="张三", basis="证件")
        two = made.enrolling.enrol(made.actor(), gallery.gallery_id, who, "picture", "photos", [b"zhang", b"li"])
        assert "several_persons" in await refused(FaceRefused, two)
        assert await made.read(people.count) == 0
        assert made.vault.galleries() == []
        zhang = await made.enrol(gallery, "zhang")
        said = await refused(FaceRefused, made.enrol(gallery, "zhang~0.1", name="李四"))
        assert zhang.person_id in said
        assert "duplicate" in said
        await made.confirm(zhang)
        assert zhang.person_id in await refused(FaceRefused, made.enrol(gallery, "zhang~0.1", name="李四"))
        li = await made.confirm(await made.enrol(gallery, "li", name="李四"))
        said = await refused(FaceRefused, made.enrol(gallery, "li~0.1", person_id=zhang.person_id))
        assert li.person_id in said
        assert await made.read(people.count) == 2
        await refused(ThingUnknown, made.enrol(gallery, "wu", person_id="fper_none"))

    run(StoreSettings(), tmp_path, test)


def test_the_roster_takes_officers_alone_and_at_once(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await made.on()
        roster = await made.gallery(None)
        await refused(ValueRefused, made.enrol(roster, "a", name="某人"))
        await refused(ThingUnknown, made.enrol(roster, "a", officer_id="off_none"))
        officer_id = made.officers[0].officer_id
        person = await made.enrol(roster, "a", officer_id=officer_id)
        assert (person.state, person.name) == ("enrolled", made.officers[0].name)
        again = await made.enrol(roster, "a~0.1", officer_id=officer_id)
        assert again.person_id == person.person_id
        case = await made.gallery(made.cases[0])
        await refused(ValueRefused, made.enrol(case, "a", officer_id=officer_id))

    run(StoreSettings(), tmp_path, test)


def test_the_same_idempotency_key_enrols_once(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await made.on()
        gallery = await made.gallery(made.cases[0])
        who, actor = people.Who(name="张三", basis="证件"), Actor("usr_lin", "林", made.now_us, "key 1")
        found = [
            await made.enrolling.enrol(actor, gallery.gallery_id, who, "picture", "photos", [b"zhang"])
            for _ in range(2)
        ]
        assert found[0].person_id == found[1].person_id
        assert await made.read(people.count) == 1
        assert len(await made.facts("PersonProposed")) == 1

    run(StoreSettings(), tmp_path, test)


def test_enrolment_stops_at_the_limit(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        made.most_persons = 2
        await made.on()
        gallery = await made.gallery(made.cases[0])
        zhang = await made.enrol(gallery, "zhang")
        await made.enrol(gallery, "li")
        assert "limit" in await refused(StateConflict, made.enrol(gallery, "wu"))
        await made.confirm(zhang)
        await made.enrol(gallery, "zhang~0.1", person_id=zhang.person_id)
        assert await made.read(people.count) == 2

    run(StoreSettings(), tmp_path, test)


def test_verify_finds_who_changes_a_row_behind_the_logs_back(tmp_path: Path, where: StoreSettings) -> None:
    async def test(made: Site) -> None:
        await made.on()
        gallery = await made.gallery(made.cases[0])
        await made.confirm(await made.enrol(gallery, "zhang"))
        tampered: list[tuple[Table, dict[str, object], dict[str, object]]] = [
            (face_galleries, {"expires_us": gallery.expires_us + 1}, {"expires_us": gallery.expires_us}),
            (face_switches, {"assessment_id": "PIA-0"}, {"assessment_id": "PIA-2026-07"}),
            (face_templates, {"state": "proposed"}, {"state": "enrolled"}),
        ]
        for table, to, back in tampered:
            for values, count in ((to, 1), (back, 0)):
                await made.write(update(table).values(values))
                assert len(await made.defects()) == count, table.name

    run(where, tmp_path, test)


async def _galleries(made: Site) -> list[tuple[str, str]]:
    async with made.store.reading() as connection:
        rows = await connection.execute(select(face_galleries.c.state, face_galleries.c.end_reason))
        return [(row[0], row[1]) for row in rows]


@pytest.mark.parametrize("why", ["expired", "case_closed", "switched_off", "switch_expired"])
def test_what_is_over_is_closed_by_the_keeper_and_matching_stops_with_it(
    tmp_path: Path, where: StoreSettings, why: str
) -> None:
    async def test(made: Site) -> None:
        await made.on(days=1)
        gallery = await made.gallery(made.cases[0], days=0.5)
        await made.confirm(await made.enrol(gallery, "zhang"))
        assert (await made.matching.watching("st_1")).watching
        assert (await made.matching.probe(made.probe("zhang", track=1))).answer == "suggested"
        await made.keeper.turn()
        assert await _galleries(made) == [("open", "")]
        if why == "expired":
            made.clock.now_s += 43_200
        elif why == "switch_expired":
            made.clock.now_s += 86_400
        elif why == "switched_off":
            await made.appender.change(partial(switch.off, actor=made.actor("usr_rev"), reason="评估未复核"))
        else:
            wanted = {"state": "closed"}
            act = partial(case_acts.change_case, case_id=made.cases[0].case_id, version=1, wanted=wanted)
            await made.appender.change(partial(act, actor=made.actor()))
        if why in ("expired", "switch_expired"):
            assert (await made.matching.probe(made.probe("zhang", track=2))).answer == "nothing_to_search"
            assert not (await made.matching.watching("st_1")).watching, "the clock is asked, not the keeper"
        await made.keeper.turn()
        assert await _galleries(made) == [("closed", why.replace("switch_expired", "switched_off"))]
        made.clock.now_s += 1
        assert (await made.matching.probe(made.probe("zhang", track=3))).answer == "nothing_to_search"
        assert made.searcher.sets == {}
        assert await made.read(people.count) == 0
        closed = (await made.facts("GalleryClosed"))[0]
        assert closed.case_id == made.cases[0].case_id
        assert (closed.body["templates"], closed.body["persons"]) == (1, 1)
        assert made.vault.galleries() == []
        if why == "switch_expired":
            assert (await made.facts("FaceSwitchedOff"))[0].body["how"] == "expired"

    run(where, tmp_path, test)


def test_what_a_crash_left_of_keys_is_destroyed_at_the_next_start(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await made.on()
        gallery = await made.gallery(made.cases[0])
        person = await made.confirm(await made.enrol(gallery, "zhang"))
        made.vault.make_key(gallery.gallery_id, "fper_never")
        made.vault.make_key("fgal_gone", "fper_never")
        await made.keeper.sweep()
        assert made.vault.galleries() == [gallery.gallery_id]
        assert made.vault.persons(gallery.gallery_id) == [person.person_id]

    run(StoreSettings(), tmp_path, test)


def test_a_gallery_row_says_when_it_is_in_force() -> None:
    gallery = Gallery("g", "roster", None, "s", "b", "n", 100, "open", "u", "u", 1, None, "")
    assert gallery.is_in_force(99)
    assert not gallery.is_in_force(100)
