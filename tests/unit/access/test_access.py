"""The access file: nothing in it opens a door, links open one once, and several processes share it."""

import contextlib
import multiprocessing
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cases.access import ROLES, Access
from pipeline.errors import AccessDenied, SourceRefused, StorageError
from pipeline.sources import Transport
from tests.made import ManualClock


@pytest.fixture
def access(tmp_path: Path) -> Iterator[Access]:
    with contextlib.closing(Access.of(tmp_path)) as made:
        yield made


def bytes_of(folder: Path) -> bytes:
    """Everything SQLite has written, its write-ahead log too."""
    files = [path for path in folder.iterdir() if path.is_file()]
    assert any(path.name.endswith("-wal") for path in files)
    return b"".join(path.read_bytes() for path in files)


def test_secrets_are_kept_only_as_hashes(tmp_path: Path, access: Access) -> None:
    device, key = access.add_device("camera")
    token = access.create_token("viewer", "script")
    link = access.create_link("viewer", "person", 60)
    _, session = access.sign_in(link, 60)
    kept = bytes_of(tmp_path)
    assert device.device_id.encode() in kept
    for secret in (key, token, link, session):
        assert len(secret) >= 32
        for text in (secret, secret[1:], secret.upper()):
            assert text.encode() not in kept


def test_the_files_are_for_their_owner_alone(tmp_path: Path, access: Access) -> None:
    access.add_device("camera")
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_a_link_opens_one_session(access: Access) -> None:
    link = access.create_link("commander", "person", 60)
    principal, session = access.sign_in(link, 60)
    assert (principal.name, principal.role) == ("person", "commander")
    assert access.who(session, kind="session") == principal
    with pytest.raises(AccessDenied):
        access.sign_in(link, 60)


def test_a_link_is_no_token_and_a_session_is_no_token(access: Access) -> None:
    link = access.create_link("viewer", "person", 60)
    assert access.who(link, kind="token") is None
    assert access.who(link, kind="session") is None
    _, session = access.sign_in(link, 60)
    assert access.who(session, kind="token") is None
    with pytest.raises(AccessDenied):
        access.sign_in(session, 60)


def test_what_expired_opens_nothing(access: Access) -> None:
    link = access.create_link("viewer", "person", -1)
    token = access.create_token("viewer", "script", -1)
    with pytest.raises(AccessDenied):
        access.sign_in(link, 60)
    with pytest.raises(AccessDenied):
        access.sign_in(token, 60)
    assert access.who(token, kind="token") is None
    with pytest.raises(AccessDenied):
        access.sign_in(access.create_link("viewer", "person", 60), -1)


def test_a_session_made_from_a_token_does_not_outlive_it(access: Access) -> None:
    token = access.create_token("viewer", "script", 30)
    holder = access.who(token, kind="token")
    principal, _ = access.sign_in(token, 3600)
    assert holder is not None
    assert principal.expires_at == holder.expires_at
    access.sign_in(token, 3600)  # a token, unlike a link, is not used up


def test_who_signed_out_is_nobody(access: Access) -> None:
    principal, session = access.sign_in(access.create_link("viewer", "person", 60), 60)
    assert access.named(principal.principal_id) == principal
    access.end(principal.principal_id)
    assert access.who(session, kind="session") is None
    assert access.named(principal.principal_id) is None


def test_only_known_roles_exist(access: Access) -> None:
    for role in ROLES:
        holder = access.who(access.create_token(role), kind="token")
        assert holder is not None
        assert holder.role == role
    for role in ("admin", "", "Viewer"):
        with pytest.raises(AccessDenied):
            access.create_token(role)
        with pytest.raises(AccessDenied):
            access.create_link(role, "person", 60)


def test_a_device_is_revoked_by_id_or_by_name(access: Access) -> None:
    one, key_one = access.add_device("one")
    _, key_two = access.add_device("two")
    _, also_two = access.add_device("two")
    assert access.revoke_device(one.device_id) == 1
    assert access.find(key_one) is None
    assert access.revoke_device("two") == 2
    assert (access.find(key_two), access.find(also_two)) == (None, None)
    assert access.revoke_device("two") == 0
    assert access.revoke_device("nobody") == 0
    assert [record.revoked_at is None for record in access.devices()] == [False] * 3


def test_another_connections_write_is_seen(tmp_path: Path, access: Access) -> None:
    device, key = access.add_device("camera")
    assert access.is_valid(device.device_id)
    with contextlib.closing(Access.of(tmp_path)) as other:
        assert other.find(key) == device
        later, _ = other.add_device("later")
        assert access.is_valid(later.device_id)
        other.revoke_device("camera")
        assert not access.is_valid(device.device_id)
        assert access.find(key) is None
        assert access.is_valid(later.device_id)
    access.revoke_device("later")
    assert not access.is_valid(later.device_id)


