"""The command line `onrecord`. Errors go to stderr with their remedy; exit 0 done, 1 failed, 2 wrong usage."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from pipeline.errors import OnRecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from cases.access import Access
    from pipeline.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
config_app = typer.Typer(no_args_is_help=True, help="Check or show the settings.")
device_app = typer.Typer(no_args_is_help=True, help="Cameras and their stream keys.")
token_app = typer.Typer(no_args_is_help=True, help="Tokens for people and scripts.")
app.add_typer(config_app, name="config")
app.add_typer(device_app, name="device")
app.add_typer(token_app, name="token")

ConfigFile = Annotated[Optional[Path], typer.Option("--config", help="YAML file with settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Role(StrEnum):
    """What part of the program runs in this process."""

    ALL = "all"


class Bench(StrEnum):
    INGEST = "ingest"
    FANOUT = "fanout"
    LATENCY = "latency"
    RECOVERY = "recovery"


def main() -> None:
    """Entry point: every error of ours becomes one line on stderr and exit 1."""
    try:
        app()
    except OnRecordError as error:
        typer.echo(f"onrecord: {error}", err=True)
        sys.exit(1)


@app.command()
def serve(
    config: ConfigFile = None,
    role: Annotated[Role, typer.Option(help="What runs in this process.")] = Role.ALL,
) -> None:
    """Run the server until SIGTERM."""
    from api.serve import serve as run

    del role  # one value so far; analysis workers will be the second
    _run(run, _settings(config))


@app.command()
def demo(
    headless: Annotated[bool, typer.Option("--headless", help="Do not open a browser.")] = False,
    seconds: Annotated[Optional[float], typer.Option(min=1, help="Stop by itself after this.")] = None,
    data: Annotated[Path, typer.Option(help="Folder for everything the demo keeps.")] = Path("data/demo"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Web port.")] = 8000,
    rtmp_port: Annotated[int, typer.Option(min=0, max=65535, help="RTMP port.")] = 1935,
) -> None:
    """The server with four simulated devices."""
    import functools

    from api.demo import demo as run

    settings = _settings(None)
    settings = settings.model_copy(
        update={
            "data": data,
            "api": settings.api.model_copy(update={"host": "127.0.0.1", "port": port}),
            "rtmp": settings.rtmp.model_copy(update={"host": "127.0.0.1", "port": rtmp_port}),
        }
    )
    _run(functools.partial(run, is_headless=headless, seconds=seconds), settings)


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="A recording folder.")],
    trusted_key: Annotated[
        Optional[Path], typer.Option(help="Public key you got by another way; the recording must be signed by it.")
    ] = None,
) -> None:
    """Check a recording: exit 0 whole, 1 tampered or incomplete (each defect a JSON line), 2 cannot tell."""
    from pipeline.record.verify import main as run

    raise typer.Exit(run(path, trusted_key))


@app.command()
def bench(name: Bench, as_json: AsJson = False) -> None:
    """Measure this machine with this build; see docs/benchmarks.md for the method."""
    from api.bench import run

    report = run(name.value)
    typer.echo(json.dumps(report, ensure_ascii=False, indent=None if as_json else 2))


@config_app.command("validate")
def config_validate(config: ConfigFile = None) -> None:
    """Check the settings; every mistake is told at once."""
    _settings(config)
    typer.echo("the settings hold")


@config_app.command("show")
def config_show(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Every setting with its value."""
    import yaml

    tree = _settings(config).model_dump(mode="json")
    typer.echo(json.dumps(tree) if as_json else yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).rstrip())


@device_app.command("add")
def device_add(
    name: Annotated[str, typer.Argument(help="What people call this camera.")],
    officer: Annotated[str, typer.Option(help="Who wears it.")] = "",
    unit: Annotated[str, typer.Option(help="Their unit.")] = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Add a camera and print its stream key, this once."""
    settings = _settings(config)
    device, key = _access(settings).add_device(name, officer, unit)
    if as_json:
        typer.echo(json.dumps({"device_id": device.device_id, "name": name, "stream_key": key}, ensure_ascii=False))
        return
    typer.echo(f"device {device.device_id}  {name}")
    typer.echo(f"stream key (shown this once): {key}")
    typer.echo(f"publish to: rtmp://HOST:{settings.rtmp.port}/live/{key}")


@device_app.command("list")
def device_list(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """All cameras; keys are not kept and cannot be shown."""
    from pipeline.clock import rfc3339

    rows = [
        {
            "device_id": record.device.device_id,
            "name": record.device.name,
            "officer": record.device.officer,
            "unit": record.device.unit,
            "created_at": rfc3339(record.created_at),
            "revoked_at": None if record.revoked_at is None else rfc3339(record.revoked_at),
        }
        for record in _access(_settings(config)).devices()
    ]
    if as_json:
        typer.echo(json.dumps({"items": rows, "next_cursor": None}, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['device_id']}  {'revoked' if row['revoked_at'] else 'active ':7}  {row['name']}")


@device_app.command("revoke")
def device_revoke(
    name: Annotated[str, typer.Argument(help="The camera's id or name.")], config: ConfigFile = None
) -> None:
    """Take a camera's key away; a stream it publishes ends within 2 s."""
    count = _access(_settings(config)).revoke_device(name)
    if not count:
        typer.echo(f"onrecord: no active device {name!r}; 'onrecord device list' shows all", err=True)
        raise typer.Exit(1)
    typer.echo(f"revoked {count}")


@token_app.command("create")
def token_create(
    role: Annotated[str, typer.Option(help="What the token may do, see docs/architecture.md.")],
    name: Annotated[str, typer.Option(help="Whose it is.")] = "",
    days: Annotated[float, typer.Option(min=0.001, help="How long it lasts.")] = 30.0,
    config: ConfigFile = None,
) -> None:
    """Print a new token alone on stdout."""
    from cases.access import ROLES

    if role not in ROLES:
        raise typer.BadParameter(f"no role {role!r}; one of {', '.join(ROLES)}", param_hint="--role")
    typer.echo(_access(_settings(config)).create_token(role, name, days * 86400))


def _settings(path: Path | None) -> "Settings":
    from api.logs import configure
    from pipeline.settings import load

    settings = load(path)
    configure(settings.log)
    return settings


def _access(settings: "Settings") -> "Access":
    from cases.access import Access

    return Access.of(settings.data)


def _run(function: "Callable[[Settings], Coroutine[Any, Any, None]]", settings: "Settings") -> None:
    import anyio

    anyio.run(function, settings, backend_options={"use_uvloop": True})


if __name__ == "__main__":
    main()
