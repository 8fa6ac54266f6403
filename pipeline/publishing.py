"""Who may publish, and which stream it is: keys, wrong-key limits, the resume window. Knows no protocol.

A device has at most one living stream. A publisher that comes back within the resume window is the same stream.
"""

from collections.abc import Callable
from math import inf
from typing import Protocol

import structlog

from pipeline.clock import Clock
from pipeline.errors import AlreadyPublishing, KeyUnknown, PublishRefused, RateLimited, StorageError
from pipeline.events import (
    EventSink,
    PublisherRefused,
    StreamEnded,
    StreamInterrupted,
    StreamResumed,
    StreamStarted,
    TimestampsRepaired,
)
from pipeline.hub import Stream
from pipeline.ids import new_stream_id
from pipeline.media import Device, Packet, StreamState, Track
from pipeline.settings import HubSettings, IngestSettings

log = structlog.get_logger(__name__)

_KEEP_ENDED_S = 600.0  # how long an ended stream stays in the list
_REPAIRS_EVERY_S = 10.0  # how often a stream's repairs are told at most
_MAX_ADDRESSES = 10_000  # addresses remembered for wrong keys; the oldest is forgotten first


class DeviceKeys(Protocol):
    """Where the stream keys are kept."""

    def find(self, stream_key: str) -> Device | None:
        """The device that holds `stream_key` now, or None.

        Raises: StorageError: the keys cannot be read.
        """
        ...

    def is_valid(self, device_id: str) -> bool:
        """Whether the device may still publish. Does not raise."""
        ...


