"""SIGKILL of a real recording process at random moments."""

import random
from pathlib import Path

from api.bench.recovery import FRAGMENT_BYTES, RATE_HZ, crash

KILLS = 50


def test_a_killed_recorder_loses_at_most_half_a_second_and_no_closed_segment(tmp_path: Path) -> None:
    chance = random.Random(20261123)
    left = [crash(tmp_path / str(number), chance.uniform(0.005, 0.12)) for number in range(KILLS)]
    assert max(each.lost_s for each in left) <= 0.5
    assert all(each.closed_kept >= each.closed_told for each in left)
    assert all(each.is_same for each in left)
    assert all(each.is_whole for each in left)
    assert max(each.readable for each in left) > 5 * RATE_HZ, FRAGMENT_BYTES
