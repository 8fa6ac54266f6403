"""The command line `onrecord`. Errors go to stderr with their remedy; exit 0 done, 1 failed, 2 wrong usage."""

import dataclasses
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from api.analysis_cli import analyse
from api.faces_cli import app as faces_app
from api.judgements_cli import rejudge
from api.models_cli import app as models_app
from api.rules_cli import app as rules_app
from pipeline.errors import OnRecordError
from pipeline.sources import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from cases.access import Access
    from pipeline.media import Device
    from pipeline.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
config_app = typer.Typer(no_args_is_help=True, help="Check or show the settings.")
device_app = typer.Typer(no_args_is_help=True, help="Cameras and their stream keys.")
token_app = typer.Typer(no_args_is_help=True, help="Tokens for people and scripts.")
user_app = typer.Typer(no_args_is_help=True, help="Accounts of people.")
unit_app = typer.Typer(no_args_is_help=True, help="Units, and which lies below which.")
app.add_typer(config_app, name="config")
app.add_typer(device_app, name="device")
app.add_typer(token_app, name="token")
app.add_typer(user_app, name="user")
app.add_typer(unit_app, name="unit")
app.add_typer(models_app, name="models")
app.add_typer(faces_app, name="faces")
rules_app.command("rejudge")(rejudge)
app.add_typer(rules_app, name="rules")
app.command("analyse")(analyse)

ConfigFile = Annotated[Optional[Path], typer.Option("--config", help="YAML file with settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Role(StrEnum):
    """What part of the program runs in this process."""

    ALL = "all"
    WORKER = "worker"


class Bench(StrEnum):
    INGEST = "ingest"
    FANOUT = "fanout"
    LATENCY = "latency"
    RECOVERY = "recovery"
    TIMELINE = "timeline"
    ACCESS = "access"
    SPEECH = "speech"
    ANALYSIS = "analysis"
    FACES = "faces"


class By(StrEnum):
    """How the viewers of `bench fanout` and `load` watch."""

    WS = "ws"
    HLS = "hls"


class Media(StrEnum):
    """What a backup does with the recordings."""

    COPY = "copy"
    REFERENCE = "reference"


class Codec(StrEnum):
    """What simulated devices encode."""

    H264 = "h264"
    H265 = "h265"


class Source(StrEnum):
    """How the devices of `bench ingest` publish."""

    RTMP = "rtmp"
    TS = "ts"
    FLV = "flv"
    RTSP = "rtsp"


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

    settings = _settings(config)
    if role is Role.WORKER:
        from api.worker import work

        _run(work, settings)
        return
    _run(run, settings)


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
            "speech": settings.speech.model_copy(update={"model": settings.speech.model or "whisper-demo-zh"}),
        }
    )
    _run(functools.partial(run, is_headless=headless, seconds=seconds), settings)


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="A recording folder, a data folder with everything, or an export.")],
    trusted_key: Annotated[
        Optional[Path], typer.Option(help="Public key you got by another way; the recording must be signed by it.")
    ] = None,
    head: Annotated[
        Optional[list[Path]], typer.Option(help="Of a data folder: a head of its log that was kept elsewhere.")
    ] = None,
) -> None:
    """Check a recording, a data folder or an export: 0 whole, 1 defects (as JSON lines), 2 cannot tell."""
    from cases.store.engine import FILE

    if path.is_file() or (path / "index.json").exists():
        from cases.export.standalone import main as run_export

        raise typer.Exit(run_export([str(path), *(() if trusted_key is None else ("--key", str(trusted_key)))]))
    if (path / FILE).exists() or (path / "custody").exists():
        from cases.custody.check import main as run_all

        raise typer.Exit(run_all(path, _settings(None).store, head or [], trusted_key))
    from pipeline.record.verify import main as run

    raise typer.Exit(run(path, trusted_key))


