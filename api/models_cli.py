"""`onrecord models …`: which AI models there are, and bringing, checking and pinning them. Loads none."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from models.entries import Entry
    from models.registry import Registry

app = typer.Typer(no_args_is_help=True, help="AI models: which there are, and bringing and checking their files.")

ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file with settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="The model's name, as 'onrecord models list' shows it.")]

_BAR_SIGNS: Final = 30
_SHOWN_EVERY_S: Final = 0.1


@app.command("list")
def list_models(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Every model of the registry, and whether its files are here."""
    registry = _registry(config)
    rows = [_row(registry, entry) for entry in registry.entries]
    if as_json:
        typer.echo(json.dumps({"items": rows, "next_cursor": None}, ensure_ascii=False))
        return
    for entry, row in zip(registry.entries, rows, strict=True):
        commercial = "" if entry.is_commercial else ", not commercially"
        demo = "  for demonstration; not for real speech" if entry.is_demo else ""
        typer.echo(
            f"{entry.name:30} {row['state']:11} {_size(entry.size_bytes):>9}  {entry.task}  "
            f"{' '.join(entry.languages)}  {entry.licence}{commercial}{demo}"
        )


@app.command()
def pull(names: Annotated[list[str], typer.Argument(help="The models, by name.")], config: ConfigFile = None) -> None:
    """Fetch models from their source or a mirror; goes on where it broke. A file gets its name once it is checked."""
    from models.pull import Pull

    registry = _registry(config)
    entries = [registry.entry(name) for name in names]
    bar = _Bar(sys.stderr.isatty())
    for entry in entries:
        try:
            folder = Pull(registry, entry, bar.show, bar.tell).run()
        finally:
            bar.end()
        typer.echo(f"{entry.label}  {folder}")


@app.command("import")
def import_model(
    name: Name,
    path: Annotated[Path, typer.Argument(help="A folder or a zip with the model's files.")],
    pin: Annotated[bool, typer.Option("--pin", help="Record the hashes that the registry does not know.")] = False,
    config: ConfigFile = None,
) -> None:
    """Bring a model from a folder or a zip, for machines without Internet: all of its files, checked, or none."""
    from models.bring import bring

    registry = _registry(config)
    folder = bring(registry, registry.entry(name), path, _who() if pin else "")
    typer.echo(f"{registry.entry(name).label}  {folder}")


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="The models, by name; none: all that are here.")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Read every byte of the models that are here: exit 0 all are as the registry says, 1 each defect is named."""
    registry = _registry(config)
    entries = [registry.entry(name) for name in names or ()]
    rows = [row for entry in entries or registry.entries for row in _verified(registry, entry, is_wanted=bool(names))]
    if as_json:
        typer.echo(json.dumps({"items": rows, "next_cursor": None}, ensure_ascii=False))
    for row in rows if not as_json else ():
        typer.echo(f"{'defect' if row['defects'] else 'whole':7} {row['name']}  {row['folder'] or '-'}")
        for defect in row["defects"] or ():
            typer.echo(f"        {defect}")
    raise typer.Exit(int(any(row["defects"] for row in rows)))


@app.command()
def pin(
    name: Name,
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder with the model's files; none: the one in the models folder.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Record what a model's files are, where the registry does not know it. Only for files whose origin you know."""
    from models.bring import pin as record

    registry = _registry(config)
    entry = registry.entry(name)
    made = record(registry, entry, source or registry.own_folder_of(entry), _who())
    if made is None:
        typer.echo(f"{entry.label}: every hash is known already, and the files agree; nothing was recorded")
        return
    for path, file in made.files.items():
        typer.echo(f"{file.sha256}  {file.size_bytes:>12}  {path}")
    typer.echo(f"{entry.label}: recorded by {made.pinned_by} at {made.pinned_at}")


class _Bar:
    """One line on a terminal, ten times a second at most; nothing elsewhere but what is told."""

    def __init__(self, is_shown: bool) -> None:
        self._is_shown = is_shown
        self._is_open = False
        self._shown_s = 0.0
        self._began: tuple[str, float, int] | None = None

    def show(self, file: str, done: int, size: int | None) -> None:
        now_s = time.monotonic()
        if self._began is None or self._began[0] != file:
            self._began = (file, now_s, done)
        if not self._is_shown or (now_s - self._shown_s < _SHOWN_EVERY_S and done != size):
            return
        self._shown_s = now_s
        rate = (done - self._began[2]) / max(now_s - self._began[1], _SHOWN_EVERY_S)
        filled = _BAR_SIGNS * done // size if size else 0
        share = f"{100 * done // size:3} %" if size else _size(done)
        bar = f"[{'#' * filled}{'.' * (_BAR_SIGNS - filled)}]"
        typer.echo(f"\r{file:24} {bar} {share}  {_size(int(rate))}/s   ", nl=False, err=True)
        self._is_open = True

    def tell(self, sentence: str) -> None:
        self.end()
        typer.echo(f"onrecord: {sentence}", err=True)

    def end(self) -> None:
        if self._is_open:
            typer.echo("", err=True)
        self._is_open = False


def _registry(config: Path | None) -> "Registry":
    from models.registry import Registry
    from pipeline.logs import configure
    from pipeline.settings import load

    settings = load(config)
    configure(settings.log)
    own = settings.models
    return Registry.open(settings.data, own.registry, own.folder, accepts_noncommercial=own.accept_noncommercial)


def _row(registry: "Registry", entry: "Entry") -> dict[str, object]:
    folders = registry.folders_of(entry)
    return {
        **entry.model_dump(mode="json"),
        "state": registry.state(entry).value,
        "size_bytes": entry.size_bytes,
        "folder": str(folders[0]) if folders else None,
    }


def _verified(registry: "Registry", entry: "Entry", *, is_wanted: bool) -> list[dict[str, str | list[str] | None]]:
    """A row for each folder it is in. is_wanted: that it is nowhere is a defect."""
    folders = registry.folders_of(entry)
    if is_wanted and not folders:
        return [{"name": entry.name, "folder": None, "defects": ["its files are not here"]}]
    return [
        {"name": entry.name, "folder": str(each), "defects": registry.defects(entry, each, fresh=True)}
        for each in folders
    ]


def _who() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        import os

        return f"uid {os.getuid()}"


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "?"
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
