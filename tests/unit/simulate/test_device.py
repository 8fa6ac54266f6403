"""What the camera of a simulated device sees and hears, with and without its faults."""

import numpy as np
import pytest

from pipeline.errors import SettingsInvalid
from pipeline.simulate import burnin
from pipeline.simulate.burnin import BurntIn
from pipeline.simulate.device import Camera
from pipeline.simulate.orders import FaultOrder, Order
from pipeline.simulate.picture import blank
from pipeline.simulate.publisher import FRAMES_PER_S, RATE_HZ
from pipeline.simulate.scenes import make_scene
from pipeline.simulate.sound import FRAME, spoken_loop

NAMES = ["market", "shop", "kitchen", "night"]
BEGAN_MS = 1_795_464_000_000


def camera() -> Camera:
    return Camera(make_scene("night"), spoken_loop(["sample01"]))


def look(of: Camera, number: int) -> None:
    of.look(number / FRAMES_PER_S, BEGAN_MS + 40 * number, number)


@pytest.mark.parametrize("name", NAMES)
def test_a_scene_changes_over_time(name: str) -> None:
    scene, before, after = make_scene(name), blank(), blank()
    scene.draw(before, 1.0)
    scene.draw(after, 1.5)
    assert (before.y != after.y).mean() > 0.02


def test_no_two_scenes_look_alike() -> None:
    pictures = []
    for name in NAMES:
        picture = blank()
        make_scene(name).draw(picture, 1.0)
        pictures.append(picture.y.astype(int))
    for index, one in enumerate(pictures):
        for other in pictures[index + 1 :]:
            assert np.abs(one - other).mean() > 25


def test_a_scene_is_the_same_every_time_it_is_made() -> None:
    one, other = blank(), blank()
    make_scene("market").draw(one, 4.0)
    make_scene("market").draw(other, 4.0)
    assert (one.y == other.y).all()


def test_a_covered_lens_is_nearly_black_but_not_quite_and_its_clock_goes_on() -> None:
    device = camera()
    device.suffer(FaultOrder("covered", 1.0), 0.0)
    look(device, 1)
    without_burn_in = device.picture.y[80:300].copy()
    assert without_burn_in.mean() < 22
    assert without_burn_in.std() > 0.5
    look(device, 2)
    assert (device.picture.y[80:300] != without_burn_in).any()
    assert burnin.read(device.picture.y) == BurntIn(BEGAN_MS + 80, 2)


def test_a_frozen_camera_repeats_its_picture_clock_and_all() -> None:
    device = camera()
    look(device, 0)
    before = device.picture.y.copy()
    device.suffer(FaultOrder("frozen", 1.0), 0.0)
    look(device, 24)
    assert (device.picture.y == before).all()


def test_a_fault_ends_after_its_time() -> None:
    device = camera()
    device.suffer(FaultOrder("frozen", 1.0), 0.0)
    look(device, 25)
    assert burnin.read(device.picture.y) == BurntIn(BEGAN_MS + 1000, 25)


def test_a_silent_microphone_gives_digital_silence_and_a_well_one_never_does() -> None:
    device = camera()
    assert np.abs(device.listen(0.0)).max() > 0
    device.suffer(FaultOrder("silent", 1.0), 0.0)
    assert (device.listen(0.5) == 0).all()
    assert np.abs(device.listen(1.0)).max() > 0


def test_a_device_says_its_sentences_with_a_pause_after_each_and_never_clips() -> None:
    loop = spoken_loop(["sample01", "sample02"])
    assert len(loop) % FRAME == 0
    assert len(loop) / RATE_HZ == pytest.approx(9.69, abs=0.05)
    assert np.abs(loop).max() < 1.0
    loudness = np.sqrt((loop.reshape(-1, FRAME) ** 2).mean(1))
    is_speech = loudness > 0.02
    assert 0.3 < is_speech.mean() < 0.9
    assert not is_speech[-int(1.4 * RATE_HZ / FRAME) :].any(), "the seam of the loop lies in a pause"
    assert (loudness > 0).all(), "a room is never digitally silent"


def test_a_voice_that_is_not_there_is_told() -> None:
    with pytest.raises(SettingsInvalid, match="nobody"):
        spoken_loop(["nobody"])


def test_an_order_shown_to_anyone_does_not_show_the_key() -> None:
    assert "secret" not in repr(Order("rtmp://127.0.0.1/live/secret", "market", ("scene",)))
