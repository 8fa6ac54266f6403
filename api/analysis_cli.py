"""`onrecord analyse`: has recordings looked at (again) by the server that runs, or by the next one."""

import json
from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path | None, typer.Option("--config", help="YAML file with settings.")]


def analyse(
    what: Annotated[str, typer.Argument(help="A recording's id, or a case's id or number.")],
    stage: Annotated[str, typer.Option(help="What is looked for.")] = "speech",
    model: Annotated[str, typer.Option(help="A name of 'onrecord models list'; none: the one that is used live.")] = "",
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Order another look at a recording, or at those of a case. Versions stand side by side."""
    import anyio

    from api.analysis import registry_of
    from cases.casework.recordings_of import recordings_of
    from models.entries import Task
    from pipeline.analyse.orders import Order, place
    from pipeline.logs import configure
    from pipeline.settings import load

    settings = load(config)
    configure(settings.log)
    if stage not in settings.analyse.stages:
        raise typer.BadParameter(f"{stage} is none of analyse.stages", param_hint="--stage")
    registry = registry_of(settings)
    ready = registry.ready(registry.choose(Task.SPEECH, model or settings.speech.model).name)
    found = [what] if what.startswith("rec_") else anyio.run(recordings_of, settings.store, settings.data, what)
    for recording_id in found:
        place(settings.data, Order(recording_id, stage, ready.entry.name))
    if as_json:
        typer.echo(json.dumps({"recordings": found, "stage": stage, "model": ready.entry.name}))
    else:
        typer.echo(f"{len(found)} recordings ordered, model {ready.entry.name}; the server takes them within seconds")
