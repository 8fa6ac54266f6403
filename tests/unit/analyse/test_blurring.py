"""The child that finds and hides faces, with a detector made for the test, and the parent that watches it."""

import io
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import anyio
import av
import numpy as np
import pytest
from anyio.abc import Process
from av.video.stream import VideoStream
from numpy.typing import NDArray

from models.face.base import Found, Picture
from pipeline.analyse import blur_child, blurring
from pipeline.analyse.blur_child import Cover, blur, find
from pipeline.analyse.blurring import Blurring, Detector
from pipeline.analyse.covers import Box, Point
from pipeline.analyse.covers import Path as FacePath
from pipeline.errors import CodecUnsupported, ModelFailed, WorkerFailed

WIDTH, HEIGHT, RATE = 160, 120, 25
NO_MODEL = Detector("/nowhere", "none", "1", "yunet", "none.onnx")


def film(
    pictures: int = 50, pixels: str = "yuv420p", gaps: Sequence[int] = (), codec: str = "libx264", size: int = WIDTH,
    high: int = HEIGHT,
) -> bytes:  # fmt: skip
    """A striped square of 24 pixels that goes to the right by two pixels a picture, on noise. gaps: left out."""
    target, noise = io.BytesIO(), np.random.default_rng(1).integers(60, 120, (high, size), np.uint8)
    with av.open(target, mode="w", format="mp4") as box:
        stream = box.add_stream(codec, rate=RATE, options={"crf": "4", "bf": "0", "x265-params": "log-level=none"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = size, high, pixels
        stream.time_base = stream.codec_context.time_base = Fraction(1, RATE)
        for number in range(pictures):
            if number in gaps:
                continue
            values = noise.copy()
            values[40:64, 10 + 2 * number : 34 + 2 * number] = np.tile([250, 250, 250, 250, 10, 10, 10, 250], 3)
            frame = av.VideoFrame.from_ndarray(np.dstack([values] * 3), format="bgr24").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            for packet in stream.encode(frame):
                box.mux(packet)
        for packet in stream.encode(None):
            box.mux(packet)
    return target.getvalue()


class SquareDetector:
    """Finds the square; blind in the pictures it is told."""

    label = "square@1"

    def __init__(self, blind: Sequence[int] = ()) -> None:
        self.looks = 0
        self._blind = blind

    def detect(self, picture: Picture) -> list[Found]:
        self.looks += 1
        rows, columns = np.nonzero(picture[:, :, 0] > 200)
        if self.looks - 1 in self._blind or rows.size < 50:
            return []
        box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
        return [Found(box, np.zeros((5, 2), np.float32), 0.9)]


def silent(_: Mapping[str, object]) -> None:
    """Nobody listens."""


def decoded(media: bytes) -> list[tuple[int, NDArray[np.uint8]]]:
    """(time in ticks, brightness) of each picture."""
    with av.open(io.BytesIO(media), mode="r") as box:
        return [(each.pts or 0, np.asarray(each.to_ndarray(format="gray"), np.uint8)) for each in box.decode(video=0)]


def blurred(media: bytes, covers: Sequence[Cover]) -> bytes:
    target = io.BytesIO()
    blur(io.BytesIO(media), target, covers, "note", silent)
    return target.getvalue()


def test_what_moves_is_one_path_that_covers_it_in_every_picture_also_where_it_was_missed() -> None:
    seen, (path,) = find(io.BytesIO(film()), SquareDetector(blind=(3, 4, 5)), silent)
    assert (seen.width, seen.height, seen.pictures) == (WIDTH, HEIGHT, 50)
    assert seen.length_s == pytest.approx(2.0)
    for number in range(50):
        box = path.box_at(number / RATE)
        assert box is not None
        assert box.left <= 10 + 2 * number
        assert box.right >= 34 + 2 * number


def test_first_and_last_picture_are_looked_at_and_the_rest_at_a_tenth_of_a_second() -> None:
    detector = SquareDetector()
    seen, _ = find(io.BytesIO(film(8)), detector, silent)
    assert (seen.looked, detector.looks) == (4, 4), "0, 3, 6 and the last, 7"


def test_what_is_covered_is_hidden_the_rest_looks_as_before_and_no_picture_moves_in_time() -> None:
    media = film(gaps=(7, 8, 20))
    _, paths = find(io.BytesIO(media), SquareDetector(), silent)
    copy = blurred(media, [Cover("f1", paths[0])])
    then, now = decoded(media), decoded(copy)
    with av.open(io.BytesIO(media), mode="r") as one, av.open(io.BytesIO(copy), mode="r") as other:
        bases = [box.streams.video[0].time_base or Fraction(0) for box in (one, other)]
        lengths = [Fraction(box.duration or 0, av.time_base) for box in (one, other)]
        assert other.metadata["comment"] == "note"
    assert [at * bases[0] for at, _ in then] == [at * bases[1] for at, _ in now]
    assert len(now) == 47
    assert abs(lengths[0] - lengths[1]) <= Fraction(1, RATE)
    assert all((picture > 200).sum() > 250 for _, picture in then)
    assert all((picture > 200).sum() == 0 for _, picture in now)
    for (_, one_picture), (_, other_picture) in zip(then, now, strict=True):
        apart = np.abs(one_picture[90:].astype(np.int16) - other_picture[90:].astype(np.int16))
        assert apart.mean() < 4


def test_what_was_covered_is_seen_again_once_its_path_is_over() -> None:
    """Later pictures are made from earlier ones as the decoder has them, not as they were covered."""
    media = film()
    box = Box(0, 0, WIDTH, HEIGHT)
    copy = blurred(media, [Cover("d1", FacePath((Point(0.0, box), Point(1.0, box))))])
    apart = [
        float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())
        for (_, one), (_, other) in zip(decoded(media), decoded(copy), strict=True)
    ]  # fmt: skip
    assert min(apart[:26]) > 10
    assert max(apart[26:]) < 4


def test_without_covers_nothing_is_hidden() -> None:
    assert all((picture > 200).sum() > 250 for _, picture in decoded(blurred(film(10), [])))


@pytest.mark.parametrize(
    ("pixels", "codec"), [("yuvj420p", "libx264"), ("yuv444p", "libx264"), ("yuv420p10le", "libx265")]
)
def test_colours_of_other_forms_stay_what_they_are(pixels: str, codec: str) -> None:
    media = film(5, pixels, codec=codec)
    copy = blurred(media, [])
    with av.open(io.BytesIO(media), mode="r") as one, av.open(io.BytesIO(copy), mode="r") as other:
        before = next(one.decode(video=0)).to_ndarray(format="rgb24").astype(np.int16)
        after = next(other.decode(video=0)).to_ndarray(format="rgb24").astype(np.int16)
    assert np.abs(before.mean() - after.mean()) < 2
    assert np.abs(before - after).mean() < 5


ODD = [(WIDTH + 1, HEIGHT, 1, 0), (WIDTH, HEIGHT + 1, 0, 1), (WIDTH + 1, HEIGHT + 1, 1, 1)]


@pytest.mark.parametrize(("wide", "high", "right", "below"), ODD)
def test_a_picture_with_odd_sides_gets_its_last_column_or_row_twice_and_nothing_else_moves(
    wide: int, high: int, right: int, below: int
) -> None:
    media, target = film(pixels="yuv444p", size=wide, high=high), io.BytesIO()
    seen, (path,) = find(io.BytesIO(media), SquareDetector(blind=(3, 4, 5)), silent)
    assert (seen.width, seen.height, seen.added_right, seen.added_below) == (wide, high, 0, 0)
    made = blur(io.BytesIO(media), target, [Cover("f1", path)], "note", silent)
    assert (made.width, made.height, made.added_right, made.added_below) == (wide, high, right, below)
    then, now = decoded(media), decoded(target.getvalue())
    with av.open(io.BytesIO(target.getvalue()), mode="r") as box:
        assert box.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert box.metadata["comment"].startswith("note; last ")
        assert ("column" in box.metadata["comment"], "row" in box.metadata["comment"]) == (right == 1, below == 1)
    assert len(now) == len(then) == 50
    assert all((picture > 200).sum() > 250 for _, picture in then)
    for (_, one), (_, other) in zip(then, now, strict=True):
        assert other.shape == (high + below, wide + right)
        assert (other > 200).sum() == 0, "the bridge over what was missed covers it here too"
        apart = np.abs(one[90:].astype(np.int16) - other[90:high, :wide].astype(np.int16))
        assert apart.mean() < 4
        doubled = [other[90:, wide - 1], other[90:, -1], other[high - 1], other[-1]]
        assert np.abs(doubled[0].astype(np.int16) - doubled[1]).mean() < 6
        assert np.abs(doubled[2].astype(np.int16) - doubled[3]).mean() < 6


def test_what_is_doubled_is_hidden_with_the_column_and_the_row_that_it_doubles() -> None:
    wide, high = WIDTH + 1, HEIGHT + 1
    media = film(5, "yuv444p", size=wide, high=high)
    corner = Box(wide - 41, high - 41, wide, high)
    copy = blurred(media, [Cover("d1", FacePath((Point(0.0, corner), Point(1.0, corner))))])
    for _, picture in decoded(copy):
        assert steps(picture[-40:, -2:]) < 3, "noise is there where nothing is hidden"
        assert steps(picture[-2:, -40:].T) < 3
        assert steps(picture[:40, -2:]) > 8


def steps(values: NDArray[np.uint8]) -> float:
    """Between a row and the next, on average."""
    return float(np.abs(np.diff(values.astype(np.int16), axis=0)).mean())


@pytest.mark.parametrize("media", [b"", b"no film", film(3)[:600]])
def test_what_is_no_film_is_refused(media: bytes, tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    source.write_bytes(media)
    target = tmp_path / "copy.part"
    target.touch()

    async def main() -> None:
        with pytest.raises(CodecUnsupported):
            await Blurring().blur(source, target, [], "", lambda _: None)

    anyio.run(main)


def test_the_child_hides_what_it_is_told_to_and_says_how_far_it_is(tmp_path: Path) -> None:
    source, target, far = tmp_path / "film.mp4", tmp_path / "copy.part", list[float]()
    source.write_bytes(film())
    target.touch()
    box = Box(0, 30, WIDTH, 80)

    async def main() -> None:
        film_seen = await Blurring().blur(
            source, target, [("d1", FacePath((Point(0.0, box), Point(2.0, box))))], "note", far.append
        )
        assert (film_seen.pictures, film_seen.width) == (50, WIDTH)

    anyio.run(main)
    assert far
    assert all((picture > 200).sum() == 0 for _, picture in decoded(target.read_bytes()))


def test_a_model_that_is_not_here_is_said_so(tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    source.write_bytes(film(3))

    async def main() -> None:
        with pytest.raises((ModelFailed, CodecUnsupported)):
            await Blurring().find(source, NO_MODEL, lambda _: None)

    anyio.run(main)


def stand_in(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Another program in the child's place."""
    real = anyio.open_process

    async def other(_: Sequence[str], *, stdin: int, stdout: int, stderr: int) -> Process:
        return await real([sys.executable, "-c", program], stdin=stdin, stdout=stdout, stderr=stderr)

    monkeypatch.setattr("pipeline.analyse.blurring.anyio.open_process", other)


@pytest.mark.parametrize(
    "program",
    [
        "import os, sys; sys.stdin.readline(); os.abort()", "import sys; sys.stdin.readline(); print('nonsense')",
        "import sys, time; sys.stdin.readline(); time.sleep(60)", "import sys; sys.stdin.readline(); print('{}')",
        "import sys; sys.stdin.readline(); print('{\"end\": {\"width\": 1}}')",
    ],
)  # fmt: skip
def test_a_child_that_dies_hangs_or_talks_nonsense_is_ended_and_the_next_one_is_well(
    program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, target = tmp_path / "film.mp4", tmp_path / "copy.part"
    source.write_bytes(film(3))
    target.touch()

    async def main() -> None:
        parent = Blurring(stall_s=1.0)
        with monkeypatch.context() as patch:
            stand_in(patch, program)
            with pytest.raises(WorkerFailed), anyio.fail_after(10):
                await parent.blur(source, target, [], "", lambda _: None)
        assert (await Blurring().blur(source, target, [], "", lambda _: None)).pictures == 3

    anyio.run(main)


def test_a_child_whose_parent_waits_no_longer_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, told = tmp_path / "film.mp4", tmp_path / "pid"
    source.write_bytes(film(3))
    stand_in(monkeypatch, f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(60)")

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Blurring().blur, source, tmp_path / "copy", [], "", lambda _: None)
            while not (told.is_file() and told.read_text()):
                await anyio.sleep(0.02)
            tasks.cancel_scope.cancel()

    began_s = time.monotonic()
    anyio.run(main)
    assert time.monotonic() - began_s < 30, "it sleeps for 60 s"
    assert not Path(f"/proc/{told.read_text()}").exists()


def test_the_child_limits_itself() -> None:
    program = (
        "import json, resource; hard = resource.getrlimit(resource.RLIMIT_CORE)[1];"
        "resource.setrlimit(resource.RLIMIT_CORE, (hard, hard));"
        "from pipeline.analyse import blur_child; blur_child._limit(1000);"
        "print(json.dumps([resource.getrlimit(each)[0] for each in"
        " (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_AS)]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    core, size, space = json.loads(done.stdout)
    assert (core, size) == (0, 1000)
    assert 0 < space != resource.RLIM_INFINITY


def test_a_copy_larger_than_allowed_ends_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blurring, "_GROWS", 0)
    monkeypatch.setattr(blurring, "_MORE_BYTES", 2000)
    source, target = tmp_path / "film.mp4", tmp_path / "copy.part"
    source.write_bytes(film())
    target.touch()

    async def main() -> None:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever of ours
            await Blurring().blur(source, target, [], "", lambda _: None)
        assert type(caught.value).__module__ == "pipeline.errors"

    anyio.run(main)
    assert target.stat().st_size <= 2000


def test_both_sides_say_the_same(tmp_path: Path) -> None:
    """A path goes to the child and comes back as it was."""
    path = FacePath((Point(0.5, Box(1.0, 2.0, 3.5, 4.5)), Point(1.5, Box(1.5, 2.5, 4.0, 5.0))), 3)
    rows = [blur_child._row(each) for each in path.points]
    assert blurring.path_of(rows, 3) == path
    assert blurring.rows_of(path) == rows
    assert set(blurring.Film.__slots__) == set(blur_child.Seen.__slots__)
