"""Whole uploads into the record: steps that are repeated, recorders that fail, cases that were closed meanwhile."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import anyio
import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Appender
from cases.casework import approvals, attaching, case_acts
from cases.casework.actor import Actor
from cases.casework.approvals import Wanted
from cases.casework.case_acts import CaseWanted, ItemWanted
from cases.casework.rows import Case
from cases.facts import Fact, fact_of
from cases.record import Record
from cases.store.engine import Store
from cases.store.tables import clips, events, items, uploads
from cases.uploads import kept
from cases.uploads.desk import Uploads
from cases.uploads.parts import DUPLICATE, REFUSED, TAKEN, Parts, Upload
from cases.uploads.taking import Recorded, Taking
from pipeline.errors import WorkerFailed
from pipeline.events import RecordingStarted, StreamStarted
from pipeline.settings import StoreSettings, UploadSettings
from tests.made import ManualClock
from tests.stores import opened
from tests.unit.cases.uploads.test_desk import pieces, upload

VIDEO = b"\0\0\0\x18ftypisom" + bytes(500)
PHOTO = b"\x89PNG\r\n\x1a\n" + bytes(500)
NOW_US = 1_700_000_000_000_000


@dataclass
class Open:
    """What `Taking` asks of a record."""

    store: Store
    appender: Appender

    @property
    def open(self) -> "Open":
        return self

    async def wait_open(self) -> "Open":
        return self


class Site:
    """A case, a desk and a taker over it. answers: what the recorder says, or raises; each once, the last for ever."""

    def __init__(self, data: Path, store: Store, appender: Appender) -> None:
        self.data, self.store, self.appender = data, store, appender
        self.parts = Parts(data / "uploads")
        self.desk = Uploads(self.parts, UploadSettings(), ManualClock(), 0)
        self.answers: list[Recorded | Exception] = []
        self.asked = 0
        record = cast("Record", Open(store, appender))
        self.taking = Taking(data, self.desk, self.parts, record, ManualClock(), self.record_file)
        self.case: Case | None = None

    async def record_file(self, _path: Path, _upload: Upload) -> Recorded:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send(self, number: int, data: bytes, **more: object) -> Upload:
        assert self.case is not None
        fields = {"case_id": self.case.case_id, "created_us": NOW_US, **more}
        made = await self.desk.create(upload(number, len(data), **fields), 0)
        await self.desk.append(made, 0, pieces(data), None)
        return made

    async def rows(self) -> int:
        async with self.store.reading() as connection:
            return len((await connection.execute(select(uploads.c.upload_id))).all())

    async def kinds(self) -> list[str]:
        async with self.store.reading() as connection:
            asked = select(events.c.kind).order_by(events.c.seq)
            return [row[0] for row in await connection.execute(asked)]


def run(data: Path, test: Callable[[Site], Awaitable[None]]) -> None:
    async def main() -> None:
        async with opened(StoreSettings(), data) as store:
            appender = await Appender.load(store, ManualClock(), [attaching.Attaching()])
            site = Site(data, store, appender)
            await site.desk.load()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                wanted = CaseWanted(number="1", kind="food", class_="ordinary", title="案", party="")
                site.case = await appender.change(
                    partial(case_acts.open_case, actor=Actor("usr_1", "林", NOW_US), wanted=wanted)
                )
                tasks.start_soon(site.taking.run)
                await test(site)
                tasks.cancel_scope.cancel()

    anyio.run(main)


async def settled(made: Upload, within_s: float = 20) -> None:
    with anyio.fail_after(within_s):
        while made.state not in (TAKEN, DUPLICATE, REFUSED):
            await anyio.sleep(0.02)


async def told(site: Site, recording_id: str) -> None:
    names = {"stream_id": f"st_{recording_id}", "device_id": "upload"}
    started = RecordingStarted(at=NOW_US / 1e6, recording_id=recording_id, unit="", **names)
    await site.appender.append([fact_of(StreamStarted(at=NOW_US / 1e6, **names)), fact_of(started)])


def test_a_film_waits_for_its_recording_and_is_told_once_though_the_last_step_is_repeated(tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        site.answers = [Recorded("rec_1", 8.0, 0.0, "")]
        made = await site.send(1, VIDEO)
        await anyio.sleep(0.3)
        assert made.state == "taking", "the log does not know the recording yet"
        await told(site, "rec_1")
        await settled(made)
        assert (made.state, made.recording_id) == (TAKEN, "rec_1")
        kinds = await site.kinds()
        assert kinds.count("UploadReceived") == kinds.count("RecordingAttached") == kinds.count("ItemAdded") == 1
        made.state = "taking"  # as after a kill between telling it and remembering that
        part = site.parts.path(made.upload_id)
        part.write_bytes(VIDEO)
        site.desk.come_back_to(made)
        photo = await site.send(2, PHOTO)  # rings
        await settled(photo)
        assert made.state == TAKEN
        assert await site.kinds() == [*kinds, "ItemAdded", "UploadReceived"], "of the photo alone"
        assert await site.rows() == 2

    run(tmp_path, test)


def test_a_recorder_that_dies_again_and_again_keeps_nobody_waiting_and_the_file_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cases.uploads.taking._PAUSE_S", 0.01)

    async def test(site: Site) -> None:
        site.answers = [WorkerFailed("it died")]
        film = await site.send(1, VIDEO)
        photo = await site.send(2, PHOTO)
        await settled(film)
        await settled(photo)
        assert (film.state, film.recording_id, site.asked) == (TAKEN, None, 3)
        assert "3 times" in film.reason
        assert kept.path_of(tmp_path, film.sha256).read_bytes() == VIDEO
        assert photo.state == TAKEN

    run(tmp_path, test)


def test_a_mistake_of_ours_does_not_lose_the_upload(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(StoreSettings(), tmp_path) as store:
            site = Site(tmp_path, store, await Appender.load(store, ManualClock(), []))
            await site.desk.load()
            site.answers = [ZeroDivisionError()]
            made = await site.desk.create(upload(1, len(VIDEO), case_id="case_x"), 0)
            await site.desk.append(made, 0, pieces(VIDEO), None)
            with pytest.raises(ZeroDivisionError):
                await site.taking.run()
            assert await site.desk.next_whole() is made

    anyio.run(main)


def test_a_case_closed_meanwhile_refuses_the_file_and_leaves_nothing_untold(tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        assert site.case is not None
        site.answers = [Recorded("rec_1", 8.0, 0.0, "")]
        made = await site.send(1, VIDEO)
        await anyio.sleep(0.2)
        closed = partial(
            case_acts.change_case, actor=Actor("usr_1", "林", NOW_US), case_id=site.case.case_id, version=1,
            wanted={"state": "closed"},
        )  # fmt: skip
        await site.appender.change(closed)
        await told(site, "rec_1")
        await settled(made)
        assert made.state == REFUSED
        assert "closed" in made.reason
        assert not kept.path_of(tmp_path, made.sha256).exists()
        assert await site.rows() == 0
        async with site.store.reading() as connection:
            assert (await connection.execute(select(items.c.item_id))).all() == []

    run(tmp_path, test)


def test_the_same_film_for_another_case_is_recorded_once_and_attached_twice(tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        site.answers = [Recorded("rec_1", 8.0, 0.0, "")]
        first = await site.send(1, VIDEO)
        await told(site, "rec_1")
        await settled(first)
        wanted = CaseWanted(number="2", kind="food", class_="ordinary", title="另一案", party="")
        other = await site.appender.change(
            partial(case_acts.open_case, actor=Actor("usr_1", "林", NOW_US), wanted=wanted)
        )
        second = await site.send(2, VIDEO, case_id=other.case_id)
        third = await site.send(3, VIDEO, case_id=other.case_id)
        await settled(second)
        await settled(third)
        assert (second.state, second.recording_id, site.asked) == (TAKEN, "rec_1", 1)
        assert (third.state, third.same_as) == (DUPLICATE, second.upload_id)
        assert (await site.kinds()).count("RecordingAttached") == 2

    run(tmp_path, test)


def test_a_refused_file_with_the_bytes_of_a_clip_leaves_the_clip_as_it_is(tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        assert site.case is not None
        clip = tmp_path / "clip.part"
        clip.write_bytes(VIDEO)
        kept.keep(tmp_path, clip, sha256 := kept.sha256_of(clip))
        await told(site, "rec_0")
        actor, case_id = Actor("usr_1", "林", NOW_US), site.case.case_id
        wish = ItemWanted(kind="video", title="片段", sha256=sha256, size_bytes=len(VIDEO))
        item = await site.appender.change(partial(case_acts.add_item, actor=actor, case_id=case_id, wanted=wish))
        copy = Wanted(what="copy", purpose="移送", case_id=case_id)
        approval = await site.appender.change(partial(approvals.ask, actor=actor, wanted=copy))
        row = {
            "clip_id": "clip_1", "case_id": case_id, "item_id": item.item_id, "recording_id": "rec_0",
            "approval_id": approval.approval_id, "sha256": sha256, "size_bytes": len(VIDEO), "start_ms": 0, "end_ms": 1,
            "cut_from_ms": 0, "cut_until_ms": 1, "made_by": "usr_1", "made_us": NOW_US,
        }  # fmt: skip

        async def act(connection: AsyncConnection) -> tuple[None, Sequence[Fact]]:
            await connection.execute(insert(clips).values(row))
            return None, ()

        await site.appender.change(act)
        site.answers = [Recorded("rec_1", 8.0, 0.0, "")]
        made = await site.send(1, VIDEO)
        await anyio.sleep(0.2)
        closed = partial(
            case_acts.change_case, actor=Actor("usr_1", "林", NOW_US), case_id=site.case.case_id, version=1,
            wanted={"state": "closed"},
        )  # fmt: skip
        await site.appender.change(closed)
        await told(site, "rec_1")
        await settled(made)
        assert made.state == REFUSED
        assert kept.path_of(tmp_path, sha256).read_bytes() == VIDEO

    run(tmp_path, test)
