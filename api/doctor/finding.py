"""What the doctor says about one thing."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it is; only an error makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was found, why it matters, and what to do where it is not well."""

    check: str
    verdict: Verdict
    found: str
    why: str = ""
    remedy: str = ""

    def line(self) -> str:
        """As a row of the table on a terminal; what is not well says why and what to do below it."""
        rows = [f"{self.verdict.replace('_', ' '):12} {self.check:24} {self.found}"]
        rows += [f"{'':12} {word:>24} {text}" for word, text in (("why", self.why), ("remedy", self.remedy)) if text]
        return "\n".join(rows)


def ok(check: str, found: str) -> Finding:
    return Finding(check, Verdict.OK, found)


def warning(check: str, found: str, why: str, remedy: str) -> Finding:
    return Finding(check, Verdict.WARNING, found, why, remedy)


def error(check: str, found: str, why: str, remedy: str) -> Finding:
    return Finding(check, Verdict.ERROR, found, why, remedy)


def cannot_tell(check: str, found: str, remedy: str = "") -> Finding:
    return Finding(check, Verdict.CANNOT_TELL, found, "", remedy)
