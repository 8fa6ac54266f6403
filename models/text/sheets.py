"""Made sheets: certificates, and licences, badges, papers and posters that are none. Nobody's papers or names.

The layouts are ours; no real certificate was copied, and none is defined here. Needs a Chinese font (fonts-noto-cjk).
"""

import shutil
import subprocess
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.text.base import Picture
from models.text.card_words import BADGES, FIELDS_OF, GOODS, OFFICES, PAPERS, POSTERS, TITLES, name_of, number_of
from pipeline.errors import SettingsInvalid

Colour: TypeAlias = tuple[int, int, int]


@lru_cache(maxsize=2)
def fonts(family: str = "Noto Sans CJK SC") -> tuple[str, int] | None:
    """File and index in it of a font that has Chinese signs; None: none is here."""
    if shutil.which("fc-match") is None:
        return None
    run = subprocess.run(  # noqa: S603  # its arguments are ours
        ["fc-match", "-f", "%{file}|%{index}|%{lang}", f"{family}:lang=zh-cn"],  # noqa: S607  # wherever it is
        capture_output=True,
        text=True,
        check=False,
    )
    file, _, rest = run.stdout.partition("|")
    index, _, languages = rest.partition("|")
    return (file, int(index)) if "zh-cn" in languages.split("|") else None


class Sheet:
    """A sheet that is written on. Sizes and places are pixels of the sheet."""

    def __init__(self, width: int, height: int, ground: Colour) -> None:
        self.width, self.height = width, height
        self._image = Image.new("RGB", (width, height), ground)
        self._draw = ImageDraw.Draw(self._image)

    def write(self, x: float, y: float, text: str, size: float, colour: Colour, anchor: str = "la") -> None:
        self._draw.text((x, y), text, colour, _font(int(size)), anchor=anchor)

    def title(self, y: float, text: str, size: float, colour: Colour, x: float | None = None) -> None:
        """In the middle, or about x, made smaller where it would not fit."""
        middle = self.width / 2 if x is None else x
        room = 1.9 * min(middle, self.width - middle)
        self.write(middle, y, text, min(size, room / len(text)), colour, "mm")

    def rect(self, box: tuple[float, float, float, float], colour: Colour, outline: Colour | None = None) -> None:
        self._draw.rectangle(box, fill=colour, outline=outline, width=3)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def picture(self) -> Picture:
        return np.ascontiguousarray(np.asarray(self._image)[:, :, ::-1])


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    found = fonts()
    if found is None:
        raise SettingsInvalid("no font with Chinese signs is here; apt install fontconfig fonts-noto-cjk")
    return ImageFont.truetype(found[0], size, index=found[1])


def pick(random: np.random.Generator, of: tuple[str, ...]) -> str:
    return of[int(random.integers(len(of)))]


def colour(random: np.random.Generator, low: int, high: int) -> Colour:
    red, green, blue = (int(value) for value in random.integers(low, high, 3))
    return red, green, blue


def certificate(random: np.random.Generator, number: str, name: str) -> Picture:
    """A card that lies, a card that hangs, or a cover that is open."""
    title, office = pick(random, TITLES), pick(random, OFFICES)
    label = pick(random, ("执法证号", "证号", "编号", "证件编号"))
    fields = [("姓名", name), ("单位", office), (label, number), ("有效期", f"20{random.integers(24, 29)}年12月31日")]
    match int(random.integers(3)):
        case 0:
            return _lying(random, title, fields)
        case 1:
            return _hanging(random, title, fields)
        case _:
            return _cover(random, title, fields)


def _lying(random: np.random.Generator, title: str, fields: list[tuple[str, str]]) -> Picture:
    sheet = Sheet(1000, 630, colour(random, 205, 255))
    sheet.rect((0, 0, 1000, 150), (150, 25, 30) if random.random() < 0.5 else (25, 50, 120))
    sheet.disc(90, 75, 52, (225, 190, 60))
    sheet.title(75, title, 78, (255, 240, 200), 560)
    _photo(sheet, 50, 200, random)
    for row, (label, value) in enumerate(fields):
        sheet.write(340, 200 + row * 88, f"{label}：{value}", 42, (25, 25, 30))
    return sheet.picture()


