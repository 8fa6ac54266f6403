"""The demo: the real server, four simulated devices, nothing else. Uses only its data folder and ports."""

from pathlib import Path

import anyio

from api.serve import Running, serve
from cases.access import Access
from pipeline.settings import Settings
from pipeline.simulate.fleet import Fleet
from pipeline.simulate.schedule import Schedule, load_schedule

SCHEDULE = Path(__file__).resolve().parent.parent / "configs" / "demo.yaml"


async def demo(settings: Settings, *, is_headless: bool, seconds: float | None) -> None:
    """Run the demo until it is stopped or `seconds` are over."""
    schedule = load_schedule(SCHEDULE)

    async def beside(running: Running) -> None:
        keys = _enrol(running.doors.access, schedule)
        code = running.doors.access.create_link("commander", "demo", settings.api.sign_in_link_s)
        link = f"{running.url}/#code={code}"
        _say(running, link, settings.data)
        if not is_headless:
            await anyio.to_thread.run_sync(_open_browser, link)
        urls = {name: f"rtmp://127.0.0.1:{running.rtmp_port}/live/{key}" for name, key in keys.items()}
        await Fleet(schedule, urls, say=_print).run()

    await serve(settings, beside, seconds)


def _enrol(access: Access, schedule: Schedule) -> dict[str, str]:
    """Stream keys for the demo's devices, by name; keys of an earlier demo run in the same folder end here."""
    keys = {}
    for device in schedule.devices:
        access.revoke_device(device.name)
        _, keys[device.name] = access.add_device(device.name, device.officer, device.unit)
    return keys


def _say(running: Running, link: str, data: Path) -> None:
    _print("")
    _print(f"  OnRecord 执鉴  {running.url}")
    _print(f"  Sign in once · 一次性登录链接:  {link}")
    _print(f"  Publish · 推流:  rtmp://HOST:{running.rtmp_port}/live/STREAM_KEY   (onrecord device add NAME)")
    _print(f"  Data · 数据:  {data.resolve()}")
    _print("")


def _open_browser(link: str) -> None:
    import webbrowser

    webbrowser.open(link)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the demo talks to a person on stdout
