"""Signed heads: their one form, and a log that was touched gets no more of them."""

import base64
import contextlib
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import create_async_engine

from cases.appender import Appender
from cases.custody import checkpoint
from cases.custody.checkpoint import Head, SignedHead
from cases.custody.heads import Heads
from cases.custody.heads_file import FILE, HeadsFile
from cases.custody.merkle import LogWriter
from cases.custody.witness import FolderWitness
from cases.facts import Fact
from cases.store.engine import Store, url_of
from cases.store.tables import heads
from pipeline.clock import rfc3339
from pipeline.errors import EvidenceError, StorageError
from pipeline.record.signing import Signer, rotate
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened
from tests.unit.cases.custody.test_check import named

HEAD = Head("0123456789abcdef", 42, bytes(range(32)), "2026-11-24T06:00:00.000Z")


def test_a_head_is_a_signed_note_that_anybody_can_check(tmp_path: Path) -> None:
    signer = Signer.load(tmp_path)
    note = checkpoint.sign(HEAD, signer).note()
    text_, _, signature = note.partition("\n\n")
    assert text_ == (
        "onrecord/0123456789abcdef\n42\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\ntime 2026-11-24T06:00:00.000Z"
    )
    dash, name, data = signature.rstrip("\n").split(" ")
    assert (dash, name) == ("—", "onrecord/0123456789abcdef")
    raw = base64.b64decode(data)
    Ed25519PublicKey.from_public_bytes(signer.public_key).verify(raw[4:], f"{text_}\n".encode())
    assert checkpoint.parse(note).is_signed_by(signer.public_key)


def test_a_head_with_any_sign_changed_is_refused_or_not_signed(tmp_path: Path) -> None:
    signer = Signer.load(tmp_path)
    note = checkpoint.sign(Head(HEAD.log_id, 42, HEAD.root, HEAD.at, bytes(32)), signer).note()
    for at in range(len(note)):
        for sign in ("0", "B", "\n", ""):
            changed = note[:at] + sign + note[at + 1 :]
            if changed == note:
                continue
            with contextlib.suppress(EvidenceError):
                assert not checkpoint.parse(changed).is_signed_by(signer.public_key), changed


Act = Callable[[Store, Appender, Callable[[], Heads]], Awaitable[None]]


def with_log(where: StoreSettings, folder: Path, act: Act) -> None:
    async def run() -> None:
        async with opened(where, folder) as store:
            appender = await Appender.load(store, ManualClock())
            signer = Signer.load(folder / "keys")

            def anew() -> Heads:
                return Heads(store, appender, signer, ManualClock(), folder, 60)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                with anyio.fail_after(60):
                    await act(store, appender, anew)
                tasks.cancel_scope.cancel()

    anyio.run(run)


def some(first: int, count: int) -> list[Fact]:
    return [Fact(event_id=f"ev_{n}", kind="Told", at_us=n) for n in range(first, first + count)]


