"""Who asks. Knows no file and no route."""

from dataclasses import dataclass

ROLES = (
    "viewer", "commander", "officer", "handler", "reviewer", "archivist", "analyst",
    "system_admin", "security_admin", "audit_admin", "service",
)  # fmt: skip
SERVICE = "service"
"""A worker of analysis on another machine: a token, never a person's account."""
ADMINISTRATORS = frozenset({"system_admin", "security_admin", "audit_admin"})
"""三员分立: an account has one role, and one of these it keeps. Source: GB/T 22239-2019, 8.1.5."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A token or a browser session, with what it may reach.

    account_id: empty for a token that belongs to no account. unit: empty reaches the whole bureau. officer_id: the
    officer this person is. device_ids: what is assigned to it. scopes: permissions it is held to; empty: all of its
    role. needs: "", or what must be done before anything else: "password", "totp".
    """

    principal_id: str
    name: str
    role: str
    expires_at: float | None
    account_id: str = ""
    unit: str = ""
    officer_id: str = ""
    device_ids: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    needs: str = ""

    @property
    def by(self) -> str:
        """Who acts, as facts say it: the account, else the token."""
        return self.account_id or self.principal_id
