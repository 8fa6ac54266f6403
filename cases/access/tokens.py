"""Tokens, one-time links and browser sessions: what opens a door, for how long, and to whom it belongs."""

import contextlib
import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from cases.access.file import AccessFile
from cases.access.principal import ROLES, Principal
from cases.access.secret import hashed, new_secret
from pipeline.errors import AccessDenied, CodeNeeded, StateConflict, StorageError

_MAX_ENDS = 20_000  # sessions, links and tokens that end, seen since the start; the oldest is forgotten first
_SET_BACK_S = 86_400.0  # what ended longer ago no clock brings back: nobody sets one back by more than a day
_SEEN_EVERY_S = 30.0  # how exactly it is known when a session was used last
_COLUMNS = (
    "token.token_id, coalesce(account.name, token.name), coalesce(account.role, token.role), token.expires_at,"
    " token.account_id, coalesce(account.unit, token.unit), coalesce(account.officer_id, ''), token.device_ids,"
    " token.scopes, token.must_enrol, account.password_at, coalesce(account.totp_secret, ''), token.kind,"
    " token.seen_at, token.created_at"
)
_FROM = (
    " FROM token LEFT JOIN account ON account.account_id = token.account_id AND token.account_id <> ''"
    " WHERE token.revoked_at IS NULL AND (token.expires_at IS NULL OR token.expires_at > ?)"
    " AND (token.account_id = '' OR (account.account_id IS NOT NULL AND account.disabled_at IS NULL))"
)


