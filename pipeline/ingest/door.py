"""What a protocol needs from the rest of the program: somebody who accepts publishers and takes their packets."""

from collections.abc import Callable
from typing import Protocol

from pipeline.media import Packet, Track


class Publication(Protocol):
    """One accepted publisher. All calls are plain, quick and made from the event loop's thread."""

    @property
    def ids(self) -> dict[str, str]:
        """What a line of the log about it says: device_id, and stream_id once there is a stream."""
        ...

    def set_tracks(self, tracks: tuple[Track, ...], late_s: float = 0.0) -> None:
        """These are the tracks from here on; the first packet comes after the first call.

        late_s: how long ago the packet that follows came, where it was held back.

        Raises: CodecUnsupported: nobody here can carry them.
        """
        ...

    def publish(self, packet: Packet) -> None:
        """One access unit, its times in ticks of its track on the *device's* axis, unrepaired."""
        ...

    def say_time(self, device_s: float, arrival_s: float) -> None:
        """The device says that its own clock shows `device_s`; that came at `arrival_s` by ours. Both UTC seconds.

        Before the first `set_tracks` nobody hears it.
        """
        ...

    @property
    def pressure(self) -> float:
        """How full the recorder's hold is, 0 to 1. Who sends faster than media plays, and can wait, then waits."""
        ...

    def lost(self, reason: str) -> None:
        """The connection broke; the publisher may come back within the resume window. Idempotent."""
        ...

    def end(self, reason: str) -> None:
        """The publisher said goodbye. Idempotent."""
        ...


class Door(Protocol):
    """Who accepts publishers."""

    def open(self, stream_key: str, address: str, kick: Callable[[str], None]) -> Publication:
        """The publication of the device that holds `stream_key`.

        address: the peer's IP address. kick(reason): closes the peer's connection; called at most once, from the
        event loop's thread (key revoked, taken over, server stops).
        Raises: KeyUnknown, RateLimited, AlreadyPublishing.
        """
        ...
