import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.signal.turns import NOT_FOUND, TurnMeter
from tests.unit.models.signal.footage import Luma, flat, walk


def turned(picture: Luma, degrees: float) -> Luma:
    """Clockwise, about its middle."""
    height, width = picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def off(degrees: float, wanted: float) -> float:
    return abs((degrees - wanted + 180) % 360 - 180)


@pytest.mark.parametrize("degrees", [0, 20, 90, 155, 180, 205, 270, 340])
def test_by_how_much_a_picture_is_turned_is_found_at_any_angle(degrees: float) -> None:
    meter = TurnMeter()
    assert meter.measure(walk(3)) == NOT_FOUND
    found = meter.measure(turned(walk(3.1), degrees))
    assert off(found.degrees, degrees) < 3
    assert (found.agreed >= 20, found.back) == (True, 1)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (480, 270), (270, 480)])
def test_it_is_found_at_every_size_and_in_portrait(width: int, height: int) -> None:
    meter = TurnMeter()
    meter.measure(walk(3, width=width, height=height))
    found = meter.measure(np.ascontiguousarray(walk(3.1, width=width, height=height)[::-1, ::-1]))
    assert off(found.degrees, 180) < 3
    assert found.agreed >= 12


def test_a_picture_that_shows_nothing_between_is_stepped_over() -> None:
    meter = TurnMeter()
    meter.measure(walk(3))
    assert meter.measure(flat(60, 3)).agreed < 4
    found = meter.measure(np.ascontiguousarray(walk(3.1)[::-1, ::-1]))
    assert (round(found.degrees), found.back) == (180, 2)
    assert meter.measure(np.ascontiguousarray(walk(3.2)[::-1, ::-1])).back == 1


def test_a_place_that_was_left_four_pictures_ago_is_not_known_any_more() -> None:
    meter = TurnMeter()
    meter.measure(walk(3))
    for seed in range(3):
        meter.measure(flat(60, 3, seed))
    assert meter.measure(walk(3)) == NOT_FOUND


def test_pictures_of_different_places_agree_by_chance_in_few_points_only() -> None:
    rng = np.random.default_rng(2)

    def place() -> Luma:
        picture = np.full((270, 480), 110, np.uint8)
        for _ in range(60):
            x, y, a, b = (int(each) for each in rng.integers((0, 0, 8, 8), (480, 270, 90, 70)))
            cv2.rectangle(picture, (x, y), (x + a, y + b), float(rng.uniform(25, 215)), -1)
        return picture

    meter = TurnMeter()
    assert max(meter.measure(place()).agreed for _ in range(30)) <= 5


def test_points_that_look_another_way_than_most_do_not_count() -> None:
    """Lamps on a wall: most are turned by 90 degrees and elsewhere, twelve upright and mirrored about the middle."""
    rng = np.random.default_rng(5)
    lamps = []
    for _ in range(40):
        glow = cv2.GaussianBlur(rng.normal(0, 1, (48, 48)), (0, 0), 5)
        lamp = np.clip(110 + glow / glow.std() * 18, 16, 235).astype(np.uint8)
        lamps.append(cv2.circle(lamp, (24, 24), 2, 235, -1))
    cells = rng.permutation(40)
    mirrored, others = cells[:12], cells[12:]
    elsewhere = rng.permutation(sorted(set(range(40)) - {39 - int(each) for each in mirrored}))
    places = dict(zip(others.tolist(), elsewhere.tolist(), strict=True))
    meter = TurnMeter()
    for is_later in (False, True):
        wall = np.full((192, 480), 110, np.uint8)
        for number, lamp in enumerate(lamps):
            cell = number if not is_later else places.get(number, 39 - number)
            y, x = cell // 10 * 48, cell % 10 * 48
            wall[y : y + 48, x : x + 48] = np.rot90(lamp) if is_later and number in places else lamp
        found = meter.measure(wall)
    assert found.agreed < 6


def lamp(x: int, y: int) -> Luma:
    """A lamp in the dark, and around it the rays of a dirty lens."""
    picture = np.full((270, 480), 24, np.float32)
    for degrees in range(0, 360, 24):
        to = (round(x + 22 * np.cos(np.radians(degrees))), round(y + 22 * np.sin(np.radians(degrees))))
        cv2.line(picture, (x, y), to, 120.0, 1, cv2.LINE_AA)
    cv2.circle(picture, (x, y), 7, 235.0, -1)
    noise = np.random.default_rng(x).normal(0, 1, picture.shape)
    return np.asarray(np.clip(picture + noise, 16, 235), np.uint8)


def test_many_points_of_one_lamp_count_as_the_few_places_they_are() -> None:
    meter = TurnMeter()
    meter.measure(lamp(100, 120))
    points = meter.measure(lamp(330, 150))
    assert points.agreed <= 12


@pytest.mark.parametrize("shape", [(16, 16), (12, 3000), (31, 17)])
@pytest.mark.parametrize("level", [0, 128])
def test_what_has_no_points_is_not_found(shape: tuple[int, int], level: int) -> None:
    meter = TurnMeter()
    plane: NDArray[np.uint8] = np.full(shape, level, np.uint8)
    assert [meter.measure(plane) for _ in range(3)] == [NOT_FOUND] * 3


def test_the_same_pictures_give_the_same_turns() -> None:
    pictures = [walk(t) for t in range(5)]
    first, second = TurnMeter(), TurnMeter()
    assert [first.measure(each) for each in pictures] == [second.measure(each) for each in pictures]
