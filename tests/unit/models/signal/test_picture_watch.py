from collections.abc import Callable, Iterable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.signal.noticed import Noticed
from models.signal.picture_watch import PictureWatch
from models.signal.pictures import PictureMeter, PictureRow
from pipeline.simulate import burnin
from pipeline.simulate.picture import blank
from pipeline.simulate.scenes import cover, make_scene
from tests.unit.models.signal.footage import Luma, bounds, flat, walk, with_clock

Faulty = Callable[[float], Luma]
START_S, END_S = 12.0, 19.0


def held(_: float) -> Luma:
    return walk(START_S - 0.4)


def soft(t: float) -> Luma:
    return np.asarray(cv2.GaussianBlur(walk(t), (0, 0), 9), np.uint8)


def turned(t: float) -> Luma:
    return np.ascontiguousarray(walk(t)[::-1, ::-1])


def told(pictures: Iterable[tuple[float, Luma]], watch: PictureWatch | None = None) -> list[tuple[float, Noticed]]:
    watch, meter = watch or PictureWatch(bounds()), PictureMeter()
    return [(t, noticed) for t, picture in pictures for noticed in watch.feed(t, meter.measure(picture))]


def with_fault(fault: Faulty, every_s: float = 1.0) -> list[tuple[float, Luma]]:
    times = np.arange(0.0, 30.0, every_s)
    return [
        (float(t), with_clock(fault(float(t)) if START_S <= t < END_S else walk(float(t)), float(t))) for t in times
    ]


@pytest.mark.parametrize(
    ("finding", "fault"),
    [
        ("lens_covered", lambda t: flat(45, 4, int(t))),
        ("lens_covered", lambda t: flat(20, 2.5, int(t))),
        ("black", lambda t: flat(16, 0, int(t))),
        ("black", lambda t: flat(0, 0, int(t))),
        ("over_exposed", lambda t: walk(t, gain=9)),
        ("frozen", held),
        ("blurred", soft),
    ],
)
def test_a_fault_is_told_within_two_seconds_and_ends_by_itself(finding: str, fault: Faulty) -> None:
    found = told(with_fault(fault))
    assert [(each.finding, each.is_end) for _, each in found] == [(finding, False), (finding, True)]
    (told_s, begun), (end_told_s, ended) = found
    assert told_s - START_S <= 2
    assert START_S - 1 <= begun.at_s <= told_s
    assert 0.5 <= begun.confidence <= 1
    assert begun.measures
    assert END_S <= ended.at_s <= end_told_s <= END_S + 2


def test_a_picture_that_is_turned_over_and_back_is_told_both_times() -> None:
    found = told(with_fault(turned))
    assert [(t, each.finding, each.is_end) for t, each in found] == [
        (START_S, "upside_down", False),
        (END_S, "upside_down", True),
    ]
    assert dict(found[0][1].measures)["turned"] == pytest.approx(180, abs=3)


def test_a_camera_that_hangs_upside_down_does_so_after_a_gap_too() -> None:
    watch, meter, found = PictureWatch(bounds()), PictureMeter(), []
    for t in range(12):
        if t == 8:
            found += [(t, each.is_end) for each in watch.finish(t)]
            watch.gap(t)
            meter.gap()
        picture = turned(t) if t >= 5 else walk(t)
        found += [(t, each.is_end) for each in watch.feed(t, meter.measure(picture))]
    assert found == [(5, False), (8, True), (8, False)]


def test_somebody_who_lies_down_and_stands_up_again_does_not_hang_upside_down() -> None:
    def leant(t: float) -> Luma:
        view = cv2.getRotationMatrix2D((240, 135), 90, 1)
        return np.asarray(cv2.warpAffine(walk(t), view, (480, 270), borderMode=cv2.BORDER_REFLECT_101), np.uint8)

    times = [float(t) for t in range(40)]
    assert told([(t, leant(t) if 10 <= t < 14 or 20 <= t < 30 else walk(t)) for t in times]) == []


@pytest.mark.parametrize("every_s", [0.25, 2.0])
def test_a_black_picture_is_told_within_two_seconds_whatever_the_key_frames(every_s: float) -> None:
    found = told(with_fault(lambda t: flat(16, 0, int(t)), every_s))
    assert [(each.finding, each.is_end) for _, each in found] == [("black", False), ("black", True)]
    assert found[0][0] - START_S <= 2


def test_key_frames_four_seconds_apart_tell_late_and_still_tell() -> None:
    found = told(with_fault(lambda t: flat(45, 4, int(t)), 3.0))
    assert [(each.finding, each.is_end) for _, each in found] == [("lens_covered", False), ("lens_covered", True)]


@pytest.mark.parametrize(("width", "height"), [(3840, 2160), (270, 480)])
def test_a_covered_lens_is_told_in_4k_and_in_portrait(width: int, height: int) -> None:
    pictures = [
        (float(t), flat(45, 4, t, (height, width)) if t >= 5 else walk(t, width=width, height=height)) for t in range(8)
    ]
    assert [each.finding for _, each in told(pictures)] == ["lens_covered"]


