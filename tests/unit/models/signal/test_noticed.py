from models.signal.noticed import Lasting, Noticed


def test_what_holds_long_enough_begins_where_it_began_and_ends_likewise() -> None:
    lasting = Lasting("black", 2.0, 1.0)
    assert [lasting.feed(t, True) for t in (1.0, 2.0)] == [None, None]
    assert lasting.feed(3.0, True, 0.5, (("high", 3.0),)) == Noticed("black", False, 1.0, 1.0, ())
    assert lasting.feed(4.0, False) is None
    assert lasting.feed(5.0, False) == Noticed("black", True, 4.0)


def test_a_break_begins_anew_and_what_is_neither_changes_nothing() -> None:
    lasting = Lasting("black", 1.0, 1.0)
    assert [lasting.feed(1.0, True), lasting.feed(1.5, False), lasting.feed(2.0, True)] == [None, None, None]
    assert lasting.feed(2.5, None) is None
    begun = lasting.feed(3.0, True)
    assert begun is not None
    assert begun.at_s == 2.0


def test_the_confidence_of_what_did_not_last_is_forgotten() -> None:
    lasting = Lasting("black", 1.0, 1.0)
    lasting.feed(1.0, True, 0.9)
    lasting.feed(2.0, False)
    lasting.feed(3.0, True, 0.6)
    begun = lasting.feed(4.0, True, 0.6)
    assert begun is not None
    assert begun.confidence == 0.6


def test_what_is_sure_begins_at_once_and_ends_no_sooner() -> None:
    lasting = Lasting("frozen", 1.0, 1.0)
    begun = lasting.feed(5.0, True, is_sure=True, since_s=4.0)
    assert begun is not None
    assert (begun.is_end, begun.at_s) == (False, 4.0)
    assert lasting.feed(6.0, False, is_sure=True, since_s=5.0) is None
    ended = lasting.feed(7.0, False, since_s=6.0)
    assert ended is not None
    assert (ended.is_end, ended.at_s) == (True, 6.0)


def test_after_it_forgot_what_had_begun_begins_anew_and_what_is_open_stays() -> None:
    lasting = Lasting("black", 1.0, 0.0)
    lasting.feed(1.0, True)
    lasting.forget()
    assert lasting.feed(5.0, True) is None
    assert lasting.feed(6.0, True) is not None
    lasting.forget()
    assert lasting.is_open
    assert lasting.finish(7.0) == Noticed("black", True, 7.0)
    assert lasting.finish(8.0) is None
