"""The LL-HLS door: how many requests of one viewer are held open."""

import asyncio
from collections.abc import MutableMapping

from starlette.types import Message, Scope

from api.live_files import LiveFiles
from pipeline.live.hls_views import MOST_WAITING
from pipeline.live.viewer import Watcher
from tests.unit.api.test_live_socket import Hall, run


class Browser:
    """One viewer's requests for a playlist that is to come."""

    def __init__(self, hall: Hall) -> None:
        self._session = hall.runtime.hls.begin(hall.stream, Watcher("somebody", "somebody"), "right").secret
        hall.film(120)
        self._files = LiveFiles(self._nothing_else, hall.doors, lambda _: [])

    async def ask(self, query: bytes) -> int:
        """The status of the answer."""
        statuses: list[int] = []

        async def send(message: MutableMapping[str, object]) -> None:
            if isinstance(status := message.get("status"), int):
                statuses.append(status)

        place = {"type": "http", "method": "GET", "path": "/live/st_1/index.m3u8", "headers": []}
        await self._files({**place, "query_string": b"session=" + self._session.encode() + query}, self._receive, send)
        return statuses[0]

    @staticmethod
    async def _nothing_else(_scope: Scope, _receive: object, _send: object) -> None:
        raise AssertionError("not for this door")

    @staticmethod
    async def _receive() -> Message:
        return {"type": "http.disconnect"}


def test_a_viewer_that_holds_as_many_requests_open_as_it_may_is_refused_more_until_they_are_answered() -> None:
    async def test(hall: Hall) -> None:
        browser = Browser(hall)
        for _ in range(2):
            number = hall.pictures // 50
            asked = [asyncio.ensure_future(browser.ask(b"&_HLS_msn=%d" % (number + 1))) for _ in range(MOST_WAITING)]
            await asyncio.sleep(0)
            assert not any(each.done() for each in asked)
            assert await browser.ask(b"&_HLS_msn=%d" % (number + 1)) == 429
            assert await browser.ask(b"") == 200
            hall.film(120)
            assert set(await asyncio.gather(*asked)) == {200}

    run(test)


def test_a_viewer_that_goes_away_while_it_waits_leaves_its_place_to_its_next_request() -> None:
    async def test(hall: Hall) -> None:
        browser = Browser(hall)
        query = b"&_HLS_msn=%d" % (hall.pictures // 50 + 1)
        for _ in range(3 * MOST_WAITING):
            asked = asyncio.ensure_future(browser.ask(query))
            await asyncio.sleep(0)
            asked.cancel()
            await asyncio.wait([asked])
            assert asked.cancelled()

    run(test)
