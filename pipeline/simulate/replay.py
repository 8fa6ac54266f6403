"""A load generator: the same prepared access units over and over on many RTMP connections, from one process.

The messages of the loop have form-1 headers with time deltas, so the very same bytes can be sent for ever and sending
one costs one `send`. Connections begin a little apart, so that their key frames do not fall together.
"""

import asyncio
import heapq
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.rtmp import chunks
from pipeline.rtmp.client import AUDIO_CHUNK_STREAM, CHUNK_SIZE, MESSAGE_STREAM, VIDEO_CHUNK_STREAM
from pipeline.simulate.rtmp_client import RtmpClient
from pipeline.simulate.synthetic import FRAMES_PER_S, GOP_FRAMES, SyntheticStream

_TICK_S = 0.001  # sleeping shorter costs more than it gains
_STAGGER_S = GOP_FRAMES / FRAMES_PER_S
_LEAD_S = 0.1  # from the last handshake to the first access unit
_CONNECTING_AT_ONCE = 32
_MAX_UNSENT_BYTES = 4 * 1024 * 1024  # a connection that falls further behind counts as lost


@dataclass(frozen=True, slots=True)
class PreparedLoop:
    """opening: the configurations, sent once. times_s, messages: one an access unit, in order."""

    opening: bytes
    times_s: tuple[float, ...]
    messages: tuple[bytes, ...]
    duration_s: float


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """sent_access_units: of all connections. cpu_s: of this process. late_ms_p99: of the send behind its moment."""

    sent_access_units: int
    cpu_s: float
    late_ms_p99: float
    lost_connections: int
    sent_bytes: int


def prepare_loop(stream: SyntheticStream) -> PreparedLoop:
    """The RTMP bytes of `stream`, such that after the last access unit the first may follow."""
    opening = b"".join(
        chunks.whole_message(
            chunk_stream=chunk_stream,
            type_id=type_id,
            stream_id=MESSAGE_STREAM,
            timestamp_ms=0,
            payload=payload,
            chunk_size=CHUNK_SIZE,
        )
        for chunk_stream, type_id, payload in (
            (VIDEO_CHUNK_STREAM, chunks.VIDEO, b"\x17\0\0\0\0" + stream.avcc),
            (AUDIO_CHUNK_STREAM, chunks.AUDIO, b"\xaf\0" + stream.audio_config),
        )
    )
    # the first delta is counted from the last access unit of the loop before, so that every round takes as long
    last_ms = {unit.is_video: unit.time_ms - stream.duration_ms for unit in stream.access_units}
    messages = []
    for unit in stream.access_units:
        tag = (b"\x17\1\0\0\0" if unit.is_key else b"\x27\1\0\0\0") if unit.is_video else b"\xaf\1"
        messages.append(
            chunks.delta_message(
                chunk_stream=VIDEO_CHUNK_STREAM if unit.is_video else AUDIO_CHUNK_STREAM,
                type_id=chunks.VIDEO if unit.is_video else chunks.AUDIO,
                delta_ms=unit.time_ms - last_ms[unit.is_video],
                payload=tag + unit.data,
                chunk_size=CHUNK_SIZE,
            )
        )
        last_ms[unit.is_video] = unit.time_ms
    times_s = tuple(unit.time_ms / 1000 for unit in stream.access_units)
    return PreparedLoop(opening, times_s, tuple(messages), stream.duration_ms / 1000)


async def replay(
    host: str,
    port: int,
    keys: Sequence[str],
    loop: PreparedLoop,
    seconds: float,
    sent_at: "Sequence[array[float]] | None" = None,
) -> ReplayReport:
    """Publish `loop` with every key for `seconds`, then unpublish.

    sent_at: where given, one array a key; gets the monotonic seconds at which each access unit is handed to the socket.
    Raises: PublishRefused: a key is refused. OSError: nobody listens.
    """
    clients = await _connect_all(host, port, keys, loop.opening)
    cpu_began_s = time.process_time()
    sender = _Sender(clients, loop, sent_at)
    await sender.run(seconds)
    cpu_s = time.process_time() - cpu_began_s
    await sender.finish()
    return ReplayReport(len(sender.late_s), cpu_s, _p99_ms(sender.late_s), len(sender.lost), sender.sent_bytes)


async def _connect_all(host: str, port: int, keys: Sequence[str], opening: bytes) -> list[RtmpClient]:
    clients = [RtmpClient() for _ in keys]
    room = asyncio.Semaphore(_CONNECTING_AT_ONCE)

    async def connect(client: RtmpClient, key: str) -> None:
        async with room:
            await client.connect(host, port)
            await client.publish(key)
            await client.send(opening)

    try:
        async with asyncio.TaskGroup() as group:
            for client, key in zip(clients, keys, strict=True):
                group.create_task(connect(client, key))
    except BaseExceptionGroup as failures:
        for client in clients:
            client.close()
        raise failures.exceptions[0] from None
    return clients


class _Sender:
    """Sends what is due, the most overdue first. Owns the sockets while it runs."""

    def __init__(self, clients: list[RtmpClient], loop: PreparedLoop, sent_at: "Sequence[array[float]] | None") -> None:
        self._sent_at = sent_at
        self._clients = clients
        self._loop = loop
        self._unsent = [b""] * len(clients)
        self.late_s = array("f")
        self.lost: set[int] = set()
        self.sent_bytes = 0

    async def run(self, seconds: float) -> None:
        """The heap holds, for every connection, when its next access unit is due, and how many it has sent."""
        messages, times_s, duration_s = self._loop.messages, self._loop.times_s, self._loop.duration_s
        count = len(messages)
        start_s = time.perf_counter() + _LEAD_S
        phases_s = [start_s + _STAGGER_S * index / len(self._clients) for index in range(len(self._clients))]
        due = [(phase_s, index, 0) for index, phase_s in enumerate(phases_s)]
        end_s = start_s + seconds
        while due:
            due_s, index, step = due[0]
            now_s = time.perf_counter()
            if due_s >= end_s:
                break
            if due_s > now_s:
                await asyncio.sleep(max(due_s - now_s, _TICK_S))
                continue
            if not self._send(index, messages[step % count]):
                heapq.heappop(due)
                continue
            self.late_s.append(now_s - due_s)
            if self._sent_at is not None:
                self._sent_at[index].append(now_s)
            step += 1
            round_, place = divmod(step, count)
            heapq.heapreplace(due, (phases_s[index] + round_ * duration_s + times_s[place], index, step))

    async def finish(self) -> None:
        """Send what did not fit the sockets, and say goodbye on every connection that still stands."""
        for index, client in enumerate(self._clients):
            try:
                if index not in self.lost:
                    await client.send(self._unsent[index])
                    await client.unpublish()
            except OSError:
                self.lost.add(index)
            finally:
                client.close()

    def _send(self, index: int, message: bytes) -> bool:
        """Hand the message to the socket, as far as it takes it; whether the connection still stands."""
        waiting = self._unsent[index]
        data = waiting + message if waiting else message
        try:
            sent = self._clients[index].socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.lost.add(index)
            return False
        self.sent_bytes += sent
        self._unsent[index] = data[sent:] if sent < len(data) else b""
        if len(self._unsent[index]) > _MAX_UNSENT_BYTES:
            self.lost.add(index)
            return False
        return True


def _p99_ms(late_s: "array[float]") -> float:
    ordered = sorted(late_s)
    return ordered[int(len(ordered) * 0.99)] * 1000 if ordered else 0.0
