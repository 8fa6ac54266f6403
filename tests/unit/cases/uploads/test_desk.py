"""Uploads on their way: what was confirmed stays, over breaks, kills and losses of power; nobody fills the disk."""

import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import pytest

from cases.uploads.desk import Uploads
from cases.uploads.parts import DUPLICATE, OPEN, TAKING, Parts, Upload
from pipeline.errors import (
    ChecksumDiffers,
    OnRecordError,
    ProtocolError,
    StateConflict,
    StorageError,
    StorageFull,
    UploadTooLarge,
)
from pipeline.settings import UploadSettings
from tests.unit.record.material import SetClock

SETTINGS = UploadSettings()
DATA = os.urandom(3 << 20)


def upload(number: int = 1, size: int = len(DATA), **more: object) -> Upload:
    fields: dict[str, object] = {
        "upload_id": f"upl_{number}", "sent_by": "usr_1", "sent_name": "林", "unit": "东城所", "case_id": "case_1",
        "device_id": "", "name": "a.png", "declared": "", "wanted_sha256": "", "captured_us": None,
        "size_bytes": size, "created_us": number, "expires_us": 1 << 60, **more,
    }  # fmt: skip
    return Upload(**fields)  # type: ignore[arg-type]


def desk(folder: Path, settings: UploadSettings = SETTINGS, reserve_bytes: int = 0) -> Uploads:
    return Uploads(Parts(folder), settings, SetClock(), reserve_bytes)


async def loaded(folder: Path, settings: UploadSettings = SETTINGS, reserve_bytes: int = 0) -> Uploads:
    made = desk(folder, settings, reserve_bytes)
    await made.load()
    return made


async def pieces(data: bytes, error: Exception | None = None, step: int = 70_000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), step):
        await anyio.sleep(0)
        yield data[at : at + step]
    if error is not None:
        raise error


def test_what_came_before_a_break_is_kept_and_the_rest_makes_the_file_whole(tmp_path: Path) -> None:
    async def act() -> None:
        uploads = await loaded(tmp_path)
        made = await uploads.create(upload(), 0)
        with pytest.raises(ProtocolError):
            await uploads.append(made, 0, pieces(DATA[:2_000_000], ProtocolError("gone")), None)
        assert made.offset == 2_000_000
        with pytest.raises(StateConflict, match="2000000"):
            await uploads.append(made, 1, pieces(DATA[1:]), None)
        await uploads.append(made, 2_000_000, pieces(DATA[2_000_000:]), None)
        assert made.state == TAKING
        assert (await uploads.next_whole()) is made
        assert Parts(tmp_path).path("upl_1").read_bytes() == DATA

    anyio.run(act)


def test_after_a_loss_of_power_nothing_confirmed_is_missing_and_nothing_else_is_believed(tmp_path: Path) -> None:
    async def act() -> None:
        uploads = await loaded(tmp_path)
        made = await uploads.create(upload(), 0)
        with pytest.raises(ProtocolError):
            await uploads.append(made, 0, pieces(DATA[:1_000_000], ProtocolError("gone")), None)
        with Parts(tmp_path).path("upl_1").open("ab") as file:
            file.write(b"what the disk had not confirmed")
        (tmp_path / "stray.part").write_bytes(b"x")
        (tmp_path / "upl_9.json").write_bytes(b"{")
        again = await loaded(tmp_path)
        found = again.find("upl_1", "usr_1")
        assert (found.offset, found.state) == (1_000_000, OPEN)
        assert Parts(tmp_path).path("upl_1").stat().st_size == 1_000_000
        assert not (tmp_path / "stray.part").exists()
        await again.append(found, 1_000_000, pieces(DATA[1_000_000:]), None)
        assert (await (await loaded(tmp_path)).next_whole()).upload_id == "upl_1", "a whole one is taken up again"

    anyio.run(act)


def test_bytes_of_a_wrong_checksum_leave_no_trace_and_those_of_a_broken_request_neither(tmp_path: Path) -> None:
    async def act() -> None:
        uploads = await loaded(tmp_path)
        made = await uploads.create(upload(), 0)
        wrong = ("sha256", hashlib.sha256(b"else").digest())
        with pytest.raises(ChecksumDiffers):
            await uploads.append(made, 0, pieces(DATA[:1_500_000]), wrong)
        with pytest.raises(ProtocolError):
            await uploads.append(made, 0, pieces(DATA[:1_500_000], ProtocolError("gone")), wrong)
        assert made.offset == 0
        await uploads.append(made, 0, pieces(DATA), ("sha256", hashlib.sha256(DATA).digest()))
        assert Parts(tmp_path).path("upl_1").read_bytes() == DATA

    anyio.run(act)


