"""Snapshots: the last key frame of a stream as JPEG, decoded on demand and at most so often."""

from typing import Protocol

import anyio

from pipeline.clock import Clock
from pipeline.errors import WorkerFailed
from pipeline.hub import Stream
from pipeline.media import Fragment
from pipeline.settings import LiveSettings


class Decoder(Protocol):
    """Whoever turns init segment + key frame into a JPEG; raises WorkerFailed."""

    async def picture(self, media: bytes) -> bytes: ...


class Snapshots:
    """The newest picture of each stream. Bound: one JPEG for each stream asked for, dropped with the stream."""

    def __init__(self, decoder: Decoder, settings: LiveSettings, clock: Clock) -> None:
        self._decoder = decoder
        self._settings = settings
        self._clock = clock
        self._pictures: dict[str, tuple[Fragment, bytes, float]] = {}
        self._turn = anyio.Lock()  # who waits for a decode finds its picture, and does not ask for another

    async def of(self, stream: Stream) -> tuple[bytes, float]:
        """(JPEG, captured_at) of the stream's last key frame, or of one decoded at most snapshot_min_interval_s ago.

        Raises: WorkerFailed: there is no key frame yet, or it cannot be decoded.
        """
        async with self._turn:
            key, header = stream.last_key, stream.header
            if key is None or header is None or not stream.has_video:
                raise WorkerFailed("no picture has come yet")
            known = self._pictures.get(stream.stream_id)
            now_s = self._clock.monotonic_s()
            if known is not None and (known[0] is key or now_s - known[2] < self._settings.snapshot_min_interval_s):
                return known[1], known[0].captured_at
            jpeg = await self._decoder.picture(header.init + key.data)
            self._pictures[stream.stream_id] = (key, jpeg, now_s)
            return jpeg, key.captured_at

    def forget(self, alive: set[str]) -> None:
        """Drop the pictures of streams that are no longer listed."""
        for stream_id in self._pictures.keys() - alive:
            del self._pictures[stream_id]
