"""Words on their way to the screens: each caption goes to everybody who listens now, and is kept nowhere.

Owned by the event loop's thread. Knows no rights and no HTTP.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import anyio

from pipeline.analyse.board import Caption

_MOST_HELD: Final = 400
"""Captions a listener may fall behind, 50 streams of two a second for four seconds; the oldest go first."""


class Listener:
    """What one screen has not taken yet. lost: captions that were thrown away for it."""

    def __init__(self) -> None:
        self.lost = 0
        self._held: deque[tuple[Caption, str]] = deque(maxlen=_MOST_HELD)
        self._news = anyio.Event()

    def offer(self, caption: Caption, model: str) -> None:
        self.lost += len(self._held) == _MOST_HELD
        self._held.append((caption, model))
        self._news.set()

    async def take(self, most_s: float) -> list[tuple[Caption, str]]:
        """All there is with the model of each; waits for it, `most_s` at most."""
        with anyio.move_on_after(most_s):
            await self._news.wait()
        self._news = anyio.Event()
        taken = list(self._held)
        self._held.clear()
        return taken


class Captions:
    """told: captions so far."""

    def __init__(self) -> None:
        self.told = 0
        self._listeners: list[Listener] = []

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def tell(self, caption: Caption, model: str) -> None:
        self.told += 1
        for listener in self._listeners:
            listener.offer(caption, model)

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        listener = Listener()
        self._listeners = [*self._listeners, listener]
        try:
            yield listener
        finally:
            self._listeners = [each for each in self._listeners if each is not listener]
