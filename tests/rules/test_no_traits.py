"""Nothing here says what a face feels, how old it is, of which sex or descent: no name, field or key is for that."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = ("pipeline", "models", "cases", "api", "scripts")
TRAITS = {
    "emotion", "emotions", "emotional", "mood", "moods", "feeling", "feelings", "sentiment", "smile", "smiling",
    "age", "ages", "aged", "elderly", "gender", "genders", "genderage", "sex", "sexes", "male", "female",
    "race", "races", "racial", "ethnic", "ethnicity", "ethnicities", "descent", "nationality", "skin", "attractiveness",
}  # fmt: skip
OF_OTHER_THINGS = {
    "api/routes/session.py": {"max_age"},
    "cases/access/tokens.py": {"age_s", "password_age_s"},
    "pipeline/live/hls.py": {"age_s"},
    "pipeline/simulate/actors.py": {"age", "skin"},
    "pipeline/simulate/outdoors.py": {"skin"},
}
"""How old a cookie, a password, a playlist is; the paint of the simulated devices' puppets."""
PARTS_OF_INSIGHTFACE = {"insightface", "insightface.model_zoo"}
"""insightface.app, and what else of the package runs models of age and sex, is never imported."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_SAID = re.compile(
    r"""/\*.*?\*/|//[^\n]*|<!--.*?-->|`[^`]*`|"(?:[^"\\\n]|\\.)*"(\s*:)?|'(?:[^'\\\n]|\\.)*'(\s*:)?""", re.DOTALL
)
"""Remarks and strings of TypeScript; with a group, a string before a colon: a key."""


def files(folder: str, *endings: str) -> list[Path]:
    return [path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in endings and path.is_file()]


def words(name: str) -> set[str]:
    """maxAge, max_age and max-age are max and age."""
    return {word.lower() for word in _WORD.findall(name)}


def python_names(source: str) -> Iterator[str]:
    """Every name that the code gives or asks for, and every string that could be a key."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name
            case ast.Constant(value=str(text)) if _KEY.fullmatch(text):
                yield text


def web_names(source: str) -> Iterator[str]:
    """Every name and key of TypeScript and of Vue's templates; not what is said in strings and remarks."""
    yield from _NAME.findall(_SAID.sub(lambda said: said[0] if said[1] or said[2] else " ", source))


def yaml_keys(source: str) -> Iterator[str]:
    yield from re.findall(r"^[\s-]*\"?([A-Za-z_][\w.-]*)\"?:", source, re.MULTILINE)


def found(folder: str) -> list[str]:
    readers = {".py": python_names, ".ts": web_names, ".vue": web_names, ".yaml": yaml_keys}
    hits = []
    for path in files(folder, *readers):
        if path.name.endswith(".test.ts"):
            continue
        place = path.relative_to(ROOT).as_posix()
        names = set(readers[path.suffix](path.read_text(encoding="utf-8"))) - OF_OTHER_THINGS.get(place, set())
        hits += [f"{place}: {name}" for name in sorted(names) if words(name) & TRAITS]
    return hits


@pytest.mark.parametrize("folder", [*CODE, "configs", "web/src"])
def test_no_name_field_or_key_is_for_a_trait_of_a_person(folder: str) -> None:
    assert found(folder) == []


def test_every_exception_is_still_needed() -> None:
    for place, names in OF_OTHER_THINGS.items():
        read = python_names if place.endswith(".py") else web_names
        assert names <= set(read((ROOT / place).read_text(encoding="utf-8"))), place


@pytest.mark.parametrize(
    "name", ["face_age", "faceAge", "FaceAge", "genderage", "is_male", "SEX", "emotion-of", "ageS"]
)
def test_a_trait_is_seen_however_it_is_written(name: str) -> None:
    assert words(name) & TRAITS


def test_names_keys_and_strings_that_could_be_keys_are_read() -> None:
    python = 'class A:\n    age: int\ndef f(sex): return {"gender": 1, "no race is told": x.mood}\nf(emotion=1)'
    assert {"age", "sex", "gender", "mood", "emotion"} <= set(python_names(python))
    assert "no race is told" not in set(python_names(python))
    web = "const a = { 'age': 1, gender: 'no sex' } // race\n/* mood */ `emotion`"
    assert {"gender"} <= set(web_names(web))
    assert not {"sex", "race", "mood", "emotion"} & set(web_names(web))
    assert set(yaml_keys("a:\n  - age: 1\n    sex: 2  # race: 3\n")) == {"a", "age", "sex"}


def test_only_the_loaders_of_insightface_are_imported() -> None:
    parts = set()
    for folder in CODE:
        for path in files(folder, ".py"):
            for name in python_names(path.read_text(encoding="utf-8")):
                parts |= {name} if name.startswith("insightface") and path.name != "third_party.py" else set()
    assert parts == PARTS_OF_INSIGHTFACE


def test_nothing_but_detection_and_recognition_is_taken_from_insightface() -> None:
    """Its loader would run a model of age and sex as well, were the file one; what it made of a file is looked at."""
    opening = (ROOT / "models/face/insight.py").read_text(encoding="utf-8")
    assert 'Literal["detection", "recognition"]' in opening
    assert 'getattr(model, "taskname", None) != kind' in opening
