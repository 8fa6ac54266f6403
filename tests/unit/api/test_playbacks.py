"""Views of recordings: one for all requests of a person under an approval, told by what was sent."""

from api.playbacks import Playbacks
from cases.access import Principal
from cases.casework.rows import Approval, Recording
from pipeline.events import Event, PlaybackEnded, PlaybackStarted
from tests.made import ManualClock

WHO = Principal("ses_1", "林", "analyst", None, "usr_1")
RECORDING = Recording("rec_1", "st_1", "dev_1", None, 0, None, "")


class Told:
    """What was told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)


def approval(expires_s: float) -> Approval:
    return Approval(
        "appr_1", "play", None, "rec_1", 0, 60_000, "核查", "usr_1", "林", 0, 1, "approved", round(expires_s * 1e6), ""
    )


def test_requests_are_one_view_that_tells_what_was_sent() -> None:
    clock, sink = ManualClock(), Told()
    told, playbacks = sink.events, Playbacks(clock, sink)
    allowed = approval(clock.utc_s() + 1000)
    for low, high in ((10.0, 12.0), (12.02, 14.0), (40.0, 41.0), (11.0, 13.0), (20.0, 20.0)):
        view = playbacks.view(WHO, RECORDING, allowed)
        view.sent(low, high)
        clock.now_s += 14
        playbacks.sweep()
    clock.now_s += 31
    playbacks.sweep()
    assert [type(each) for each in told] == [PlaybackStarted, PlaybackEnded]
    ended = told[1]
    assert isinstance(ended, PlaybackEnded)
    assert (ended.spans, ended.watched_s, ended.by, ended.by_name) == (
        "10.000-14.000,40.000-41.000",
        5.0,
        "usr_1",
        "林",
    )


def test_a_view_that_is_being_sent_is_not_over_however_long_it_takes() -> None:
    clock, sink = ManualClock(), Told()
    told, playbacks = sink.events, Playbacks(clock, sink)
    view = playbacks.view(WHO, RECORDING, approval(clock.utc_s() + 1000))
    view.sending += 1
    clock.now_s += 500
    playbacks.sweep()
    assert len(told) == 1
    playbacks.close()
    assert isinstance(told[1], PlaybackEnded)
    assert told[1].reason == "the server stops"


def test_a_clock_that_is_set_back_makes_no_approval_last_longer() -> None:
    clock = ManualClock()
    playbacks = Playbacks(clock, Told())
    allowed = approval(clock.utc_s() + 100)
    assert not playbacks.is_over(allowed)
    clock.utc_offset_s -= 3600
    clock.now_s += 99
    assert not playbacks.is_over(allowed)
    clock.now_s += 2
    assert playbacks.is_over(allowed)


def test_a_clock_that_is_set_forward_ends_an_approval_by_what_it_shows() -> None:
    clock = ManualClock()
    playbacks = Playbacks(clock, Told())
    allowed = approval(clock.utc_s() + 100)
    assert not playbacks.is_over(allowed)
    clock.utc_offset_s += 101
    assert playbacks.is_over(allowed)
