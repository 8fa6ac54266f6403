"""Passwords: what a profile asks of one, and Argon2 over it. Knows no account.

Profiles: `dengbao-l3` as GB/T 22239-2019, 8.1.4.1 asks (kinds of signs, change, lockout); `asvs` as OWASP ASVS 5.0, 6.2
asks (length, no rules of composition, no forced change, none of the common ones).
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]  # it has no types

from pipeline.errors import ValueRefused

T = TypeVar("T")
Values = TypeVarTuple("Values")

MOST_SIGNS = 256
_WAITING = 32  # who waits for Argon2; a flood of guesses must not fill the memory


@dataclass(frozen=True, slots=True)
class Profile:
    """least_signs, and how many kinds of signs (small, capital, digit, other) must be there. change_s: None: never."""

    least_signs: int
    kinds: int
    change_s: float | None


PROFILES = {
    "dengbao-l3": Profile(10, 3, 90 * 86_400.0),
    "asvs": Profile(15, 1, None),
}


def check(password: str, profile: Profile, about: tuple[str, ...]) -> None:
    """about: words that must not stand in it, such as the account's name.

    Raises: ValueRefused: what it lacks; it never repeats the password.
    """
    text = unicodedata.normalize("NFC", password)
    if not profile.least_signs <= len(text) <= MOST_SIGNS:
        raise ValueRefused("password", f"it must have {profile.least_signs} to {MOST_SIGNS} signs")
    kinds = {
        "small" if sign.islower() else "capital" if sign.isupper() else "digit" if sign.isdigit() else "other"
        for sign in text
    }
    if len(kinds) < profile.kinds:
        raise ValueRefused(
            "password", f"it must hold {profile.kinds} of: small letters, capital letters, digits, other signs"
        )
    folded = text.casefold()
    if any(len(word) >= 3 and word.casefold() in folded for word in about):
        raise ValueRefused("password", "it holds the account's name")
    if folded in _common() or len(set(folded)) < 4:
        raise ValueRefused("password", "it is among the passwords that are guessed first")


@cache
def _common() -> frozenset[str]:
    """30,000 passwords of past breaches, as the zxcvbn package carries them."""
    return frozenset(FREQUENCY_LISTS["passwords"])


class Passwords:
    """Argon2id with RFC 9106's second recommendation (64 MiB, 3 passes). At most `at_once` are computed together."""

    def __init__(self, at_once: int) -> None:
        self._hasher = PasswordHasher()
        self._limiter = anyio.CapacityLimiter(at_once)
        self._nobodys = self._hasher.hash("nobody has this password")
        self.waiting = 0

    @property
    def is_crowded(self) -> bool:
        return self.waiting >= _WAITING

    async def hash(self, password: str) -> str:
        return await self._run(self._hasher.hash, unicodedata.normalize("NFC", password))

    async def fits(self, password: str, known: str) -> bool:
        """Whether `known` was made of it. known: empty for an account that is none: it takes as long, and is False."""
        text = unicodedata.normalize("NFC", password[: 4 * MOST_SIGNS])
        return await self._run(self._verify, text, known or self._nobodys) and bool(known)

    def _verify(self, password: str, known: str) -> bool:
        try:
            return self._hasher.verify(known, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, function: Callable[[*Values], T], *values: *Values) -> T:
        self.waiting += 1
        try:
            return await anyio.to_thread.run_sync(function, *values, limiter=self._limiter)
        finally:
            self.waiting -= 1
