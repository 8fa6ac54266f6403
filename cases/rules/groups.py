"""Groups of words, as rules name them: each once, from whatever file, with the groups and patterns in it."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import re2  # type: ignore[import-untyped]  # it comes without types; used to compile alone
import yaml

from cases.rules.nodes import File
from cases.rules.notation import WayRefused, read_phrase
from cases.rules.stretch import Slot

DEEPEST: Final = 20
LONGEST_PATTERN: Final = 200
_TWICE = re.compile(r"\((?:\?:)?(?:\\.|\[[^\]]*\]|[^\\()\[\]|])(?:[*+]|\{\d+,\})\??\)(?:[*+]|\{\d+,\})")
"""(x+)+: harmless in RE2, but it says no more than x+, and whoever writes it means something else."""
MOST_PATTERN_BYTES: Final = 1 << 18  # of RE2's program; a counted repetition of a group soon needs more


class Groups:
    """All of a set. Mistakes go to the file in which they stand."""

    def __init__(self) -> None:
        self._groups: dict[str, tuple[File, yaml.Node]] = {}
        self._slots: dict[str, Slot] = {}

    @property
    def phrases(self) -> Iterator[str]:
        return (phrase for slot in self._slots.values() for phrase in slot.phrases)

    def collect(self, file: File, fields: Mapping[str, yaml.Node]) -> None:
        """Those of one file, not read yet: a group may name one that stands in a later file."""
        if "groups" not in fields:
            return
        for name, key, value in file.named(fields["groups"]):
            if name in self._groups:
                other, _ = self._groups[name]
                file.tell(key, f"two groups of one name: {name}, also in {other.path.name}", "name one otherwise")
            else:
                self._groups[name] = (file, value)

    def check(self) -> None:
        """Groups that no rule uses hold mistakes too."""
        for name, (file, node) in self._groups.items():
            self.group(name, file, node, ())

    def group(self, name: str, file: File, at: yaml.Node, within: tuple[str, ...] = ()) -> Slot:
        if name in within:
            circle = " -> ".join((*within[within.index(name) :], name))
            file.tell(at, f"a cycle of groups: {circle}", "take one out of the other")
            self._slots[name] = Slot(frozenset())
        elif len(within) >= DEEPEST:
            file.tell(at, f"groups in more than {DEEPEST} groups", "write the phrases out")
            return Slot(frozenset())
        if name not in self._groups:
            file.tell(at, f"no group {name}", "write it under groups, or mend its name")
            return Slot(frozenset())
        if name not in self._slots:
            home, node = self._groups[name]
            self._slots[name] = self.slot(home, home.items(node, name), node, (*within, name))
        return self._slots[name]

    def slot(
        self, file: File, items: Iterator[tuple[str, yaml.Node]], at: yaml.Node, within: tuple[str, ...]
    ) -> Slot:  # fmt: skip
        phrases: set[str] = set()
        patterns: set[str] = set()
        mistakes = len(file.mistakes)
        for text, node in items:
            if text.startswith("{") and text.endswith("}"):
                slot = self.group(text[1:-1].strip(), file, node, within)
                phrases |= slot.phrases
                patterns |= slot.patterns
            elif len(text) > 1 and text.startswith("/") and text.endswith("/"):
                patterns |= _pattern(file, text[1:-1], node)
            else:
                phrases |= _phrase(file, text, node)
        if not phrases and not patterns and len(file.mistakes) == mistakes:
            file.tell(at, "an empty group", "write a phrase, or take it out")
        return Slot(frozenset(phrases), frozenset(patterns))


def _phrase(file: File, text: str, node: yaml.Node) -> set[str]:
    try:
        return {read_phrase(text)}
    except WayRefused as error:
        message, _, remedy = str(error).partition("; ")
        file.tell(node, message, remedy)
        return set()


def _pattern(file: File, pattern: str, node: yaml.Node) -> set[str]:
    if not pattern or len(pattern) > LONGEST_PATTERN:
        file.tell(node, f"a pattern of {len(pattern)} signs", f"write 1 to {LONGEST_PATTERN}")
        return set()
    if _TWICE.search(pattern):
        file.tell(node, "a repetition of a repetition", "repeat once, (证+)+ as 证+; elsewhere it could take for ever")
        return set()
    options = re2.Options()
    options.max_mem = MOST_PATTERN_BYTES
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        file.tell(
            node,
            f"RE2 refuses the pattern: {reason}",
            "write it simpler; look-around and back references are not in RE2",
        )
        return set()
    if compiled.search("") is not None:
        file.tell(node, "a pattern that fits nothing at all", "have it need at least one sign")
        return set()
    return {pattern}
