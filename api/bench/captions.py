"""How soon words are on a screen: a real server, a real worker, devices that speak, a viewer who listens."""

import contextlib
import json
import os
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from api.bench.child import Child
from api.bench.server import BenchServer, bench_server, cpu_s_of
from api.bench.speech_set import script
from models.speech.cer import total
from models.speech.passage import Rules
from pipeline.errors import WorkerFailed
from pipeline.simulate.load import Load

_BITS_PER_S: Final = 300_000
_LOAD_TIMEOUT_S: Final = 60.0
_LATEST_S: Final = 3.0
_START_S: Final = 15.0
_LAST_LINE_S: Final = 2.0
"""From the end of the last line that counts to the end of the last stream's neighbours; they begin up to 2 s apart."""
METHOD: Final = (
    "captions: a server of its own with one worker; {devices} devices in another process publish the scene over RTMP (AAC, and "
    "synthetic pictures of 0.3 Mbit/s) at real-time pace, begun 2/{devices} s apart; one principal watches them all (WebSocket, "
    "tracks=key) and listens to GET /api/v1/captions, in this process. Another device speaks before them until its first "
    "words come: nothing of it is counted, so loading the model is not in the figures. caption_partial_ms: from the beginning of "
    "speech (started_at of the stream + start_s of the caption + {pad} s of padding) to the arrival of the first caption with "
    "words of that utterance, be it a final one. caption_final_ms: from the end of speech (started_at + end_s - {pad} s) to the "
    "arrival of its final words; it holds the {silence} s of silence that end an utterance. started_at is when the server had the "
    "first packet; all clocks are this machine's; nothing is subtracted. live.cer: the finals of each stream against the script."
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A caption as it came. began_s, ended_s: of its utterance with the padding, arrived_s; all UTC."""

    stream_id: str
    utterance: int
    began_s: float
    ended_s: float
    arrived_s: float
    text: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds, one an utterance: from the beginning of speech to its first words, from its end to its final ones."""

    first_s: tuple[float, ...]
    final_s: tuple[float, ...]


def delays_of(shown: Sequence[Shown], pad_s: float) -> Delays:
    """Of each utterance its first words and its final ones; one that ended without words has no final delay."""
    first_s: list[float] = []
    final_s: list[float] = []
    of_utterance = groupby(sorted(shown, key=_place), key=lambda each: (each.stream_id, each.utterance))
    for _, group in of_utterance:
        captions = [each for each in group if each.text]
        first_s += [each.arrived_s - each.began_s - pad_s for each in captions[:1]]
        first_final = next((each for each in captions if each.is_final), None)
        if first_final is not None:
            final_s.append(first_final.arrived_s - (first_final.ended_s - pad_s))
    return Delays(tuple(first_s), tuple(final_s))


def finals_of(shown: Sequence[Shown]) -> dict[str, str]:
    """What was said by stream, in its order."""
    texts: dict[str, str] = {}
    for each in sorted(shown, key=_place):
        if each.is_final:
            texts[each.stream_id] = texts.get(each.stream_id, "") + each.text
    return texts


def quantiles_ms(delays_s: Sequence[float]) -> dict[str, float | int]:
    """Raises: WorkerFailed: fewer than two."""
    if len(delays_s) < 2:
        raise WorkerFailed("hardly any words came; the log of a server with analysis on tells why")
    ordered = statistics.quantiles([each * 1000 for each in delays_s], n=20, method="inclusive")
    return {
        "p50": round(statistics.median(delays_s) * 1000), "p95": round(ordered[-1]),
        "max": round(max(delays_s) * 1000), "utterances": len(delays_s),
    }  # fmt: skip


def _place(shown: Shown) -> tuple[str, int, float]:
    return shown.stream_id, shown.utterance, shown.arrived_s


class Screen:
    """What one listener is shown; read in a thread of its own.

    Bound: what is said while a bench runs, some captions a second.
    """

    def __init__(self, server: BenchServer) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{server.port}/api/v1/captions")
        request.add_header("Authorization", f"Bearer {server.token}")
        self._answer = urllib.request.urlopen(request, timeout=_LOAD_TIMEOUT_S)
        self._came: list[tuple[float, dict[str, object]]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        event = b""
        with contextlib.suppress(OSError, ValueError):  # the server ended
            for line in self._answer:
                if line.startswith(b"event: "):
                    event = line[7:].strip()
                elif line.startswith(b"data: ") and event == b"caption":
                    self._came.append((time.time(), json.loads(line[6:])))

    def shown(self, started_at: dict[str, float]) -> list[Shown]:
        """Of streams whose second 0 is known."""
        return [
            Shown(
                stream_id, int(str(tree["utterance"])), started_at[stream_id] + float(str(tree["start_s"])),
                started_at[stream_id] + float(str(tree["end_s"])), arrived_s, str(tree["text"]), bool(tree["is_final"]),
            )
            for arrived_s, tree in list(self._came)
            if (stream_id := str(tree["stream_id"])) in started_at
        ]  # fmt: skip


@contextmanager
def speaking_server(settings: dict[str, str]) -> Iterator[tuple[BenchServer, Screen]]:
    """A server whose worker has its model in memory, and a screen that listens.

    Raises: WorkerFailed: no words came within a minute.
    """
    with bench_server("speech", {"ONRECORD_ANALYSE__WORKERS": "1", **settings}) as server, ExitStack() as stack:
        screen = Screen(server)
        (key,) = server.add_devices(1, "first")
        child = publish(server, [key], _LOAD_TIMEOUT_S + 2 * _START_S)
        try:
            streams = started(server, 1, frozenset())
            stack.enter_context(watching(server, list(streams)))
            _until(lambda: bool(screen.shown(streams)), _LOAD_TIMEOUT_S, "no words came")
        finally:
            child.stop()
        yield server, screen


def publish(server: BenchServer, keys: list[str], seconds: float) -> Child:
    load = Load("127.0.0.1", server.rtmp_port, keys, seconds, _BITS_PER_S, voice="scene")
    return Child("pipeline.simulate.load", load)


def started(server: BenchServer, count: int, known: frozenset[str]) -> dict[str, float]:
    """When each of `count` new streams began, UTC; known: streams that are not new. Raises: WorkerFailed: they did not."""
    found: dict[str, float] = {}

    def are_live() -> bool:
        for row in server.streams():
            stream_id = str(row["stream_id"])
            if row["state"] == "live" and row["last_keyframe_at"] and stream_id not in known:
                found[stream_id] = datetime.fromisoformat(str(row["started_at"])).timestamp()
        return len(found) >= count

    _until(are_live, _START_S, f"{count} streams did not begin")
    return found


@contextmanager
def watching(server: BenchServer, stream_ids: Sequence[str]) -> Iterator[None]:
    """Each stream is on the screen of the bench's principal; what comes is thrown away."""
    with ExitStack() as stack:
        for stream_id in stream_ids:
            url = f"ws://127.0.0.1:{server.port}/live/{stream_id}/ws?tracks=key"
            headers = {"Authorization": f"Bearer {server.token}"}
            socket = stack.enter_context(connect(url, additional_headers=headers, max_size=None, proxy=None))

            threading.Thread(target=_drain, args=(socket,), daemon=True).start()
        yield


def _drain(socket: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        for _ in socket:
            continue


def live(settings: dict[str, str], devices: int, seconds: float) -> dict[str, object]:
    """The figures. Raises: WorkerFailed: a server, a stream or words did not come."""
    rules = Rules(longest_s=10.0)
    with speaking_server(settings) as (server, screen):
        known = frozenset(str(row["stream_id"]) for row in server.streams())
        load_before = os.getloadavg()[0]
        child = publish(server, server.add_devices(devices, "speaker"), seconds)
        try:
            streams = started(server, devices, known)
            (worker,) = server.workers()
            with watching(server, list(streams)):
                cpu_s, began_s = cpu_s_of(worker), time.monotonic()
                sent = child.report(timeout_s=seconds + 60)
                share = (cpu_s_of(worker) - cpu_s) / (time.monotonic() - began_s) / devices
                time.sleep(_LATEST_S)
        finally:
            child.stop()
        shown = screen.shown(streams)
    delays = delays_of(shown, rules.pad_s)
    lines = [line for line in script() if float(line["end"]) + _LAST_LINE_S < seconds]
    until_s = float(lines[-1]["end"])
    texts = finals_of([each for each in shown if each.began_s - streams[each.stream_id] < until_s])
    found = total(("".join(line["text"] for line in lines), texts.get(stream_id, "")) for stream_id in streams)
    return {
        "caption_partial_ms": quantiles_ms(delays.first_s), "caption_final_ms": quantiles_ms(delays.final_s),
        "live": {
            "devices": devices, "seconds": seconds, "cer": round(found.rate, 4), "signs": found.signs,
            "worker_core_share_per_stream": round(share, 4), "load_before": load_before, "load_after": os.getloadavg()[0],
            "publisher_late_ms_p99": round(float(sent["late_ms_p99"]), 1),
            "utterances_by_stream": [len([each for each in shown if each.stream_id == one and each.is_final]) for one in streams],
        },
    }  # fmt: skip


def method(devices: int) -> str:
    rules = Rules(longest_s=10.0)
    return METHOD.format(devices=devices, pad=rules.pad_s, silence=rules.silence_s)


def _until(is_so: Callable[[], bool], most_s: float, lack: str) -> None:
    end_s = time.monotonic() + most_s
    while not is_so():
        if time.monotonic() > end_s:
            raise WorkerFailed(f"{lack} within {most_s:g} s")
        time.sleep(0.1)
