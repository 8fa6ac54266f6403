"""What the glass-to-glass bench makes of what a page has seen, and that a page sees it."""

import base64
import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from api.bench import latency
from api.bench.latency import Watched, summarise
from pipeline.errors import WorkerFailed
from pipeline.simulate import burnin
from pipeline.simulate.picture import HEIGHT, WIDTH, blank
from pipeline.simulate.scenes import make_scene

BEGAN_MS = 1_795_464_000_000


def watched(*shown: tuple[int, float], undecodable: int = 0) -> Watched:
    """shown: number of the picture and how late it was, ms."""
    return Watched(
        seen=[(BEGAN_MS + 40 * number, number & 0xFFFF, BEGAN_MS + 40 * number + late) for number, late in shown],
        undecodable=undecodable,
    )


def test_the_figures_hold_all_tiles_and_nothing_is_subtracted() -> None:
    one = watched(*((number, 100.0) for number in range(98)), undecodable=1)
    other = watched((0, 300.0), (1, 500.0), undecodable=2)
    assert summarise([one, other]) == {
        "p50": 100.0, "p95": 100.0, "p99": 300.0, "max": 500.0,
        "frames": 100.0, "undecodable": 3.0, "gaps": 0.0, "presented": 0.0, "tiles": 2.0,
    }  # fmt: skip


def test_a_picture_never_seen_is_a_gap_even_where_the_number_rolls_over() -> None:
    assert summarise([watched((65_534, 1.0), (65_535, 1.0), (65_538, 1.0))])["gaps"] == 2


def test_a_picture_shown_twice_counts_once_at_its_first_showing() -> None:
    figures = summarise([watched((1, 90.0), (1, 900.0), (2, 90.0))])
    assert figures["frames"] == 2
    assert figures["max"] == 90


def test_a_wall_on_which_nothing_is_read_is_a_failure_and_no_figure() -> None:
    with pytest.raises(WorkerFailed, match="readable clock"):
        summarise([watched(undecodable=50)])


@pytest.mark.browser
@pytest.mark.skipif(not Path(latency.CHROMIUM).exists(), reason="not installed: chromium (make system)")
def test_a_page_notes_the_pictures_that_a_video_shows() -> None:
    source = "data:video/mp4;base64," + base64.b64encode(clip(50)).decode()
    with latency.browser_page() as page:
        page.set_content("<video muted playsinline></video>")
        for script in latency._SCRIPTS:
            page.evaluate(script.read_text(encoding="utf-8"))
        page.evaluate("startWatching()")
        page.evaluate(
            """source => new Promise(done => {
                const video = document.querySelector("video");
                video.onended = done;
                video.src = source;
                video.play();
            })""",
            source,
        )
        (seen,) = [Watched.model_validate(each) for each in page.evaluate("stopWatching()")]
    numbers = [number for _, number, _ in seen.seen]
    assert seen.undecodable == 0
    assert seen.presented >= len(set(numbers))
    assert len(set(numbers)) > 25
    assert all(utc_ms == BEGAN_MS + 40 * number for utc_ms, number, _ in seen.seen)


def clip(count: int) -> bytes:
    """A film of `count` pictures as MP4."""
    file, scene, picture = io.BytesIO(), make_scene("shop"), blank()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 700_000
        for number in range(count):
            scene.draw(picture, number / 25)
            burnin.draw(picture, BEGAN_MS + 40 * number, number)
            planes = np.concatenate([plane.reshape(-1, WIDTH) for plane in (picture.y, picture.u, picture.v)])
            frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
