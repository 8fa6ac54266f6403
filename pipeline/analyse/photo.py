"""A picture that somebody sent becomes pixels, or a plain reason why not. Runs in the child that reads pictures, only.

What a file claims of its size is looked at before anything is decoded. Knows no model.
"""

import io
import struct
import warnings
import zlib
from typing import Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from models.face.base import Picture
from pipeline.analyse.enrol_order import Refused

MOST_PIXELS: Final = 50_000_000
_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_LONGEST_PX: Final = 4096
"""A face is aligned to 112 pixels; what is larger than this only costs memory."""
_BOMB: Final = 100
"""Pixels a byte; a photograph has about five, a film of one colour that was made to fill memory thousands."""
_LEAST_PX: Final = 32
_BROKEN: Final = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow raises over broken files."""


def read(data: bytes) -> Picture | Refused:
    """Upright, as its EXIF data says; the first picture of a film of pictures; at most 4096 pixels a side."""
    if not data:
        return Refused("empty", "the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(data)
    except UnidentifiedImageError:
        return Refused("unreadable", "this is no picture we know; send JPEG, PNG or WebP")
    except (Image.DecompressionBombError, MemoryError):
        return Refused("bomb", "it claims to be far larger than a picture is; send the photograph itself")
    except _BROKEN:
        return Refused("unreadable", "the file is damaged; send it again, as JPEG or PNG")


def _read(data: bytes) -> Picture | Refused:
    """Raises: what Pillow raises."""
    Image.init()  # only a few of the readers that we name are there without
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # of parts too: twice as much is refused by Pillow itself
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        width, height = image.size
        if (refused := _unfit(width, height, len(data))) is not None:
            return refused
        image.draft("RGB", (_LONGEST_PX, _LONGEST_PX))
        image.load()
        upright = _upright(image).convert("RGB")
    upright.thumbnail((_LONGEST_PX, _LONGEST_PX))
    return np.ascontiguousarray(np.asarray(upright, np.uint8)[:, :, ::-1])


def _unfit(width: int, height: int, size_bytes: int) -> Refused | None:
    if width * height > MOST_PIXELS:
        said = f"it is {width} x {height} pixels; at most {MOST_PIXELS // 1_000_000} megapixels are read"
        return Refused("bomb" if width * height > _BOMB * size_bytes else "too_large", said)
    if min(width, height) < _LEAST_PX:
        return Refused("too_small", f"it is {width} x {height} pixels; no face can be seen in it")
    return None


def _upright(image: Image.Image) -> Image.Image:
    """Where the EXIF data is damaged, the picture as it lies."""
    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:
        return image
