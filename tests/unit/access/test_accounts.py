"""Accounts, units and their file: rings, administrators, what is told, and a file of the release before."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from cases.access import Access
from cases.access.throttle import Limit
from cases.access.tokens import Demands
from pipeline.errors import (
    AccessDenied,
    CodeNeeded,
    StateConflict,
    StorageError,
    ThingUnknown,
    TooManyTries,
    ValueRefused,
    VersionStale,
)
from tests.made import ManualClock

_BEFORE = """
CREATE TABLE device (
    device_id TEXT PRIMARY KEY, name TEXT NOT NULL, officer TEXT NOT NULL, unit TEXT NOT NULL,
    key_hash TEXT NOT NULL UNIQUE, created_at REAL NOT NULL, revoked_at REAL
) STRICT;
CREATE TABLE source (
    device_id TEXT PRIMARY KEY REFERENCES device, url TEXT NOT NULL, transport TEXT NOT NULL
) STRICT;
CREATE TABLE token (
    token_id TEXT PRIMARY KEY, kind TEXT NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE, created_at REAL NOT NULL, expires_at REAL, revoked_at REAL
) STRICT;
INSERT INTO device VALUES ('dev_1', 'camera', 'officer', 'unit',
    'x', 1.0, NULL);
INSERT INTO token VALUES ('tok_1', 'token', 'commander', 'old',
    'y', 1.0, NULL, NULL);
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def access(tmp_path: Path, clock: ManualClock) -> Iterator[Access]:
    with contextlib.closing(Access.of(tmp_path, clock)) as made:
        yield made


def kinds(access: Access) -> list[str]:
    return [fact.kind for _, fact in access.file.untaken(1000)]


def enter(access: Access, login: str, *, fits: bool, code: str = "", client: str = "", address: str = "a") -> str:
    """The secret by which the browser is known from now on."""
    return access.accounts.enter(
        login, fits=fits, code=code, client=client, address=address, session_s=60, agent="browser"
    ).client


def test_a_file_of_the_release_before_keeps_its_devices_and_tokens(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "access.sqlite")) as old:
        old.executescript(_BEFORE)
        old.execute("UPDATE device SET key_hash = ?", (_hash("kold"),))
        old.execute("UPDATE token SET hash = ?", (_hash("told"),))
        old.commit()
    for _ in range(2):
        with contextlib.closing(Access.of(tmp_path)) as access:
            device, principal = access.find("kold"), access.who("told", kind="token")
            assert device is not None
            assert device.device_id == "dev_1"
            assert principal is not None
            assert (principal.role, principal.unit, principal.needs) == ("commander", "", "")
    with contextlib.closing(sqlite3.connect(tmp_path / "access.sqlite")) as later:
        later.execute("PRAGMA user_version = 3")
    with pytest.raises(StorageError, match="later release"):
        Access.of(tmp_path)


def test_a_unit_holds_what_lies_below_it_and_never_itself(access: Access) -> None:
    for name, parent in (("市局", None), ("东城所", "市局"), ("一队", "东城所"), ("西城所", "市局")):
        access.units.put(name, parent)
    assert access.units.below("东城所") == {"东城所", "一队"}
    assert access.units.covers("市局", "一队")
    assert not access.units.covers("东城所", "西城所")
    assert access.units.covers("", "无名")
    assert not access.units.covers("东城所", "")
    for parent in ("一队", "东城所"):
        with pytest.raises(StateConflict):
            access.units.put("东城所", parent)
    with pytest.raises(ThingUnknown):
        access.units.put("三队", "南城所")
    access.units.put("一队", "西城所")
    assert access.units.below("东城所") == {"东城所"}


def test_one_administrator_never_becomes_another(access: Access) -> None:
    account = access.accounts.add("a", "甲", "system_admin")
    for role in ("audit_admin", "viewer"):  # not by a step in between either
        with pytest.raises(StateConflict):
            access.accounts.change(account.account_id, 1, role=role, by="x")
    other = access.accounts.add("b", "乙", "commander")
    access.accounts.change(other.account_id, 1, role="audit_admin", by="x")
    with pytest.raises(VersionStale):
        access.accounts.change(other.account_id, 1, role="viewer", by="x")


def test_a_disk_that_takes_nothing_keeps_nobody_out_who_is_in(access: Access, clock: ManualClock) -> None:
    access.demands = Demands(second_factor=False, idle_s=100)
    account = access.accounts.add("a", "甲", "commander")
    _, session = access.sign_in(access.accounts.link(account.account_id, 60, must_enrol=False), 10_000)
    access.file._db.execute("PRAGMA query_only = ON")
    for _ in range(5):
        clock.now_s += 80
        assert access.who(session, kind="session") is not None


@pytest.mark.parametrize("login", ["", "a b", "名", "a" * 81, "a\nb", "../x", "a'b"])
def test_a_login_is_plain_signs(access: Access, login: str) -> None:
    with pytest.raises(ValueRefused):
        access.accounts.add(login, "n", "viewer")


def test_a_login_is_one_account_in_whatever_case_and_width(access: Access) -> None:
    access.accounts.add("Lin", "林", "viewer")
    for again in ("lin", "LIN", "ｌｉｎ"):
        with pytest.raises(StateConflict):
            access.accounts.add(again, "n", "viewer")


