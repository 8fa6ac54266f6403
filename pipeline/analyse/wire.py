"""Work, leases and reports as lines of JSON and back, with every field and type checked. Knows no transport."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Literal, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from pipeline.analyse.board import Caption, Ended, Lease, Report, Work
from pipeline.errors import EvidenceError, WorkerFailed
from pipeline.event_codec import event_from, tree_of
from pipeline.events import Event

MOST_LINE_BYTES = 8 * 1024 * 1024
_MOST_WHOLE = 2**53  # beyond it a JSON number is not the same everywhere

Tree: TypeAlias = dict[str, object]
Told = TypeVar("Told", Work, Lease, Report, Caption, Ended)


def line_of(tree: Mapping[str, object]) -> bytes:
    """`tree` as one line, with its end. Raises: WorkerFailed: it is longer than MOST_LINE_BYTES."""
    line = json.dumps(tree, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    if len(line) > MOST_LINE_BYTES:
        raise WorkerFailed(f"a line of {len(line)} bytes for the board; at most {MOST_LINE_BYTES}: tell it in parts")
    return line


def tree_from(line: bytes | str) -> Tree:
    """Raises: WorkerFailed: it is no object of JSON, too long, or holds a number or a text that nobody can keep."""
    if len(line) > MOST_LINE_BYTES:
        raise WorkerFailed(f"a line of more than {MOST_LINE_BYTES} bytes from the board")
    try:
        text = line if isinstance(line, str) else line.decode()
        text.encode()  # what is no text here is refused: the reader of JSON lets half characters pass
        tree = json.loads(text, parse_int=_whole, parse_constant=_constant)
        is_clean = "\\u" not in text or _is_clean(tree)  # only an escape can hide another one
    except (ValueError, RecursionError) as error:
        raise WorkerFailed("a line from the board that is no JSON") from error
    if not is_clean or not isinstance(tree, dict):
        raise WorkerFailed("a line from the board that is no object, or has a text with a NUL or half a character")
    return tree


def told(thing: Work | Lease | Report | Caption | Ended) -> Tree:
    """`thing` as a tree of JSON; `told_from` reads it."""
    return {field.name: _plain(getattr(thing, field.name)) for field in fields(thing)}


def told_from(kind: type[Told], tree: object) -> Told:
    """What `told` made a tree of. A field may be left out where `kind` has a default.

    Raises: WorkerFailed: a field is missing, unknown or of another type.
    """
    if not isinstance(tree, dict):
        raise WorkerFailed(f"a {kind.__name__} that is no object")
    known = {field.name: field.default for field in fields(kind)}
    if unknown := tree.keys() - known.keys():
        raise WorkerFailed(f"a {kind.__name__} with a field that is not its own: {min(map(repr, unknown)):.40}")
    if missing := [name for name in known if name not in tree and known[name] is MISSING]:
        raise WorkerFailed(f"a {kind.__name__} without {missing[0]}")
    make: Callable[..., Told] = kind
    hints = _HINTS[kind.__name__]
    return make(**{name: _value(hints[name], value, f"{kind.__name__}.{name}") for name, value in tree.items()})


_TELLING = (Work, Lease, Report, Caption, Ended)
_HINTS: dict[str, dict[str, object]] = {each.__name__: get_type_hints(each) for each in _TELLING}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, _TELLING):
        return told(value)
    return tree_of(value) if isinstance(value, get_args(Event)) else value


def _value(hint: object, value: object, name: str) -> object:
    """`value` as what `hint` says. Raises: WorkerFailed: it is not; its text is not told, it may be spoken words."""
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_value(get_args(hint)[0], each, name) for each in value)
    if hint == Event and isinstance(value, dict):
        try:
            return event_from(value)
        except EvidenceError as error:
            raise WorkerFailed(f"{name}: {error}") from error
    if hint is Work:
        return told_from(Work, value)
    if hint is Caption:
        return told_from(Caption, value)
    if hint is float and isinstance(value, int | float) and type(value) is not bool and math.isfinite(value):
        return float(value)
    if hint in (str, int, bool) and type(value) is hint:
        return value
    if get_origin(hint) is Literal and isinstance(value, str) and value in get_args(hint):
        return value
    raise WorkerFailed(f"{name} is of another type, or no value that it can have")


def _whole(digits: str) -> int:
    if len(digits) > len(str(_MOST_WHOLE)) + 1 or abs(int(digits)) > _MOST_WHOLE:
        raise ValueError("a whole number that is too large")
    return int(digits)


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _is_clean(value: object) -> bool:
    """No text in it has a NUL, which PostgreSQL refuses, or a lone surrogate, which UTF-8 cannot carry."""
    match value:
        case str():
            return "\0" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)
        case dict():
            return all(_is_clean(key) and _is_clean(each) for key, each in value.items())
        case list():
            return all(map(_is_clean, value))
        case _:
            return True