@app.command()
def upload(
    files: Annotated[list[Path], typer.Argument(help="Files to send in.", exists=True, dir_okay=False)],
    server: Annotated[str, typer.Option(help="Web address of the server.")] = "http://127.0.0.1:8000",
    case: Annotated[Optional[str], typer.Option(help="The case, by id or number.")] = None,
    device: Annotated[Optional[str], typer.Option(help="The id of the camera that recorded them.")] = None,
    captured: Annotated[
        Optional[str], typer.Option(help="When the recording ended, RFC 3339; without it, the file's own time.")
    ] = None,
    token_file: Annotated[
        Optional[Path], typer.Option(help="File with a token; without it, the environment's ONRECORD_TOKEN.")
    ] = None,
    ca: Annotated[Optional[Path], typer.Option(help="Certificate that signed the server's own.")] = None,
    give_up_s: Annotated[float, typer.Option(min=1, help="Give up after so long without any progress.")] = 600.0,
    as_json: AsJson = False,
) -> None:
    """Send files to a server; goes on where it stopped, also after a restart of either side."""
    import os

    from api.upload_client import Client

    token = os.environ.get("ONRECORD_TOKEN", "") if token_file is None else token_file.read_text(encoding="utf-8")
    client = Client(server, token.strip(), ca, give_up_s)
    is_shown = sys.stderr.isatty()

    def progress(file: Path, done: int, size: int) -> None:
        if is_shown:
            typer.echo(f"\r{file.name}  {100 * done // max(size, 1)} %", nl=False, err=True)

    sent = [client.send(path, case or "", device or "", captured or "", progress) for path in files]
    if is_shown:
        typer.echo("", err=True)
    if as_json:
        typer.echo(json.dumps({"items": [dataclasses.asdict(each) for each in sent]}, ensure_ascii=False))
    for each in sent:
        if each.state == "refused" or each.error:
            typer.echo(f"onrecord: {each.file}: {each.error or each.reason}", err=True)
        if not as_json:
            typer.echo(
                f"{each.upload_id or '-'}  {each.state}  {each.recording_id or each.item_id or '-'}  {each.file}"
            )
    if any(each.error or each.state == "refused" for each in sent):
        raise typer.Exit(1)


