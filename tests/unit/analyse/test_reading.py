"""Text is read in the best key frames of a span, and of what is read only the lines of a certificate are told."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import anyio
import av
import cv2
import numpy as np
import pytest

from models.text.base import Line, Picture, ReaderAbilities
from pipeline.analyse.board import Lease, Report, Work, WorkerBoard
from pipeline.analyse.loading import Models
from pipeline.analyse.reading import Reading
from pipeline.analyse.reporter import Reporter
from pipeline.analyse.source import Given, Over
from pipeline.analyse.units import Unit
from pipeline.errors import ModelFailed
from pipeline.events import TextSeen
from pipeline.media import VIDEO_TRACK, Track

pytestmark = pytest.mark.anyio
WORK = Work(
    "span:rec_1:text", "span", "text", "st_1", "rec_1", 1_700_000_000.0, 2.0, 12.0, model="reader",
    asked="certificate_shown",
)  # fmt: skip
CERTIFICATE = ("中华人民共和国行政执法证", "姓名：演示", "证号：DEMO20260001")
ELSE = ("惠民超市价目表", "电话 13800000000")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def lines(texts: tuple[str, ...]) -> list[Line]:
    found = []
    for row, text in enumerate(texts):
        top, right = 40.0 + 50 * row, 60.0 + 30 * len(text)
        found.append(Line(text, 0.95, ((60.0, top), (right, top), (right, top + 30), (60.0, top + 30))))
    return found


@dataclass
class Reader:
    """Reads the same in every picture."""

    texts: tuple[str, ...] = CERTIFICATE + ELSE
    refuses: bool = False
    pictures: int = 0
    abilities: ReaderAbilities = field(default_factory=lambda: ReaderAbilities("reader", "1", ("zh",)))

    def read(self, picture: Picture) -> list[Line]:
        self.pictures += 1
        assert picture.shape[2] == 3
        if self.refuses:
            raise ModelFailed("refused")
        return lines(self.texts)


@dataclass
class Kept:
    """A board that keeps what it is told."""

    reports: list[Report] = field(default_factory=list)

    async def report(self, report: Report) -> None:
        self.reports.append(report)


@dataclass
class Shelf:
    known: Reader

    def reader(self, name: str) -> Reader:
        assert name == "reader"
        return self.known


def sheet() -> Picture:
    """A bright card with strokes as narrow as those of signs."""
    picture = np.full((360, 640), 90, np.uint8)
    cv2.rectangle(picture, (120, 60), (520, 300), 230, -1)
    for row in range(6):
        cv2.putText(picture, "ENFORCEMENT 20260001", (140, 100 + 34 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 20, 2)
    return picture


def media(seconds: int) -> tuple[Track, list[Unit]]:
    """A key frame a second, all alike."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 640, 360, "yuv420p", Fraction(1, 1)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "1"}
    encoder.flags |= 1 << 22  # the parameter sets into extradata, as in MP4
    units = []
    for second in range(seconds):
        frame = av.VideoFrame.from_ndarray(sheet(), format="gray").reformat(format="yuv420p")
        frame.pts, frame.time_base = second, Fraction(1, 1)
        units += [Unit(VIDEO_TRACK, float(second), 1.0, True, bytes(packet)) for packet in encoder.encode(frame)]
    track = Track(VIDEO_TRACK, "video", "avc1.42c01e", bytes(encoder.extradata or b""), 90_000, width=640, height=360)
    return track, units


async def read(reader: Reader, seconds: int = 10) -> list[Report]:
    track, units = media(seconds)
    board, lease = Kept(), Lease(WORK, 1)

    async def source() -> AsyncIterator[Given]:
        yield (track,)
        for unit in units:
            yield unit
        yield Over()

    shelf = cast(Models, Shelf(reader))  # what Reading needs of them is `reader`
    reading = Reading(
        lease, source, shelf, lambda label: Reporter(lease, cast(WorkerBoard, board), label), anyio.CapacityLimiter(1)
    )
    await reading.run()
    return board.reports


async def test_only_the_lines_of_a_certificate_are_told_and_of_few_pictures() -> None:
    reader = Reader()
    (report,) = await read(reader)
    assert report.state == "done"
    assert report.model == "reader@1"
    assert 1 <= reader.pictures <= 4
    seen = [event for event in report.events if isinstance(event, TextSeen)]
    assert len(seen) == reader.pictures
    for each in seen:
        assert each.asked == "certificate_shown"
        assert "行政执法证" in each.text
        assert not any(text in each.text for text in ELSE), "what else can be read is nobody's business"


async def test_where_no_certificate_is_read_nothing_is_told() -> None:
    (report,) = await read(Reader(texts=ELSE))
    assert (report.state, report.events) == ("done", ())


async def test_a_reader_that_refuses_is_a_try_that_failed() -> None:
    (report,) = await read(Reader(refuses=True))
    assert (report.state, report.reason) == ("failed", "refused")