def wall(t: float) -> Luma:
    shade = np.linspace(150, 185, 480)[None, :] + 4 * np.sin(t)
    return np.asarray(np.clip(shade + np.random.default_rng(int(t)).normal(0, 1, (270, 480)), 0, 255), np.uint8)


def night(t: float) -> Luma:
    picture = flat(24, 4, int(t)).astype(np.float32)
    for number in range(4):
        at = (int(240 + 180 * np.sin(t * 0.5 + number)), 70 + 40 * number)
        cv2.circle(picture, at, 6, 235, -1)
    return np.clip(picture, 16, 235).astype(np.uint8)


def far_lamps(t: float) -> Luma:
    """A yard at night: dark, but for two small lamps far away."""
    picture = flat(24, 4, int(t))
    for x in (105, 345):
        cv2.circle(picture, (x, 135), 4, 235, -1)
    return picture


def empty_room(t: float) -> Luma:
    """From a tripod, and nobody is there: noise is all that changes."""
    return np.asarray(np.clip(walk(3) + np.random.default_rng(int(t)).normal(0, 2, (270, 480)), 16, 235), np.uint8)


def smeared(t: float) -> Luma:
    """Running: every picture is smeared along the way."""
    return np.asarray(cv2.blur(walk(t * 3), (17, 1)), np.uint8)


def tripod(t: float) -> Luma:
    picture = walk(3).astype(np.float32) + np.random.default_rng(int(t)).normal(0, 2, (270, 480))
    cv2.circle(picture, (int(240 + 150 * np.sin(t * 0.3)), 150), 30, 60, -1)
    return np.clip(picture, 16, 235).astype(np.uint8)


@pytest.mark.parametrize(
    "seen",
    [
        walk,
        wall,
        night,
        far_lamps,
        smeared,
        tripod,
        empty_room,
        lambda t: walk(t, gain=0.3),
        lambda t: walk(t, gain=1.5),
    ],
    ids=["walk", "wall", "night", "lamps", "running", "tripod", "empty_room", "dim", "bright"],
)
def test_nothing_is_told_of_footage_that_is_only_hard(seen: Faulty) -> None:
    assert told([(float(t), seen(float(t))) for t in range(60)]) == []


def test_somebody_who_passes_close_by_covers_one_key_frame_and_is_not_told() -> None:
    assert told([(float(t), flat(45, 4) if t == 9 else walk(t)) for t in range(20)]) == []


def test_a_black_first_picture_of_a_camera_that_starts_is_not_told() -> None:
    assert told([(float(t), flat(16, 0) if t == 0 else walk(t)) for t in range(9)]) == []


def test_after_a_gap_one_key_frame_does_not_finish_what_another_began() -> None:
    watch, meter = PictureWatch(bounds()), PictureMeter()
    covered = meter.measure(flat(45, 4))
    assert watch.feed(1.0, meter.measure(walk(1))) == []
    assert watch.feed(2.0, covered) == []
    watch.gap(2.0)
    assert watch.feed(9.0, covered) == []
    assert [each.finding for each in watch.feed(10.0, covered)] == ["lens_covered"]


def test_what_is_open_ends_with_the_stream() -> None:
    watch = PictureWatch(bounds())
    told([(float(t), flat(45, 4, t)) for t in range(4)], watch)
    assert [(each.finding, each.is_end, each.at_s) for each in watch.finish(3.5)] == [("lens_covered", True, 3.5)]
    assert watch.finish(4.0) == []


SHARE = st.floats(0, 1)
LEVEL = st.floats(0, 255)
ROWS = st.builds(
    PictureRow, LEVEL, LEVEL, LEVEL, SHARE, SHARE, SHARE, SHARE, LEVEL | st.just(-1.0), SHARE, SHARE, st.floats(0, 359),
    st.integers(0, 20).map(float), st.integers(0, 4).map(float),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 5), ROWS, st.booleans()), max_size=40))
def test_of_any_rows_each_kind_begins_and_ends_in_turn(steps: list[tuple[float, PictureRow, bool]]) -> None:
    watch, at_s, found = PictureWatch(bounds()), 0.0, list[Noticed]()
    for gone_s, row, is_gap in steps:
        at_s += gone_s
        if is_gap:
            watch.gap(at_s)
        found += watch.feed(at_s, row)
    found += watch.finish(at_s)
    for finding in PictureWatch.WANTED:
        ends = [each.is_end for each in found if each.finding == finding]
        assert ends == [number % 2 == 1 for number in range(len(ends))]
        assert len(ends) % 2 == 0
    assert all(0 <= each.at_s <= at_s for each in found)


def test_a_covered_lens_is_told_though_a_clock_is_written_into_the_middle_of_the_picture() -> None:
    """As the demo's devices do: the clock for machines above, the one for people below it."""
    watch, meter, found = PictureWatch(bounds()), PictureMeter(), []
    scene, picture = make_scene("shop"), blank()
    for second in range(12):
        if 4 <= second < 8:
            cover(picture, second)
        else:
            scene.draw(picture, float(second))
        burnin.draw(picture, 1_700_000_000_000 + 1000 * second, second)
        found += [(each.finding, each.is_end, each.at_s) for each in watch.feed(second, meter.measure(picture.y))]
    assert found == [("lens_covered", False, 4.0), ("lens_covered", True, 8.0)]
