"""The soak, cut to a minute: too short to see memory grow, long enough to count every access unit twice."""

import json
import subprocess
import sys

import pytest

from api.bench.soak import Kept, Sample, judge_devices, slope_mib_per_h


@pytest.mark.slow
def test_every_access_unit_of_devices_that_drop_out_is_on_disk_and_nothing_stays_open() -> None:
    """The slope of the memory is told, not judged: over a minute one allocation looks like megabytes an hour."""
    command = [sys.executable, "-m", "api.bench.soak", "--seconds", "60", "--streams", "12", "--drop-outs", "90"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=180)
    report = json.loads(said.stdout)
    assert report["failures"] == [], said.stderr
    assert said.returncode == 0
    assert report["connections"]["drop_outs"] > 0
    assert report["access_units"]["sent"] == report["access_units_on_disk"] > 0
    assert report["descriptors"]["after"] <= report["descriptors"]["idle"]
    assert report["threads"]["after"] <= report["threads"]["idle"] + 4
    assert report["rss_slope_judged"] is False


def test_one_access_unit_that_is_missing_or_one_second_too_much_fails_the_soak() -> None:
    device = {
        "due": 110,
        "sent": 100,
        "skipped": 0,
        "away": 10,
        "uncertain": 0,
        "ran_s": 20.0,
        "away_s": 5.0,
        "away_at_end_s": 0.0,
    }
    device |= {"drop_outs": 1, "lost": 0, "failed": 0}
    assert judge_devices([device], {"soak-0": Kept(100, 15.0, 5.0, 1)}) == []
    assert "on disk 99" in judge_devices([device], {"soak-0": Kept(99, 15.0, 5.0, 1)})[0]
    assert "gaps told" in judge_devices([device], {"soak-0": Kept(100, 17.4, 2.6, 1)})[0]
    assert "in the record" in judge_devices([device], {"soak-0": Kept(100, 11.0, 5.0, 1)})[0]
    assert "broke" in judge_devices([device | {"lost": 1}], {"soak-0": Kept(90, 15.0, 5.0, 1)})[0]
    assert "do not add up" in judge_devices([device | {"due": 111}], {"soak-0": Kept(100, 15.0, 5.0, 1)})[0]


def test_the_slope_is_that_of_a_line() -> None:
    line = [Sample(at_s, 1024 * 1024 * (50 + round(at_s / 60)), 0, 0) for at_s in range(0, 3600, 60)]
    slope, error = slope_mib_per_h(line)
    assert abs(slope - 60) < 0.1
    assert error < 0.1
