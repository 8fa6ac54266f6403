"""YAML with the line of everything in it, and every mistake told. Knows no rule."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import yaml

from cases.rules.mistakes import Mistake

_STRING: Final = "tag:yaml.org,2002:str"
_SCALARS: Final = (_STRING, "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool")
MOST_BYTES: Final = 1_000_000


class File:
    """One file and the mistakes found in it. Nodes are asked for their fields here, so that a mistake has a line."""

    def __init__(self, path: Path, shown: str) -> None:
        self.path = path
        self._shown = shown
        self.mistakes: list[Mistake] = []

    def root(self) -> yaml.MappingNode | None:
        """None: it cannot be read, and a mistake says so."""
        try:
            if self.path.stat().st_size > MOST_BYTES:
                self.tell(0, f"the file is larger than {MOST_BYTES} bytes", "share it out")
                return None
            text = self.path.read_text(encoding="utf-8")
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent):
                    self.tell(
                        event.start_mark.line + 1 if event.start_mark else 0, "a reference (*name)", "write it out"
                    )
                    return None
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            self.tell(line, f"no YAML: {error.problem}", "mend the form; a value with : or # in it needs quotes")
            return None
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            self.tell(0, f"it cannot be read: {type(error).__name__}", "save it as UTF-8 text")
            return None
        if isinstance(node, yaml.MappingNode):
            return node
        self.tell(1, "fields are wanted here, each `name: value`", "look at another file of the folder")
        return None

    def tell(self, where: yaml.Node | int, message: str, remedy: str) -> None:
        self.mistakes.append(Mistake(self._shown, where if isinstance(where, int) else line_of(where), message, remedy))

    def fields(self, node: yaml.Node, known: Iterable[str]) -> Mapping[str, yaml.Node]:
        """By name; one that is not known, or stands there twice, is a mistake."""
        names = tuple(known)
        found: dict[str, yaml.Node] = {}
        if not isinstance(node, yaml.MappingNode):
            self.tell(node, "fields are wanted here, each `name: value`", f"write some of {', '.join(names)}")
            return found
        for key, value in node.value:
            name = str(key.value)
            if name not in names:
                self.tell(key, f"unknown field {name}", f"use one of {', '.join(names)}, or take it out")
            elif name in found:
                self.tell(key, f"field {name} stands there twice", "keep one")
            else:
                found[name] = value
        return found

    def named(self, node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """Name, key and value of each field, whatever its name."""
        if not isinstance(node, yaml.MappingNode):
            self.tell(node, "names are wanted here, each with what it means", "write `name: [phrase, phrase]`")
            return
        for key, value in node.value:
            yield str(key.value), key, value

    def text(self, fields: Mapping[str, yaml.Node], name: str, at: yaml.Node, default: str | None = None) -> str:
        """Raises nothing: a missing or empty one is a mistake and reads as empty."""
        node = fields.get(name)
        if node is None:
            if default is None:
                self.tell(at, f"{name} is missing", f"write `{name}: …`")
            return default or ""
        if not isinstance(node, yaml.ScalarNode) or not str(node.value).strip():
            self.tell(node, f"{name}: a text is wanted", "write it in one line")
            return default or ""
        return str(node.value).strip()

    def choice(
        self, fields: Mapping[str, yaml.Node], name: str, at: yaml.Node, known: Iterable[str], default: str
    ) -> str:
        names = tuple(known)
        value = self.text(fields, name, at, default or None)
        if value and value not in names:
            self.tell(fields.get(name, at), f"unknown {name} {value}", f"use one of {', '.join(names)}")
        return value

    def number(
        self, fields: Mapping[str, yaml.Node], name: str, least: float, most: float, default: float | None
    ) -> float | None:
        node = fields.get(name)
        if node is None:
            return default
        try:
            value = float(str(node.value)) if isinstance(node, yaml.ScalarNode) else float("nan")
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            self.tell(node, f"{name}: bad number {_shown(node)}", f"write a number from {least:g} to {most:g}")
            return default
        return value

    def flag(self, fields: Mapping[str, yaml.Node], name: str, default: bool) -> bool:
        node = fields.get(name)
        if node is None:
            return default
        if isinstance(node, yaml.ScalarNode) and str(node.value) in ("true", "false"):
            return str(node.value) == "true"
        self.tell(node, f"{name}: {_shown(node)} is neither true nor false", "write true or false")
        return default

    def texts(self, fields: Mapping[str, yaml.Node], name: str) -> list[tuple[str, yaml.Node]]:
        """A list of texts, each with its place; one text alone is a list of one."""
        node = fields.get(name)
        if node is None:
            return []
        return list(self.items(node, name))

    def items(self, node: yaml.Node, name: str) -> Iterator[tuple[str, yaml.Node]]:
        for each in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(each, yaml.ScalarNode) and each.tag in _SCALARS:
                yield str(each.value), each
            else:
                remedy = "write texts alone; in brackets { } it needs quotes" if name else "write texts alone"
                self.tell(each, f"{name}: a list of texts is wanted", remedy)


def line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _shown(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "(a list)"
