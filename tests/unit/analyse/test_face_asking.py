"""When a track is asked about, and what goes with the question."""

import numpy as np

from models.face.base import Found, Quality, Shot
from models.face.tracks import Track
from pipeline.analyse.board import Work
from pipeline.analyse.face_asking import Asking
from tests.unit.analyse.faces_made import vector_of

WORK = Work("live:st_1:faces", "live", "faces", "st_1", "rec_1", 1_700_000_000.0, model="made")


def shot(at_s: float, value: float = 0.5, *, has_vector: bool = True) -> Shot:
    found = Found((0.0, 0.0, 50.0, 50.0), np.zeros((5, 2), np.float32), 0.9)
    quality = Quality(60.0, 200.0, 0.1, 128.0, 40.0, value, () if has_vector else ("blurred",))
    crop = np.full((112, 112, 3), 90, np.uint8)
    return Shot(at_s, found, crop, quality, vector_of(1) if has_vector else None)


def track(first: Shot) -> Track:
    made = Track(1, first.at_s, first.at_s, first)
    made.take(first)
    return made


def asking() -> Asking:
    return Asking(WORK, "made@1", "finds@1")


def test_a_track_is_asked_about_at_once_and_then_once_a_second_at_most() -> None:
    asks, seen = asking(), track(shot(10.0))
    first = asks.due(seen)
    assert first is not None
    assert (first.is_first, first.looks, first.start_s, first.at_s) == (True, 1, 10.0, 10.0)
    asked = []
    for tenth in range(1, 31):
        seen.take(shot(10.0 + tenth / 10, 0.5 + tenth / 100))
        if (probe := asks.due(seen)) is not None:
            asked.append(probe)
    assert [probe.at_s for probe in asked] == [11.0, 12.0, 13.0]
    assert not any(probe.is_first for probe in asked)


def test_a_track_of_which_nothing_new_is_known_is_not_asked_about_again() -> None:
    asks, seen = asking(), track(shot(1.0))
    assert asks.due(seen) is not None
    seen.take(shot(3.0, has_vector=False))
    assert asks.due(seen) is None


def test_a_face_that_was_never_seen_well_is_never_asked_about() -> None:
    asks, seen = asking(), track(shot(1.0, has_vector=False))
    assert asks.due(seen) is None
    seen.is_over = True
    assert asks.due(seen) is None


def test_the_shot_goes_along_until_the_server_keeps_it_with_a_suggestion() -> None:
    asks, seen = asking(), track(shot(1.0, 0.9))
    for at_s in (2.0, 3.0):
        probe = asks.due(seen)
        assert probe is not None
        assert probe.shot.startswith(b"\xff\xd8\xff")
        seen.take(shot(at_s, 0.4))
    asks.suggested(1)
    assert asks.due(seen) is None, "somebody was suggested: it can wait"
    seen.take(shot(9.0, 0.5))
    kept = asks.due(seen)
    assert kept is not None
    assert kept.shot == b""
    seen.take(shot(15.0, 0.95))
    better = asks.due(seen)
    assert better is not None
    assert better.shot
    assert better.at_s == 15.0


def test_a_track_that_ends_is_asked_about_a_last_time_and_forgotten() -> None:
    asks, seen = asking(), track(shot(1.0))
    assert asks.due(seen) is not None
    seen.take(shot(1.2, 0.8))
    assert asks.due(seen) is None
    seen.is_over = True
    last = asks.due(seen)
    assert last is not None
    assert last.looks == 2
    assert asks._told == {}


def test_what_the_server_did_not_hear_is_told_anew() -> None:
    asks, seen = asking(), track(shot(1.0))
    assert asks.due(seen) is not None
    asks.not_taken(1)
    seen.take(shot(1.1))
    again = asks.due(seen)
    assert again is not None
    assert again.is_first
