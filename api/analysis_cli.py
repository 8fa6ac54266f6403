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

    from api.analysis import stage_of, wished
    from cases.casework.recordings_of import recordings_of
    from pipeline.analyse.orders import Order, place
    from pipeline.errors import ModelMissing
    from pipeline.logs import configure
    from pipeline.settings import load

    settings = load(config)
    configure(settings.log)
    if stage not in settings.analyse.stages or stage == "text":
        raise typer.BadParameter(f"{stage} is none of analyse.stages that look at recordings", param_hint="--stage")
    now = stage_of(settings, stage)
    if not now.is_on and not model:
        raise ModelMissing(now.why)
    name, label = wished(settings, now, model)
    found = [what] if what.startswith("rec_") else anyio.run(recordings_of, settings.store, settings.data, what)
    for recording_id in found:
        place(settings.data, Order(recording_id, stage, name))
    if as_json:
        typer.echo(json.dumps({"recordings": found, "stage": stage, "model": label}))
    else:
        typer.echo(f"{len(found)} recordings ordered, by {label}; the server takes them within seconds")
