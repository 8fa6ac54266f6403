"""Pictures that somebody sent: upright and in colour, or refused with a plain reason; never an exception."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.face.base import Picture
from pipeline.analyse import photo
from pipeline.analyse.enrol_order import Refused

ORIENTATION = 0x0112


def drawn(width: int = 320, height: int = 200) -> Image.Image:
    """Red on its left half, blue on its right."""
    rows = np.zeros((height, width, 3), np.uint8)
    rows[:, : width // 2, 0] = 220
    rows[:, width // 2 :, 2] = 220
    return Image.fromarray(rows)


def saved(image: Image.Image, kind: str = "JPEG", **more: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **more)
    return sink.getvalue()


def read(data: bytes) -> Picture:
    found = photo.read(data)
    assert not isinstance(found, Refused), found
    return found


def refused(data: bytes) -> str:
    found = photo.read(data)
    assert isinstance(found, Refused)
    assert found.detail
    return found.reason


def is_red_at_left(picture: Picture) -> bool:
    blue, _, red = picture[picture.shape[0] // 2, 10]
    return int(red) > 150 > 80 > int(blue)


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG whose header says this; its data is a handful of bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_picture_of_a_common_kind_is_read_blue_first(kind: str) -> None:
    picture = read(saved(drawn(), kind))
    assert picture.shape == (200, 320, 3)
    assert picture.dtype == np.uint8
    assert is_red_at_left(picture)


def test_cmyk_becomes_colours_of_a_screen() -> None:
    assert is_red_at_left(read(saved(drawn().convert("CMYK"))))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "I;16", "1"])
def test_any_other_mode_is_read_too(mode: str) -> None:
    wide = Image.fromarray(np.full((200, 320), 30_000, np.uint16))
    assert read(saved(wide if mode == "I;16" else drawn().convert(mode), "PNG")).shape == (200, 320, 3)


def test_exif_turns_a_picture_upright() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the camera was held upright: a quarter to the right
    lying = drawn().rotate(90, expand=True)
    picture = read(saved(lying, exif=exif))
    assert picture.shape == (200, 320, 3)
    assert is_red_at_left(picture)


def test_damaged_exif_costs_the_turn_and_not_the_picture() -> None:
    data = saved(drawn(), exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 200)
    assert read(data).shape == (200, 320, 3)


def test_of_a_gif_that_moves_the_first_picture_is_taken() -> None:
    first, second = drawn(), drawn().rotate(180)
    data = saved(first, "GIF", save_all=True, append_images=[second], duration=100)
    assert is_red_at_left(read(data))


def test_a_large_picture_is_made_smaller_and_one_of_a_hundred_megapixels_is_refused() -> None:
    assert max(read(saved(drawn(6000, 3000))).shape) <= 4096
    noisy = saved(drawn(10_000, 10_000), quality=100)
    assert refused(noisy + b"\0" * 2_000_000) == "too_large"


def test_a_bomb_is_refused_by_its_header_before_anything_is_decoded() -> None:
    assert refused(png_that_claims(60_000, 60_000)) == "bomb"
    assert refused(png_that_claims(2_000_000_000, 2_000_000_000)) in ("bomb", "unreadable")
    bomb = saved(Image.new("1", (9000, 9000)), "PNG")
    assert len(bomb) < 100_000
    assert refused(bomb) == "bomb"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"not a picture at all", "unreadable"),
        (b"%PDF-1.7 nothing", "unreadable"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unreadable"),
        (saved(drawn(1, 1)), "too_small"),
        (saved(drawn(20, 400)), "too_small"),
    ],
)
def test_what_is_no_picture_of_a_person_is_refused(data: bytes, reason: str) -> None:
    assert refused(data) == reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_a_file_that_was_cut_is_refused(kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (300, 300, 3), np.uint8)
    data = saved(Image.fromarray(noise), kind)
    assert refused(data[: len(data) // 2]) == "unreadable"


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP"]), st.data())
def test_a_file_that_was_spoiled_is_read_or_refused_and_never_raises(kind: str, data: st.DataObject) -> None:
    raw = bytearray(saved(drawn(64, 48), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    found = photo.read(bytes(raw))
    assert isinstance(found, Refused) or (found.ndim == 3 and found.shape[2] == 3)
