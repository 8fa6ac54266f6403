"""A site full of devices in one process: each sends the same clip at its own pace, with losses, bursts and drop-outs.

The law: every access unit whose moment came while a device ran is counted once: sent, skipped (`loss`), away (there was
no connection) or uncertain (the connection broke while it was handed over).
Run as `python -m pipeline.simulate.site` with a `SitePlan` as JSON on stdin (URLs hold keys); prints a `SiteReport`.
"""

import asyncio
import json
import random
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

import uvloop

from pipeline.errors import ProtocolError, PublishRefused, SettingsInvalid
from pipeline.rtmp import chunks
from pipeline.rtmp.client import AUDIO_CHUNK_STREAM, VIDEO_CHUNK_STREAM
from pipeline.simulate.clip import Clip, ClipPlan, ClipUnit, make_clip
from pipeline.simulate.rtmp_client import RtmpClient

_DEFAULT_PORT = 1935
_STAGGER_S = 2.0  # the devices begin within this, so that their key frames do not fall together
_TICK_S = 0.002
_LEAD_S = 0.05  # from the first connection to the first access unit
_SEND_TIMEOUT_S = 10.0
_FIRST_BACK_OFF_S, _LAST_BACK_OFF_S = 0.5, 8.0
_SHORTEST_OUTAGE_S, _LONGEST_OUTAGE_S = 1.0, 8.0  # shorter than the 15 s within which a publisher is the same stream
_LAST_CALM_S = _LONGEST_OUTAGE_S + 4.0  # before the end: the outage, connecting, and the next key frame
_CALM_S = (0.5, 1.5)  # between two bursts
_CONNECTING_AT_ONCE = 32
_BREAKS = (OSError, ProtocolError)


@dataclass(frozen=True, slots=True)
class Faults:
    """loss: share of the pictures that are skipped, never key frames. jitter_ms: longest hold before a burst.

    drop_outs_per_hour: of each device, at random moments.
    """

    loss: float = 0.0
    jitter_ms: float = 0.0
    drop_outs_per_hour: float = 0.0


@dataclass(frozen=True, slots=True)
class SitePlan:
    """urls: where each device publishes; they hold keys and stay out of every repr."""

    urls: list[str] = field(repr=False)
    seconds: float
    clip: ClipPlan
    faults: Faults
    seed: int = 1


@dataclass(slots=True)
class DeviceCounts:
    """What one device did. due = sent + skipped + away + uncertain, access units all."""

    due: int = 0
    sent: int = 0
    skipped: int = 0
    away: int = 0
    uncertain: int = 0
    sent_bytes: int = 0
    connections: int = 0
    drop_outs: int = 0
    lost: int = 0
    """Connections that broke without our doing."""
    refused: int = 0
    failed: int = 0
    """Connections that could not be made."""
    away_s: float = 0.0
    away_at_end_s: float = 0.0
    """Of it, after the last connection: no server can know of it."""
    ran_s: float = 0.0
    late_ms_max: float = 0.0
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class SiteReport:
    """cpu_s: of this process, the encoding of the clip not in it. bits_per_s: what the clip really has."""

    devices: list[DeviceCounts]
    wall_s: float
    cpu_s: float
    rss_bytes: int
    bits_per_s: float


@dataclass(frozen=True, slots=True)
class Address:
    """Where an RTMP URL leads. key: with its query."""

    host: str
    port: int
    application: str
    key: str = field(repr=False)


def address_of(url: str) -> Address:
    """Raises: SettingsInvalid: it is no rtmp://HOST[:PORT]/APP/KEY."""
    parts = urlsplit(url)
    application, _, key = parts.path.strip("/").rpartition("/")
    if parts.scheme != "rtmp" or not parts.hostname or not application or not key:
        raise SettingsInvalid("a URL is not of the form rtmp://HOST[:PORT]/APP/KEY; use --server and --keys for keys")
    query = f"?{parts.query}" if parts.query else ""
    return Address(parts.hostname, parts.port or _DEFAULT_PORT, application, key + query)


