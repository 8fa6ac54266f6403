"""The burnt-in clock: the moment a picture was drawn, written into the picture so that a machine can read it back.

Layout, in pixels of a 640 x 360 picture; a reader of another size multiplies by width / 640 and height / 360:

    quiet box   x 416..640, y 0..40: black; 8 pixels of margin around the grid and nothing else inside
    grid        left edge GRID_X = 424, top edge GRID_Y = 8, COLUMNS = 26 by ROWS = 3 cells of CELL = 8 pixels
    sync        column 0 is white, black, white from top to bottom; column 25 is black, white, black
    data        columns 1..24 of row 0, then of row 1, then of row 2: 72 bits, most significant first, white is 1
    bits        48: UTC milliseconds since 1970; 16: frame number modulo 65536; 8: CRC-8 (polynomial 0x07, start 0,
                no reflection, no final exclusive-or) over those eight bytes

A cell's value is the mean luma of its middle half. The threshold is the middle between the mean of the three white and
the mean of the three black sync cells, which must lie MIN_CONTRAST apart. burnin.js reads the same.

A clock for people stands below: UTC, HH:MM:SS.mmm, `Z`, and the frame number.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.picture import HEIGHT, WIDTH, Picture, Plane

CELL: Final = 8
COLUMNS: Final = 26
ROWS: Final = 3
MARGIN: Final = 8
GRID_X: Final = WIDTH - COLUMNS * CELL - MARGIN
GRID_Y: Final = MARGIN
MIN_CONTRAST: Final = 60
"""Luma steps between the white and black sync cells; a picture without the grid rarely has as much in this pattern."""

BLACK: Final = 16
WHITE: Final = 235

_TEXT_SCALE: Final = 2
_TEXT_Y: Final = 44
_DAY_MS: Final = 86_400_000

_GLYPHS: Final = {
    "0": "01110 10001 10011 10101 11001 10001 01110",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "2": "01110 10001 00001 00110 01000 10000 11111",
    "3": "11110 00001 00001 01110 00001 00001 11110",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "5": "11111 10000 11110 00001 00001 10001 01110",
    "6": "00110 01000 10000 11110 10001 10001 01110",
    "7": "11111 00001 00010 00100 01000 01000 01000",
    "8": "01110 10001 10001 01110 10001 10001 01110",
    "9": "01110 10001 10001 01111 00001 00010 01100",
    ":": "00000 00100 00100 00000 00100 00100 00000",
    ".": "00000 00000 00000 00000 00000 00110 00110",
    "#": "01010 01010 11111 01010 11111 01010 01010",
    "Z": "11111 00001 00010 00100 01000 10000 11111",
    " ": "00000 00000 00000 00000 00000 00000 00000",
}


@dataclass(frozen=True, slots=True)
class BurntIn:
    """What a picture says about itself. frame_number: modulo 65536."""

    utc_ms: int
    frame_number: int


def crc8(data: bytes) -> int:
    """CRC-8 with polynomial 0x07. Source: ITU-T I.432.1 without its final exclusive-or."""
    crc = 0
    for byte in data:
        crc = _CRC_TABLE[crc ^ byte]
    return crc


def _crc_table() -> tuple[int, ...]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = (crc << 1) ^ 0x07 if crc & 0x80 else crc << 1  # noqa: PLW2901  the shift register is the variable
        table.append(crc & 0xFF)
    return tuple(table)


def _glyph(rows: str) -> Plane:
    bits = np.array([[int(bit) for bit in row + "0"] for row in rows.split()], np.uint8)
    return np.where(np.kron(bits, np.ones((_TEXT_SCALE, _TEXT_SCALE), np.uint8)) > 0, WHITE, BLACK).astype(np.uint8)


_CRC_TABLE: Final = _crc_table()
_ATLAS: Final = {sign: _glyph(rows) for sign, rows in _GLYPHS.items()}
_SYNC_LEFT: Final = np.array([1, 0, 1], np.uint8)


def draw(picture: Picture, utc_ms: int, frame_number: int) -> None:
    """Writes the grid and the clock for people into `picture`, which is 640 x 360."""
    _draw_text(picture, utc_ms, frame_number)
    body = utc_ms.to_bytes(6, "big") + (frame_number & 0xFFFF).to_bytes(2, "big")
    cells = np.empty((ROWS, COLUMNS), np.uint8)
    cells[:, 0] = _SYNC_LEFT
    cells[:, -1] = 1 - _SYNC_LEFT
    cells[:, 1:-1] = np.unpackbits(np.frombuffer(body + bytes([crc8(body)]), np.uint8)).reshape(ROWS, -1)
    lumas = cells * np.uint8(WHITE - BLACK) + np.uint8(BLACK)
    _quiet(picture, GRID_X - MARGIN, 0, WIDTH, GRID_Y + ROWS * CELL + MARGIN)
    grid = picture.y[GRID_Y : GRID_Y + ROWS * CELL, GRID_X : GRID_X + COLUMNS * CELL]
    grid[:] = lumas.repeat(CELL, axis=0).repeat(CELL, axis=1)


def read(picture: NDArray[np.uint8]) -> BurntIn | None:
    """What is burnt in, or None where there is no grid or its checksum fails.

    picture: (height, width) luma or (height, width, 3) RGB, uint8, of any size in which a cell covers 2 pixels.
    """
    means = _cell_means(picture)
    if means is None:
        return None
    left = _SYNC_LEFT.astype(bool)
    white = float(np.concatenate([means[left, 0], means[~left, -1]]).mean())
    black = float(np.concatenate([means[~left, 0], means[left, -1]]).mean())
    if white - black < MIN_CONTRAST:
        return None
    bits = means > (white + black) / 2
    if not (bits[:, 0] == left).all() or (bits[:, -1] == left).any():
        return None
    data = np.packbits(bits[:, 1:-1].reshape(-1)).tobytes()
    if crc8(data[:8]) != data[8]:
        return None
    return BurntIn(int.from_bytes(data[:6], "big"), int.from_bytes(data[6:8], "big"))


def _cell_means(picture: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """(ROWS, COLUMNS): the mean luma of each cell's middle half; None where a cell is smaller than 2 pixels."""
    height, width = picture.shape[:2]
    across, down = width / WIDTH, height / HEIGHT
    if CELL * across < 2 or CELL * down < 2:
        return None
    means = np.empty((ROWS, COLUMNS), np.float64)
    for row in range(ROWS):
        top = (GRID_Y + (row + 0.25) * CELL) * down
        rows = slice(round(top), max(round(top) + 1, round(top + CELL * down / 2)))
        for column in range(COLUMNS):
            left = (GRID_X + (column + 0.25) * CELL) * across
            cell = picture[rows, slice(round(left), max(round(left) + 1, round(left + CELL * across / 2)))]
            means[row, column] = cell.mean() if picture.ndim == 2 else cell.mean((0, 1)) @ (0.299, 0.587, 0.114)
    return means


def _draw_text(picture: Picture, utc_ms: int, frame_number: int) -> None:
    seconds, milliseconds = divmod(utc_ms % _DAY_MS, 1000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}Z"
    strip = np.concatenate([_ATLAS[sign] for sign in f"{clock} #{frame_number:06}"], axis=1)
    height, width = strip.shape
    left = WIDTH - MARGIN - width
    _quiet(picture, left - MARGIN, _TEXT_Y - 4, WIDTH, _TEXT_Y + height + 6)
    picture.y[_TEXT_Y : _TEXT_Y + height, left : left + width] = strip


def _quiet(picture: Picture, left: int, top: int, right: int, bottom: int) -> None:
    """Blackens a box; its corners are rounded outwards to whole chroma samples."""
    picture.y[top:bottom, left:right] = BLACK
    chroma = (slice(top // 2, (bottom + 1) // 2), slice(left // 2, (right + 1) // 2))
    picture.u[chroma] = 128
    picture.v[chroma] = 128
