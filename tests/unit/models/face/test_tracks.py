"""One face is followed from picture to picture, by place and by whose it looks to be; two never share a track."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.face.base import Found, Quality, Shot
from models.face.tracks import BEST_SHOTS, FaceTracks, Track
from tests.unit.models.face.test_search import strangers, unit

Rows = NDArray[np.float32]
PEOPLE = ANNA, BERT, CARL = strangers(3, 128, 11)


def like(person: Rows, similarity: float, seed: int = 1) -> Rows:
    """A look at somebody, so alike to the true one."""
    aside = np.random.default_rng(1_000 + seed).standard_normal(person.shape)
    aside -= float(aside @ person) * person
    aside /= np.linalg.norm(aside)
    return np.asarray(similarity * person + np.sqrt(1 - similarity**2) * aside, np.float32)


def shot(at_s: float, vector: Rows | None, left: float = 100, value: float = 0.8) -> Shot:
    quality = Quality(40, 2.0, 0.1, 120, 40, value, ())
    found = Found((left, 100, left + 80, 200), np.zeros((5, 2), np.float32), 0.9)
    held = None if vector is None else vector.copy()
    return Shot(at_s, found, np.full((112, 112, 3), 7, np.uint8), quality, held)


def fed(*pictures: list[Shot]) -> tuple[FaceTracks, list[Track]]:
    tracks, last = FaceTracks(), list[Track]()
    for seen in pictures:
        last = tracks.feed(seen[0].at_s, seen)
    return tracks, last


def test_one_face_that_stands_still_is_one_track() -> None:
    tracks, _ = fed(*[[shot(second, like(ANNA, 0.8, second))] for second in range(6)])
    (track,) = tracks.open
    assert (track.track_id, track.start_s, track.end_s, track.looks) == (1, 0, 5, 6)


def test_a_face_that_walks_is_one_track_by_whose_it_is() -> None:
    tracks, _ = fed(*[[shot(second, like(ANNA, 0.85, second), left=150.0 * second)] for second in range(6)])
    assert [track.looks for track in tracks.open] == [6]


def test_two_who_change_places_keep_their_tracks() -> None:
    tracks, last = fed(
        [shot(0, like(ANNA, 0.9, 1), 100), shot(0, like(BERT, 0.9, 2), 400)],
        [shot(1, like(BERT, 0.9, 3), 100), shot(1, like(ANNA, 0.9, 4), 400)],
    )
    assert [track.track_id for track in last] == [2, 1]
    assert len(tracks.open) == 2


def test_another_face_in_the_same_place_ends_the_track_and_begins_its_own() -> None:
    """Removing DISAGREES, or what makes the old one give way, turns this red."""
    tracks, last = fed([shot(0, ANNA)], [shot(1, like(ANNA, 0.9))], [shot(2, BERT)])
    assert [(track.track_id, track.is_over) for track in last] == [(2, False), (1, True)]
    assert [track.track_id for track in tracks.open] == [2]
    assert float(tracks.open[0].template() @ BERT) == pytest.approx(1, abs=1e-6)
    assert float(last[1].template() @ BERT) < 0.3


def test_a_first_look_at_another_does_not_stick() -> None:
    """A passer-by at first, the officer afterwards: the template that is decided on is the officer's alone."""
    tracks, _ = fed([shot(0, BERT, value=0.9)], *[[shot(second, like(ANNA, 0.9, second))] for second in range(1, 4)])
    (track,) = tracks.open
    assert float(track.template() @ ANNA) > 0.9
    assert abs(float(track.template() @ BERT)) < 0.3


def test_looks_that_were_not_worth_a_vector_hold_a_track_by_their_place() -> None:
    tracks, _ = fed([shot(0, ANNA)], [shot(1, None, 110)], [shot(2, None, 120)], [shot(3, like(ANNA, 0.9), 130)])
    (track,) = tracks.open
    assert (track.looks, track.end_s) == (2, 3)
    far, _ = fed([shot(0, ANNA)], [shot(1, None, 500)])
    assert len(far.open) == 2


def test_a_track_of_such_looks_alone_is_blank() -> None:
    tracks, _ = fed([shot(0, None)], [shot(1, None)])
    (track,) = tracks.open
    assert track.is_blank
    assert track.best.at_s == 1
    with pytest.raises(ValueError, match="no look"):
        track.template()


def test_a_place_alone_says_nothing_after_a_while() -> None:
    tracks = FaceTracks()
    tracks.feed(0, [shot(0, None)])
    tracks.feed(2.5, [shot(2.5, None)])
    assert len(tracks.open) == 2


