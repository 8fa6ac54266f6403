"""`onrecord rules rejudge`: past cases by the rules of now, from kept facts; the server that runs next tells it."""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cases.judgement.rejudge import Again
    from pipeline.settings import Settings

Config = Annotated[Path | None, typer.Option("--config", help="YAML file with settings.")]


def rejudge(
    case: Annotated[list[str] | None, typer.Option(help="A case's id or number; none: all of them.")] = None,
    only_show: Annotated[bool, typer.Option("--only-show", help="Say what would change; tell nothing.")] = False,
    processes: Annotated[int, typer.Option(min=1, max=64, help="How many judge at once.")] = os.cpu_count() or 1,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge cases again. No media is read; old verdicts stay beside the new ones, and the difference is printed."""
    import anyio

    from pipeline.logs import configure
    from pipeline.settings import load

    settings = load(config)
    configure(settings.log)
    began_s = time.monotonic()
    found = anyio.run(_judge, settings, case or [], processes, only_show)
    took_s = time.monotonic() - began_s
    hours = sum(again.seconds for _, again in found) / 3600
    if as_json:
        typer.echo(json.dumps(_tree(found, hours, took_s), ensure_ascii=False))
        return
    for case_id, again in found:
        for each in again.changed:
            before = "-" if each.before is None else each.before.verdict
            typer.echo(f"{case_id} {each.step_id} {each.duty}: {before} -> {each.after.verdict} ({each.after.rule})")
    changed = sum(len(again.changed) for _, again in found)
    typer.echo(f"{len(found)} cases, {hours:.1f} hours, {changed} verdicts changed, {took_s:.1f} s")


async def _judge(
    settings: "Settings", wanted: "Sequence[str]", processes: int, only_show: bool
) -> "list[tuple[str, Again]]":
    import anyio.to_thread

    from cases.casework.case_acts import case_named
    from cases.custody.running import is_server_running
    from cases.facts import Fact, fact_of, microseconds
    from cases.judgement import slips
    from cases.judgement.many import all_cases, judge_many
    from cases.store.engine import open_for_check
    from pipeline.clock import SystemClock

    running = await anyio.to_thread.run_sync(is_server_running, settings.data)
    found = []
    async with open_for_check(settings.store, settings.data, is_running=running) as store:
        if wanted:
            async with store.reading() as connection:
                case_ids = [(await case_named(connection, each)).case_id for each in wanted]
        else:
            case_ids = await all_cases(store)
        now_s = SystemClock().utc_s()
        async for case_id, again in judge_many(store, settings.data, case_ids, now_s, processes):
            found.append((case_id, again))
            if again.told and not only_show:
                facts = [each if isinstance(each, Fact) else fact_of(each) for each in again.told]
                slips.place(settings.data, case_id, facts, microseconds(now_s))
    return found


def _tree(found: "Sequence[tuple[str, Again]]", hours: float, took_s: float) -> dict[str, object]:
    return {
        "version": found[0][1].version if found else "",
        "cases": [
            {
                "case_id": case_id, "steps": again.steps,
                "changed": [
                    {
                        "step_id": each.step_id, "duty": each.duty,
                        "before": None if each.before is None else each.before.verdict, "after": each.after.verdict,
                        "rule": each.after.rule,
                    }
                    for each in again.changed
                ],
                "findings": {
                    "raised": again.raised, "unchanged": again.unchanged, "not_raised_now": again.not_raised_now,
                },
            }
            for case_id, again in found
        ],
        "case_hours": round(hours, 3), "seconds": round(took_s, 3),
        "case_hours_per_minute": round(hours / took_s * 60, 1) if took_s else None,
    }  # fmt: skip
