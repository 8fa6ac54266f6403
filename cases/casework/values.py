"""Values that people give, as the record takes them. Plain code."""

import unicodedata

from pipeline.errors import ValueRefused

_AHEAD_US = 60_000_000  # clocks of browsers differ by seconds; a minute ahead is no mistake of a clock
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_SIGNS = frozenset("\n\t")
_NO_TEXT = frozenset(("Cc", "Cs", "Zl", "Zp"))


def name(field: str, text: str, most: int = 200) -> str:
    """One line, not empty, NFC, without spaces at its ends.

    Raises: ValueRefused: it is empty or longer than `most` signs; it holds control signs, or signs that turn the
    direction of writing and so show another text than it is.
    """
    found = optional_name(field, text, most)
    if not found:
        raise ValueRefused(field, "it is empty")
    return found


def optional_name(field: str, text: str, most: int = 200) -> str:
    """As `name`; may be empty."""
    found = unicodedata.normalize("NFC", text).strip()
    _check(field, found, most, frozenset())
    return found


def paragraph(field: str, text: str, most: int = 20_000) -> str:
    """As `name`, of several lines, each ended by a line feed."""
    found = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    _check(field, found, most, _LINE_SIGNS)
    if not found:
        raise ValueRefused(field, "it is empty")
    return found


def past(field: str, at_us: int, now_us: int) -> int:
    """A time that has come. Raises: ValueRefused."""
    if not 0 <= at_us <= now_us + _AHEAD_US:
        raise ValueRefused(field, "it lies in the future, or before 1970; give the time at which it happened")
    return min(at_us, now_us)


def _check(field: str, text: str, most: int, allowed: frozenset[str]) -> None:
    if len(text) > most:
        raise ValueRefused(field, f"it has {len(text)} signs; at most {most} are taken")
    for sign in text:
        if sign in allowed:
            continue
        if sign in _BIDI:
            raise ValueRefused(field, f"it holds U+{ord(sign):04X}, which turns the direction of writing; leave it out")
        if unicodedata.category(sign) in _NO_TEXT:
            raise ValueRefused(field, f"it holds the control sign U+{ord(sign):04X}; leave it out")