def test_a_face_unseen_for_three_seconds_is_over() -> None:
    tracks = FaceTracks()
    tracks.feed(0, [shot(0, ANNA)])
    assert tracks.feed(3.0, []) == []
    (over,) = tracks.feed(3.1, [])
    assert (over.is_over, over.end_s) == (True, 0)
    (again,) = tracks.feed(3.2, [shot(3.2, ANNA)])
    assert again.track_id == 2


def test_at_full_rate_it_is_the_same() -> None:
    tracks, _ = fed(*[[shot(frame / 25, like(ANNA, 0.7, frame), 100 + frame * 4.0)] for frame in range(75)])
    (track,) = tracks.open
    assert (track.looks, len(track.shots)) == (75, BEST_SHOTS)


def test_the_template_is_the_mean_of_the_best_looks_weighted_by_quality() -> None:
    one, other = like(ANNA, 0.8, 1), like(ANNA, 0.8, 2)
    tracks, _ = fed([shot(0, one, value=0.9)], [shot(1, other, value=0.3)])
    expected = unit(0.9 * one.astype(np.float64) + 0.3 * other.astype(np.float64))
    template = tracks.open[0].template()
    assert template == pytest.approx(expected, abs=1e-6)
    assert template.dtype == np.float32
    assert np.linalg.norm(template) == pytest.approx(1, abs=1e-6)
    assert tracks.open[0].best.at_s == 0


def test_many_looks_make_a_template_nearer_to_the_person_than_any_of_them() -> None:
    tracks, _ = fed(*[[shot(second, like(ANNA, 0.7, second))] for second in range(8)])
    assert float(tracks.open[0].template() @ ANNA) > 0.85


def test_poor_looks_do_not_push_good_ones_out_and_leave_the_revision() -> None:
    tracks, _ = fed(*[[shot(second, like(ANNA, 0.8, second), value=0.9)] for second in range(BEST_SHOTS)])
    (track,) = tracks.open
    before, template = track.revision, track.template()
    tracks.feed(BEST_SHOTS, [shot(BEST_SHOTS, like(ANNA, 0.6, 99), value=0.2)])
    assert track.revision == before
    assert np.array_equal(track.template(), template)
    tracks.feed(BEST_SHOTS + 1, [shot(BEST_SHOTS + 1, like(ANNA, 0.9, 98), value=1.0)])
    assert track.revision == before + 1
    assert len(track.shots) == BEST_SHOTS


def test_a_wiped_track_holds_no_number_of_the_face() -> None:
    tracks, _ = fed([shot(0, ANNA)], [shot(1, like(ANNA, 0.9))])
    (track,) = tracks.open
    held = [*track.shots]
    track.wipe()
    assert track.is_blank
    assert not any(each.crop.any() or (each.vector is not None and each.vector.any()) for each in held)


def test_finish_ends_all() -> None:
    tracks, _ = fed([shot(0, ANNA), shot(0, BERT, 400)])
    assert [track.is_over for track in tracks.finish()] == [True, True]
    assert tracks.open == ()


def test_what_cannot_be_followed_is_refused_and_changes_nothing() -> None:
    tracks, _ = fed([shot(5, ANNA)])
    broken = ANNA.copy()
    broken[0] = np.nan
    for at_s, seen in ((4.0, [shot(4, ANNA)]), (6.0, [shot(6, broken)])):
        with pytest.raises(ValueError, match="followed"):
            tracks.feed(at_s, seen)
    assert [track.looks for track in tracks.open] == [1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans()), max_size=3), max_size=12))
def test_every_look_is_in_exactly_one_track_and_no_track_is_of_two_people(
    pictures: list[list[tuple[int, int, bool]]],
) -> None:
    tracks, all_tracks, count = FaceTracks(), dict[int, Track](), 0
    for second, faces in enumerate(pictures):
        seen = [
            shot(second, like(PEOPLE[who], 0.9, second * 9 + number) if is_clear else None, place * 300.0)
            for number, (who, place, is_clear) in enumerate(faces)
        ]
        count += sum(each.vector is not None for each in seen)
        told = tracks.feed(second, seen)
        all_tracks |= {track.track_id: track for track in told}
    assert sum(track.looks for track in all_tracks.values()) == count
    for track in all_tracks.values():
        likes = [
            int(np.argmax([np.dot(who, each.vector) for who in PEOPLE]))
            for each in track.shots
            if each.vector is not None
        ]
        assert len(set(likes)) <= 1
