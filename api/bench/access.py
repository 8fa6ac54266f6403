"""`onrecord bench access`: what asking who may do what costs, and what it leaves of the speed of playing."""

import http.client
import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from api.bench import access_playback
from api.bench.child import Child
from api.bench.fanout import core_share, wait_for_stream
from api.bench.server import BenchServer, bench_server
from cases.access import ROLES, Access, Principal
from cases.reach import Within
from cases.rights import reach_of, table
from pipeline.errors import WorkerFailed
from pipeline.events import ViewStarted
from pipeline.outbox import Outbox
from pipeline.record.disk import SystemDisk
from pipeline.simulate.load import Load

_UNITS = 200
_TURNS = 200
_VIEWS = 50_000
_STREAMS = 10
_CLIENTS = 4
_WINDOW_S = 8.0
_METHOD = (
    "policy_check_us: in this process, how far each permission of the table reaches for each role, with the units below the "
    "person's (a tree of {units}); session_us: from a session's cookie to the person. streams: {clients} browsers' sessions "
    "ask GET /api/v1/streams ({streams} live) over kept connections for {window} s as fast as they are answered; per_core = "
    "1 / (CPU of the server process for one answer, its CPU without them subtracted). view_audit_us: telling the outbox "
    "that a view began, the mean of {views}; writing and syncing come later, in another thread, and no view waits for them. "
)


def run() -> dict[str, object]:
    """The report. Raises: WorkerFailed: no server, no ffmpeg or no Chromium."""
    report: dict[str, object] = {**_policy(), "view_audit_us": _audit()}
    with bench_server() as server:
        report["streams"] = _streams(server)
    with bench_server() as server:
        report["playback"] = access_playback.run(server)
    asked = {"units": _UNITS, "clients": _CLIENTS, "streams": _STREAMS, "window": _WINDOW_S, "views": _VIEWS}
    report["method"] = _METHOD.format(**asked) + access_playback.method()
    return report


def _mean_us(count: int, act: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    for _ in range(count):
        act()
    return (time.perf_counter() - began_s) / count * 1e6


def _policy() -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="onrecord-bench-") as folder:
        access = Access.of(Path(folder))
        try:
            access.units.put("bureau", None)
            for number in range(_UNITS):
                access.units.put(f"unit {number}", "bureau" if number < 20 else f"unit {number % 20}")
            people = [Principal("ses", "name", role, None, "usr", "unit 3", "off") for role in ROLES]

            def check() -> None:
                for person in people:
                    for permission in table():
                        reach = reach_of(person, permission)
                        if reach is not None:
                            Within.of(person, reach, access.units)

            check()
            per_check = _mean_us(_TURNS, check) / (len(people) * len(table()))
            account = access.accounts.add("bench", "bench", "commander", unit="unit 3")
            code = access.accounts.link(account.account_id, 600, must_enrol=False)
            _, secret = access.sign_in(code, 3600, "bench", "")
            session_us = _mean_us(_TURNS * 10, lambda: access.who(secret, kind="session"))
        finally:
            access.close()
    return {"policy_check_us": round(per_check, 2), "session_us": round(session_us, 1)}


def _audit() -> float:
    with tempfile.TemporaryDirectory(prefix="onrecord-bench-") as folder:
        outbox = Outbox(Path(folder), SystemDisk(), 1.0)
        numbers = iter(range(_VIEWS))

        def tell() -> None:
            outbox.tell(
                ViewStarted(
                    at=time.time(), stream_id="st_bench", view_id=f"view_{next(numbers):020d}", by="usr_bench",
                    by_name="指挥员", why="指导现场",
                )
            )  # fmt: skip

        mean_us = _mean_us(_VIEWS, tell)
        if outbox.lost:
            raise WorkerFailed(f"{outbox.lost} views were not told")
    return round(mean_us, 2)


def _streams(server: BenchServer) -> dict[str, object]:
    publishers = Child(
        "pipeline.simulate.load",
        Load("127.0.0.1", server.rtmp_port, server.add_devices(_STREAMS), 3 * _WINDOW_S + 10, 500_000),
    )
    try:
        wait_for_stream(server)
        cookies = [_cookie(server, f"bench.{number}") for number in range(_CLIENTS)]
        time.sleep(2.0)
        idle_share = core_share(server, _WINDOW_S / 2)
        counts: list[int] = []
        threads = [threading.Thread(target=_ask, args=(server.port, cookie, counts)) for cookie in cookies]
        cpu_s, began_s = server.cpu_s(), time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.monotonic() - began_s
        cost_s = server.cpu_s() - cpu_s - idle_share * took_s
    finally:
        publishers.stop()
    if len(counts) != _CLIENTS:
        raise WorkerFailed("a client was not answered as it should")
    return {
        "per_s": round(sum(counts) / took_s), "per_core": round(sum(counts) / cost_s),
        "cpu_us": round(cost_s / sum(counts) * 1e6), "live": _STREAMS, "clients": _CLIENTS,
    }  # fmt: skip


def _cookie(server: BenchServer, login: str) -> str:
    """Of a session that a link opened, as a browser has it."""
    access = Access.of(server.data)
    try:
        account = access.accounts.add(login, login, "commander")
        code = access.accounts.link(account.account_id, 600, must_enrol=False)
    finally:
        access.close()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
    connection.request("POST", "/api/v1/session", json.dumps({"code": code}), headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    for line in answer.headers.get_all("set-cookie") or []:
        if "_session=" in line:
            return line.partition(";")[0]
    raise WorkerFailed(f"the link opened no session: {answer.status}")


def _ask(port: int, cookie: str, counts: list[int]) -> None:
    """Puts how many answers there were; nothing where one was another than it should be."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    end_s, count = time.monotonic() + _WINDOW_S, 0
    while time.monotonic() < end_s:
        connection.request("GET", "/api/v1/streams", headers={"Cookie": cookie})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200 or body.count(b'"stream_id"') != _STREAMS:
            return
        count += 1
    connection.close()
    counts.append(count)
