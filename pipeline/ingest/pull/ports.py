"""UDP ports for RTP and RTCP: pairs side by side, which take from the source's own address only. Knows no codec."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import cast

from pipeline.errors import SourceError
from pipeline.ingest.pull.lanes import Lane

_LOWEST, _PAIRS = 20_000, 20_000  # 20,000 to 59,999
_TRIES = 50


class Port(asyncio.DatagramProtocol):
    """One UDP port. take(lane, is_control, data): gets what comes, from the socket's callback; may not raise."""

    def __init__(self, take: Callable[[Lane, bool, bytes], None], is_control: bool, address: str) -> None:
        self.lane: Lane | None = None
        self.is_control = is_control
        self.peer: tuple[str, int] | None = None
        self._take = take
        self._address = address
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio promises a DatagramTransport to a DatagramProtocol, and types it as the base
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        if self.lane is not None and addr[0] == self._address:
            self._take(self.lane, self.is_control, data)

    def send(self, data: bytes) -> None:
        if self._transport is not None and self.peer is not None and not self._transport.is_closing():
            self._transport.sendto(data, self.peer)


async def open_pair(
    stack: AsyncExitStack, take: Callable[[Lane, bool, bytes], None], address: str
) -> tuple[int, tuple[Port, Port]]:
    """Two ports side by side, the first of them even, and its number; closed by `stack`.

    Raises: SourceError: none are free.
    """
    loop = asyncio.get_running_loop()
    local = "::" if ":" in address else "0.0.0.0"
    for _ in range(_TRIES):
        first = _LOWEST + 2 * secrets.randbelow(_PAIRS)
        media, control = Port(take, False, address), Port(take, True, address)
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda media=media: media, (local, first))  # type: ignore[misc]  # mypy infers no default of a lambda
            stack.callback(transport.close)
            transport, _ = await loop.create_datagram_endpoint(lambda control=control: control, (local, first + 1))  # type: ignore[misc]  # mypy infers no default of a lambda
            stack.callback(transport.close)
        except OSError:
            continue
        return first, (media, control)
    raise SourceError("no two UDP ports side by side are free")
