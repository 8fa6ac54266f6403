"""`onrecord export`: a case to a zip beside a server that may be running; the copy is registered by the server."""

from pathlib import Path

import anyio
import anyio.to_thread

from cases.casework.actor import Actor
from cases.custody.checkpoint import SignedHead
from cases.custody.heads_file import HeadsFile
from cases.custody.running import is_server_running
from cases.export.case_file import CaseFile
from cases.export.write import Exported
from cases.export.write import export as write
from cases.facts import Fact, JsonValue, microseconds, parse_entry
from cases.store.engine import open_for_check
from pipeline.clock import SystemClock
from pipeline.errors import EvidenceError, ValueRefused
from pipeline.ids import derived_event_id
from pipeline.record.signing import Signer
from pipeline.settings import StoreSettings
from pipeline.slips import Slips

_FOLDER = "untold"
_BY = "console"
_CACHE_KIB = 4096  # of SQLite: what is read is read once


async def export(settings: StoreSettings, data: Path, case: str, out: Path, name: str) -> Exported:
    """name: who sits at the console.

    Raises: ThingUnknown: there is no such case. ValueRefused: nothing was signed yet, or `out` is there already.
    StorageError, EvidenceError, StoreUnavailable, SchemaOutdated.
    """
    if out.exists():
        raise ValueRefused("--out", f"{out} is there already")
    signed = await anyio.to_thread.run_sync(HeadsFile(data / "custody").newest)
    if signed is None:
        raise ValueRefused("case", "the log was not signed yet; wait a minute")
    running = await anyio.to_thread.run_sync(is_server_running, data)
    async with (
        open_for_check(settings, data, is_running=running, cache_kib=_CACHE_KIB) as store,
        store.snapshot() as connection,
    ):
        _check_size(signed, await store.size(connection))
        file = await CaseFile.find(store, connection, case, signed)
        signer = await anyio.to_thread.run_sync(Signer.load, data / "keys")
        exported = await write(file, data, out, signer, f"{_BY}: {name}")
    actor = Actor(_BY, name, microseconds(SystemClock().utc_s()))
    await anyio.to_thread.run_sync(_leave, data, actor.new_id("export"), exported, actor)
    return exported


def made(export_id: str, done: Exported, actor: Actor) -> Fact:
    """That a copy of the case was given out, by whom, and which."""
    return Fact(
        event_id=derived_event_id("ExportMade", export_id), kind="ExportMade", at_us=actor.now_us,
        case_id=done.case_id, by=actor.by, body=_body(export_id, done, actor),
    )  # fmt: skip


def left(data: Path) -> list[tuple[Path, Fact | None]]:
    """What consoles exported and nobody registered yet; None: a slip that is none. Runs in a thread.

    Raises: StorageError.
    """
    return [(path, _fact(raw)) for path, raw in _slips(data).left()]


def _check_size(signed: SignedHead, size: int) -> None:
    """Raises: EvidenceError."""
    if signed.head.size > size:
        raise EvidenceError(f"the log has {size} events, {signed.head.size} were signed; see `onrecord verify`")


def _leave(data: Path, export_id: str, done: Exported, actor: Actor) -> None:
    """Raises: StorageError: the export stands, and is not registered in the log."""
    _slips(data).leave(made(export_id, done, actor).entry(0), export_id)


def _slips(data: Path) -> Slips:
    return Slips(data / _FOLDER, ".export")


def _fact(raw: bytes) -> Fact | None:
    try:
        fact, _ = parse_entry(raw)
    except EvidenceError:
        return None
    return fact if fact.kind == "ExportMade" else None


def _body(export_id: str, done: Exported, actor: Actor) -> dict[str, JsonValue]:
    return {
        "export_id": export_id, "index_sha256": done.index_sha256, "head_size": done.head_size, "events": done.events,
        "recordings": done.recordings, "size_bytes": done.size_bytes, "defects": done.defects, "by_name": actor.name,
    }  # fmt: skip
