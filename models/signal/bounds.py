"""Bounds of the watches, from a file in configs/rules/signal/: where a kind of finding begins and where it ends.

Knows no measure: a watch says which kinds and which of their bounds it needs.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from pipeline.errors import SettingsInvalid

GROUPS: Final = ("integrity", "sound")
SEVERITIES: Final = ("low", "medium", "high", "critical")
LONGEST_S: Final = 3600.0
"""Of `enter_s` and `leave_s`: what takes longer to be told than an hour is a mistake of the unit."""
_TEXTS: Final = ("zh", "en", "group", "severity")
_TIMES: Final = ("enter_s", "leave_s")
_NEEDED: Final = (*_TEXTS, *_TIMES, "bounds")
_FIELDS: Final = (*_NEEDED, "law")
_MERGE: Final = "tag:yaml.org,2002:merge"
_NUMBERS: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_DIGITS_OF_VERSION: Final = 8


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding. enter_s, leave_s: how long it must hold to begin, and be gone to end, in seconds.

    bounds: by name. `x_max`: it may begin where x is at most this; `x_max_leave`: it may end where x is more than this.
    `x_min`: it may begin where x is at least this; `x_min_leave`: it may end where x is less.
    law: the article behind it; may be empty.
    """

    finding: str
    group: str
    severity: str
    zh: str
    en: str
    enter_s: float
    leave_s: float
    bounds: Mapping[str, float]
    law: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """All of one file. version: the first 8 hex digits of the SHA-256 of what it says; comments do not count."""

    name: str
    version: str
    kinds: Mapping[str, Kind]

    def rule(self, finding: str) -> str:
        """What judged, as findings name it: name.finding@version."""
        return f"{self.name}.{finding}@{self.version}"


