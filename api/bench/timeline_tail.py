"""How soon a note reaches everybody who follows its case: a real server, real connections."""

import json
import statistics
import time
import urllib.request
from datetime import datetime
from functools import partial

import anyio
import anyio.to_thread
from anyio.streams.buffered import BufferedByteReceiveStream

from api.bench.server import BenchServer, bench_server
from pipeline.errors import WorkerFailed

_LISTENERS = 200
_NOTES = 100
_EVERY_S = 0.1
_LATEST_S = 20.0
METHOD = (
    "tail: {listeners} connections follow one case of a server in a process of its own (SQLite); {notes} notes are posted, "
    "ten a second; a delay is from the note's learned_at (before its commit) to the arrival of its event, milliseconds, "
    "all listeners and notes; server_cpu_us: of the server for each event handed to one listener."
)


def run() -> dict[str, object]:
    """Raises: WorkerFailed: a note did not reach everybody."""
    with bench_server() as server:
        return anyio.run(_measure, server)


async def _measure(server: BenchServer) -> dict[str, object]:
    case_id = await anyio.to_thread.run_sync(_post, server, "/cases", {"number": "1", "title": "bench"}, "case_id")
    delays_ms: list[float] = []
    ready = 0

    async def follow() -> None:
        nonlocal ready
        async with await anyio.connect_tcp("127.0.0.1", server.port) as connection:
            await connection.send(
                f"GET /api/v1/events?case_id={case_id}&kinds=NoteAdded HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {server.token}\r\n\r\n".encode()
            )
            stream, came = BufferedByteReceiveStream(connection), 0
            while came < _NOTES:
                line = await stream.receive_until(b"\n", 1 << 20)
                if line.startswith(b": here"):
                    ready += 1
                elif line.startswith(b"data: "):
                    learned_s = datetime.fromisoformat(json.loads(line[6:])["learned_at"]).timestamp()
                    delays_ms.append((time.time() - learned_s) * 1000)
                    came += 1

    with anyio.move_on_after(_LATEST_S + _NOTES * _EVERY_S):
        async with anyio.create_task_group() as tasks:
            for _ in range(_LISTENERS):
                tasks.start_soon(follow)
            while ready < _LISTENERS:
                await anyio.sleep(0.05)
            before_s = server.cpu_s()
            for number in range(_NOTES):
                note = {"text": f"第 {number} 条备注：当事人在场"}
                await anyio.to_thread.run_sync(partial(_post, server, f"/cases/{case_id}/notes", note, "event_id"))
                await anyio.sleep(_EVERY_S)
    if len(delays_ms) != _LISTENERS * _NOTES:
        raise WorkerFailed(f"{len(delays_ms)} of {_LISTENERS * _NOTES} events arrived")
    ordered = statistics.quantiles(delays_ms, n=100)
    return {
        "listeners": _LISTENERS,
        "p50_ms": round(ordered[49], 1),
        "p95_ms": round(ordered[94], 1),
        "max_ms": round(max(delays_ms), 1),
        "server_cpu_us": round((server.cpu_s() - before_s) / len(delays_ms) * 1e6, 1),
    }


def method() -> str:
    return METHOD.format(listeners=_LISTENERS, notes=_NOTES)


def _post(server: BenchServer, path: str, body: dict[str, str], wanted: str) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/api/v1{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(json.load(answer)[wanted])
