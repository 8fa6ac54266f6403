"""Examples of what the API takes and answers, in both languages, put into its schema from configs/api/examples.yaml."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from pipeline.errors import SettingsInvalid

Tree: TypeAlias = dict[str, Any]  # a JSON document, as FastAPI makes it

FILE = Path(__file__).resolve().parent.parent / "configs" / "api" / "examples.yaml"
LANGUAGES = {"zh": "中文示例", "en": "An example in English"}


@cache
def table() -> Mapping[str, Mapping[str, Tree]]:
    """By the name of a shape. Raises: SettingsInvalid: the file cannot be read."""
    try:
        found: Mapping[str, Mapping[str, Tree]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsInvalid(f"{FILE}: {error}") from error
    return found


def put_in(schema: Tree) -> Tree:
    """The same document; each JSON body and each JSON answer that has a shape shows it in both languages."""
    for media in bodies(schema):
        name = _named(media["schema"])
        if name:
            media["examples"] = {
                language: {"summary": summary, "value": _example(schema, name, language)}
                for language, summary in LANGUAGES.items()
            }
    return schema


def bodies(schema: Tree) -> Iterator[Tree]:
    """The media types of all JSON bodies and of all JSON answers that are no error."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            asked = operation.get("requestBody", {}).get("content", {})
            told = [
                answer.get("content", {}) for status, answer in operation["responses"].items() if status.startswith("2")
            ]
            yield from (each["application/json"] for each in (asked, *told) if "application/json" in each)


def _named(shape: Tree) -> str:
    """The shape's name; of one that may be left out too."""
    for each in (shape, *shape.get("anyOf", ())):
        if "$ref" in each:
            return str(each["$ref"]).rpartition("/")[2]
    return ""


def _example(schema: Tree, name: str, language: str) -> object:
    """Raises: KeyError: the table has no example of this shape."""
    found = table().get(name)
    if found is None:
        listed = schema["components"]["schemas"][name]["properties"]
        return {"items": [_example(schema, _named(listed["items"]["items"]), language)], "next_cursor": None}
    return _whole(schema, {**found.get("both", {}), **found[language]}, language)


def _whole(schema: Tree, value: object, language: str) -> object:
    match value:
        case dict():
            return {key: _whole(schema, each, language) for key, each in value.items()}
        case list():
            return [_whole(schema, each, language) for each in value]
        case str() if value.startswith("$"):
            return _example(schema, value[1:], language)
        case _:
            return value
