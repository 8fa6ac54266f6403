"""Tickets: for a minute, for one stream, for one use, and for nobody whose right ended."""

import pytest

from api.tickets import Tickets
from pipeline.errors import AccessDenied
from tests.made import ManualClock


def test_a_ticket_is_good_for_its_minute_whatever_the_clock_on_the_wall_says() -> None:
    clock = ManualClock()
    tickets = Tickets(60, clock)
    (kept, expires_s), (late, _) = tickets.issue("ses_1", "st_1"), tickets.issue("ses_1", "st_1")
    assert expires_s == clock.utc_s() + 60
    clock.now_s += 59.9
    clock.utc_offset_s += 3600
    assert tickets.redeem(kept, "st_1").principal_id == "ses_1"
    clock.now_s += 0.2
    clock.utc_offset_s -= 7200
    with pytest.raises(AccessDenied):
        tickets.redeem(late, "st_1")


def test_a_ticket_opens_no_other_stream_and_is_not_used_up_by_trying() -> None:
    tickets = Tickets(60, ManualClock())
    secret, _ = tickets.issue("ses_1", "st_1")
    for wrong in ((secret, "st_2"), (secret, ""), (secret[:-1], "st_1"), ("", "st_1")):
        with pytest.raises(AccessDenied):
            tickets.redeem(*wrong)
    tickets.redeem(secret, "st_1")
    with pytest.raises(AccessDenied):
        tickets.redeem(secret, "st_1")  # whoever copied it comes too late


def test_the_tickets_of_one_person_end_and_those_of_others_do_not() -> None:
    tickets = Tickets(60, ManualClock())
    ended, other = tickets.issue("ses_1", "st_1")[0], tickets.issue("ses_2", "st_1")[0]
    tickets.revoke("ses_1")
    with pytest.raises(AccessDenied):
        tickets.redeem(ended, "st_1")
    assert tickets.redeem(other, "st_1").principal_id == "ses_2"