@app.command()
def ingest(
    files: Annotated[list[Path], typer.Argument(help="MP4, MPEG-TS or FLV files of one camera.", exists=True)],
    device: Annotated[str, typer.Option(help="The camera's id or name.")],
    case: Annotated[
        Optional[str], typer.Option(help="The case, by id or number, that the recordings belong to.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Record files as if the camera had sent them, as fast as the disk takes them, with a server running or not."""
    import anyio

    from api.intake import ingest as run

    settings = _settings(config)
    access = _access(settings)
    found = [each.device for each in access.devices() if not each.revoked_at and device in _names(each.device)]
    if len(found) != 1:
        why = "more than one active device is called" if found else "no active device"
        typer.echo(f"onrecord: {why} {device!r}; 'onrecord device list' shows all", err=True)
        raise typer.Exit(1)
    try:
        case_id = None if case is None else anyio.run(_open_case, settings, case)
    except OnRecordError as error:
        typer.echo(f"onrecord: {error}", err=True)
        raise typer.Exit(1) from error
    is_shown = sys.stderr.isatty()

    def progress(file: Path, seconds: float) -> None:
        if is_shown:
            typer.echo(f"\r{file.name}  {seconds:,.0f} s of media", nl=False, err=True)

    taken = anyio.run(run, settings, access, found[0], files, progress)
    if is_shown:
        typer.echo("", err=True)
    if case_id is not None:
        _leave_slips(settings.data, case_id, [each.recording_id for each in taken if each.recording_id])
    if as_json:
        typer.echo(json.dumps({"items": [dataclasses.asdict(each) for each in taken]}, ensure_ascii=False))
    for each in taken:
        if each.error:
            typer.echo(f"onrecord: {each.file}: {each.error}; {each.seconds} s of it were kept", err=True)
        if not as_json:
            typer.echo(f"{each.recording_id or '-'}  {each.seconds:.3f} s  {each.segments} segments  {each.file}")
    if any(each.error for each in taken):
        raise typer.Exit(1)


async def _open_case(settings: "Settings", case: str) -> str:
    """The id of an open case. Raises: ThingUnknown, StateConflict, StoreUnavailable, SchemaOutdated."""
    from cases.casework.case_acts import case_named, the_open_case
    from cases.custody.running import is_server_running
    from cases.store.engine import open_for_check

    running = is_server_running(settings.data)
    async with (
        open_for_check(settings.store, settings.data, is_running=running) as store,
        store.reading() as connection,
    ):
        found = await case_named(connection, case)
        return (await the_open_case(connection, found.case_id)).case_id


def _leave_slips(data: Path, case_id: str, recording_ids: list[str]) -> None:
    import getpass

    from cases.casework import slips

    for recording_id in recording_ids:
        try:
            slips.leave(data, slips.AttachSlip(case_id, recording_id, getpass.getuser()))
        except OnRecordError as error:
            typer.echo(f"onrecord: {error}", err=True)


@app.command()
def export(
    case: Annotated[str, typer.Argument(help="The case's id, or its number.")],
    out: Annotated[Path, typer.Option(help="The zip to write.")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Write a case to one zip that proves itself, as far as the log is signed; with a server running or not."""
    import getpass

    import anyio

    from cases.export.console import export as run

    settings = _settings(config)
    try:
        done = anyio.run(run, settings.store, settings.data, case, out, getpass.getuser())
    except OnRecordError as error:
        typer.echo(f"onrecord: {error}", err=True)
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(done), ensure_ascii=False))
    else:
        typer.echo(f"{out}: {done.events} events, {done.recordings} recordings, {done.size_bytes} bytes")
        typer.echo(f"index {done.index_sha256}")
    if done.defects:
        typer.echo(f"onrecord: {done.defects} defects of the originals are named in the export", err=True)


@app.command()
def backup(
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    passphrase_file: Annotated[Path, typer.Option(help="File with the passphrase that seals keys and accounts.")],
    media: Annotated[
        Media, typer.Option(help="copy: the recordings too; reference: their names and hashes.")
    ] = Media.COPY,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Write everything to a folder, with a server running or not."""
    from cases.backup import backup as run

    settings = _settings(config)
    made = run(settings.data, out, _passphrase(passphrase_file), copies_media=media is Media.COPY)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(made)))
    else:
        typer.echo(f"{out}: {made.log_size} events, {made.recordings} recordings, {made.size_bytes} bytes")
        typer.echo("keys of faces are not in it: templates in it open nowhere else, by intention (docs/faces.md)")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="The folder of a backup.")],
    passphrase_file: Annotated[Path, typer.Option(help="File with the passphrase that it was sealed with.")],
    media: Annotated[Optional[Path], typer.Option(help="The folder of recordings that a backup only names.")] = None,
    config: ConfigFile = None,
) -> None:
    """Make the data folder anew of a backup; it must be empty. Then run 'onrecord verify' on it."""
    from cases.backup import restore as run

    data = _settings(config).data
    count = run(source, data, _passphrase(passphrase_file), media)
    typer.echo(f"{data}: restored, {count} files of recordings; now run: onrecord verify {data}")


@app.command()
def migrate(config: ConfigFile = None) -> None:
    """Bring the tables of the record to this program's form; what stands in them stays."""
    import anyio

    from cases.store.engine import migrate as bring_forward

    settings = _settings(config)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o750)
    before, now = anyio.run(bring_forward, settings.store, settings.data)
    typer.echo(f"the tables are of release {now}" + ("" if before == now else f" (before: {before or 'none'})"))


@app.command()
def bench(
    name: Bench,
    by: Annotated[By, typer.Option(help="Of fanout: how the viewers watch.")] = By.WS,
    source: Annotated[Source, typer.Option(help="Of ingest: how the devices publish.")] = Source.RTMP,
    events: Annotated[int, typer.Option(min=50_000, help="Of timeline: how many events are read from.")] = 1_000_000,
    sounds: Annotated[
        Path | None,
        typer.Option("--set", help="Of speech: a folder of your own sound files, with transcripts.tsv (file, text)."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Of faces: labelled pictures of your own, PERSON/FILE.jpg as LFW has them.")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Of faces: a CSV with columns a,b,same, and group if you like.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Of faces: write how alike different people look, without names, to this file.")
    ] = None,
    detector: Annotated[str, typer.Option(help="Of faces: a detector by name, not the first that is here.")] = "",
    as_json: AsJson = False,
) -> None:
    """Measure this machine with this build; see docs/benchmarks.md for the method."""
    from api.bench import FaceSet, run

    faces = FaceSet(folder, pairs, calibration, detector)
    report = run(name.value, by=by.value, source=source.value, events=events, sounds=sounds, faces=faces)
    typer.echo(json.dumps(report, ensure_ascii=False, indent=None if as_json else 2))


