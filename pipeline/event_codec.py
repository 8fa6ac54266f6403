"""Facts as trees of JSON and back, with every field and type checked. Knows no file and no wire."""

import math
from collections.abc import Callable, Mapping
from types import UnionType
from typing import get_args, get_type_hints

from pipeline.errors import EvidenceError
from pipeline.events import Event

_KINDS: dict[str, Callable[..., Event]] = {each.__name__: each for each in get_args(Event)}
_FIELDS: dict[str, dict[str, type | UnionType]] = {each.__name__: get_type_hints(each) for each in get_args(Event)}


def tree_of(event: Event) -> dict[str, str | int | float | bool]:
    """`event` as one level of JSON, its kind among its fields; without those that say nothing (None)."""
    kind = type(event).__name__
    values = {name: getattr(event, name) for name in _FIELDS[kind]}
    return {"kind": kind, **{name: value for name, value in values.items() if value is not None}}


def event_from(tree: Mapping[str, object]) -> Event:
    """The fact that `tree` tells. A field may be left out where its class has a default: an older release wrote it.

    Raises: EvidenceError: the kind, a field or a value is none of this program's.
    """
    values = dict(tree)
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise EvidenceError("a fact of a kind that this program does not know")
    fields = _FIELDS[kind]
    for name, value in values.items():
        if name not in fields or not _is_of(value, fields[name]):
            raise EvidenceError(f"a {kind} with a field or a value that is not its own: {name!r:.40}")
    try:
        return _KINDS[kind](**values)
    except TypeError as error:
        raise EvidenceError(f"a {kind} that lacks a field") from error


def _is_of(value: object, kind: type | UnionType) -> bool:
    """Whole numbers stay whole where a float is meant: an id is made of how a number is written.

    What may be None is left out, never written.
    """
    if isinstance(kind, UnionType):
        kind = get_args(kind)[0]
    if kind is float:
        return type(value) is int or (type(value) is float and math.isfinite(value))
    return type(value) is kind