def load(path: Path, wanted: Mapping[str, frozenset[str]]) -> Bounds:
    """The bounds in `path`, whose name is the file's own without `.yaml`. wanted: kinds, and the names of their bounds.

    Raises: SettingsInvalid: every mistake, a line each, with file, line and remedy.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsInvalid(f"{path}:{line}: this is not YAML: {error.problem}; correct it there") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsInvalid(f"{path}: {error}") from error
    reading = _Reading(path.stem, wanted)
    if mistakes := sorted(reading.read(root)):
        raise SettingsInvalid("\n".join(f"{path}:{line}: {what}" for line, what in mistakes))
    return Bounds(path.stem, _version(path.stem, reading.kinds), reading.kinds)


def _version(name: str, kinds: Mapping[str, Kind]) -> str:
    content = {
        key: [kind.group, kind.severity, kind.zh, kind.en, kind.law, kind.enter_s, kind.leave_s, dict(kind.bounds)]
        for key, kind in kinds.items()
    }
    text = json.dumps([name, content], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS_OF_VERSION]


_Mistakes = Iterator[tuple[int, str]]  # line, and what is wrong with what to do


@dataclass(slots=True)
class _Reading:
    """What is right goes into `kinds`; what is wrong is told."""

    name: str
    wanted: Mapping[str, frozenset[str]]
    kinds: dict[str, Kind] = field(default_factory=dict)

    def read(self, root: yaml.Node | None) -> _Mistakes:
        if not isinstance(root, yaml.MappingNode):
            yield 1, "`name` and `kinds` are wanted here"
            return
        parts: dict[str, yaml.Node] = {}
        yield from _fields(root, "", ("name", "kinds"), ("name", "kinds"), parts)
        if (name := parts.get("name")) is not None and (_text(name) != self.name):
            yield _line(name), f"name: write {self.name}, as the file is called"
        if isinstance(kinds := parts.get("kinds"), yaml.MappingNode):
            listed: dict[str, yaml.Node] = {}
            yield from _fields(kinds, "kinds", tuple(self.wanted), tuple(self.wanted), listed)
            for finding, node in listed.items():
                yield from self._kind(finding, node)
        elif kinds is not None:
            yield _line(kinds), f"kinds: each kind is wanted by its name: {_listed(self.wanted)}"

    def _kind(self, finding: str, node: yaml.Node) -> _Mistakes:
        where = f"kinds.{finding}"
        if not isinstance(node, yaml.MappingNode):
            yield _line(node), f"{where}: {_listed(_NEEDED)} are wanted here"
            return
        parts: dict[str, yaml.Node] = {}
        bounds: dict[str, float] = {}
        mistakes = list(_fields(node, where, _FIELDS, _NEEDED, parts))
        texts: dict[str, str] = {key: _text(parts[key]) for key in (*_TEXTS, "law") if key in parts}
        mistakes += [(_line(parts[key]), f"{where}.{key}: a text is wanted") for key, text in texts.items() if not text]
        for key, known in (("group", GROUPS), ("severity", SEVERITIES)):
            if (text := texts.get(key)) and text not in known:
                mistakes.append((_line(parts[key]), f"{where}.{key}: {text} is none; one of {_listed(known)}"))
        times = dict.fromkeys(_TIMES, 0.0)
        for key in times.keys() & parts.keys():
            number = _number(parts[key])
            if number is None or not 0 <= number <= LONGEST_S:
                mistakes.append((_line(parts[key]), f"{where}.{key}: seconds are wanted, 0 to {LONGEST_S:g}"))
            else:
                times[key] = number
        if "bounds" in parts:
            mistakes += _bounds(f"{where}.bounds", parts["bounds"], self.wanted[finding], bounds)
        if not mistakes:
            self.kinds[finding] = Kind(
                finding, texts["group"], texts["severity"], texts["zh"], texts["en"], times["enter_s"],
                times["leave_s"], bounds, texts.get("law", ""),
            )  # fmt: skip
        yield from mistakes


def _bounds(where: str, node: yaml.Node, wanted: frozenset[str], found: dict[str, float]) -> _Mistakes:
    if not isinstance(node, yaml.MappingNode):
        yield _line(node), f"{where}: numbers are wanted, each by its name: {_listed(sorted(wanted))}"
        return
    parts: dict[str, yaml.Node] = {}
    yield from _fields(node, where, tuple(sorted(wanted)), tuple(sorted(wanted)), parts)
    for name, each in parts.items():
        if (number := _number(each)) is None:
            yield _line(each), f"{where}.{name}: a number is wanted, not {_text(each) or 'a list or a mapping'}"
        else:
            found[name] = number
    for name, value in found.items():
        enter = name.removesuffix("_leave")
        if enter == name or enter not in found:
            continue
        if enter.endswith("_max") and value < found[enter]:
            yield _line(parts[name]), f"{where}.{name}: it must not be less than {enter} ({found[enter]:g}); raise it"
        if enter.endswith("_min") and value > found[enter]:
            yield _line(parts[name]), f"{where}.{name}: it must not be more than {enter} ({found[enter]:g}); lower it"


def _fields(
    node: yaml.MappingNode, where: str, known: tuple[str, ...], needed: tuple[str, ...], found: dict[str, yaml.Node]
) -> _Mistakes:
    """Those of `known` into `found`; those that are strange, twice there or missing are told."""
    dot = f"{where}." if where else ""
    lines: dict[str, int] = {}
    for key, value in node.value:
        name = _text(key)
        if key.tag == _MERGE or not name:
            yield _line(key), f"{dot}{name or '?'}: a plain name is wanted here; one of {_listed(known)}"
        elif name in lines:
            yield _line(key), f"{dot}{name} stands in line {lines[name]} already; remove one of them"
        elif name not in known:
            lines[name] = _line(key)
            yield _line(key), f"{dot}{name} is not known here; remove it, or write one of {_listed(known)}"
        else:
            lines[name] = _line(key)
            found[name] = value
    for name in needed:
        if name not in lines:
            yield _line(node), f"{dot}{name} is missing; add it"


def _text(node: yaml.Node) -> str:
    """Of one value, as it is written; empty: it is none."""
    return str(node.value).strip() if isinstance(node, yaml.ScalarNode) else ""


def _number(node: yaml.Node) -> float | None:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _NUMBERS:
        return None
    try:
        number = float(node.value.replace("_", ""))
    except ValueError:  # other bases, sexagesimal, .nan, .inf
        return None
    return number if math.isfinite(number) else None


def _listed(names: Iterator[str] | Mapping[str, object] | tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
