"""Which units are new, and what a feed that was begun anew left out."""

from pipeline.analyse.continuity import Continuity
from pipeline.analyse.units import Unit


def unit(pts_s: float) -> Unit:
    return Unit(1, pts_s, 1.0, True, b"")


def taken(continuity: Continuity, pts_s: float) -> bool:
    assert continuity.missed(unit(pts_s)) is None
    return continuity.is_new(unit(pts_s))


def test_units_in_their_order_are_new() -> None:
    continuity = Continuity()
    assert [taken(continuity, each) for each in (0.0, 1.0, 2.0)] == [True, True, True]


def test_what_a_new_feed_tells_again_is_known() -> None:
    continuity = Continuity()
    assert [taken(continuity, each) for each in (0.0, 1.0, 2.0)] == [True, True, True]
    continuity.begun()
    assert [taken(continuity, each) for each in (1.0, 2.0, 3.0)] == [False, False, True]


def test_what_lies_between_two_feeds_was_missed() -> None:
    continuity = Continuity()
    assert taken(continuity, 0.0)
    continuity.begun()
    assert continuity.missed(unit(5.0)) == (1.0, 5.0)
    assert continuity.is_new(unit(5.0))


def test_a_hole_within_one_feed_is_none_of_its_business() -> None:
    continuity = Continuity()
    assert taken(continuity, 0.0)
    assert continuity.missed(unit(5.0)) is None


def test_pictures_that_come_before_others_shown_earlier_are_all_new() -> None:
    continuity = Continuity()
    assert all(taken(continuity, each) for each in (0.0, 3.0, 1.0, 2.0, 6.0, 4.0, 5.0))
    continuity.begun()
    assert [taken(continuity, each) for each in (6.0, 5.0, 9.0, 7.0, 8.0)] == [False, False, True, True, True]
