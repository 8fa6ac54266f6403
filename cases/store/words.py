"""What full-text search works with: single CJK characters, whole words of other scripts, phrases of both.

Chinese is written without spaces, so that no dictionary is needed and a word of two characters is found: it is a phrase
of two tokens. Plain code.
"""

import itertools
import re
import unicodedata

_CJK = r"\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"[{_CJK}]|(?:(?![{_CJK}])[^\W_]){{1,200}}")
_MOST_TOKENS = 16_000  # PostgreSQL counts places in a text up to 16,383


def tokens(text: str) -> list[str]:
    """In their order: NFKC, lower case, at most 16,000 of at most 200 signs. 5号 is two."""
    found = _TOKEN.finditer(unicodedata.normalize("NFKC", text).casefold())
    return [match.group() for match in itertools.islice(found, _MOST_TOKENS)]


def fts5_text(text: str) -> str:
    """What is given to SQLite's FTS5 with its unicode61 tokeniser."""
    return " ".join(tokens(text))


def fts5_phrase(query: str) -> str:
    """A MATCH expression: the tokens of `query` next to one another; empty where it has none."""
    found = tokens(query)
    return f'"{" ".join(found)}"' if found else ""


def tsvector(text: str) -> str:
    """A literal of PostgreSQL's type: each token with its places."""
    places: dict[str, list[str]] = {}
    for place, token in enumerate(tokens(text), 1):
        places.setdefault(token, []).append(str(place))
    return " ".join(f"'{token}':{','.join(where)}" for token, where in places.items())


def tsquery(query: str) -> str:
    """A literal of PostgreSQL's type: the phrase; empty where it has no tokens."""
    return " <-> ".join(f"'{token}'" for token in tokens(query))
