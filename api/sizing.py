"""Tools for people who size a site: `onrecord simulate` publishes as many devices would, `onrecord load` watches.

Both say what they themselves cost, so that nobody takes the tool's limit for the server's.
"""

import json
import sys
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from api.bench.child import Child
from cases.access import Access
from pipeline.errors import SettingsInvalid, WorkerFailed
from pipeline.simulate.clip import make_clip
from pipeline.simulate.site import DeviceCounts, SitePlan, SiteReport, address_of, run_site
from pipeline.simulate.viewers import ViewersPlan
from pipeline.simulate.watch_hls import WatchHls

_VIEWERS_A_PROCESS = 250
_MIB = 1024 * 1024
_CLOCKED_A_PROCESS = 50


def addresses(urls: list[str], server: str, keys: Path | None, devices: int) -> list[str]:
    """The publish URLs: `urls` (a {n} stands for the number of the device), or `server` with the keys of a file.

    Raises: SettingsInvalid: neither, both, too few keys, or no URL of the form rtmp://HOST/APP/KEY.
    """
    if bool(urls) == bool(server):
        raise SettingsInvalid("give publish URLs, or --server HOST:PORT with --keys FILE or --data DIR; not both")
    if server:
        if keys is None:
            raise SettingsInvalid("--server needs --keys FILE (a stream key a line) or --data DIR")
        found = [f"rtmp://{server}/live/{key}" for key in _read_keys(keys)]
        if devices > len(found):
            raise SettingsInvalid(f"{keys} holds {len(found)} keys for {devices} devices; one is needed for each")
        found = found[: devices or None]
    elif len(urls) == 1 and "{n}" in urls[0]:
        found = [urls[0].replace("{n}", str(number)) for number in range(1, (devices or 1) + 1)]
    else:
        if devices > len(urls):
            raise SettingsInvalid(f"{len(urls)} URLs for {devices} devices; give each its own, or one with {{n}} in it")
        found = urls[: devices or None]
    for url in found:
        address_of(url)
    return found


def simulate(plan: SitePlan, *, is_shown: bool) -> dict[str, object]:
    """Run the devices; what was sent, and what it cost. is_shown: a line a second goes to stderr."""
    clip = make_clip(plan.clip)
    before = Counter[str]()

    def show_line(counts: list[DeviceCounts]) -> None:
        total = _total(counts)
        sys.stderr.write(
            f"\rsent {total['sent'] - before['sent']:6} units/s  "
            f"{(total['sent_bytes'] - before['sent_bytes']) * 8e-6:8.1f} Mbit/s  connections {total['connections']}  "
            f"drop-outs {total['drop_outs']}  lost {total['lost']}  refused {total['refused']}  "
            f"failed {total['failed']}   "
        )
        before.clear()
        before.update(total)

    report = uvloop.run(run_site(plan, clip, show_line if is_shown else None))
    if is_shown:
        sys.stderr.write("\n")
    return site_tree(plan, report)


def simulate_with_own_devices(
    plan: SitePlan, data: Path, server: str, devices: int, *, is_shown: bool
) -> dict[str, object]:
    """As `simulate`, with devices made in the data folder of a server on this machine; their keys end with the run."""
    access = Access.of(data)
    try:
        made = [access.add_device(f"simulated {number + 1}") for number in range(devices)]
        try:
            urls = [f"rtmp://{server}/live/{key}" for _, key in made]
            return simulate(SitePlan(urls, plan.seconds, plan.clip, plan.faults, plan.seed), is_shown=is_shown)
        finally:
            for device, _ in made:
                access.revoke_device(device.device_id)
    finally:
        access.close()


def site_tree(plan: SitePlan, report: SiteReport) -> dict[str, object]:
    """What `simulate` prints."""
    total = _total(report.devices)
    count = len(report.devices)
    errors = Counter(device.last_error for device in report.devices if device.last_error)
    return {
        "devices": count,
        "seconds": plan.seconds,
        "asked_bps": plan.clip.bits_per_s,
        "clip_bps": report.bits_per_s,
        "access_units": {name: total[name] for name in ("due", "sent", "skipped", "away", "uncertain")},
        "sent_bytes": total["sent_bytes"],
        "sent_bps_per_device": round(total["sent_bytes"] * 8 / plan.seconds / count) if count else 0,
        "connections": {name: total[name] for name in ("connections", "drop_outs", "lost", "refused", "failed")},
        "away_s": round(sum(device.away_s for device in report.devices), 1),
        "late_ms_max": round(max((device.late_ms_max for device in report.devices), default=0.0), 1),
        "last_errors": dict(errors.most_common(5)),
        "own_cost": {
            "cpu_s": round(report.cpu_s, 2),
            "cpu_s_per_device": round(report.cpu_s / count, 3) if count else 0,
            "core_share": round(report.cpu_s / report.wall_s, 3),
            "rss_mib": round(report.rss_bytes / _MIB, 1),
        },
    }