@app.command()
def doctor(
    config: ConfigFile = None,
    streams: Annotated[int, typer.Option(min=1, help="How many streams this machine shall carry at once.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Look at this machine, the settings and the data folder; exit 1 where something keeps the server from its work."""
    from api.doctor import examine, worst
    from api.doctor.finding import Verdict

    findings = []
    for finding in examine(config, streams):
        findings.append(finding)
        if not as_json:
            typer.echo(finding.line())
    verdict = worst(findings)
    if as_json:
        tree = {"verdict": verdict, "findings": [dataclasses.asdict(finding) for finding in findings]}
        typer.echo(json.dumps(tree, ensure_ascii=False))
    raise typer.Exit(int(verdict is Verdict.ERROR))


@app.command()
def health(config: ConfigFile = None) -> None:
    """Ask the server of these settings on this machine whether it is ready: exit 0 yes, 1 no. For service managers."""
    from api.health import ask

    is_ready, said = ask(_settings(config))
    typer.echo(said, err=not is_ready)
    raise typer.Exit(int(not is_ready))


@app.command()
def simulate(
    urls: Annotated[
        Optional[list[str]],
        typer.Argument(
            metavar="[URL…]", help="rtmp://HOST/APP/KEY; {n} is the device's number. Other users can see keys here."
        ),
    ] = None,
    server: Annotated[str, typer.Option(help="HOST:PORT of RTMP, with --keys or --data, instead of URLs.")] = "",
    keys: Annotated[Optional[Path], typer.Option(help="File with a stream key a line.")] = None,
    data: Annotated[
        Optional[Path],
        typer.Option(help="Data folder of a server here: devices are made in it, and revoked at the end."),
    ] = None,
    devices: Annotated[int, typer.Option(min=0, help="How many; 0: one for each URL or key.")] = 0,
    bitrate: Annotated[
        int, typer.Option(min=100_000, max=50_000_000, help="Bits a second, sound included.")
    ] = 2_000_000,
    gop: Annotated[int, typer.Option(min=1, max=1000, help="Pictures from one key frame to the next.")] = 50,
    codec: Annotated[Codec, typer.Option(help="Of the pictures; sound is AAC.")] = Codec.H264,
    fps: Annotated[int, typer.Option(min=1, max=60, help="Pictures a second.")] = 25,
    loss: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of the pictures left out, never key frames.")
    ] = 0.0,
    jitter_ms: Annotated[
        float,
        typer.Option(min=0, max=10_000, help="About once a second all is held up to this long, then comes at once."),
    ] = 0.0,
    drop_outs: Annotated[
        float,
        typer.Option(min=0, max=3600, help="Connections cut without a goodbye, per hour and device; back in 1 to 8 s."),
    ] = 0.0,
    seconds: Annotated[float, typer.Option(min=1, help="How long.")] = 60.0,
    seed: Annotated[int, typer.Option(help="The same faults for the same number.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Publish as many devices would, to any RTMP server, and say what was sent and what sending cost.

    One 640x360 clip is encoded at the start and sent by every device over and over; nothing is encoded while it
    runs. Every access unit whose moment came is counted once: due = sent + skipped (--loss) + away (no connection) +
    uncertain (the connection broke in the middle of it). Sent means handed to this machine's network, not seen by the
    server. A picture left out harms those after it until the next key frame.
    """
    from api import sizing
    from pipeline.simulate.clip import ClipPlan
    from pipeline.simulate.site import Faults, SitePlan

    clip, faults = ClipPlan(bitrate, gop, fps, codec.value), Faults(loss, jitter_ms, drop_outs)
    is_shown = not as_json and sys.stderr.isatty()
    if data is not None:
        if not server or keys is not None or urls:
            raise typer.BadParameter("goes with --server HOST:PORT and nothing else", param_hint="--data")
        plan = SitePlan([], seconds, clip, faults, seed)
        tree = sizing.simulate_with_own_devices(plan, data, server, devices or 1, is_shown=is_shown)
    else:
        plan = SitePlan(sizing.addresses(urls or [], server, keys, devices), seconds, clip, faults, seed)
        tree = sizing.simulate(plan, is_shown=is_shown)
    typer.echo(json.dumps(tree, ensure_ascii=False) if as_json else "\n".join(sizing.show(tree)))
    raise typer.Exit(int(not tree["sent_bytes"]))


@app.command()
def load(
    viewers: Annotated[int, typer.Option(min=1, max=20_000, help="How many.")],
    server: Annotated[str, typer.Option(help="Web address, http://HOST:8000.")],
    token: Annotated[str, typer.Option(envvar="ONRECORD_TOKEN", help="Of someone who may watch.")],
    by: Annotated[By, typer.Option(help="How they watch.")] = By.WS,
    stream: Annotated[str, typer.Option(help="One stream's id; else all that are live, in turn.")] = "",
    seconds: Annotated[float, typer.Option(min=1, help="How long, once all are connected.")] = 20.0,
    as_json: AsJson = False,
) -> None:
    """Watch as many people would, over real connections, and say what came and what watching cost.

    250 viewers a process, which decode nothing. Latency by ws: from the picture's arrival at the server to its receipt
    here, which needs the same time on both machines. By hls: the wait for a part, not the delay behind the device.
    Where own_cost nears a core a process, the figures are this tool's limit and not the server's.
    """
    from api import sizing

    tree = sizing.load(server, token, viewers, by.value, stream, seconds)
    typer.echo(json.dumps(tree, ensure_ascii=False) if as_json else "\n".join(sizing.show(tree)))


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
    pull: Annotated[str, typer.Option(help="RTSP or HLS URL to pull it from, in place of a stream key.")] = "",
    transport: Annotated[Transport, typer.Option(help="How RTP of a pulled camera comes.")] = Transport.TCP,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Add a camera and print its stream key, this once; with --pull, where it is pulled from."""
    settings = _settings(config)
    if pull:
        source = _access(settings).add_source(name, pull, transport, officer, unit)
        row = {"device_id": source.device.device_id, "name": name, "source": str(source.url)}
        text = f"device {row['device_id']}  {name}\npulled from: {row['source']}"
        typer.echo(json.dumps(row, ensure_ascii=False) if as_json else text)
        return
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
            "source": record.source or None,
        }
        for record in _access(_settings(config)).devices()
    ]
    if as_json:
        typer.echo(json.dumps({"items": rows, "next_cursor": None}, ensure_ascii=False))
        return
    for row in rows:
        source = f"  ({row['source']})" if row["source"] else ""
        typer.echo(f"{row['device_id']}  {'revoked' if row['revoked_at'] else 'active ':7}  {row['name']}{source}")


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


@device_app.command("assign")
def device_assign(
    login: Annotated[str, typer.Argument(help="The account, by its login.")],
    names: Annotated[list[str], typer.Argument(help="Ids or names of the cameras it watches from now on.")],
    config: ConfigFile = None,
) -> None:
    """Say which cameras a viewer watches."""
    access = _access(_settings(config))
    known = [each.device for each in access.devices() if each.revoked_at is None]
    device_ids = []
    for name in names:
        found = [device.device_id for device in known if name in _names(device)]
        if len(found) != 1:
            typer.echo(f"onrecord: no one active device {name!r}; 'onrecord device list' shows all", err=True)
            raise typer.Exit(1)
        device_ids += found
    access.accounts.assign(access.accounts.named(login).account_id, device_ids, "console")


@user_app.command("add")
def user_add(
    login: Annotated[str, typer.Argument(help="What the person signs in with.")],
    role: Annotated[str, typer.Option(help="What the person may do, see docs/permissions.md.")],
    name: Annotated[str, typer.Option(help="The person's name, as logs and watermarks show it.")] = "",
    unit: Annotated[str, typer.Option(help="Whose streams and cases the person reaches; none: the bureau's.")] = "",
    officer: Annotated[str, typer.Option(help="The officer's id, where the person is one.")] = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """A new account; prints a link with which its owner comes in once and chooses a password."""
    settings = _settings(config)
    access = _access(settings)
    account = access.accounts.add(login, name or login, role, unit=unit, officer_id=officer)
    link = _user_link(settings, access, account.account_id)
    if as_json:
        typer.echo(json.dumps({"account_id": account.account_id, "login": account.login, "link": link}))
    else:
        typer.echo(link)


@user_app.command("list")
def user_list(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """All accounts."""
    rows = [dataclasses.asdict(each) for each in _access(_settings(config)).accounts.all()]
    if as_json:
        typer.echo(json.dumps({"items": rows, "next_cursor": None}, ensure_ascii=False))
        return
    for row in rows:
        state = "disabled" if row["disabled_at"] else "active  " if row["has_password"] else "invited "
        typer.echo(f"{row['account_id']}  {state}  {row['role']:14}  {row['login']}  {row['name']}  {row['unit']}")


@user_app.command("link")
def user_link(
    login: Annotated[str, typer.Argument(help="The account, by its login.")], config: ConfigFile = None
) -> None:
    """A new link for who forgot the password; a second factor that was set is asked for all the same."""
    settings = _settings(config)
    access = _access(settings)
    typer.echo(_user_link(settings, access, access.accounts.named(login).account_id))


@user_app.command("forget-second-factor")
def user_forget(
    login: Annotated[str, typer.Argument(help="The account, by its login.")], config: ConfigFile = None
) -> None:
    """For who lost the authenticator and the recovery codes; the sessions of the account end."""
    access = _access(_settings(config))
    access.accounts.forget_totp(access.accounts.named(login).account_id, "console")


@user_app.command("disable")
def user_disable(
    login: Annotated[str, typer.Argument(help="The account, by its login.")], config: ConfigFile = None
) -> None:
    """End an account: its sessions, tokens, tickets and open views, within 2 s."""
    access = _access(_settings(config))
    access.accounts.disable(access.accounts.named(login).account_id)


@user_app.command("enable")
def user_enable(
    login: Annotated[str, typer.Argument(help="The account, by its login.")], config: ConfigFile = None
) -> None:
    """Let an account that was disabled sign in again."""
    access = _access(_settings(config))
    access.accounts.enable(access.accounts.named(login).account_id)


@unit_app.command("put")
def unit_put(
    name: Annotated[str, typer.Argument(help="The unit's name, as cameras and cases carry it.")],
    under: Annotated[str, typer.Option(help="The unit above; none for the top.")] = "",
    config: ConfigFile = None,
) -> None:
    """Enter a unit, or hang it below another one."""
    _access(_settings(config)).units.put(name, under or None)


@unit_app.command("list")
def unit_list(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """The tree of units."""
    rows = [{"name": name, "parent": parent} for name, parent in _access(_settings(config)).units.all()]
    if as_json:
        typer.echo(json.dumps({"items": rows, "next_cursor": None}, ensure_ascii=False))
    else:
        typer.echo("\n".join(f"{row['name']}  ({row['parent'] or 'top'})" for row in rows))


@token_app.command("create")
def token_create(
    role: Annotated[str, typer.Option(help="What the token may do, see docs/permissions.md.")],
    name: Annotated[str, typer.Option(help="Whose it is.")] = "",
    days: Annotated[float, typer.Option(min=0.001, help="How long it lasts.")] = 30.0,
    unit: Annotated[str, typer.Option(help="Whose streams and cases it reaches; none: the bureau's.")] = "",
    device: Annotated[Optional[list[str]], typer.Option(help="Id of a camera that is assigned to it.")] = None,
    scope: Annotated[
        Optional[list[str]], typer.Option(help="A permission it is held to; none: all of the role.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Print a new token alone on stdout."""
    from cases.access import ROLES
    from cases.rights import table

    if role not in ROLES:
        raise typer.BadParameter(f"no role {role!r}; one of {', '.join(ROLES)}", param_hint="--role")
    if strange := set(scope or ()) - table().keys():
        raise typer.BadParameter(f"no permission {', '.join(sorted(strange))}", param_hint="--scope")
    typer.echo(
        _access(_settings(config)).create_token(
            role, name, days * 86400, unit=unit, device_ids=device or (), scopes=scope or ()
        )
    )


def _passphrase(path: Path) -> str:
    from pipeline.errors import StorageError

    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{path}: cannot be read ({error})") from error


def _user_link(settings: "Settings", access: "Access", account_id: str) -> str:
    page = settings.api.public_url.rstrip("/") or f"http://127.0.0.1:{settings.api.port}"
    return f"{page}/#code={access.accounts.link(account_id, settings.access.link_s)}"


def _names(device: "Device") -> tuple[str, str]:
    return device.device_id, device.name


def _settings(path: Path | None) -> "Settings":
    from pipeline.logs import configure
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
