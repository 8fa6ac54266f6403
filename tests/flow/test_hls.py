"""LL-HLS from a real server: rights, blocking, and a reader that is not ours."""

import re
import subprocess
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline import fmp4
from pipeline.media import VIDEO_TRACK
from tests import playlist_rules
from tests.serving import BUSY_S, Answer, Server, until
from tests.tools import needs

pytestmark = needs("ffmpeg", "ffprobe")


@dataclass(frozen=True)
class Watched:
    """A server with one live stream."""

    server: Server
    stream_id: str

    def file(self, name: str, token: str | None = "", **query: str) -> Answer:
        words = "&".join(f"{key}={value}" for key, value in query.items())
        return self.server.ask(f"/live/{self.stream_id}/{name}?{words}", token=token)

    def begin(self) -> tuple[str, str]:
        """(ticket, the view's session) of a new viewer."""
        ticket = self.server.ticket(self.stream_id)
        playlist = self.file("index.m3u8", ticket=ticket).body.decode()
        found = re.search(r"session=([\w-]+)", playlist)
        assert found is not None, playlist
        return ticket, self.server.keep(found[1])


@pytest.fixture(scope="module")
def watched(shared_server: Server) -> Watched:
    key = shared_server.add_device("hls-camera")
    shared_server.publish(key)
    return Watched(shared_server, shared_server.live_id("hls-camera"))


def test_a_stranger_and_a_used_up_or_foreign_right_get_401_and_a_role_that_may_not_403(watched: Watched) -> None:
    ticket, session = watched.begin()
    for query in ({}, {"ticket": "nonsense"}, {"session": "nonsense"}):
        assert watched.file("index.m3u8", **query).status == 401
        assert watched.file("init0.mp4", **query).status == 401
        assert watched.file("part0.0.m4s", **query).status == 401
    elsewhere = watched.server.ask(f"/live/st_other/index.m3u8?session={session}", token="")
    assert elsewhere.status == 401
    assert watched.server.ask(f"/live/st_other/index.m3u8?ticket={ticket}", token="").status == 401
    with watched.server.access() as access:
        analyst = access.create_token("analyst")
    assert watched.file("index.m3u8", token=analyst).status == 403


def test_the_same_ticket_and_a_token_go_on_with_their_view(watched: Watched) -> None:
    ticket, session = watched.begin()
    again = watched.file("index.m3u8", ticket=ticket)
    assert again.status == 200
    assert session in again.body.decode()
    assert again.headers["Content-Type"] == "application/vnd.apple.mpegurl"
    assert again.headers["Cache-Control"] == "no-store"
    assert watched.file("index.m3u8", token=None).status == 200


def test_what_breaks_the_directives_gets_400_and_what_is_gone_404(watched: Watched) -> None:
    _, session = watched.begin()
    for query in ({"_HLS_part": "1"}, {"_HLS_msn": "x"}, {"_HLS_msn": "999999"}, {"_HLS_msn": "1" * 30}):
        assert watched.file("index.m3u8", session=session, **query).status == 400
    assert watched.file("segment99999.m4s", session=session).status == 404
    assert watched.file("init77.mp4", session=session).status == 404


def test_a_blocked_reload_comes_back_with_what_it_asked_for(watched: Watched) -> None:
    _, session = watched.begin()
    text = watched.file("index.m3u8", session=session).body.decode()
    found = re.search(r'PRELOAD-HINT:TYPE=PART,URI="part(\d+)\.(\d+)', text)
    assert found is not None
    number, index = found.groups()
    began_s = time.monotonic()
    reloaded = watched.file("index.m3u8", session=session, _HLS_msn=number, _HLS_part=index)
    assert reloaded.status == 200
    assert time.monotonic() - began_s < 3 + BUSY_S
    assert f"part{number}.{index}.m4s" in reloaded.body.decode().partition("#EXT-X-PRELOAD-HINT")[0]
    part = watched.file(f"part{number}.{index}.m4s", session=session)
    assert part.status == 200
    assert part.body[4:8] == b"moof"


def test_what_a_real_publisher_makes_keeps_the_rules_over_time_and_its_bytes_are_what_the_playlist_says(
    watched: Watched,
) -> None:
    _, session = watched.begin()
    answer = watched.file("index.m3u8", session=session)
    texts, files = [answer.body.decode()], dict[str, bytes]()
    for _ in range(12):
        found = re.search(r'PRELOAD-HINT:TYPE=PART,URI="part(\d+)\.(\d+)', texts[-1])
        assert found is not None
        answer = watched.file("index.m3u8", session=session, _HLS_msn=found[1], _HLS_part=found[2], _HLS_skip="YES")
        assert answer.status == 200
        texts.append(answer.body.decode())
    for before, after in pairwise(texts):
        assert playlist_rules.broken_between(before, after) == []
    for text in texts:
        assert playlist_rules.broken_alone(text) == []
    newest = playlist_rules.read(texts[-1])
    for segment in newest.segments:
        for part in segment.parts:
            got = watched.file(part.uri.partition("?")[0], session=session)
            assert (got.status, got.headers["Content-Type"]) == (200, "video/mp4")
            files[part.uri] = got.body
            pictures = [info for info in fmp4.walk(got.body) if info.track_id == VIDEO_TRACK]
            assert pictures[0].is_key == part.is_independent, part.uri
        if segment.uri and segment.parts:
            whole = watched.file(segment.uri.partition("?")[0], session=session)
            assert whole.body == b"".join(files[part.uri] for part in segment.parts)
    assert watched.file(newest.segments[0].map_uri.partition("?")[0], session=session).body[4:8] == b"ftyp"


def test_ffmpeg_reads_every_second_of_it(watched: Watched, tmp_path: Path) -> None:
    ticket = watched.server.ticket(watched.stream_id)
    url = f"http://127.0.0.1:{watched.server.port}/live/{watched.stream_id}/index.m3u8?ticket={ticket}"
    out = tmp_path / "read.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", url, "-t", "5", "-c", "copy", str(out)],
        check=True, capture_output=True, timeout=40,
    )  # fmt: skip
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", out],
        check=True, capture_output=True, text=True, timeout=40,
    )  # fmt: skip
    pictures, sounds = (int(line) for line in probe.stdout.split())
    assert pictures == 125
    assert 230 <= sounds <= 238


def test_a_view_is_listed_and_ends_with_its_right(watched: Watched) -> None:
    with watched.server.access() as access:
        secret = access.create_token("commander", "leaver")
        principal = access.who(secret, kind="token")
        assert principal is not None
    assert watched.file("index.m3u8", token=secret).status == 200
    before = watched.server.metric("onrecord_hls_viewers")
    with watched.server.access() as access:
        access.end(principal.principal_id)
    until(lambda: watched.server.metric("onrecord_hls_viewers") < before, "the view is cut")
    assert watched.file("index.m3u8", token=secret).status == 401
