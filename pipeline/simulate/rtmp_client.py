"""A small RTMP publisher over one plain socket, for simulator and tests. Sends prepared bytes; muxes nothing."""

import asyncio
import secrets
import socket
from collections.abc import Callable

from pipeline.errors import ProtocolError
from pipeline.rtmp.amf0 import Value
from pipeline.rtmp.client import MAX_ANSWER_BYTES, ClientSession, ClientStage
from pipeline.rtmp.handshake import RANDOM_BYTES

_ANSWER_TIMEOUT_S = 10.0


class RtmpClient:
    """One connection: `connect`, `publish`, `send` ..., then `unpublish` or `close`."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self._session = ClientSession(secrets.token_bytes(RANDOM_BYTES))
        self.message = self._session.message

    async def connect(self, host: str, port: int, application: str = "live") -> None:
        """Raises: OSError: nobody listens. ProtocolError: no RTMP. PublishRefused: the application is refused."""
        self.socket.setblocking(False)
        await asyncio.get_running_loop().sock_connect(self.socket, (host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self.send(self._session.opening)
        await self._receive_until(lambda: self._session.stage is not ClientStage.HANDSHAKE)
        await self.send(self._session.connect(application, f"rtmp://{host}:{port}/{application}"))
        await self._receive_until(lambda: self._session.stage is ClientStage.CONNECTED)

    async def publish(self, key: str) -> None:
        """Raises: PublishRefused: with the server's description."""
        await self.send(self._session.publish(key))
        await self._receive_until(lambda: self._session.stage is ClientStage.PUBLISHING)

    async def unpublish(self) -> None:
        """Say goodbye, wait until the server confirms it, and close."""
        await self.send(self._session.unpublish())
        await self._receive_until(lambda: self._session.stage is ClientStage.OVER)
        self.close()

    async def cut(self) -> None:
        """Break off without a goodbye; what was sent before still arrives."""
        self.socket.shutdown(socket.SHUT_WR)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                while await loop.sock_recv(self.socket, MAX_ANSWER_BYTES):
                    continue
        except (OSError, TimeoutError):
            pass  # the server closed first
        finally:
            self.close()

    def close(self) -> None:
        self.socket.close()

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def answer(self, *names: str) -> list[Value]:
        """The next command of the server with one of these names.

        Raises: ProtocolError: the server closed. TimeoutError: it said nothing.
        """
        found: list[list[Value]] = []

        def has_come() -> bool:
            while not found and self._session.answers:
                command = self._session.answers.popleft()
                if command and command[0] in names:
                    found.append(command)
            return bool(found)

        await self._receive_until(has_come)
        return found[0]

    async def _receive_until(self, is_done: Callable[[], bool]) -> None:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            while not is_done():
                data = await asyncio.get_running_loop().sock_recv(self.socket, MAX_ANSWER_BYTES)
                if not data:
                    raise ProtocolError("the server closed the connection")
                reply = self._session.feed(data)
                if reply:
                    await self.send(reply)