def test_everything_of_a_disabled_account_ends_and_nothing_of_it_lives_again(access: Access) -> None:
    account = access.accounts.add("a", "甲", "commander")
    token = access.create_token("commander", account_id=account.account_id)
    link = access.accounts.link(account.account_id, 60)
    _, session = access.sign_in(access.accounts.link(account.account_id, 60), 60)
    access.accounts.disable(account.account_id)
    access.accounts.disable(account.account_id)
    access.accounts.enable(account.account_id)
    assert access.who(token, kind="token") is None
    assert access.who(session, kind="session") is None
    with pytest.raises(AccessDenied):
        access.sign_in(link, 60)
    assert kinds(access).count("UserDisabled") == 1


def test_a_role_that_changes_holds_for_the_tokens_that_are_out(access: Access) -> None:
    account = access.accounts.add("a", "甲", "commander")
    token = access.create_token("commander", account_id=account.account_id)
    access.accounts.change(account.account_id, 1, role="viewer", unit="东城所", by="x")
    principal = access.who(token, kind="token")
    assert principal is not None
    assert (principal.role, principal.unit) == ("viewer", "东城所")


def test_a_code_is_used_once_within_a_minute_and_a_half(access: Access, clock: ManualClock) -> None:
    account = access.accounts.add("a", "甲", "commander")
    secret, _ = access.accounts.new_totp(account.account_id)
    totp = pyotp.TOTP(secret)
    access.accounts.set_totp(account.account_id, secret, totp.at(int(clock.utc_s())))
    with pytest.raises(CodeNeeded):
        enter(access, "a", fits=True)
    with pytest.raises(AccessDenied):
        enter(access, "a", fits=True, code=totp.at(int(clock.utc_s())))
    clock.now_s += 30
    enter(access, "a", fits=True, code=totp.at(int(clock.utc_s())))
    clock.now_s += 60
    with pytest.raises(AccessDenied):
        enter(access, "a", fits=True, code=totp.at(int(clock.utc_s()) - 60))


def test_strangers_wait_and_known_browsers_have_a_count_of_their_own(access: Access, clock: ManualClock) -> None:
    access.accounts.throttle.limit = Limit(3, 900)
    access.accounts.add("a", "甲", "commander")
    client = enter(access, "a", fits=True)
    for _ in range(3):
        with pytest.raises(AccessDenied):
            enter(access, "a", fits=False)
    with pytest.raises(TooManyTries):
        enter(access, "a", fits=True)
    with pytest.raises(TooManyTries):
        enter(access, "a", fits=True, client="dguessed")
    assert enter(access, "a", fits=True, client=client)
    for _ in range(3):
        with pytest.raises(AccessDenied):
            enter(access, "a", fits=False, client=client)
    with pytest.raises(TooManyTries):
        enter(access, "a", fits=True, client=client)
    clock.now_s += 901
    assert enter(access, "a", fits=True)
    assert kinds(access).count("SignInRefused") == 6, "who waits is not told again and again"


def test_one_address_that_tries_many_names_waits_too(access: Access) -> None:
    access.accounts.throttle.limit = Limit(3, 900)
    access.accounts.add("a", "甲", "commander")
    for number in range(30):
        with pytest.raises(AccessDenied):
            enter(access, f"name{number}", fits=False, address="10.0.0.9")
    with pytest.raises(TooManyTries):
        enter(access, "a", fits=True, address="10.0.0.9")
    assert enter(access, "a", fits=True, address="10.0.0.8")


def test_a_session_that_asks_for_nothing_is_over(access: Access, clock: ManualClock) -> None:
    access.demands = Demands(second_factor=False, idle_s=100)
    account = access.accounts.add("a", "甲", "commander")
    _, session = access.sign_in(access.accounts.link(account.account_id, 60, must_enrol=False), 10_000)
    for _ in range(4):
        clock.now_s += 80
        assert access.who(session, kind="session") is not None
    clock.now_s += 101
    assert access.who(session, kind="session") is None


def test_a_password_that_is_too_old_must_be_changed_before_anything_else(access: Access, clock: ManualClock) -> None:
    access.demands = Demands(second_factor=False, password_age_s=1000)
    account = access.accounts.add("a", "甲", "commander")
    principal, _ = access.sign_in(access.accounts.link(account.account_id, 60), 10_000)
    assert principal.needs == "password"
    access.accounts.set_password(account.account_id, "hash", principal.principal_id)
    found = access.named(principal.principal_id)
    assert found is not None
    assert found.needs == ""
    clock.now_s += 1001
    found = access.named(principal.principal_id)
    assert found is not None
    assert found.needs == "password"


def test_a_change_and_what_is_told_of_it_are_written_together(access: Access) -> None:
    access.accounts.add("a", "甲", "viewer")
    before = kinds(access)
    with pytest.raises(StateConflict):
        access.accounts.add("a", "乙", "viewer")
    assert kinds(access) == before == ["UserAdded"]
    place = access.file.untaken(1)[0][0]
    access.file.taken(place)
    assert kinds(access) == []


def _hash(secret: str) -> str:
    import hashlib

    return hashlib.sha256(secret.encode()).hexdigest()