class Publications:
    """The streams that exist, and the door through which publishers come in. Owned by the event loop's thread.

    started(stream): called once a stream has tracks and before its first packet, so that the recorder is its first
    reader.
    """

    def __init__(
        self,
        ingest: IngestSettings,
        hub: HubSettings,
        keys: DeviceKeys,
        clock: Clock,
        emit: EventSink,
        started: Callable[[Stream], None],
    ) -> None:
        self.streams: dict[str, Stream] = {}
        self.refused: dict[str, int] = {}
        self._ingest = ingest
        self._hub = hub
        self._keys = keys
        self._clock = clock
        self._emit = emit
        self._started = started
        self._live: dict[str, DevicePublication] = {}  # by device id; includes those that may come back
        self._repairs: dict[str, tuple[int, float]] = {}  # by stream id: how many were told, and when last
        self._wrong = WrongKeys(ingest.wrong_keys_per_minute, clock)

    def open(self, stream_key: str, address: str, kick: Callable[[str], None]) -> "DevicePublication":
        """The publication of the device that holds `stream_key`; see `pipeline.ingest.door.Door`.

        Raises: KeyUnknown, RateLimited, AlreadyPublishing. PublishRefused: the keys cannot be read.
        """
        try:
            device = self._keys.find(stream_key)
        except StorageError as error:
            self._refuse(address, "keys_unreadable")
            raise PublishRefused("the stream keys cannot be read now; try again") from error
        if device is None:
            if self._wrong.is_over(address):
                self._refuse(address, "rate_limited")
                raise RateLimited("too many wrong stream keys from this address; wait a minute")
            self._wrong.add(address)
            self._refuse(address, "key_unknown")
            raise KeyUnknown("no device has this stream key; 'onrecord device add' makes one")
        return self._open(device, address, kick)

    def open_device(self, device: Device, kick: Callable[[str], None]) -> "DevicePublication":
        """The publication of a device that we pull; as `open`, but nobody had to show a key.

        Raises: AlreadyPublishing. KeyUnknown: the device was revoked.
        """
        if not self._keys.is_valid(device.device_id):
            raise KeyUnknown("this device was revoked")
        return self._open(device, "", kick)

    def _open(self, device: Device, address: str, kick: Callable[[str], None]) -> "DevicePublication":
        before = self._live.get(device.device_id)
        stream = None
        if before is not None:
            if before.is_connected:
                self._make_way(before, address)
            stream = before.stream
        publication = DevicePublication(self, device, stream, kick)
        if before is not None:
            publication.lost_at_s = before.lost_at_s  # until its media comes the stream is still lost
        self._live[device.device_id] = publication
        return publication

    def sweep(self) -> None:
        """End what did not come back, what was revoked, and forget what ended long ago. Called a few times a second."""
        now_s = self._clock.monotonic_s()
        for publication in list(self._live.values()):
            if not self._keys.is_valid(publication.device.device_id):
                self.finish(publication, StreamState.ENDED, "key revoked")
                publication.close_peer("key revoked")
            elif publication.is_overdue(now_s, self._ingest.resume_window_s):
                self.finish(publication, StreamState.LOST, "did not come back")
        for stream_id, stream in list(self.streams.items()):
            self._tell_repairs(stream, now_s)
            if stream.ended_monotonic_s is not None and now_s - stream.ended_monotonic_s > _KEEP_ENDED_S:
                del self.streams[stream_id]
                self._repairs.pop(stream_id, None)

    def close(self, reason: str) -> None:
        """End every stream and close every publisher: the program stops."""
        for publication in list(self._live.values()):
            self.finish(publication, StreamState.ENDED, reason)
            publication.close_peer(reason)

    def begin(self, device: Device, tracks: tuple[Track, ...], late_s: float) -> Stream:
        """Raises: CodecUnsupported: nobody here can carry the tracks; there is no stream then."""
        stream = Stream(new_stream_id(), device, self._hub, self._clock, late_s)
        stream.set_tracks(tracks)
        self.streams[stream.stream_id] = stream
        return stream

    def announce(self, stream: Stream) -> None:
        self._started(stream)
        self._emit(StreamStarted(at=stream.started_at, stream_id=stream.stream_id, device_id=stream.device.device_id))

    def interrupted(self, publication: "DevicePublication", reason: str) -> None:
        stream = publication.stream
        if self._live.get(publication.device.device_id) is not publication:
            return
        if stream is None:
            del self._live[publication.device.device_id]
            return
        if publication.lost_at_s is not None:
            return  # it came back and sent nothing: the stream is lost since the time before
        publication.lost_at_s = self._clock.monotonic_s()
        stream.interrupt()
        self._emit(
            StreamInterrupted(
                at=self._clock.utc_s(), stream_id=stream.stream_id, pts_s=stream.position_s, reason=reason
            )
        )

    def resumed(self, stream: Stream, late_s: float) -> None:
        start_s = stream.position_s
        end_s = stream.resume(late_s)
        self._emit(StreamResumed(at=self._clock.utc_s(), stream_id=stream.stream_id, start_s=start_s, end_s=end_s))

    def finish(self, publication: "DevicePublication", state: StreamState, reason: str) -> None:
        if self._live.get(publication.device.device_id) is not publication:
            return
        del self._live[publication.device.device_id]
        publication.is_connected = False
        stream = publication.stream
        if stream is not None and stream.ended_monotonic_s is None:
            stream.end(state)
            self._emit(
                StreamEnded(at=self._clock.utc_s(), stream_id=stream.stream_id, pts_s=stream.position_s, reason=reason)
            )

    def _tell_repairs(self, stream: Stream, now_s: float) -> None:
        """A repair is noted, and a device that needs one with every picture does not fill the timeline with them."""
        told, told_at_s = self._repairs.get(stream.stream_id, (0, -inf))
        if stream.repairs == told or now_s - told_at_s < _REPAIRS_EVERY_S:
            return
        self._repairs[stream.stream_id] = stream.repairs, now_s
        self._emit(
            TimestampsRepaired(
                at=self._clock.utc_s(),
                stream_id=stream.stream_id,
                pts_s=round(stream.position_s, 3),
                count=stream.repairs - told,
            )
        )

    def _make_way(self, before: "DevicePublication", address: str) -> None:
        """The connection before is closed, or the new one refused."""
        last_s = before.opened_at_s
        if before.stream is not None:
            last_s = max(last_s, before.stream.last_packet_s)
        is_stale = self._clock.monotonic_s() - last_s > self._ingest.stale_after_s
        if self._ingest.second_publisher == "refuse" and not is_stale:
            self._refuse(address, "already_publishing")
            raise AlreadyPublishing("this device publishes already; stop the other one or set ingest.second_publisher")
        before.lost("taken over by a new connection")
        before.close_peer("taken over by a new connection")

    def _refuse(self, address: str, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1
        if reason != "rate_limited":  # what is limited is counted, not told each time
            self._emit(PublisherRefused(at=self._clock.utc_s(), address=address, reason=reason))

    def now_s(self) -> float:
        return self._clock.monotonic_s()


class DevicePublication:
    """One connection of one device. After `lost` or `end` it is deaf: a newer connection may own the stream."""

    def __init__(self, desk: Publications, device: Device, stream: Stream | None, kick: Callable[[str], None]) -> None:
        self.device = device
        self.stream = stream
        self.is_connected = True
        self.opened_at_s = desk.now_s()
        self.lost_at_s: float | None = None  # since when no media comes; None while it does
        self._desk = desk
        self._kick: Callable[[str], None] | None = kick

    @property
    def ids(self) -> dict[str, str]:
        stream = {} if self.stream is None else {"stream_id": self.stream.stream_id}
        return {"device_id": self.device.device_id, **stream}

    def set_tracks(self, tracks: tuple[Track, ...], late_s: float = 0.0) -> None:
        if not self.is_connected:
            return
        if self.stream is None:
            self.stream = self._desk.begin(self.device, tracks, late_s)
            self._desk.announce(self.stream)
            return
        if self.lost_at_s is not None:
            self.lost_at_s = None
            self._desk.resumed(self.stream, late_s)
        self.stream.set_tracks(tracks)

    def publish(self, packet: Packet) -> None:
        if self.is_connected and self.stream is not None:
            self.stream.publish(packet)

    def say_time(self, device_s: float, arrival_s: float) -> None:
        if self.is_connected and self.stream is not None:
            self.stream.device_offset_s = device_s - arrival_s

    @property
    def pressure(self) -> float:
        return self.stream.pressure() if self.stream is not None else 0.0

    def lost(self, reason: str) -> None:
        if self.is_connected:
            self.is_connected = False
            self._desk.interrupted(self, reason)

    def end(self, reason: str) -> None:
        if self.is_connected:
            self._desk.finish(self, StreamState.ENDED, reason)

    def is_overdue(self, now_s: float, window_s: float) -> bool:
        """Whether the device is away for longer than `window_s`. One that is connected has its protocol's deadlines."""
        return not self.is_connected and self.lost_at_s is not None and now_s - self.lost_at_s > window_s

    def close_peer(self, reason: str) -> None:
        """Close the connection, once."""
        kick, self._kick = self._kick, None
        if kick is not None:
            kick(reason)


class WrongKeys:
    """How many wrong keys each address tried: a bucket that refills at `per_minute`."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._seen: dict[str, tuple[float, float]] = {}  # address -> (tries, at)

    def is_over(self, address: str) -> bool:
        return self._level(address) > self._per_minute - 1

    def add(self, address: str) -> None:
        level = self._level(address) + 1
        self._seen.pop(address, None)
        self._seen[address] = (level, self._clock.monotonic_s())
        while len(self._seen) > _MAX_ADDRESSES:
            self._seen.pop(next(iter(self._seen)))

    def _level(self, address: str) -> float:
        tries, at_s = self._seen.get(address, (0.0, 0.0))
        return max(0.0, tries - (self._clock.monotonic_s() - at_s) * self._per_minute / 60)
