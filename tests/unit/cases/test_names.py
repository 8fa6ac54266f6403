"""Names that a speech model is told to expect."""

from functools import partial
from pathlib import Path

from cases import names
from cases.casework import case_acts, people, recordings
from cases.casework.case_acts import CaseWanted
from pipeline.settings import StoreSettings
from tests.unit.cases.test_casework import Desk, at_desk


def test_they_are_those_of_the_cases_a_stream_is_attached_to_and_of_no_other(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(desk: Desk) -> None:
        async def opened(number: str, party: str) -> str:
            wanted = CaseWanted(number=number, kind="food", class_="ordinary", title="案", party=party)
            return (await desk.appender.change(partial(case_acts.open_case, actor=desk.actor(), wanted=wanted))).case_id

        ids = [await opened("1", "惠民超市（个体工商户）"), await opened("2", ""), await opened("3", "别家超市")]
        officer = await desk.appender.change(
            partial(people.add_officer, actor=desk.actor(), name="周启明", certificate_number="1", unit="东城")
        )
        bind = partial(people.bind, device_id="dev_1", officer_id=officer.officer_id)
        await desk.appender.change(partial(bind, actor=desk.actor()))
        await desk.records(1)
        for case_id in ids[:2]:
            attach = partial(recordings.attach, case_id=case_id, recording_id="rec_1", step_id=None)
            await desk.appender.change(partial(attach, actor=desk.actor()))
        for number in range(30):
            member = partial(case_acts.add_member, case_id=ids[1], who=f"usr_{number:02}", name=f"第{number}人")
            await desk.appender.change(partial(member, actor=desk.actor()))
        async with desk.store.reading() as connection:
            found = await names.of_stream(connection, "st_1")
            assert await names.of_stream(connection, "st_2") == ()
        assert found[:3] == ("惠民超市", "周启明", "林晓岚")
        assert len(found) == names.MOST_NAMES
        assert "别家超市" not in found

    at_desk(where, tmp_path, act)
