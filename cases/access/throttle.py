"""Wrong guesses are slowed down without locking anybody out: a browser that the account knows has a count of its own.

A stranger's guesses, however many, close an account to strangers only; its owner comes in from the browser he used
before, or by a link from an administrator. Source: OWASP, Slow Down Online Guessing Attacks with Device Cookies.
"""

from dataclasses import dataclass

from cases.access.file import AccessFile
from cases.access.secret import hashed, new_secret

_MOST_KEYS = 50_000
_ADDRESS_FACTOR = 10  # guesses from one address, at however many accounts, before it is told to wait


@dataclass(frozen=True, slots=True)
class Limit:
    """How many wrong guesses within how many seconds."""

    count: int = 5
    within_s: float = 900.0


class Throttle:
    """Counts of wrong guesses, kept over restarts."""

    def __init__(self, file: AccessFile) -> None:
        self.limit = Limit()
        self._file = file

    def keys(self, login: str, account_id: str, client: str, address: str) -> tuple[str, ...]:
        """Whose guess this is. client: the secret that a browser got when this account signed in there last."""
        if client and account_id:
            known = self._file.rows("SELECT account_id FROM client WHERE hash = ?", hashed(client))
            if known and known[0][0] == account_id:
                return (f"client {hashed(client)}",)
        return (f"login {hashed(login)}", f"address {address}")

    def is_closed(self, keys: tuple[str, ...]) -> bool:
        now = self._file.clock.utc_s()
        for key in keys:
            rows = self._file.rows("SELECT count, first_at FROM failure WHERE key = ?", key)
            most = self.limit.count * (_ADDRESS_FACTOR if key.startswith("address ") else 1)
            if rows and rows[0][0] >= most and abs(now - rows[0][1]) <= self.limit.within_s:
                return True
        return False

    def failed(self, keys: tuple[str, ...]) -> None:
        """Within `writing`."""
        now = self._file.clock.utc_s()
        self._file.write("DELETE FROM failure WHERE abs(? - first_at) > ?", now, self.limit.within_s)
        for key in keys:
            self._file.write(
                "INSERT INTO failure VALUES (?, 1, ?) ON CONFLICT (key) DO UPDATE SET count = count + 1", key, now
            )
        self._file.write(
            "DELETE FROM failure WHERE key IN (SELECT key FROM failure ORDER BY first_at DESC LIMIT -1 OFFSET ?)",
            _MOST_KEYS,
        )

    def succeeded(self, keys: tuple[str, ...], account_id: str) -> str:
        """The secret by which this browser is known from now on. Within `writing`."""
        for key in keys:
            if not key.startswith("address "):
                self._file.write("DELETE FROM failure WHERE key = ?", key)
        secret = "d" + new_secret()
        self._file.write("INSERT INTO client VALUES (?, ?, ?)", hashed(secret), account_id, self._file.clock.utc_s())
        self._file.write(
            "DELETE FROM client WHERE account_id = ? AND hash NOT IN"
            " (SELECT hash FROM client WHERE account_id = ? ORDER BY made_at DESC LIMIT 20)",
            account_id, account_id,
        )  # fmt: skip
        return secret
