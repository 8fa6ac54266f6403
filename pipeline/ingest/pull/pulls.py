"""The cameras that are pulled: one task each, begun anew for ever. Knows no case and no file."""

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import anyio
import structlog

from pipeline.clock import Clock
from pipeline.errors import OnRecordError, SourceDenied
from pipeline.ingest.addresses import Addresses
from pipeline.ingest.door import Publication
from pipeline.ingest.pull.counts import PullCounts
from pipeline.ingest.pull.hls import HlsPull, Place
from pipeline.ingest.pull.rtsp import RtspPull
from pipeline.media import Device
from pipeline.settings import Settings
from pipeline.sources import Source
from pipeline.supervise import Mistake, supervise

_LOOK_EVERY_S = 1.0
_HEALTHY_S = 60.0  # after so long the next pause is the shortest again
_FIRST_PAUSE_S = 1.0

log = structlog.get_logger(__name__)
_random = secrets.SystemRandom()


class Sources(Protocol):
    """Where the sources are kept."""

    def sources(self) -> Sequence[Source]:
        """Those to pull now. Does not raise."""
        ...


class PullDoor(Protocol):
    """Who accepts the media of a device that is pulled."""

    def open_device(self, device: Device, kick: Callable[[str], None]) -> Publication:
        """Raises: AlreadyPublishing, KeyUnknown."""
        ...


class Pulls:
    """Bound: pull.max_sources tasks."""

    def __init__(
        self, settings: Settings, sources: Sources | None, door: PullDoor, addresses: Addresses, clock: Clock
    ) -> None:
        self.counts = PullCounts()
        self._settings = settings
        self._sources = sources
        self._door = door
        self._addresses = addresses
        self._clock = clock
        self._running: dict[Source, anyio.CancelScope] = {}
        self._is_full = False
        self._connected = 0

    @property
    def known(self) -> int:
        """Sources that are being pulled or tried."""
        return len(self._running)

    @property
    def open(self) -> int:
        """Sources that are connected now."""
        return self._connected

    async def run(self) -> None:
        """Pull what is listed until cancelled."""
        if self._sources is None:
            return
        async with anyio.create_task_group() as tasks:
            while True:
                listed = self._sources.sources()
                allowed = listed[: self._settings.pull.max_sources]
                if self._is_full != (len(listed) > len(allowed)):
                    self._is_full = not self._is_full
                    log.warning("more sources than pull.max_sources", listed=len(listed), is_over=self._is_full)
                for source, scope in list(self._running.items()):
                    if source not in allowed:
                        scope.cancel()
                for source in allowed:
                    if source not in self._running:
                        self._running[source] = anyio.CancelScope()
                        tasks.start_soon(self._keep, source)
                await anyio.sleep(_LOOK_EVERY_S)

    async def _keep(self, source: Source) -> None:
        """Pull it until its scope is cancelled; a mistake of ours in one source ends no other."""

        def mistaken(mistake: Mistake) -> None:
            self.counts.mistakes += 1
            device_id = source.device.device_id
            log.error("pull failed by a mistake in this program", device_id=device_id, kind=mistake.kind, at=mistake.at)

        try:
            with self._running[source]:
                await supervise(partial(self._try, source, Place()), mistaken, self._settings.pull.retry_max_s)
        finally:
            del self._running[source]

    async def _try(self, source: Source, place: Place) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            began_s = self._clock.monotonic_s()
            is_denied = await self._attempt(source, place)
            if self._clock.monotonic_s() - began_s > _HEALTHY_S:
                pause_s = _FIRST_PAUSE_S
            if is_denied:
                await anyio.sleep(self._settings.pull.denied_retry_s)
                continue
            await anyio.sleep(_random.uniform(0.1, pause_s))
            pause_s = min(2 * pause_s, self._settings.pull.retry_max_s)

    async def _attempt(self, source: Source, place: Place) -> bool:
        """One connection until it breaks; whether the source refused our user and password."""
        self.counts.attempts += 1
        publication: Publication | None = None
        scope = anyio.CancelScope()

        def opened() -> Publication:
            nonlocal publication
            publication = self._door.open_device(source.device, lambda _: scope.cancel())
            self._connected += 1
            return publication

        reason = "the source is pulled no longer"
        is_denied = False
        try:
            with scope:
                await self._pull(source, place).run(opened)
        except OnRecordError as error:
            reason, is_denied = str(error), isinstance(error, SourceDenied)
            log.warning("pull broke off", device_id=source.device.device_id, source=str(source.url), reason=reason)
        finally:
            if publication is not None:
                self._connected -= 1
                publication.lost(reason)
        return is_denied

    def _pull(self, source: Source, place: Place) -> HlsPull | RtspPull:
        if source.url.is_playlist:
            return HlsPull(source, place, self._addresses, self._settings, self._clock, self.counts)
        return RtspPull(source, self._addresses, self._settings, self._clock, self.counts)
