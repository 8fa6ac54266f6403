"""The demo's plan, and what is said about a plan that does not hold."""

from pathlib import Path

import pytest

from pipeline.errors import SettingsInvalid
from pipeline.simulate.schedule import Fault, load_schedule

DEMO = Path(__file__).parents[3] / "configs" / "demo.yaml"
DEVICES = """
devices:
  - {name: one, scene: market, says: [scene]}
  - {name: two, scene: night, says: [sample01]}
repeat_s: 60
"""


def refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsInvalid) as caught:
        load_schedule(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_the_demo_has_four_devices_each_with_its_own_scene_voice_and_fault() -> None:
    schedule = load_schedule(DEMO)
    assert len({device.scene for device in schedule.devices}) == 4
    assert len({device.says for device in schedule.devices}) == 4
    assert {fault.fault for fault in schedule.faults} == set(Fault)
    assert len({fault.device for fault in schedule.faults}) == 4


def test_the_demos_first_fault_begins_45_s_after_the_first_pictures() -> None:
    assert load_schedule(DEMO).cycle(0)[0].at_s == 45


def test_a_cycle_comes_again_after_repeat_s_in_order() -> None:
    schedule = load_schedule(DEMO)
    first, second = schedule.cycle(0), schedule.cycle(1)
    assert [due.at_s + schedule.repeat_s for due in first] == [due.at_s for due in second]
    assert [due.at_s for due in first] == sorted(due.at_s for due in first)


def test_a_plan_without_faults_holds(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(DEVICES, encoding="utf-8")
    assert load_schedule(path).cycle(0) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file"),
        ("- 1", "the file"),
        ("devices: []\nrepeat_s: 1", "devices"),
        ("a: [", "not valid YAML"),
        (DEVICES.replace("two", "one"), "'one' stands twice"),
        (DEVICES.replace("night", "moon"), "devices.1.scene"),
        (DEVICES.replace("says: [sample01]", "says: []"), "devices.1.says"),
        (DEVICES.replace("60", "0"), "repeat_s"),
        (DEVICES + "speed: 2", "speed: no such key"),
        (DEVICES + "faults: [{at_s: 1, device: three, fault: frozen, for_s: 1}]", "'three' is none of the devices"),
        (DEVICES + "faults: [{at_s: 1, device: one, fault: melted, for_s: 1}]", "faults.0.fault"),
        (DEVICES + "faults: [{at_s: -1, device: one, fault: frozen, for_s: 1}]", "faults.0.at_s"),
        (DEVICES + "faults: [{at_s: 1, device: one, fault: frozen, for_s: 61}]", "longer than repeat_s"),
    ],
)
def test_a_mistake_is_told_with_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    assert told in refused(tmp_path, text)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    told = refused(tmp_path, DEVICES.replace("night", "moon").replace("says: [scene]", "says: []"))
    assert "devices.1.scene" in told
    assert "devices.0.says" in told


@pytest.mark.parametrize("second_at_s", [12, 56])
def test_two_faults_of_a_device_may_not_overlap_even_over_the_repeat(tmp_path: Path, second_at_s: int) -> None:
    faults = (
        f"faults:\n  - {{at_s: 5, device: one, fault: frozen, for_s: 10}}\n"
        f"  - {{at_s: {second_at_s}, device: one, fault: covered, for_s: 10}}\n"
    )
    assert "overlap" in refused(tmp_path, DEVICES + faults)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        load_schedule(tmp_path / "none.yaml")
