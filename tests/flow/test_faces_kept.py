"""Faces in recordings that are over, ordered over HTTP: searched once, whole, and closer where somebody is near."""

import time
from pathlib import Path

import pytest

from tests.flow.test_faces import Site, head_of, photo, site
from tests.serving import until
from tests.tools import needs

pytestmark = [pytest.mark.slow, needs("ffmpeg")]


def kept(at: Site, face: Path, long_s: float, group: int = 15) -> str:
    """A recording of so many seconds, of real time."""
    stream_id = at.film(face, group)
    time.sleep(long_s)
    at.stop()

    def is_over() -> bool:
        stream = next(each for each in at.server.streams() if each["stream_id"] == stream_id)
        return stream["state"] in ("ended", "lost")

    until(is_over, "the stream is over", 60)
    (folder,) = at.server.recordings()
    return folder.name


def is_done(at: Site) -> bool:
    state = at.server.ask("/api/v1/analysis").tree()
    return state["streams"] == {} and state["spans_waiting"] == 0


def test_a_recording_that_is_ordered_over_http_is_searched_once_and_nobody_orders_what_is_off(tmp_path: Path) -> None:
    with site(tmp_path) as at:
        recording_id = kept(at, head_of(tmp_path, "obama-3"), 6)
        where = f"/api/v1/recordings/{recording_id}/analyses"
        wanted: dict[str, object] = {"stage": "faces"}
        off = at.server.ask(where, "POST", wanted)
        assert (off.status, off.tree()["status"]) == (409, 409)
        assert "switched off" in str(off.tree()["detail"])
        at.switch_on()
        person_id = at.enrol(at.gallery(), photo("obama-1"), photo("obama-2"))
        until(lambda: at.stage()["is_on"] is True, "the stage is on", 30)
        assert at.server.ask(where, "POST", wanted, token=at.security).status in (403, 404)
        ordered = at.server.ask(where, "POST", wanted)
        assert ordered.status == 202, ordered.body
        assert (ordered.tree()["is_ordered"], ordered.tree()["model"]) == (True, "mobilefacenet@128")
        until(lambda: bool(at.told("FaceSuggested")), "a suggestion", 60)
        until(lambda: is_done(at), "all of it is looked at", 60)
        fact = at.told("FaceSuggested")[0]
        assert fact["person_id"] == person_id
        assert isinstance(fact["media"], dict)
        assert fact["media"]["recording_id"] == recording_id
        suggested, searched = len(at.told("FaceSuggested")), len(at.told("FaceSearched"))
        again = at.server.ask(where, "POST", wanted)
        assert (again.status, again.tree()["is_ordered"]) == (202, False), "the same model saw all of it"
        other = at.server.ask(where, "POST", {"stage": "faces", "model": "no-such-model"})
        assert other.status == 422
        time.sleep(3)
        assert (len(at.told("FaceSuggested")), len(at.told("FaceSearched"))) == (suggested, searched)


@pytest.mark.parametrize("burst_s", ["2", "0"])
def test_who_is_near_is_looked_at_at_full_rate_and_only_so_known_where_key_frames_are_rare(
    tmp_path: Path, burst_s: str
) -> None:
    """There is one key frame in all: one look, which suggests nobody and is near at best."""
    with site(tmp_path, ONRECORD_FACES__BURST_S=burst_s) as at:
        recording_id = kept(at, head_of(tmp_path, "obama-3"), 7, group=1000)
        at.switch_on()
        at.enrol(at.gallery(), photo("obama-1"), photo("obama-2"))
        until(lambda: at.stage()["is_on"] is True, "the stage is on", 30)
        ordered = at.server.ask(f"/api/v1/recordings/{recording_id}/analyses", "POST", {"stage": "faces"})
        assert ordered.status == 202, ordered.body
        until(lambda: bool(at.told("FaceSearched")), "somebody is searched for", 60)
        until(lambda: is_done(at), "all of it is looked at", 60)
        suggested = at.told("FaceSuggested")
        if burst_s == "0":
            assert suggested == []
        else:
            assert suggested
            assert int(str(suggested[0]["looks"])) >= 2
            assert float(str(suggested[0]["at_s"])) <= 2.5, "in the two seconds of the burst"
