"""Accounts (账号): who a person is, what role and unit, password and second factor; every change of them is a fact."""

import hmac
import secrets
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyotp

from cases.access.file import AccessFile
from cases.access.principal import ADMINISTRATORS, ROLES, SERVICE
from cases.access.secret import hashed, new_secret
from cases.access.throttle import Throttle
from cases.access.tokens import Tokens
from cases.casework import values
from cases.facts import JsonValue
from pipeline.errors import (
    AccessDenied,
    CodeNeeded,
    StateConflict,
    ThingUnknown,
    TooManyTries,
    ValueRefused,
    VersionStale,
)

_STEP_S = 30  # RFC 6238, 5.2
_STEPS_OFF = 1  # one step before and after, for clocks that differ
_RECOVERY_CODES = 10
_LOGIN_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-@")
ISSUER = "OnRecord"


@dataclass(frozen=True, slots=True)
class Account:
    """version: grows by one with every change. unit: empty reaches the whole bureau."""

    account_id: str
    login: str
    name: str
    role: str
    unit: str
    officer_id: str
    has_password: bool
    has_totp: bool
    created_at: float
    disabled_at: float | None
    version: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Who came in: the session's id and secret, and the secret by which the browser is known from now on."""

    principal_id: str
    session: str
    client: str


class Accounts:
    """The accounts of the access file."""

    def __init__(self, file: AccessFile, tokens: Tokens) -> None:
        self.throttle = Throttle(file)
        self._file = file
        self._tokens = tokens

    def all(self) -> list[Account]:
        """By login."""
        return [_account(row) for row in self._file.rows(f"{_SELECT} ORDER BY login")]

    def find(self, account_id: str) -> Account:
        """Raises: ThingUnknown."""
        rows = self._file.rows(f"{_SELECT} WHERE account_id = ?", account_id)
        if not rows:
            raise ThingUnknown("no such account")
        return _account(rows[0])

    def named(self, login: str) -> Account:
        """Raises: ThingUnknown."""
        rows = self._file.rows(f"{_SELECT} WHERE login = ?", _folded(login))
        if not rows:
            raise ThingUnknown(f"no account is called {login!r}")
        return _account(rows[0])

    def add(
        self, login: str, name: str, role: str, *, unit: str = "", officer_id: str = "", by: str = "console",
        account_id: str = "",
    ) -> Account:  # fmt: skip
        """It has no password; `link` lets its owner choose one. account_id: follows from an Idempotency-Key.

        Raises: ValueRefused. StateConflict: the login is in use, or the account_id was made already.
        """
        login = _folded(login)
        if not 1 <= len(login) <= 80 or not _LOGIN_SIGNS.issuperset(login):
            raise ValueRefused("login", "1 to 80 of: letters a to z, digits, dot, dash, underscore, @")
        account = Account(
            account_id or f"usr_{secrets.token_hex(8)}", login, values.name("name", name, 80), _role(role),
            values.optional_name("unit", unit), officer_id, False, False, self._file.clock.utc_s(), None, 1,
        )  # fmt: skip
        with self._file.writing():
            if account_id and self._file.rows("SELECT 1 FROM account WHERE account_id = ?", account_id):
                raise StateConflict(
                    f"this Idempotency-Key added the account {account_id} already; its link was shown then and is not"
                    " kept: make a new link for it, or add another account under another Idempotency-Key"
                )
            if self._file.rows("SELECT 1 FROM account WHERE login = ?", login):
                raise StateConflict(f"there is an account {login} already")
            self._file.write(
                "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, '', NULL, '', 0, ?, NULL, 1)",
                account.account_id, login, account.name, account.role, account.unit, officer_id, account.created_at,
            )  # fmt: skip
            self._tell("UserAdded", by, account, (1,))
        return account

    def change(
        self, account_id: str, version: int, *, name: str | None = None, role: str | None = None,
        unit: str | None = None, officer_id: str | None = None, by: str,
    ) -> Account:  # fmt: skip
        """Raises: ThingUnknown, ValueRefused. VersionStale. StateConflict: an administrator would be another."""
        with self._file.writing():
            account = self.find(account_id)
            if account.version != version:
                raise VersionStale("the account was changed meanwhile; read it again")
            new = replace(
                account,
                name=account.name if name is None else values.name("name", name, 80),
                role=account.role if role is None else _role(role),
                unit=account.unit if unit is None else values.optional_name("unit", unit),
                officer_id=account.officer_id if officer_id is None else officer_id,
                version=version + 1,
            )
            if new.role != account.role and account.role in ADMINISTRATORS:
                raise StateConflict("an administrator's account stays one; disable it, and use another account")
            self._file.write(
                "UPDATE account SET name = ?, role = ?, unit = ?, officer_id = ?, version = ? WHERE account_id = ?",
                new.name, new.role, new.unit, new.officer_id, new.version, account_id,
            )  # fmt: skip
            self._tell("UserChanged", by, new, (new.version,))
        return new

    def disable(self, account_id: str, by: str = "console") -> Account:
        """Ends its sessions, tokens and links at once; open views within 2 s. Raises: ThingUnknown."""
        with self._file.writing():
            account = self.find(account_id)
            if account.disabled_at is not None:
                return account
            new = replace(account, disabled_at=self._file.clock.utc_s(), version=account.version + 1)
            self._file.write(
                "UPDATE account SET disabled_at = ?, version = ? WHERE account_id = ?",
                new.disabled_at, new.version, account_id,
            )  # fmt: skip
            self._tokens.end_all_of(account_id)
            self._tell("UserDisabled", by, new, (new.version,))
        return new

    def enable(self, account_id: str, by: str = "console") -> Account:
        """It may sign in again; nothing that was ended lives again. Raises: ThingUnknown."""
        with self._file.writing():
            account = self.find(account_id)
            if account.disabled_at is None:
                return account
            new = replace(account, disabled_at=None, version=account.version + 1)
            self._file.write(
                "UPDATE account SET disabled_at = NULL, version = ? WHERE account_id = ?", new.version, account_id
            )
            self._tell("UserEnabled", by, new, (new.version,))
        return new

    def assign(self, account_id: str, device_ids: Sequence[str], by: str) -> None:
        """The devices whose streams the account is to watch, instead of those before. Raises: ThingUnknown."""
        with self._file.writing():
            account = self.find(account_id)
            self._file.write("DELETE FROM assignment WHERE account_id = ?", account_id)
            for device_id in sorted(set(device_ids)):
                if not self._file.rows("SELECT 1 FROM device WHERE device_id = ?", device_id):
                    raise ThingUnknown(f"no such device {device_id!r}")
                self._file.write("INSERT INTO assignment VALUES (?, ?)", account_id, device_id)
            now = self._file.clock.utc_s()
            body: dict[str, JsonValue] = {"account_id": account_id, "device_ids": [*sorted(set(device_ids))]}
            self._file.tell("DevicesAssigned", by, (account.account_id, now), body)

    def assigned(self, account_id: str) -> list[str]:
        rows = self._file.rows("SELECT device_id FROM assignment WHERE account_id = ? ORDER BY device_id", account_id)
        return [row[0] for row in rows]

    def link(self, account_id: str, lasts_s: float, by: str = "console", *, must_enrol: bool = True) -> str:
        """A one-time code with which its owner comes in to choose a password; an earlier one opens nothing any more.

        Raises: ThingUnknown, StateConflict.
        """
        account = self.find(account_id)
        if account.disabled_at is not None:
            raise StateConflict("the account is disabled")
        with self._file.writing():
            self._tokens.end_links_of(account_id)
        return self._tokens.create_link(
            account.role, account.name, lasts_s, account_id=account_id, must_enrol=must_enrol, by=by
        )

    def sought(self, login: str) -> tuple[str, str]:
        """Id and password hash of the account that may sign in so; both empty where there is none."""
        rows = self._file.rows(
            "SELECT account_id, password_hash FROM account WHERE login = ? AND disabled_at IS NULL", _folded(login)
        )
        return (rows[0][0], rows[0][1]) if rows else ("", "")

    def enter(
        self, login: str, *, fits: bool, code: str, client: str, address: str, session_s: float, agent: str
    ) -> Entry:
        """After the password was held against its hash. code: of the second factor, or a recovery code.

        Raises: AccessDenied: the same for an unknown login, a wrong password and a wrong code. CodeNeeded.
        TooManyTries.
        """
        account_id, _ = self.sought(login)
        keys = self.throttle.keys(_folded(login), account_id, client, address)
        with self._file.writing():
            if self.throttle.is_closed(keys):
                raise TooManyTries("too many wrong tries; wait, or ask an administrator for a sign-in link")
            refusal = self._refusal(account_id, fits=fits, code=code)
            if refusal is None:
                account = self.find(account_id)
                known_as = self.throttle.succeeded(keys, account_id)
                principal_id, session = self._tokens.open_session(
                    account_id, account.role, account.name, session_s, agent, "password"
                )
                return Entry(principal_id, session, known_as)
            if not isinstance(refusal, CodeNeeded):
                self.throttle.failed(keys)
                self._file.tell(
                    "SignInRefused", account_id or "unknown", (account_id, secrets.token_hex(8)),
                    {"account_id": account_id, "address": address, "agent": agent[:200]},
                )  # fmt: skip
        raise refusal

    def enter_vouched(self, login: str, *, session_s: float, agent: str, address: str) -> tuple[str, str]:
        """Id and secret of a session for somebody whom the directory vouches for; the rights are those of the account.

        Raises: AccessDenied: there is no such account, or it is an administrator's; those prove themselves here.
        """
        account_id, _ = self.sought(login)
        with self._file.writing():
            account = self.find(account_id) if account_id else None
            if account is not None and account.disabled_at is None and account.role not in ADMINISTRATORS:
                return self._tokens.open_session(account_id, account.role, account.name, session_s, agent, "directory")
            self._file.tell(
                "SignInRefused", account_id or "unknown", (account_id, secrets.token_hex(8)),
                {"account_id": account_id, "address": address, "agent": agent[:200], "how": "directory"},
            )  # fmt: skip
        raise AccessDenied("no account here signs in by the directory under this name; ask an administrator")

    def _refusal(self, account_id: str, *, fits: bool, code: str) -> AccessDenied | None:
        if not account_id or not fits:
            return AccessDenied("the name, the password or the code is wrong")
        return self.second_refusal(account_id, code)

    def second_refusal(self, account_id: str, code: str) -> AccessDenied | None:
        """None: the code is of the account's second factor, or it has none; the code is used up. Within `writing`."""
        secret, last = self._file.rows(
            "SELECT totp_secret, totp_step FROM account WHERE account_id = ?", account_id
        )[0]  # fmt: skip
        if not secret:
            return None
        if not code:
            return CodeNeeded("give the code of your authenticator, or a recovery code")
        step = self._step_of(secret, code, last)
        if step is not None:
            self._file.write("UPDATE account SET totp_step = ? WHERE account_id = ?", step, account_id)
            return None
        used = self._file.write(
            "UPDATE recovery SET used_at = ? WHERE hash = ? AND account_id = ? AND used_at IS NULL",
            self._file.clock.utc_s(), hashed(_plain(code)), account_id,
        )  # fmt: skip
        if used:
            self._file.tell(
                "RecoveryCodeUsed", account_id, (account_id, hashed(_plain(code))), {"account_id": account_id}
            )
            return None
        return AccessDenied("the name, the password or the code is wrong")

    def _step_of(self, secret: str, code: str, last: int) -> int | None:
        """The step of time whose code this is; none that was used, or lies before one that was. RFC 6238, 5.2."""
        now = int(self._file.clock.utc_s()) // _STEP_S
        totp = pyotp.TOTP(secret)
        given = _plain(code).encode()
        for step in range(now - _STEPS_OFF, now + _STEPS_OFF + 1):
            if step > last and hmac.compare_digest(totp.at(step * _STEP_S).encode(), given):
                return step
        return None

    def set_password(self, account_id: str, password_hash: str, keep: str) -> None:
        """keep: the session that lives on; all others of the account end. Raises: ThingUnknown."""
        with self._file.writing():
            self.find(account_id)
            now = self._file.clock.utc_s()
            self._file.write(
                "UPDATE account SET password_hash = ?, password_at = ?, version = version + 1 WHERE account_id = ?",
                password_hash, now, account_id,
            )  # fmt: skip
            self._file.write(
                "UPDATE token SET revoked_at = ? WHERE account_id = ? AND token_id <> ? AND revoked_at IS NULL"
                " AND kind IN ('session', 'link')",
                now, account_id, keep,
            )  # fmt: skip
            self._file.write("UPDATE token SET must_enrol = 0 WHERE token_id = ?", keep)
            self._file.tell("PasswordSet", account_id, (account_id, now), {"account_id": account_id})

    def new_totp(self, account_id: str) -> tuple[str, str]:
        """A secret for an authenticator, and its otpauth URI; it counts from `set_totp` on. Raises: ThingUnknown."""
        secret = pyotp.random_base32()
        return secret, pyotp.TOTP(secret).provisioning_uri(name=self.find(account_id).login, issuer_name=ISSUER)

    def set_totp(self, account_id: str, secret: str, code: str) -> list[str]:
        """Recovery codes, shown this once. Raises: ThingUnknown. ValueRefused: the code is not one of this secret."""
        step = self._step_of(secret, code, 0) if len(secret) >= 32 else None
        if step is None:
            raise ValueRefused("code", "it is not the code of this secret now; check the clock of the authenticator")
        codes = ["-".join(textwrap.wrap(new_secret()[:16], 4)) for _ in range(_RECOVERY_CODES)]  # 80 bits each
        with self._file.writing():
            self.find(account_id)
            self._file.write(
                "UPDATE account SET totp_secret = ?, totp_step = ?, version = version + 1 WHERE account_id = ?",
                secret, step, account_id,
            )  # fmt: skip
            self._file.write("DELETE FROM recovery WHERE account_id = ?", account_id)
            for each in codes:
                self._file.write("INSERT INTO recovery VALUES (?, ?, NULL)", hashed(_plain(each)), account_id)
            now = self._file.clock.utc_s()
            self._file.tell("SecondFactorSet", account_id, (account_id, now), {"account_id": account_id})
        return codes

    def forget_totp(self, account_id: str, by: str) -> None:
        """For a lost authenticator: the owner sets a new one when he comes in next; his sessions end."""
        with self._file.writing():
            self.find(account_id)
            self._file.write(
                "UPDATE account SET totp_secret = '', totp_step = 0, version = version + 1 WHERE account_id = ?",
                account_id,
            )
            self._file.write("DELETE FROM recovery WHERE account_id = ?", account_id)
            self._tokens.end_all_of(account_id)
            now = self._file.clock.utc_s()
            self._file.tell("SecondFactorRemoved", by, (account_id, now), {"account_id": account_id})

    def _tell(self, kind: Literal["UserAdded", "UserChanged", "UserDisabled", "UserEnabled"], by: str,
              account: Account, ids: tuple[int, ...]) -> None:  # fmt: skip
        self._file.tell(
            kind, by, (account.account_id, *ids),
            {"account_id": account.account_id, "login": account.login, "name": account.name, "role": account.role,
             "unit": account.unit, "officer_id": account.officer_id},
        )  # fmt: skip


_SELECT = (
    "SELECT account_id, login, name, role, unit, officer_id, password_hash <> '', totp_secret <> '', created_at,"
    " disabled_at, version FROM account"
)


def _account(row: Sequence[Any]) -> Account:
    account_id, login, name, role, unit, officer_id, has_password, has_totp, created_at, disabled_at, version = row
    return Account(
        account_id, login, name, role, unit, officer_id, bool(has_password), bool(has_totp), created_at, disabled_at,
        version,
    )  # fmt: skip


def _folded(login: str) -> str:
    return unicodedata.normalize("NFKC", login).strip().casefold()


def _plain(code: str) -> str:
    return "".join(code.split()).replace("-", "").lower()


def _role(role: str) -> str:
    if role not in ROLES or role == SERVICE:
        raise ValueRefused("role", f"no such role; one of {', '.join(each for each in ROLES if each != SERVICE)}")
    return role
