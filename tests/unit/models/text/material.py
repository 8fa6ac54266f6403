"""What the tests of text share: lines made by hand, the reader of the wheel, and whether there is a font."""

from functools import lru_cache

import pytest

from api.bench.analysis_text import opened_reader
from models.text import sheets
from models.text.base import Line
from models.text.rapid import RapidReader

needs_a_font = pytest.mark.skipif(sheets.fonts() is None, reason="no font with Chinese signs (make system)")


@lru_cache(maxsize=1)
def reader() -> RapidReader:
    return opened_reader()


def line(text: str, x: float = 0, y: float = 0, height: float = 40, confidence: float = 0.99) -> Line:
    """A level line whose first sign begins at (x, y)."""
    wide = sum(height if ord(sign) > 0x2E7F else height / 2 for sign in text)
    return Line(text, confidence, ((x, y), (x + wide, y), (x + wide, y + height), (x, y + height)))
