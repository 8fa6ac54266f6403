"""All relays: which rule is for which stream, and the task of each. Knows no wire."""

import random
import ssl

import anyio
from anyio.abc import TaskGroup

from pipeline.clock import Clock
from pipeline.errors import SettingsInvalid
from pipeline.events import EventSink
from pipeline.hub import Stream
from pipeline.relay.relay import Relay, RelayCounts
from pipeline.relay.target import matches, target_of
from pipeline.settings import RelayRule, RelaySettings


class Relays:
    """Owned by the event loop's thread. A stream that no rule is for costs nothing."""

    def __init__(self, settings: RelaySettings, clock: Clock, emit: EventSink) -> None:
        """Raises: SettingsInvalid: relay.ca_file cannot be read."""
        self.counts: dict[str, RelayCounts] = {_name(n, rule): RelayCounts() for n, rule in enumerate(settings.rules)}
        """By rule."""
        self._settings = settings
        self._clock = clock
        self._emit = emit
        self._context = _context(settings)
        self._tasks: TaskGroup | None = None
        self._running: dict[str, list[Relay]] = {}

    def open(self, stream: Stream) -> None:
        """Called once for every stream, after the recorder took its place as first reader."""
        for number, rule in enumerate(self._settings.rules):
            if matches(rule, stream.device):
                self._start(number, rule, stream)

    def held_bytes(self, name: str) -> int:
        """What waits for the targets of a rule now."""
        return sum(relay.held_bytes for relay in self._running.get(name, ()))

    async def run(self) -> None:
        """Until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                for relay, name in self._early():
                    tasks.start_soon(self._follow, relay, name)
                await anyio.sleep_forever()
            finally:
                self._tasks = None

    def _early(self) -> list[tuple[Relay, str]]:
        return [(relay, name) for name, relays in self._running.items() for relay in relays]

    def _start(self, number: int, rule: RelayRule, stream: Stream) -> None:
        name = _name(number, rule)
        relay = Relay(
            stream, target_of(rule, stream), name, self.counts[name], self._settings, self._context, self._clock,
            self._emit, random.random,
        )  # fmt: skip
        self._running.setdefault(name, []).append(relay)
        stream.attach(relay)
        if self._tasks is not None:
            self._tasks.start_soon(self._follow, relay, name)

    async def _follow(self, relay: Relay, name: str) -> None:
        try:
            await relay.run()
        finally:
            relay.stream.detach(relay)
            self._running[name].remove(relay)


def _name(number: int, rule: RelayRule) -> str:
    """What people, logs and metrics call a rule: its place in the list and its server. Never its key."""
    return f"{number} {rule.server}"


def _context(settings: RelaySettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:  # also ssl.SSLError: no certificate in it
        raise SettingsInvalid(
            f"relay.ca_file {settings.ca_file} cannot be used ({error.strerror or 'no certificate in it'})"
        ) from error