class SimulatedCamera:
    """One device: its clip goes on whether it is connected or not, as in a camera."""

    def __init__(self, address: Address, clip: Clip, faults: Faults, chance: random.Random, room: asyncio.Semaphore):
        self.counts = DeviceCounts()
        self._address = address
        self._clip = clip
        self._faults = faults
        self._chance = chance
        self._room = room
        self._next = 0  # of the endless row of access units
        self._began_s = 0.0
        self._end_s = 0.0
        self._base_ms = 0
        self._drop_at_s = 0.0
        self._held_until_s = 0.0
        self._burst_at_s = 0.0

    async def run(self, seconds: float) -> None:
        """Until `seconds` of the clip are over; then says goodbye."""
        back_off_s = _FIRST_BACK_OFF_S
        while True:
            client = await self._connect()
            if not self._began_s:
                self._began_s = time.monotonic() + _LEAD_S
                self._end_s = self._began_s + seconds
                self._plan_drop_out()
            if client is not None:
                back_off_s = _FIRST_BACK_OFF_S
                is_over = await self._send(client)
                pause_s = 0.0 if is_over else self._chance.uniform(_SHORTEST_OUTAGE_S, _LONGEST_OUTAGE_S)
            else:
                is_over = False
                pause_s = self._chance.uniform(0, back_off_s)
                back_off_s = min(back_off_s * 2, _LAST_BACK_OFF_S)
            if is_over or time.monotonic() + pause_s >= self._end_s:
                break
            await asyncio.sleep(pause_s)
        away_s = self.counts.away_s
        self._miss_until(self._end_s)
        self.counts.away_at_end_s = self.counts.away_s - away_s
        self.counts.ran_s = seconds

    async def _connect(self) -> RtmpClient | None:
        client = RtmpClient()
        try:
            async with self._room:
                await client.connect(self._address.host, self._address.port, self._address.application)
                await client.publish(self._address.key)
            self.counts.connections += 1
            return client
        except PublishRefused as refusal:
            self.counts.refused += 1
            self.counts.last_error = str(refusal).replace(self._address.key, "…")
        except _BREAKS as error:
            self.counts.failed += 1
            self.counts.last_error = type(error).__name__
        client.close()
        return None

    async def _send(self, client: RtmpClient) -> bool:
        """Until the end, a drop-out or a break; whether it was the end."""
        self._miss_until(time.monotonic())
        while not self._unit(self._next)[1].is_key:
            self._miss()
        self._base_ms = self._unit(self._next)[0]
        try:
            opening = [self._message(client, unit, 0) for unit in self._clip.opening]
            await client.send(b"".join(opening))
            while True:
                now_s = time.monotonic()
                if now_s >= self._drop_at_s:
                    self.counts.drop_outs += 1
                    await client.cut()
                    self._plan_drop_out()
                    return False
                await self._send_due(client, now_s)
                due_s = self._due_s(self._next)
                if due_s >= self._end_s:
                    await client.unpublish()
                    return True
                wake_s = min(max(due_s, self._held_until_s), self._drop_at_s)
                await asyncio.sleep(max(_TICK_S, wake_s - time.monotonic()))
        except (*_BREAKS, PublishRefused) as error:
            self.counts.lost += 1
            self.counts.last_error = type(error).__name__
            client.close()
            return False

    async def _send_due(self, client: RtmpClient, now_s: float) -> None:
        """Everything whose moment has come, in one write; nothing while the line is held."""
        if self._faults.jitter_ms:
            if now_s < self._held_until_s:
                return
            if now_s >= self._burst_at_s:
                self._held_until_s = now_s + self._chance.uniform(0, self._faults.jitter_ms) / 1000
                self._burst_at_s = self._held_until_s + self._chance.uniform(*_CALM_S)
        messages = []
        latest_s = min(now_s, self._end_s - _TICK_S / 1000)
        first_due_s = self._due_s(self._next)
        while self._due_s(self._next) <= latest_s:
            time_ms, unit = self._unit(self._next)
            self._next += 1
            self.counts.due += 1
            if unit.is_video and not unit.is_key and self._chance.random() < self._faults.loss:
                self.counts.skipped += 1
                continue
            messages.append(self._message(client, unit, time_ms - self._base_ms))
        if not messages:
            return
        self.counts.uncertain += len(messages)
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            await client.send(b"".join(messages))
        self.counts.uncertain -= len(messages)
        self.counts.sent += len(messages)
        self.counts.sent_bytes += sum(map(len, messages))
        self.counts.late_ms_max = max(self.counts.late_ms_max, (time.monotonic() - first_due_s) * 1000)

    def _message(self, client: RtmpClient, unit: ClipUnit, time_ms: int) -> bytes:
        return client.message(
            chunks.VIDEO if unit.is_video else chunks.AUDIO,
            unit.payload,
            timestamp_ms=time_ms,
            chunk_stream=VIDEO_CHUNK_STREAM if unit.is_video else AUDIO_CHUNK_STREAM,
        )

    def _unit(self, number: int) -> tuple[int, ClipUnit]:
        """Milliseconds from the device's beginning, and what is due then."""
        round_, place = divmod(number, len(self._clip.units))
        unit = self._clip.units[place]
        return round_ * self._clip.duration_ms + unit.time_ms, unit

    def _due_s(self, number: int) -> float:
        return self._began_s + self._unit(number)[0] / 1000

    def _miss_until(self, moment_s: float) -> None:
        while self._due_s(self._next) < min(moment_s, self._end_s):
            self._miss()

    def _miss(self) -> None:
        time_ms, _ = self._unit(self._next)
        self._next += 1
        self.counts.away_s += (self._unit(self._next)[0] - time_ms) / 1000
        self.counts.due += 1
        self.counts.away += 1

    def _plan_drop_out(self) -> None:
        """None so late that the device could not come back and say goodbye."""
        rate = self._faults.drop_outs_per_hour
        drop_at_s = time.monotonic() + self._chance.expovariate(rate / 3600) if rate else float("inf")
        self._drop_at_s = drop_at_s if drop_at_s < self._end_s - _LAST_CALM_S else float("inf")