def test_a_second_request_takes_the_upload_over_from_one_that_hangs(tmp_path: Path) -> None:
    async def act() -> None:
        uploads = await loaded(tmp_path)
        made = await uploads.create(upload(), 0)
        errors: list[Exception] = []

        async def hanging() -> AsyncIterator[bytes]:
            yield DATA[:100_000]
            await anyio.sleep_forever()

        async def first() -> None:
            try:
                await uploads.append(made, 0, hanging(), None)
            except OnRecordError as error:
                errors.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await anyio.sleep(0.05)
            with pytest.raises(StateConflict):  # it makes the first one stop, and then learns where to go on
                await uploads.append(made, 0, pieces(DATA), None)
            assert made.offset == 100_000
            await uploads.append(made, 100_000, pieces(DATA[100_000:]), None)
        assert [type(error) for error in errors] == [StateConflict]
        assert Parts(tmp_path).path("upl_1").read_bytes() == DATA

    anyio.run(act)


@pytest.mark.parametrize(
    ("settings", "size", "reserve", "error"),
    [
        (UploadSettings(max_bytes=100), 101, 0, UploadTooLarge),
        (UploadSettings(unit_quota_bytes=250), 100, 0, UploadTooLarge),
        (UploadSettings(max_open=1), 50, 0, StateConflict),
        (UploadSettings(), 100, 1 << 60, StorageFull),
    ],
)
def test_sizes_quotas_numbers_and_the_room_of_recordings_are_held_to(
    tmp_path: Path, settings: UploadSettings, size: int, reserve: int, error: type[Exception]
) -> None:
    async def act() -> None:
        uploads = await loaded(tmp_path, settings, reserve)
        if not reserve:
            await uploads.create(upload(1, 60), 0)
        with pytest.raises(error):
            await uploads.create(upload(2, size), 100)
        assert len(list(tmp_path.glob("*.part"))) == (0 if reserve else 1)

    anyio.run(act)


def test_more_than_was_announced_is_refused_and_one_sender_has_64_at_once(tmp_path: Path) -> None:
    async def act() -> None:
        uploads = await loaded(tmp_path)
        made = await uploads.create(upload(0, 10), 0)
        with pytest.raises(UploadTooLarge):
            await uploads.append(made, 0, pieces(b"x" * 11), None)
        for number in range(1, 64):
            await uploads.create(upload(number, 10), 0)
        with pytest.raises(StateConflict, match="too many"):
            await uploads.create(upload(64, 10), 0)
        await uploads.create(replace(upload(65, 10), sent_by="usr_2"), 0)

    anyio.run(act)


def test_a_disk_that_refuses_confirms_nothing_and_the_upload_goes_on_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        uploads = await loaded(tmp_path)
        made = await uploads.create(upload(), 0)

        def refuse(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as broken:
            broken.setattr(os, "fdatasync", refuse)
            with pytest.raises(StorageError):
                await uploads.append(made, 0, pieces(DATA), None)
        assert made.offset == 0
        await uploads.append(made, 0, pieces(DATA), None)
        assert Parts(tmp_path).path("upl_1").read_bytes() == DATA

    anyio.run(act)


def test_what_is_over_is_forgotten_and_what_is_whole_cannot_be_ended(tmp_path: Path) -> None:
    async def act() -> None:
        uploads = await loaded(tmp_path)
        old = await uploads.create(upload(1, 10, expires_us=1), 0)
        whole = await uploads.create(upload(2, 3, expires_us=1), 0)
        await uploads.append(whole, 0, pieces(b"abc"), None)
        done = await uploads.create(upload(3, 3, expires_us=1), 0)
        await uploads.save(done, partial(setattr_of, state=DUPLICATE))
        with pytest.raises(StateConflict):
            await uploads.end(whole)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(uploads.run)
            await anyio.sleep(0.2)
            tasks.cancel_scope.cancel()
        assert [each.upload_id for each in uploads.of("usr_1")] == ["upl_2"], "what is being taken stays"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["upl_2.json", "upl_2.part"]
        assert old.state == OPEN

    anyio.run(act)


def setattr_of(upload: Upload, state: str) -> None:
    upload.state = state


def test_what_is_not_on_the_medium_yet_is_told_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is killed between would know less than it had acknowledged."""

    async def main() -> None:
        uploads = await loaded(tmp_path)
        made = await uploads.create(upload(), 0)
        told: list[tuple[int, str]] = []
        save = Parts.save

        def watched(parts: Parts, saved: Upload) -> None:
            told.append((made.offset, made.state))
            save(parts, saved)

        monkeypatch.setattr(Parts, "save", watched)
        await uploads.append(made, 0, pieces(DATA), None)
        assert told == [(0, "open"), (len(DATA), "open")]
        assert (made.offset, made.state) == (len(DATA), "taking")
        (again,) = Parts(tmp_path).load()
        assert (again.offset, again.state) == (len(DATA), "taking")

    anyio.run(main)
