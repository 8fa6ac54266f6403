"""A small RTMP publisher over one plain socket, for simulator and tests. Sends prepared bytes; muxes nothing."""

import asyncio
import secrets
import socket
from collections import deque

from pipeline.errors import ProtocolError, PublishRefused
from pipeline.rtmp import amf0, chunks
from pipeline.rtmp.amf0 import Value
from pipeline.rtmp.chunks import ChunkReader
from pipeline.rtmp.handshake import RANDOM_BYTES, ClientHandshake

CHUNK_SIZE = 65_536
MESSAGE_STREAM = 1
_COMMAND_CHUNK_STREAM, _CONTROL_CHUNK_STREAM = 3, 2
_ANSWER_TIMEOUT_S = 10.0
_MAX_ANSWER_BYTES = 65_536


class RtmpClient:
    """One connection: `connect`, `publish`, `send` ..., then `unpublish` or `close`."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.answers: deque[list[Value]] = deque(maxlen=64)
        """Commands of the server that nobody waited for, the newest last."""
        self._reader = ChunkReader(self._take, _MAX_ANSWER_BYTES)
        self._chunk_size = chunks.DEFAULT_CHUNK_SIZE

    async def connect(self, host: str, port: int, application: str = "live") -> None:
        """Raises: OSError: nobody listens. ProtocolError: no RTMP. PublishRefused: the application is refused."""
        loop = asyncio.get_running_loop()
        self.socket.setblocking(False)
        await loop.sock_connect(self.socket, (host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self._shake_hands(loop)
        size = CHUNK_SIZE.to_bytes(4, "big")
        await self.send(self.message(chunks.SET_CHUNK_SIZE, size, chunk_stream=_CONTROL_CHUNK_STREAM, stream_id=0))
        self._chunk_size = CHUNK_SIZE
        await self.command("connect", 1.0, {"app": application, "type": "nonprivate", "fourCcList": ["avc1", "mp4a"]})
        answer = await self.answer("_result", "_error")
        if answer[0] == "_error":
            raise PublishRefused(f"{host}:{port} refused the application {_description(answer)}")

    async def publish(self, key: str) -> None:
        """Raises: PublishRefused: with the server's description."""
        await self.command("releaseStream", 2.0, None, key)
        await self.command("FCPublish", 3.0, None, key)
        await self.command("createStream", 4.0, None)
        await self.command("publish", 5.0, None, key, "live", stream_id=MESSAGE_STREAM)
        answer = await self.answer("onStatus")
        status = answer[3] if len(answer) > 3 else None
        if not isinstance(status, dict) or status.get("level") != "status":
            raise PublishRefused(f"the server refused: {_description(answer)}")

    async def unpublish(self) -> None:
        """Say goodbye, wait until the server closes or answers, and close."""
        await self.command("FCUnpublish", 6.0, None, "")
        await self.command("deleteStream", 7.0, None, float(MESSAGE_STREAM))
        await self.answer("onStatus")
        self.close()

    def close(self) -> None:
        self.socket.close()

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def command(self, name: str, transaction: float, *values: Value, stream_id: int = 0) -> None:
        payload = amf0.write(name, transaction, *values)
        await self.send(self.message(chunks.COMMAND_AMF0, payload, stream_id=stream_id))

    def message(
        self,
        type_id: int,
        payload: bytes,
        *,
        timestamp_ms: int = 0,
        chunk_stream: int = _COMMAND_CHUNK_STREAM,
        stream_id: int = MESSAGE_STREAM,
    ) -> bytes:
        """A message in the chunk size in force."""
        return chunks.whole_message(
            chunk_stream=chunk_stream,
            type_id=type_id,
            stream_id=stream_id,
            timestamp_ms=timestamp_ms,
            payload=payload,
            chunk_size=self._chunk_size,
        )

    async def answer(self, *names: str) -> list[Value]:
        """The next command of the server with one of these names.

        Raises: ProtocolError: the server closed. TimeoutError: it said nothing.
        """
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            while True:
                while self.answers:
                    command = self.answers.popleft()
                    if command and command[0] in names:
                        return command
                await self._receive()

    async def _receive(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self.socket, _MAX_ANSWER_BYTES)
        if not data:
            raise ProtocolError("the server closed the connection")
        self._reader.feed(data)

    async def _shake_hands(self, loop: asyncio.AbstractEventLoop) -> None:
        handshake = ClientHandshake(secrets.token_bytes(RANDOM_BYTES))
        await self.send(handshake.opening)
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            while not handshake.is_done:
                data = await loop.sock_recv(self.socket, _MAX_ANSWER_BYTES)
                if not data:
                    raise ProtocolError("the server closed the connection during the handshake")
                reply, rest = handshake.feed(data)
                if reply:
                    await self.send(reply)
        self._reader.feed(rest)

    def _take(self, type_id: int, stream_id: int, timestamp_ms: int, buffer: bytes, start: int, end: int) -> None:  # noqa: ARG002 - the Receiver's form
        if type_id == chunks.COMMAND_AMF0:
            self.answers.append(amf0.read(buffer[start:end]))


def _description(answer: list[Value]) -> str:
    info = answer[-1] if answer else None
    return str(info.get("description", "")) if isinstance(info, dict) else "without a reason"