def load(server: str, token: str, viewers: int, by: str, stream: str, seconds: float) -> dict[str, object]:
    """Watch with `viewers` viewers in processes of their own; what came, and what it cost.

    Raises: SettingsInvalid: no http:// or https:// address. WorkerFailed: the server does not answer, or has no stream.
    """
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsInvalid("--server must be the web address of a server, such as http://HOST:8000")
    is_tls = parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    stream_ids = [stream] if stream else _live_streams(server, token)
    sizes = [min(_VIEWERS_A_PROCESS, viewers - at) for at in range(0, viewers, _VIEWERS_A_PROCESS)]
    children: list[Child] = []
    try:
        for size in sizes:
            if by == "ws":
                ws = ViewersPlan(parts.hostname, port, is_tls, stream_ids, token, size, seconds)
                children.append(Child("pipeline.simulate.viewers", ws))
                continue
            if is_tls:
                raise SettingsInvalid("--by hls knows no TLS yet; use the http:// address, or --by ws")
            # a process watches one stream; the processes take them in turn
            stream_id = stream_ids[len(children) % len(stream_ids)]
            rights = [_ticket(server, token, stream_id) for _ in range(size)]
            hls = WatchHls(parts.hostname, port, stream_id, rights, min(size, _CLOCKED_A_PROCESS), seconds)
            children.append(Child("pipeline.simulate.watch_hls", hls))
        reports = [child.report(timeout_s=seconds + 120) for child in children]
    finally:
        for child in children:
            child.stop()
    return _ws_tree(reports, viewers) if by == "ws" else _hls_tree(reports, viewers)


def _ws_tree(reports: list[dict[str, float]], viewers: int) -> dict[str, object]:
    late = sorted(ms for report in reports for ms in _values(report, "latency_ms"))
    return {
        **_common(reports, viewers, "ws"),
        "pictures_per_s": round(sum(report["pictures"] / report["wall_s"] for report in reports), 1),
        "gaps": sum(report["gaps"] for report in reports),
        "gap_s": round(sum(report["gap_s"] for report in reports), 2),
        "latency_ms": _percentiles(late),
        "latency_is": "from arrival at the server to receipt here, by its time messages and both machines' clocks",
        "rss_mib": round(sum(report["rss_bytes"] for report in reports) / _MIB, 1),
    }


def _hls_tree(reports: list[dict[str, float]], viewers: int) -> dict[str, object]:
    waits = sorted(ms for report in reports for ms in _values(report, "part_wait_ms"))
    return {
        **_common(reports, viewers, "hls"),
        "parts_per_s": round(sum(report["parts"] / report["wall_s"] for report in reports), 1),
        "playlists": sum(report["playlists"] for report in reports),
        "skipped_parts": sum(report["skipped_parts"] for report in reports),
        "part_wait_ms": _percentiles(waits),
        "part_wait_is": "from the playlist that names a part until its last byte; not the delay behind the device",
    }


def _common(reports: list[dict[str, float]], viewers: int, by: str) -> dict[str, object]:
    wall_s = max(report["wall_s"] for report in reports)
    cpu_s = sum(report["cpu_s"] for report in reports)
    return {
        "viewers": viewers,
        "by": by,
        "processes": len(reports),
        "seconds": round(wall_s, 1),
        "opened": sum(report["opened"] for report in reports),
        "refused": sum(report["refused"] for report in reports),
        "lost": sum(report["lost"] for report in reports),
        "received_bytes": sum(report["received_bytes"] for report in reports),
        "received_mbps": round(sum(report["received_bytes"] * 8e-6 / report["wall_s"] for report in reports), 2),
        "own_cost": {"cpu_s": round(cpu_s, 2), "core_share": round(cpu_s / wall_s, 3)},
    }


def _values(report: dict[str, float], name: str) -> list[float]:
    values: object = report[name]
    return values if isinstance(values, list) else []


def _percentiles(ordered: list[float]) -> dict[str, float | None]:
    names = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    if not ordered:
        return {name: None for name, _ in names}
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * at))], 1) for name, at in names}


def _live_streams(server: str, token: str) -> list[str]:
    rows = json.loads(_ask(server, token, "/api/v1/streams?limit=1000", "GET"))["items"]
    live = [str(row["stream_id"]) for row in rows if row["state"] == "live"]
    if not live:
        raise WorkerFailed("no stream is live there; start devices first, for example with 'onrecord simulate'")
    return live


def _ticket(server: str, token: str, stream_id: str) -> str:
    return str(json.loads(_ask(server, token, f"/api/v1/streams/{stream_id}/ticket", "POST"))["ticket"])


def _ask(server: str, token: str, path: str, method: str) -> bytes:
    request = urllib.request.Request(server.rstrip("/") + path, method=method)  # noqa: S310 - http or https, checked
    request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
            body: bytes = answer.read()
    except urllib.error.HTTPError as error:
        raise WorkerFailed(
            f"{server} said {error.code} to {method} {path}; is the token a viewer's or a commander's?"
        ) from error
    except OSError as error:
        raise WorkerFailed(f"{server} does not answer ({error}); is the server up?") from error
    return body


def _read_keys(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise SettingsInvalid(f"{path} cannot be read ({error.strerror}); it holds a stream key a line") from error


def _total(devices: list[DeviceCounts]) -> Counter[str]:
    total = Counter[str]()
    for device in devices:
        total.update({name: value for name, value in asdict(device).items() if isinstance(value, int)})
    return total


def show(tree: dict[str, object]) -> list[str]:
    """A report as lines for people."""
    rows = []
    for name, value in tree.items():
        said = "  ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, dict) else str(value)
        rows.append(f"{name:22} {said}")
    return rows