def test_every_head_holds_what_the_one_before_held_also_after_a_start_anew(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(_: Store, appender: Appender, anew: Callable[[], Heads]) -> None:
        log = anew()
        await log.load()
        for count in (1, 300, 7):
            await appender.append(some(appender.size, count))
            await log.sign_now()
            assert await log.sign_now() == log.newest
        again = anew()
        await again.load()
        assert again.newest == log.newest
        await appender.append(some(appender.size, 1))
        last = await again.sign_now()
        found = HeadsFile(tmp_path / "custody").read()
        assert [each.head.size for each in found] == [1, 301, 308, 309]
        assert {each.head.log_id for each in found} == {last.head.log_id}

    with_log(where, tmp_path, act)


async def _rebuild(settings: StoreSettings, data: Path) -> None:
    """What an insider with the database's password does: another entry, and all tiles made to fit it."""
    engine = create_async_engine(url_of(settings, data))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE events SET entry = replace(entry, 'Told', 'Lied') WHERE seq = 3"))
        entries = [row[0].encode() for row in await connection.execute(text("SELECT entry FROM events ORDER BY seq"))]
        await connection.execute(text("DELETE FROM tiles"))
        for change in LogWriter().extend(entries):
            await connection.execute(
                text("INSERT INTO tiles (hash, level, place, hashes) VALUES ('sha256', :level, :place, :hashes)"),
                {"level": change.level, "place": change.place, "hashes": change.hashes},
            )
    await engine.dispose()


async def _roll_back(settings: StoreSettings, data: Path) -> None:
    engine = create_async_engine(url_of(settings, data))
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM events WHERE seq >= 5"))
    await engine.dispose()


@pytest.mark.parametrize("attack", [_rebuild, _roll_back])
def test_a_log_that_is_not_what_was_signed_gets_no_head(
    where: StoreSettings, tmp_path: Path, attack: Callable[[StoreSettings, Path], Awaitable[None]]
) -> None:
    async def act(store: Store, appender: Appender, anew: Callable[[], Heads]) -> None:
        log = anew()
        await appender.append(some(0, 10))
        await log.sign_now()
        await attack(where, tmp_path)
        with pytest.raises(EvidenceError, match="signed"):
            await log.sign_now()
        again = anew()
        await again.run()
        assert "signed" in again.refusal
        assert len(HeadsFile(tmp_path / "custody").read()) == 1
        async with store.reading() as connection:
            assert len((await connection.execute(heads.select())).all()) == 1

    with_log(where, tmp_path, act)


@pytest.mark.parametrize("harm", ["gone", "shorter", "another key"])
def test_heads_that_disk_and_database_do_not_agree_on_are_told(tmp_path: Path, harm: str) -> None:
    async def act(_: Store, appender: Appender, anew: Callable[[], Heads]) -> None:
        log = anew()
        for number in range(2):
            await appender.append(some(number, 1))
            await log.sign_now()
        file = tmp_path / "custody" / FILE
        lines = file.read_bytes().splitlines(keepends=True)
        if harm == "gone":
            file.unlink()
        elif harm == "shorter":
            file.write_bytes(lines[0])
        else:
            for key in (tmp_path / "keys").glob("*.pub.pem"):
                key.unlink()
            Signer.load(tmp_path / "other")
            (tmp_path / "keys" / "x.pub.pem").write_bytes(next((tmp_path / "other").glob("*.pub.pem")).read_bytes())
        again = anew()
        await again.run()
        assert FILE in again.refusal

    with_log(StoreSettings(), tmp_path, act)


def test_a_kill_between_disk_and_database_is_made_good_and_a_torn_line_is_cut(tmp_path: Path) -> None:
    async def act(store: Store, appender: Appender, anew: Callable[[], Heads]) -> None:
        log = anew()
        for number in range(2):
            await appender.append(some(number, 1))
            await log.sign_now()

        async def forget(connection: object) -> None:
            await connection.execute(delete(heads).where(heads.c.size == 2))  # type: ignore[attr-defined]  # a connection

        await appender.append([], after=forget)
        with (tmp_path / "custody" / FILE).open("ab") as file:
            file.write(b'{"note": "onrec')
        again = anew()
        await again.load()
        await appender.append(some(2, 1))
        await again.sign_now()
        assert [each.head.size for each in HeadsFile(tmp_path / "custody").read()] == [1, 2, 3]
        async with store.reading() as connection:
            sizes = [row.size for row in await connection.execute(heads.select().order_by(heads.c.size))]
        assert sizes == [1, 2, 3]

    with_log(StoreSettings(), tmp_path, act)


def test_a_new_key_signs_on_in_the_same_log(tmp_path: Path) -> None:
    async def act(store: Store, appender: Appender, anew: Callable[[], Heads]) -> None:
        await appender.append(some(0, 1))
        first = await anew().sign_now()
        rotate(tmp_path / "keys", HEAD.at)
        log = Heads(store, appender, Signer.load(tmp_path / "keys"), ManualClock(), tmp_path, 60)
        await log.load()
        await appender.append(some(1, 1))
        assert (await log.sign_now()).head.log_id == first.head.log_id

    with_log(StoreSettings(), tmp_path, act)


def test_a_witness_gets_every_head_and_one_that_fails_stops_nothing(tmp_path: Path) -> None:
    class Away:
        def take(self, signed: checkpoint.SignedHead) -> None:
            raise StorageError(f"no room for {signed.head.size}")

    async def act(store: Store, appender: Appender, anew: Callable[[], Heads]) -> None:
        del anew
        (tmp_path / "w").mkdir()
        signer = Signer.load(tmp_path / "keys")
        witnesses = (Away(), FolderWitness(tmp_path / "w"))
        log = Heads(store, appender, signer, ManualClock(), tmp_path, 60, witnesses)
        for number in range(2):
            await appender.append(some(number, 1))
            await log.sign_now()
        assert log.witness_failures == 2
        names = sorted(path.name for path in (tmp_path / "w").iterdir())
        assert names == ["000000000001.head", "000000000002.head"]
        assert log.newest is not None
        assert (tmp_path / "w" / names[1]).read_text() == log.newest.note()

    with_log(StoreSettings(), tmp_path, act)


def test_a_log_that_gets_its_second_tree_later_keeps_its_old_proofs_and_has_both_roots_from_then_on(
    where: StoreSettings, tmp_path: Path
) -> None:
    """With, without, and with it again; sizes around full tiles."""
    count = 0
    signed: list[SignedHead] = []

    async def grow(by: int, *, sm3: bool) -> None:
        nonlocal count
        async with opened(where, tmp_path) as store:
            appender = await Appender.load(store, ManualClock(), sm3=sm3)
            heads_ = Heads(store, appender, Signer.load(tmp_path / "keys"), ManualClock(), tmp_path, 60, sm3=sm3)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                await heads_.load()
                await appender.append(
                    [Fact(event_id=f"ev_{n}", kind="Told", at_us=n) for n in range(count, count + by)]
                )
                count += by
                signed.append(await heads_.sign_now())
                tasks.cancel_scope.cancel()

    for by, sm3 in ((300, False), (212, True), (1, False), (255, False), (1300, True), (3, True)):
        anyio.run(functools.partial(grow, by, sm3=sm3))
        assert (signed[-1].head.root_sm3 is not None) == sm3
    assert named(where, tmp_path, *signed) == set()


def test_the_newest_head_is_read_from_the_end_of_the_file_and_a_torn_line_behind_it_is_none(tmp_path: Path) -> None:
    file = HeadsFile(tmp_path)
    assert file.newest() is None
    signer = Signer.load(tmp_path / "keys")
    log_id = checkpoint.new_log_id(signer.public_key)
    for size in range(1, 60):
        file.append(checkpoint.sign(Head(log_id, size, bytes(32), rfc3339(size)), signer))
        assert file.newest() == file.read()[-1]
    with (tmp_path / FILE).open("ab") as raw:
        raw.write(b'{"note": "onrec')
    newest = file.newest()
    assert newest is not None
    assert newest.head.size == 59
    (tmp_path / FILE).write_bytes(b"no head\n")
    with pytest.raises(EvidenceError, match="no JSON"):
        file.newest()
