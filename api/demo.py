"""The demo: the real server, four simulated devices, their officers, two cases. Uses only its data folder and ports."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import anyio
from sqlalchemy import select

from api.doors import Doors
from api.serve import Running, serve
from cases.access import Access
from cases.appender import Appender
from cases.casework import case_acts, people
from cases.casework.actor import Actor
from cases.casework.case_acts import CaseWanted
from cases.casework.rows import OFFICERS, Officer, Step, all_of
from cases.facts import microseconds
from cases.store.tables import steps
from pipeline.errors import ThingUnknown
from pipeline.media import Device
from pipeline.settings import Settings
from pipeline.simulate.fleet import Fleet
from pipeline.simulate.schedule import Schedule, load_schedule

_BUREAU = "演示市市场监督管理局"
SCHEDULE = Path(__file__).resolve().parent.parent / "configs" / "demo.yaml"


async def demo(settings: Settings, *, is_headless: bool, seconds: float | None) -> None:
    """Run the demo until it is stopped or `seconds` are over."""
    schedule = load_schedule(SCHEDULE)

    async def beside(running: Running) -> None:
        devices = _enrol(running.doors.access, schedule)
        ids = {name: device.device_id for name, (device, _) in devices.items()}
        await _open_cases(running.doors, schedule, ids)
        links = await _people(running, schedule, settings.api.sign_in_link_s)
        link = links["commander"]
        _say(running, links, settings.data)
        if not is_headless:
            await anyio.to_thread.run_sync(_open_browser, link)
        urls = {name: f"rtmp://127.0.0.1:{running.rtmp_port}/live/{key}" for name, (_, key) in devices.items()}
        fleet = Fleet(schedule, urls, say=_print)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_play_steps, running.doors, schedule, fleet)
            tasks.start_soon(fleet.run)

    await serve(settings, beside, seconds)


def _enrol(access: Access, schedule: Schedule) -> dict[str, tuple[Device, str]]:
    """The demo's devices and their stream keys, by name; keys of an earlier demo run in the same folder end here."""
    devices = {}
    for device in schedule.devices:
        access.revoke_device(device.name)
        devices[device.name] = access.add_device(device.name, device.officer, device.unit)
    return devices


async def _play_steps(doors: Doors, schedule: Schedule, fleet: Fleet) -> None:
    """The steps that the plan names, each after the one that runs then."""
    await fleet.has_begun.wait()
    began_s = anyio.current_time()
    for planned in sorted(schedule.steps, key=lambda each: each.at_s):
        await anyio.sleep_until(began_s + planned.at_s)
        opened = await doors.record.wait_open()
        async with opened.store.reading() as connection:
            case = await case_acts.case_named(connection, planned.case)
            officers = {each.certificate_number: each for each in await all_of(connection, Officer, OFFICERS)}
        await _end_steps(doors, opened.appender, case.case_id)
        step = await _begin_step(doors, opened.appender, case.case_id, planned.step)
        for device in schedule.devices:
            if device.case == planned.case:
                await opened.appender.change(
                    partial(
                        people.start_task, actor=_actor(doors, ""), case_id=case.case_id, step_id=step.step_id,
                        officer_id=officers[device.certificate].officer_id,
                    )
                )  # fmt: skip
        _print(f"  {planned.at_s:g} s: {planned.case} goes on with {planned.step}")


async def _end_steps(doors: Doors, appender: Appender, case_id: str) -> None:
    """Those that run."""
    async with (await doors.record.wait_open()).store.reading() as connection:
        asked = select(steps).where(steps.c.case_id == case_id, steps.c.ended_us.is_(None))
        running = await all_of(connection, Step, asked)
    for step in running:
        actor = _actor(doors, f"{step.step_id} end")
        await appender.change(partial(case_acts.end_step, actor=actor, case_id=case_id, step_id=step.step_id))


async def _begin_step(doors: Doors, appender: Appender, case_id: str, kind: str) -> Step:
    """Another run of the demo in the same folder begins steps of its own."""
    actor = _actor(doors, f"{case_id} {kind} {doors.runtime.clock.utc_s()}")
    return await appender.change(
        partial(case_acts.start_step, actor=actor, case_id=case_id, kind=kind, kinds=doors.step_kinds)
    )


