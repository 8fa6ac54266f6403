"""`onrecord faces`: keys of faces, from the console of the server's machine."""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Keys of faces.")

Config = Annotated[Path | None, typer.Option("--config", help="YAML file with settings.")]


@app.command("rotate-key")
def rotate_key(
    config: Config = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """A new master key takes the place of the old one, which is destroyed; beside a running server too.

    Copies of the key folder that were made before open nothing that is enrolled from now on. The server tells it.
    """
    from cases.faces.faces import key_folder
    from cases.faces.vault import Vault
    from pipeline.settings import load

    settings = load(config)
    rotated = Vault(key_folder(settings.faces, settings.data)).rotate()
    if as_json:
        typer.echo(json.dumps({"before": rotated.before, "after": rotated.after, "galleries": rotated.galleries}))
        return
    typer.echo(f"new master key {rotated.after}; keys of {rotated.galleries} galleries wrapped anew")
