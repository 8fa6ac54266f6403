"""Pictures and films of people as they come, read by a real child with real models: enrolled, or refused and why."""

import io
import subprocess
from collections.abc import Sequence
from pathlib import Path

import anyio
import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipeline.analyse.enrol_order import READY, Enrolled, EnrolOrder, Kind, Refused
from pipeline.analyse.enrolment import CHILD, Enrolment
from tests.tools import needs
from tests.unit.analyse.test_film import film_of
from tests.unit.analyse.test_photo import png_that_claims
from tests.unit.models.face import material

pytestmark = [pytest.mark.slow]
SIZE = 128


def photo(name: str) -> Image.Image:
    material.picture(name)  # skips aloud
    return Image.fromarray(np.ascontiguousarray(material.picture(name)[:, :, ::-1]))


def jpeg(image: Image.Image, **more: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=92, **more)
    return sink.getvalue()


def enrolled_all(kind: Kind, data: Sequence[bytes], detector: str = "yunet") -> list[Enrolled | Refused]:
    entries = material.shared(detector), material.shared("mobilefacenet")

    async def main() -> list[Enrolled | Refused]:
        enrolment = Enrolment()
        return [await enrolment.enrol(EnrolOrder(kind, len(each), *entries, 640), each) for each in data]

    return anyio.run(main)


def enrolled(data: bytes, kind: Kind = "picture", detector: str = "yunet") -> Enrolled:
    (found,) = enrolled_all(kind, [data], detector)
    assert isinstance(found, Enrolled), found
    return found


def reason(data: bytes, kind: Kind = "picture", detector: str = "yunet") -> str:
    (found,) = enrolled_all(kind, [data], detector)
    assert isinstance(found, Refused)
    assert found.detail
    return found.reason


def likeness(one: Enrolled, other: Enrolled) -> float:
    first, second = (np.frombuffer(each.vector, "<f4") for each in (one, other))
    assert float(np.linalg.norm(first)) == pytest.approx(1.0, abs=1e-5)
    return float(first @ second)


def side_by_side(*names: str) -> Image.Image:
    sheet = Image.new("RGB", (400 * len(names), 500), "white")
    for place, name in enumerate(names):
        image = photo(name)
        image.thumbnail((400, 500))
        sheet.paste(image, (400 * place, 0))
    return sheet


