"""Tickets: a minute's right of one principal to begin watching one stream. Kept in memory, used once."""

import hashlib
import secrets
from dataclasses import dataclass

from pipeline.clock import Clock
from pipeline.errors import AccessDenied

_MAX_TICKETS = 20_000  # more than can be asked for in a minute by any wall; the oldest go first


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket is good for."""

    principal_id: str
    stream_id: str
    expires_s: float
    why: str = "duty"


class Tickets:
    """The tickets that are out. Bound: `_MAX_TICKETS`."""

    def __init__(self, lasts_s: float, clock: Clock) -> None:
        self._lasts_s = lasts_s
        self._clock = clock
        self._out: dict[str, Ticket] = {}

    def issue(self, principal_id: str, stream_id: str, why: str = "duty") -> tuple[str, float]:
        """(the ticket, when it expires in UTC seconds). why: what the view is for."""
        secret = secrets.token_urlsafe(24)
        now_s = self._clock.monotonic_s()
        for key, ticket in list(self._out.items()):
            if ticket.expires_s > now_s and len(self._out) < _MAX_TICKETS:
                break
            del self._out[key]
        self._out[_hash(secret)] = Ticket(principal_id, stream_id, now_s + self._lasts_s, why)
        return secret, self._clock.utc_s() + self._lasts_s

    def redeem(self, secret: str, stream_id: str) -> Ticket:
        """What it is good for; it is used up.

        Raises: AccessDenied: unknown, expired, used, or for another stream.
        """
        ticket = self._out.get(_hash(secret))
        if ticket is None or ticket.stream_id != stream_id or ticket.expires_s < self._clock.monotonic_s():
            raise AccessDenied("this ticket is unknown, expired, used or for another stream; ask for a new one")
        del self._out[_hash(secret)]
        return ticket

    def revoke(self, principal_id: str) -> None:
        """Take back every ticket of this principal."""
        self._out = {key: ticket for key, ticket in self._out.items() if ticket.principal_id != principal_id}


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()  # a stranger's bytes are no error