def test_strange_bytes_are_nobodys_secret(access: Access) -> None:
    for secret in ("", "\udcff", "\ud800", "\0", "ä" * 10_000):
        assert access.who(secret, kind="token") is None
        assert access.find(secret) is None
        with pytest.raises(AccessDenied):
            access.sign_in(secret, 60)


def _add(data: Path, count: int) -> None:
    with contextlib.closing(Access.of(data)) as access:
        for number in range(count):
            access.add_device(f"{number}")


def _redeem(data: Path, link: str, count: "multiprocessing.sharedctypes.Synchronized[int]") -> None:
    with contextlib.closing(Access.of(data)) as access, contextlib.suppress(AccessDenied):
        access.sign_in(link, 60)
        with count.get_lock():
            count.value += 1


def test_several_processes_write_at_once_and_a_link_is_still_used_once(tmp_path: Path, access: Access) -> None:
    context = multiprocessing.get_context("spawn")
    link, count = access.create_link("viewer", "person", 60), context.Value("i", 0)
    children = [context.Process(target=_add, args=(tmp_path, 20)) for _ in range(2)]
    children += [context.Process(target=_redeem, args=(tmp_path, link, count)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    assert len(access.devices()) == 40
    assert count.value == 1


def test_a_file_that_cannot_be_opened_is_said_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "access.sqlite").write_bytes(b"no database" * 1000)
    for data in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "data"):
        with pytest.raises(StorageError, match=r"access\.sqlite: cannot be opened"):
            Access.of(data)


def test_a_file_that_can_no_longer_be_read_lets_nobody_in_and_ends_no_stream(tmp_path: Path, access: Access) -> None:
    device, key = access.add_device("camera")
    assert access.is_valid(device.device_id)
    with contextlib.closing(sqlite3.connect(tmp_path / "access.sqlite")) as other:
        other.execute("DROP TABLE device")
        other.execute("DROP TABLE token")
        other.commit()
    assert access.is_valid(device.device_id)
    for ask in (lambda: access.find(key), lambda: access.who("t", kind="token"), lambda: access.named("tok_1")):
        with pytest.raises(StorageError):
            ask()
    with pytest.raises(StorageError):
        access.sign_in("c", 60)


def test_a_source_is_listed_without_its_secrets_seen_by_another_process_and_gone_when_revoked(tmp_path: Path) -> None:
    ours, theirs = Access.of(tmp_path), Access.of(tmp_path)
    assert ours.sources() == ()
    made = theirs.add_source("gate", "rtsp://admin:p4ss@cam.example/a?b=c", Transport.UDP)
    [found] = ours.sources()
    assert found == made
    assert (found.url.password, found.transport, ours.is_valid(found.device.device_id)) == ("p4ss", Transport.UDP, True)
    [record] = ours.devices()
    assert record.source == "rtsp://cam.example/…"
    with pytest.raises(SourceRefused):
        theirs.add_source("file", "file:///etc/passwd", Transport.TCP)
    theirs.revoke_device("gate")
    assert (ours.sources(), len(ours.devices())) == ((), 1)


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_a_clock_that_jumps_gives_no_session_link_or_token_more_time(tmp_path: Path, step_s: float) -> None:
    clock = ManualClock()
    with (
        contextlib.closing(Access.of(tmp_path, clock)) as access,
        contextlib.closing(Access.of(tmp_path, clock)) as other,
    ):
        link, unused = (other.create_link("viewer", "person", 600) for _ in range(2))
        token = other.create_token("viewer", "script", 600)
        principal, session = access.sign_in(link, 600)
        access.notice()
        assert access.who(token, kind="token")
        clock.utc_offset_s += step_s
        clock.now_s += 601
        assert access.who(session, kind="session") is None
        assert access.who(token, kind="token") is None
        assert access.named(principal.principal_id) is None
        with pytest.raises(AccessDenied):
            access.sign_in(unused, 600)


def test_what_is_made_after_the_clock_was_set_back_lasts_as_long_as_it_says(tmp_path: Path) -> None:
    clock = ManualClock()
    with contextlib.closing(Access.of(tmp_path, clock)) as access:
        clock.utc_offset_s -= 3600
        _, session = access.sign_in(access.create_link("viewer", "person", 60), 600)
        clock.now_s += 599
        assert access.who(session, kind="session") is not None
        clock.now_s += 2
        assert access.who(session, kind="session") is None