def drawing() -> Image.Image:
    image = Image.new("RGB", (600, 600), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((100, 50, 500, 550), fill=(255, 220, 180), outline="black", width=5)
    for left in (200, 350):
        pen.ellipse((left, 200, left + 50, 240), fill="white", outline="black", width=4)
        pen.ellipse((left + 18, 210, left + 35, 230), fill="black")
    pen.line((300, 250, 280, 340, 310, 345), fill="black", width=4)
    pen.arc((220, 350, 380, 450), 20, 160, fill="red", width=8)
    return image


@pytest.mark.parametrize("detector", material.DETECTORS)
def test_photos_of_one_person_are_alike_and_of_two_are_not(detector: str) -> None:
    names = ("obama-1", "obama-2", "biden-1")
    found = enrolled_all("picture", [jpeg(photo(name)) for name in names], detector)
    one, same, other = (each for each in found if isinstance(each, Enrolled))
    assert one.model == "mobilefacenet@128"
    assert one.detector.startswith(detector)
    with Image.open(io.BytesIO(one.crop)) as crop:
        assert (crop.format, crop.size) == ("JPEG", (112, 112))
    assert likeness(one, same) > 0.6
    assert likeness(one, other) < 0.3


def test_exif_cmyk_and_gif_are_taken_as_they_are_meant() -> None:
    upright = photo("obama-2")
    exif = Image.Exif()
    exif[0x0112] = 6
    gif = io.BytesIO()
    upright.save(gif, "GIF")
    turned, inked, moved = enrolled_all(
        "picture",
        [jpeg(upright.rotate(90, expand=True), exif=exif), jpeg(upright.convert("CMYK")), gif.getvalue()],
    )
    reference = enrolled(jpeg(upright))
    for each in (turned, inked, moved):
        assert isinstance(each, Enrolled), each
        assert likeness(each, reference) > 0.8


def test_what_shows_no_one_person_well_is_refused_with_its_reason() -> None:
    small = photo("obama-1")
    small.thumbnail((120, 120))
    dark = photo("obama-1").point(lambda value: value // 12)
    wanted = {
        "no_face": [Image.new("RGB", (500, 500), "gray"), drawing()],
        "several_faces": [
            photo("obama-and-biden"),
            side_by_side("obama-1", "obama-2", "obama-3", "biden-1", "biden-2"),
        ],
        "cut_off": [photo("obama-partial")],
        "too_small": [small, Image.new("RGB", (1, 1))],
        "too_dark": [dark],
    }
    images = [(expected, image) for expected, all_ in wanted.items() for image in all_]
    found = enrolled_all("picture", [jpeg(image) for _, image in images])
    told = [each.reason if isinstance(each, Refused) else "enrolled" for each in found]
    assert told == [expected for expected, _ in images]


def test_files_that_are_no_pictures_are_refused_with_their_reason() -> None:
    whole = jpeg(photo("obama-1"))
    hundred = jpeg(Image.new("RGB", (10_000, 10_000))) + b"\0" * 2_000_000
    sent = [b"", b"nonsense", whole[: len(whole) // 3], png_that_claims(60_000, 60_000), hundred]
    told = [each.reason if isinstance(each, Refused) else "enrolled" for each in enrolled_all("picture", sent)]
    assert told == ["empty", "unreadable", "unreadable", "bomb", "too_large"]


def test_films_are_read_by_a_process_that_opens_nothing_any_more() -> None:
    """Once its models are loaded: whatever container comes then, nothing is missing to read it."""
    entries = material.shared("yunet"), material.shared("mobilefacenet")
    with subprocess.Popen(CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(EnrolOrder("picture", 10, *entries, 640).line())
        child.stdin.flush()
        assert child.stdout.readline() == READY
        assert "Seccomp:\t2" in Path(f"/proc/{child.pid}/status").read_text()
        child.kill()
    for container, codec in (("mp4", "libx264"), ("matroska", "libx264"), ("avi", "mpeg4"), ("mpegts", "libx264")):
        assert reason(film_of(container, codec), "video") == "no_face", container


def test_a_kept_crop_is_embedded_again_without_its_picture() -> None:
    first = enrolled(jpeg(photo("obama-1")))
    again = enrolled(first.crop, "crop")
    assert likeness(first, again) > 0.99
    assert reason(jpeg(Image.new("RGB", (64, 64))), "crop") == "unreadable"


def film(folder: Path, *names: str, size: str = "640x360") -> bytes:
    """A second and a half of each, moving over a ground."""
    parts = []
    for place, name in enumerate(names):
        path = folder / f"{place}.jpg"
        image = photo(name)
        image.thumbnail((300, 300))
        path.write_bytes(jpeg(image))
        parts.append(path)
    inputs = [each for path in parts for each in ("-loop", "1", "-t", "1.5", "-r", "10", "-i", str(path))]
    chains = [
        f"color=c=0x506070:s={size}:r=10:d=1.5[g{place}];[g{place}][{place}]overlay=x=60+100*t:y=30:shortest=1[v{place}]"
        for place in range(len(parts))
    ]
    joined = "".join(f"[v{place}]" for place in range(len(parts))) + f"concat=n={len(parts)}[out]"
    target = folder / "film.mp4"
    subprocess.run(
        [
            "ffmpeg", "-loglevel", "error", *inputs, "-filter_complex", ";".join([*chains, joined]), "-map", "[out]",
            "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-g", "10", str(target),
        ],
        check=True, timeout=60,
    )  # fmt: skip
    return target.read_bytes()


@needs("ffmpeg")
def test_a_film_of_one_person_gives_one_face_of_many_looks(tmp_path: Path) -> None:
    found = enrolled(film(tmp_path, "obama-3"), "video")
    assert found.looks >= 5
    assert likeness(found, enrolled(jpeg(photo("obama-1")))) > 0.6


@needs("ffmpeg")
def test_a_film_of_two_people_after_each_other_is_refused(tmp_path: Path) -> None:
    assert reason(film(tmp_path, "obama-3", "biden-2"), "video") == "several_faces"


@needs("ffmpeg")
def test_films_that_show_nobody_or_are_none_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    ground = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=1", "-c:v", "libx264", str(empty)]
    subprocess.run(["ffmpeg", "-loglevel", "error", *ground], check=True, timeout=60)
    sound = tmp_path / "sound.mp4"
    tone = ["-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", str(sound)]
    subprocess.run(["ffmpeg", "-loglevel", "error", *tone], check=True, timeout=60)
    assert reason(empty.read_bytes(), "video") == "no_face"
    for data in (sound.read_bytes(), b"nonsense", empty.read_bytes()[:400]):
        assert reason(data, "video") == "unreadable"