async def _open_cases(doors: Doors, schedule: Schedule, device_ids: Mapping[str, str]) -> None:
    """Each officer carries his device and is at his case, so that what it records goes there by itself."""
    appender = (await doors.record.wait_open()).appender
    change = appender.change
    at_work: dict[str, tuple[str, str]] = {}
    for wanted in schedule.cases:
        asked = CaseWanted(
            number=wanted.number,
            kind=wanted.kind,
            class_=wanted.class_,
            title=wanted.title,
            party=wanted.party,
            unit=_BUREAU,
        )
        case = await change(partial(case_acts.open_case, actor=_actor(doors, wanted.number), wanted=asked))
        if case.state != "open":
            continue  # somebody closed it in an earlier run
        await _end_steps(doors, appender, case.case_id)
        step = await _begin_step(doors, appender, case.case_id, wanted.step)
        at_work[wanted.number] = (case.case_id, step.step_id)
    for device in schedule.devices:
        if device.case not in at_work:
            continue
        case_id, step_id = at_work[device.case]
        officer = await change(
            partial(
                people.add_officer, actor=_actor(doors, device.certificate), name=device.officer,
                certificate_number=device.certificate, unit=device.unit,
            )
        )  # fmt: skip
        device_id = device_ids[device.name]
        await change(
            partial(people.bind, actor=_actor(doors, device_id), device_id=device_id, officer_id=officer.officer_id)
        )
        await change(
            partial(
                people.start_task, actor=_actor(doors, ""), officer_id=officer.officer_id, case_id=case_id,
                step_id=step_id,
            )
        )  # fmt: skip


async def _people(running: Running, schedule: Schedule, link_s: float) -> dict[str, str]:
    """One account of each kind, without a password, and the link with which it comes in; by login."""
    doors, links = running.doors, dict[str, str]()
    unit = _BUREAU
    async with (await doors.record.wait_open()).store.reading() as connection:
        found = await all_of(connection, Officer, OFFICERS)
    first = next((each for each in found if each.name == schedule.devices[0].officer), None)
    if unit not in dict(doors.access.units.all()):
        doors.access.units.put(unit, None, "demo")
        for each in sorted({device.unit for device in schedule.devices}):
            doors.access.units.put(each, unit, "demo")
    for login, name, role, unit_of, officer_id in (
        ("commander", "指挥员", "commander", unit, ""),
        ("officer", schedule.devices[0].officer, "officer", unit, "" if first is None else first.officer_id),
        ("archivist", "档案员", "archivist", unit, ""),
        ("analyst", "分析员", "analyst", unit, ""),
        ("admin", "系统管理员", "system_admin", "", ""),
        ("security", "安全管理员", "security_admin", "", ""),
        ("audit", "审计管理员", "audit_admin", "", ""),
    ):
        try:
            account = doors.access.accounts.named(login)
        except ThingUnknown:
            account = doors.access.accounts.add(login, name, role, unit=unit_of, officer_id=officer_id, by="demo")
        code = doors.access.accounts.link(account.account_id, link_s, "demo", must_enrol=False)
        links[login] = f"{running.url}/#code={code}"
    return links


def _actor(doors: Doors, key: str) -> Actor:
    return Actor("demo", "demo", microseconds(doors.runtime.clock.utc_s()), key)


def _say(running: Running, links: Mapping[str, str], data: Path) -> None:
    _print("")
    _print(f"  OnRecord 执鉴  {running.url}")
    _print(f"  Sign in once · 一次性登录链接:  {links['commander']}")
    for login in ("officer", "archivist", "analyst", "security", "audit"):
        _print(f"    as {login:10} {links[login]}")
    _print(f"  Publish · 推流:  rtmp://HOST:{running.rtmp_port}/live/STREAM_KEY   (onrecord device add NAME)")
    _print(f"  Data · 数据:  {data.resolve()}")
    _print("")


def _open_browser(link: str) -> None:
    import webbrowser

    webbrowser.open(link)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the demo talks to a person on stdout
