"""Hot words: names and terms that a speech model is told to expect. Reads configs/rules/hotwords.yaml; knows no model.

Names of a case are personal data: what `hot_words` gives is handed to a model and to nobody else.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from pipeline.errors import SettingsInvalid

FILE: Final = Path(__file__).resolve().parent.parent.parent / "configs" / "rules" / "hotwords.yaml"
LANGUAGES: Final = ("zh", "en")
MOST_WORDS: Final = 100
MOST_SIGNS: Final = 200
"""Of all together. faster-whisper 1.2 takes half of the model's 448 tokens for them, less one, and a Chinese character
is one to two tokens; what is more would be cut in the middle of a word."""
_SHORTEST, _LONGEST = 2, 30  # signs of one


def hot_words(
    case_names: Sequence[str] = (), language: str = "zh", *, most_words: int = MOST_WORDS, most_signs: int = MOST_SIGNS,
    path: Path = FILE,
) -> tuple[str, ...]:  # fmt: skip
    """The names of a case, then terms of `language` ("": of all), each once, in their order, within the bounds.

    A name of one sign, of digits alone or of more than 30 signs is passed over. Raises: SettingsInvalid.
    """
    known = terms(path)
    wanted = [_clean(name) for name in case_names]
    wanted += [term for name in LANGUAGES if language in ("", name) for term in known.get(name, ())]
    found: dict[str, None] = {}
    signs = 0
    for word in wanted:
        is_usable = _SHORTEST <= len(word) <= _LONGEST and not word.isdigit() and word not in found
        if is_usable and len(found) < most_words and signs + len(word) <= most_signs:
            found[word] = None
            signs += len(word)
    return tuple(found)


@cache
def terms(path: Path = FILE) -> Mapping[str, tuple[str, ...]]:
    """By language, in their order. Raises: SettingsInvalid: the file cannot be used; every mistake with its line."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsInvalid(f"{path}: {error}") from error
    found: dict[str, list[str]] = {}
    if mistakes := list(_check(root, found)):
        raise SettingsInvalid("\n".join(f"{path}:{line}: {what}" for line, what in mistakes))
    return {language: tuple(words) for language, words in found.items()}


def _check(root: yaml.Node | None, found: dict[str, list[str]]) -> Iterator[tuple[int, str]]:
    """Mistakes, each with its line; what is right goes into `found`."""
    if not isinstance(root, yaml.MappingNode):
        yield 1, f"languages are wanted here: {', '.join(LANGUAGES)}"
        return
    for key, groups in root.value:
        language = str(key.value)
        if language not in LANGUAGES:
            yield _line(key), f"{language}: no such language; one of {', '.join(LANGUAGES)}"
        elif language in found:
            yield _line(key), f"{language} stands there twice"
        elif not isinstance(groups, yaml.MappingNode):
            yield _line(groups), f"{language}: groups of terms are wanted, each with a name"
        else:
            found[language] = []
            yield from _check_groups(language, groups, found[language])


def _check_groups(language: str, groups: yaml.MappingNode, found: list[str]) -> Iterator[tuple[int, str]]:
    lines: dict[str, int] = {}
    names: set[str] = set()
    for key, listed in groups.value:
        if key.value in names:
            yield _line(key), f"{language}.{key.value} stands there twice"
        names.add(key.value)
        if not isinstance(listed, yaml.SequenceNode):
            yield _line(listed), f"{language}.{key.value}: a list of terms is wanted"
            continue
        for each in listed.value:
            if not isinstance(each, yaml.ScalarNode) or each.tag != "tag:yaml.org,2002:str":
                yield _line(each), "a term is wanted, as text; put it in quotes where it looks like something else"
            elif mistake := _mistake(each.value, lines):
                yield _line(each), mistake
            else:
                lines[each.value.casefold()] = _line(each)
                found.append(each.value)


def _mistake(term: str, lines: Mapping[str, int]) -> str:
    """What is wrong with it; empty: nothing."""
    if term != _clean(term):
        return f"{term!r}: spaces at its ends, two in a row, or a sign that is none; write {_clean(term)!r}"
    if not _SHORTEST <= len(term) <= _LONGEST:
        return f"{term!r}: it has {len(term)} signs; {_SHORTEST} to {_LONGEST} are taken"
    if line := lines.get(term.casefold()):
        return f"{term!r} stands in line {line} already"
    return ""


def _clean(text: str) -> str:
    """NFC, one space between words, without signs that are none."""
    plain = "".join(sign for sign in unicodedata.normalize("NFC", text) if unicodedata.category(sign)[0] != "C")
    return " ".join(plain.split())


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