def _hanging(random: np.random.Generator, title: str, fields: list[tuple[str, str]]) -> Picture:
    sheet = Sheet(640, 960, colour(random, 215, 255))
    sheet.disc(320, 110, 70, (200, 40, 40))
    sheet.title(235, title, 84, (150, 20, 20))
    _photo(sheet, 215, 310, random)
    for row, (label, value) in enumerate(fields):
        sheet.write(50, 610 + row * 76, label, 38, (60, 60, 60))
        sheet.write(230, 610 + row * 76, value, 38, (15, 15, 20))
    return sheet.picture()


def _cover(random: np.random.Generator, title: str, fields: list[tuple[str, str]]) -> Picture:
    sheet = Sheet(900, 1160, (28, 28, 34))
    sheet.disc(450, 230, 130, (220, 180, 60))
    sheet.title(460, title, 104, (230, 195, 90))
    sheet.rect((40, 600, 860, 1120), colour(random, 215, 255))
    _photo(sheet, 70, 650, random)
    for row, (label, value) in enumerate(fields):
        sheet.write(330, 650 + row * 88, f"{label} {value}", 40, (25, 25, 30))
    return sheet.picture()


def _photo(sheet: Sheet, x: float, y: float, random: np.random.Generator) -> None:
    sheet.rect((x, y, x + 210, y + 280), (90, 130, 190))
    sheet.rect((x + 40, y + 190, x + 170, y + 280), (40, 45, 60))
    sheet.disc(x + 105, y + 120, 58, (225, 185, 160))
    sheet.disc(x + 105, y + 75, 50, colour(random, 10, 50))


def licence(random: np.random.Generator) -> Picture:
    title = pick(random, ("营业执照", "食品经营许可证", "食品生产许可证", "药品经营许可证", "烟草专卖零售许可证"))
    sheet = Sheet(1200, 850, (250, 246, 232))
    sheet.rect((20, 20, 1180, 830), (250, 246, 232), (190, 150, 60))
    sheet.disc(600, 90, 50, (200, 40, 40))
    sheet.write(600, 210, title, 92, (120, 30, 30), "mm")
    for row, label in enumerate(FIELDS_OF[title]):
        value = name_of(random) if label in ("法定代表人", "经营者", "负责人") else number_of(random)
        value = pick(random, GOODS) + "商行" if label in ("名称", "经营者名称") else value
        value = pick(random, OFFICES) if label in ("登记机关", "发证机关") else value
        sheet.write(90, 310 + row * 76, f"{label}：{value}", 40, (30, 30, 30))
    return sheet.picture()


def badge(random: np.random.Generator) -> Picture:
    title, labels = BADGES[int(random.integers(len(BADGES)))]
    sheet = Sheet(1000, 630, colour(random, 205, 255))
    sheet.write(500, 90, title, 78, (30, 50, 110), "mm")
    _photo(sheet, 720, 180, random)
    for row, label in enumerate(labels):
        value = name_of(random) if label == "姓名" else number_of(random)
        sheet.write(60, 200 + row * 86, f"{label} {value}", 42, (25, 25, 30))
    return sheet.picture()


def paper(random: np.random.Generator) -> Picture:
    title, rows = PAPERS[int(random.integers(len(PAPERS)))]
    sheet = Sheet(1000, 1300, (248, 248, 246))
    sheet.write(500, 120, title, 70, (15, 15, 15), "mm")
    for row, text in enumerate(rows):
        filled = text.format(number=number_of(random), name=name_of(random), office=pick(random, OFFICES))
        sheet.write(70, 240 + row * 84, filled, 36, (20, 20, 20))
    return sheet.picture()


def poster(random: np.random.Generator) -> Picture:
    rows = POSTERS[int(random.integers(len(POSTERS)))]
    sheet = Sheet(1100, 700, colour(random, 30, 120))
    for row, text in enumerate(rows):
        sheet.write(550, 120 + row * 130, text, 84 if row == 0 else 58, (250, 240, 200), "mm")
    return sheet.picture()
