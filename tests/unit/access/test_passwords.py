"""What each profile asks of a password, and that Argon2 is computed for a few at once only."""

import threading
import time

import anyio
import pytest

from cases.access.passwords import MOST_SIGNS, PROFILES, Passwords, check
from pipeline.errors import ValueRefused

LONG = "nine lanterns by the river"


@pytest.mark.parametrize(
    ("profile", "password", "is_taken"),
    [
        ("dengbao-l3", "Lanterns-7", True),
        ("dengbao-l3", "Lantern-7", False),  # nine signs
        ("dengbao-l3", "lanterns-river", False),  # two kinds
        ("dengbao-l3", "灯笼灯下渡口Lan7", True),  # others, a capital, small ones and a digit
        ("asvs", LONG, True),  # no rule of what kinds of signs
        ("asvs", "Lanterns-7-abc", False),  # fourteen signs
        ("asvs", "ninelanternsbytheriver", True),
        ("asvs", "a" * 20, False),  # guessed first
        ("asvs", "Lin-by-the-lin-xiaolan-river", False),  # holds the account's name
        ("asvs", "n" + "0a-B" * (MOST_SIGNS // 4), False),  # longer than anything is read
    ],
)
def test_a_profile_takes_what_its_standard_asks_and_nothing_less(profile: str, password: str, is_taken: bool) -> None:
    if is_taken:
        check(password, PROFILES[profile], ("lin-xiaolan",))
        return
    with pytest.raises(ValueRefused) as refused:
        check(password, PROFILES[profile], ("lin-xiaolan",))
    assert password not in str(refused.value)


def test_only_the_chinese_standard_has_passwords_changed_by_time() -> None:
    assert PROFILES["dengbao-l3"].change_s == 90 * 86_400
    assert PROFILES["asvs"].change_s is None


def test_however_many_sign_in_no_more_than_allowed_are_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, lock = 0, 0, threading.Lock()
    passwords = Passwords(2)

    def verify(password: str, known: str) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return False

    monkeypatch.setattr(passwords, "_verify", verify)

    async def crowd() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(passwords.fits, LONG, "")

    anyio.run(crowd)
    assert most == 2
    assert passwords.waiting == 0


def test_a_password_fits_its_own_hash_in_any_form_of_its_signs_and_no_other() -> None:
    async def act() -> None:
        passwords = Passwords(1)
        known = await passwords.hash("caf\u00e9 by the river 7")
        assert known.startswith("$argon2id$")
        assert await passwords.fits("cafe\u0301 by the river 7", known)
        assert not await passwords.fits("cafe by the river 7", known)
        assert not await passwords.fits(LONG, "")

    anyio.run(act)