Progress = Callable[[list[DeviceCounts]], None]


async def run_site(plan: SitePlan, clip: Clip, progress: Progress | None = None) -> SiteReport:
    """Run all devices for `plan.seconds`; progress: called every second with the counts so far."""
    room = asyncio.Semaphore(_CONNECTING_AT_ONCE)
    addresses = [address_of(url) for url in plan.urls]
    cameras = [
        SimulatedCamera(address, clip, plan.faults, random.Random(f"{plan.seed} {number}"), room)
        for number, address in enumerate(addresses)
    ]
    counts = [camera.counts for camera in cameras]
    began_s, cpu_s = time.monotonic(), time.process_time()

    async def start(number: int) -> None:
        await asyncio.sleep(_STAGGER_S * number / len(cameras))
        await cameras[number].run(plan.seconds)

    async def tell() -> None:
        while progress is not None:
            await asyncio.sleep(1.0)
            progress(counts)

    async with asyncio.TaskGroup() as group:
        telling = group.create_task(tell())
        async with asyncio.TaskGroup() as running:
            for number in range(len(cameras)):
                running.create_task(start(number))
        telling.cancel()
    rss_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return SiteReport(
        counts, time.monotonic() - began_s, time.process_time() - cpu_s, rss_bytes, round(clip.bits_per_s)
    )


def plan_from(tree: dict[str, object]) -> SitePlan:
    """The plan in the JSON that `asdict` made of one."""
    clip, faults, urls = tree["clip"], tree["faults"], tree["urls"]
    if not isinstance(clip, dict) or not isinstance(faults, dict) or not isinstance(urls, list):
        raise SettingsInvalid("the plan of a site is not whole")
    return SitePlan(urls, float(str(tree["seconds"])), ClipPlan(**clip), Faults(**faults), int(str(tree["seed"])))


if __name__ == "__main__":
    site = plan_from(json.load(sys.stdin))
    sys.stdout.write(json.dumps(asdict(uvloop.run(run_site(site, make_clip(site.clip))))))
