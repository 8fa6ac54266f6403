"""The burnt-in clock survives what a picture goes through on its way."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.simulate import burnin
from pipeline.simulate.burnin import BurntIn
from pipeline.simulate.picture import HEIGHT, WIDTH, Picture, blank
from pipeline.simulate.publisher import FRAMES_PER_S, X264
from pipeline.simulate.scenes import make_scene

SCRIPT = Path(burnin.__file__).with_suffix(".js")
BEGAN_MS = 1_795_464_000_000


def encoded_and_decoded(pictures: Iterator[Picture]) -> list[av.VideoFrame]:
    """What a player gets of `pictures` at the demo's settings."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.bit_rate, encoder.options = Fraction(1, FRAMES_PER_S), 700_000, dict(X264)
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoded = []
    for number, picture in enumerate(pictures):
        planes = np.concatenate([plane.reshape(-1, WIDTH) for plane in (picture.y, picture.u, picture.v)])
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_S)
        for packet in encoder.encode(frame):
            decoded += decoder.decode(packet)
    for packet in encoder.encode(None):
        decoded += decoder.decode(packet)
    return decoded + decoder.decode(None)


def film(scene_name: str, count: int) -> Iterator[Picture]:
    scene, picture = make_scene(scene_name), blank()
    for number in range(count):
        scene.draw(picture, number / FRAMES_PER_S)
        burnin.draw(picture, BEGAN_MS + 40 * number, 65_500 + number)
        yield picture


def seen(frame: av.VideoFrame, form: str, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    return frame.reformat(width=width, height=height, format=form).to_ndarray().astype(np.uint8)


def drawn(utc_ms: int = BEGAN_MS, number: int = 7) -> NDArray[np.uint8]:
    picture = blank()
    burnin.draw(picture, utc_ms, number)
    return picture.y


@pytest.mark.parametrize("scene_name", ["market", "shop", "kitchen", "night"])
def test_every_picture_tells_its_moment_after_h264_at_the_demos_bitrate(scene_name: str) -> None:
    frames = encoded_and_decoded(film(scene_name, 150))
    read = [burnin.read(seen(frame, "rgb24")) for frame in frames]
    assert read == [BurntIn(BEGAN_MS + 40 * number, (65_500 + number) & 0xFFFF) for number in range(150)]


@pytest.mark.parametrize(("width", "height"), [(320, 180), (480, 270), (960, 540), (1280, 720), (711, 400)])
def test_a_scaled_picture_still_tells_its_moment(width: int, height: int) -> None:
    frames = encoded_and_decoded(film("market", 20))
    scaled = [seen(frame, "gray", width, height) for frame in frames]
    assert [burnin.read(picture) for picture in scaled] == [
        BurntIn(BEGAN_MS + 40 * number, (65_500 + number) & 0xFFFF) for number in range(20)
    ]


def test_a_flipped_cell_fails_the_checksum_wherever_it_is() -> None:
    for row in range(burnin.ROWS):
        for column in range(1, burnin.COLUMNS - 1):
            luma = drawn()
            top, left = burnin.GRID_Y + row * burnin.CELL, burnin.GRID_X + column * burnin.CELL
            cell = luma[top : top + burnin.CELL, left : left + burnin.CELL]
            cell[:] = burnin.WHITE + burnin.BLACK - cell
            assert burnin.read(luma) is None, (row, column)


def test_a_picture_without_the_grid_tells_nothing() -> None:
    picture = blank()
    assert burnin.read(picture.y) is None
    for name in ("market", "shop", "kitchen", "night"):
        make_scene(name).draw(picture, 3.0)
        assert burnin.read(picture.y) is None
    assert burnin.read(np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH), np.uint8)) is None


def test_a_picture_too_small_to_hold_the_cells_tells_nothing() -> None:
    assert burnin.read(drawn()[::8, ::8]) is None


def test_the_largest_moment_and_the_rolled_over_number_are_told() -> None:
    assert burnin.read(drawn(2**48 - 1, 2**16 + 3)) == BurntIn(2**48 - 1, 3)


def test_the_clock_for_people_changes_with_the_moment() -> None:
    below = slice(42, 70)
    assert (drawn(BEGAN_MS)[below] != drawn(BEGAN_MS + 1)[below]).any()


def test_the_browsers_reader_reads_the_same(tmp_path: Path) -> None:
    node = shutil.which("node", path=f"{Path('.venv/bin').absolute()}") or shutil.which("node")
    if node is None:
        pytest.skip("not installed: node (make setup)")
    frames = encoded_and_decoded(film("shop", 12))
    pictures = [seen(frame, "rgba") for frame in frames]
    broken = pictures[0].copy()
    one_cell = (slice(burnin.GRID_Y, 2 * burnin.GRID_Y), slice(burnin.GRID_X + 40, burnin.GRID_X + 48))
    broken[one_cell] = 255 - broken[one_cell]
    small = [seen(frames[0], "rgba", 320, 180)]
    answers = [told_by_node(node, tmp_path, picture) for picture in [*pictures, *small, broken]]
    told = [{"utcMs": BEGAN_MS + 40 * number, "frameNumber": (65_500 + number) & 0xFFFF} for number in range(12)]
    assert answers == [[each, each] for each in [*told, told[0]]] + [[None, None]]


def told_by_node(node: str, folder: Path, picture: NDArray[np.uint8]) -> list[dict[str, int] | None]:
    """What burnin.js reads from the whole picture, and from its upper right corner alone."""
    path = folder / "picture.rgba"
    path.write_bytes(picture.tobytes())
    height, width = picture.shape[:2]
    program = """
        const { readBurnIn } = require(process.argv[1]);
        const data = require("fs").readFileSync(process.argv[2]);
        const [width, height] = process.argv.slice(3).map(Number);
        const x = Math.floor(width / 2), y = 0;
        const bottom = Math.floor(height / 4), part = Buffer.alloc((width - x) * bottom * 4);
        for (let row = y; row < bottom; row++)
          data.copy(part, (row - y) * (width - x) * 4, (row * width + x) * 4, (row + 1) * width * 4);
        const cut = { x, y, fullWidth: width, fullHeight: height };
        console.log(JSON.stringify([
          readBurnIn({ data, width, height }),
          readBurnIn({ data: part, width: width - x, height: bottom }, cut),
        ]));
    """
    done = subprocess.run(
        [node, "-e", program, str(SCRIPT), str(path), str(width), str(height)], capture_output=True, check=True
    )
    answers: list[dict[str, int] | None] = json.loads(done.stdout)
    return answers