@dataclass(frozen=True, slots=True)
class Demands:
    """What accounts must have before they may do anything, and how long an unused session lives; seconds."""

    second_factor: bool = True
    password_age_s: float | None = None
    idle_s: float | None = None


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token or session as its owner sees it. kind: "token", "session"."""

    token_id: str
    kind: str
    name: str
    role: str
    scopes: frozenset[str]
    created_at: float
    expires_at: float | None
    seen_at: float | None
    agent: str


class Tokens(ABC):
    """The tokens of the access file.

    Ends stand in UTC, for they outlive the process; what was seen to be left of them is held to by the monotonic clock
    too, so that a clock set back gives nobody more time.
    """

    def __init__(self, file: AccessFile) -> None:
        self.demands = Demands()
        self._file = file
        self._ends_s: dict[str, float] = {}  # by token id, monotonic; bound: _MAX_ENDS
        self._ends_version = (-1, -1)
        self._seen: dict[str, float] = {}  # when sessions were used last; bound: _MAX_ENDS

    def create_token(
        self,
        role: str,
        name: str = "",
        lasts_s: float | None = None,
        *,
        unit: str = "",
        device_ids: Sequence[str] = (),
        scopes: Sequence[str] = (),
        account_id: str = "",
        by: str = "console",
        token_id: str = "",
    ) -> str:
        """A bearer token, shown this once. Of an account: it has that account's role and reach, whatever stands here.

        unit: whose streams and cases it reaches; empty: the bureau's. scopes: permissions it is held to.
        token_id: follows from an Idempotency-Key.
        Raises: AccessDenied: there is no such role. StateConflict: this token_id was made already.
        """
        secret = "t" + new_secret()
        return self._create(
            "token", role, name or role, secret, lasts_s, unit=unit, device_ids=device_ids, scopes=scopes,
            account_id=account_id, by=by, token_id=token_id,
        )  # fmt: skip

    def create_link(
        self, role: str, name: str, lasts_s: float, *, account_id: str = "", must_enrol: bool = False,
        by: str = "console",
    ) -> str:  # fmt: skip
        """A code that opens one browser session, once.

        must_enrol: in that session nothing can be done before the account has a new password and a second factor.
        """
        secret = "c" + new_secret()
        return self._create("link", role, name, secret, lasts_s, account_id=account_id, must_enrol=must_enrol, by=by)

    def sign_in(self, code: str, session_s: float, agent: str = "", second: str = "") -> tuple[Principal, str]:
        """A browser session for a one-time code (used up by this) or a bearer token.

        second: of the second factor, where the link belongs to an account that has one; a wrong one uses the link up.
        Raises: AccessDenied: unknown, expired, used or revoked. CodeNeeded.
        """
        refusal: AccessDenied | None = None
        with self._file.writing():
            now = self._file.clock.utc_s()
            rows = self._file.rows(
                f"SELECT {_COLUMNS}{_FROM} AND token.hash = ? AND token.kind IN ('link', 'token')", now, hashed(code)
            )
            if not rows or self._is_over(rows[0][0], rows[0][3]):
                raise AccessDenied("this link or token is unknown, expired or was used; ask for a new one")
            row = rows[0]
            if row[12] == "link":
                refusal = self._second_refusal(row[4], second) if row[11] else None
                if isinstance(refusal, CodeNeeded):
                    raise refusal
                self._file.write("UPDATE token SET revoked_at = ? WHERE token_id = ?", now, row[0])
                expires_at = now + session_s
            else:
                expires_at = min(now + session_s, row[3] or now + session_s)
            session_id, secret = "", ""
            if refusal is None:
                session_id, secret = self._open(
                row[2], row[1], expires_at, account_id=row[4], unit=row[5], device_ids=row[7], scopes=row[8],
                must_enrol=bool(row[9]), agent=agent, how=row[12],
            )  # fmt: skip
        if refusal is not None:
            raise refusal
        principal = self.named(session_id)
        if principal is None:
            raise AccessDenied("the session ended at once")
        return principal, secret

    def open_session(
        self, account_id: str, role: str, name: str, session_s: float, agent: str, how: str
    ) -> tuple[str, str]:
        """A browser session of an account that proved itself: its id and its secret. Within `writing`."""
        return self._open(
            role, name, self._file.clock.utc_s() + session_s, account_id=account_id, unit="", device_ids="", scopes="",
            must_enrol=False, agent=agent, how=how,
        )  # fmt: skip

    def who(self, secret: str, *, kind: str) -> Principal | None:
        """Who holds this secret now. kind: 'token' or 'session'."""
        return self._principal(" AND token.hash = ? AND token.kind = ?", hashed(secret), kind, is_use=True)

    def named(self, principal_id: str) -> Principal | None:
        """The principal of this id, while it may come in."""
        return self._principal(" AND token.token_id = ?", principal_id)

    def notice(self) -> None:
        """See what is left to everything that ends, used or not. Called every second; reads only what is new."""
        version = self._file.version
        if version != self._ends_version:
            since = self._file.clock.utc_s() - _SET_BACK_S
            rows = self._file.rows(
                "SELECT token_id, expires_at FROM token WHERE revoked_at IS NULL AND expires_at > ?"
                " ORDER BY created_at DESC LIMIT ?",
                since, _MAX_ENDS,
            )  # fmt: skip
            for token_id, expires_at in reversed(rows):
                self._is_over(token_id, expires_at)
            self._ends_version = version

    def end(self, principal_id: str, by: str = "") -> None:
        """Sign out or revoke. by: who does, where it is not its holder."""
        with self._file.writing():
            now = self._file.clock.utc_s()
            changed = self._file.write(
                "UPDATE token SET revoked_at = ? WHERE token_id = ? AND revoked_at IS NULL", now, principal_id
            )
            if changed:
                self._file.tell("SignedOut", by or principal_id, (principal_id,), {"principal_id": principal_id})

    def end_all_of(self, account_id: str) -> None:
        """Every session, token and link of an account. Within `writing`."""
        now = self._file.clock.utc_s()
        self._file.write("UPDATE token SET revoked_at = ? WHERE account_id = ? AND revoked_at IS NULL", now, account_id)

    def end_links_of(self, account_id: str) -> None:
        """The links of an account that were not used. Within `writing`."""
        self._file.write(
            "UPDATE token SET revoked_at = ? WHERE account_id = ? AND kind = 'link' AND revoked_at IS NULL",
            self._file.clock.utc_s(), account_id,
        )  # fmt: skip

    def of_account(self, account_id: str) -> list[TokenRecord]:
        """Its tokens and sessions that live, the newest first."""
        rows = self._file.rows(
            "SELECT token_id, kind, name, role, scopes, created_at, expires_at, seen_at, agent FROM token"
            " WHERE account_id = ? AND kind IN ('token', 'session') AND revoked_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > ?) ORDER BY created_at DESC",
            account_id, self._file.clock.utc_s(),
        )  # fmt: skip
        return [
            TokenRecord(token_id, kind, name, role, frozenset(scopes.split()), created_at, expires_at, seen_at, agent)
            for token_id, kind, name, role, scopes, created_at, expires_at, seen_at, agent in rows
        ]

    def must_enrol(self, principal_id: str) -> bool:
        """Whether the session came by a link that lets its owner choose a password."""
        return bool(self._file.rows("SELECT 1 FROM token WHERE token_id = ? AND must_enrol = 1", principal_id))

    @abstractmethod
    def _second_refusal(self, account_id: str, second: str) -> AccessDenied | None:
        """Within `writing`. What an account's second factor says to a link of it; `Access` knows."""

    def _principal(self, where: str, *values: str, is_use: bool = False) -> Principal | None:
        now = self._file.clock.utc_s()
        rows = self._file.rows(f"SELECT {_COLUMNS}{_FROM}{where}", now, *values)
        if not rows or self._is_over(rows[0][0], rows[0][3]):
            return None
        row = rows[0]
        token_id, account_id, kind = row[0], row[4], row[12]
        seen_at = max(row[13] or row[14], self._seen.get(token_id, 0.0))
        if kind == "session":
            if self.demands.idle_s is not None and now - seen_at > self.demands.idle_s:
                return None
            if is_use and abs(now - seen_at) > _SEEN_EVERY_S:
                self._used(token_id, now)
        assigned = set(row[7].split())
        if account_id:
            found = self._file.rows("SELECT device_id FROM assignment WHERE account_id = ?", account_id)
            assigned |= {each[0] for each in found}
        return Principal(
            token_id, row[1], row[2], row[3], account_id, row[5], row[6], frozenset(assigned),
            frozenset(row[8].split()),
            self._needs(bool(row[9]), row[10], row[11], now) if account_id and kind == "session" else "",
        )  # fmt: skip

    def _used(self, token_id: str, now: float) -> None:
        """A full or slow disk keeps nobody out who is in: it is remembered here, and written where that can be."""
        self._seen[token_id] = now
        if len(self._seen) > _MAX_ENDS:
            del self._seen[next(iter(self._seen))]
        with contextlib.suppress(StorageError), self._file.writing(is_lasting=False):
            self._file.write("UPDATE token SET seen_at = ? WHERE token_id = ?", now, token_id)

    def _needs(self, must_enrol: bool, password_at: float | None, totp: str, now: float) -> str:
        if not must_enrol and password_at is None:
            return ""  # opened by a link from the console, for an account that has no password
        age_s = self.demands.password_age_s
        if must_enrol or password_at is None or (age_s is not None and now - password_at > age_s):
            return "password"
        return "totp" if self.demands.second_factor and not totp else ""

    def _is_over(self, token_id: str, expires_at: float | None) -> bool:
        """Whether no time is left, by what was left when this process saw it first."""
        if expires_at is None:
            return False
        now_s = self._file.clock.monotonic_s()
        end_s = self._ends_s.setdefault(token_id, now_s + expires_at - self._file.clock.utc_s())
        if len(self._ends_s) > _MAX_ENDS:
            del self._ends_s[next(iter(self._ends_s))]
        return end_s <= now_s

    def _open(
        self, role: str, name: str, expires_at: float, *, account_id: str, unit: str, device_ids: str, scopes: str,
        must_enrol: bool, agent: str, how: str,
    ) -> tuple[str, str]:  # fmt: skip
        secret, session_id, now = "s" + new_secret(), f"ses_{secrets.token_hex(8)}", self._file.clock.utc_s()
        self._file.write(
            "INSERT INTO token (token_id, kind, role, name, hash, created_at, expires_at, account_id, unit, device_ids,"
            " scopes, must_enrol, seen_at, agent) VALUES (?, 'session', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            session_id, role, name, hashed(secret), now, expires_at, account_id, unit, device_ids, scopes,
            int(must_enrol), now, agent[:200],
        )  # fmt: skip
        self._is_over(session_id, expires_at)
        body = {"principal_id": session_id, "name": name, "role": role, "how": how, "agent": agent[:200]}
        self._file.tell("SignedIn", account_id or session_id, (session_id,), body)
        return session_id, secret

    def _create(
        self, kind: str, role: str, name: str, secret: str, lasts_s: float | None, *, unit: str = "",
        device_ids: Sequence[str] = (), scopes: Sequence[str] = (), account_id: str = "", must_enrol: bool = False,
        by: str, token_id: str = "",
    ) -> str:  # fmt: skip
        if role not in ROLES:
            raise AccessDenied(f"no role {role!r}; one of {', '.join(ROLES)}")
        now, wanted_id = self._file.clock.utc_s(), token_id
        token_id = wanted_id or f"{kind[:3]}_{secrets.token_hex(8)}"
        with self._file.writing():
            if wanted_id and self._file.rows("SELECT 1 FROM token WHERE token_id = ?", wanted_id):
                raise StateConflict(
                    f"this Idempotency-Key made the token {wanted_id} already; it was shown then and is not kept: end"
                    " it, and make another one under another Idempotency-Key"
                )
            self._file.write(
                "INSERT INTO token (token_id, kind, role, name, hash, created_at, expires_at, account_id, unit,"
                " device_ids, scopes, must_enrol) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                token_id, kind, role, name, hashed(secret), now, None if lasts_s is None else now + lasts_s,
                account_id, unit, " ".join(device_ids), " ".join(scopes), int(must_enrol),
            )  # fmt: skip
            self._file.tell(
                "TokenMade" if kind == "token" else "LinkMade", by, (token_id,),
                {"token_id": token_id, "name": name, "role": role, "account_id": account_id, "unit": unit,
                 "scopes": list(scopes)},
            )  # fmt: skip
        return secret
