"""A case to one zip: originals, timeline, proofs, keys, and the program that checks it. Streams; see docs/export.md.

In memory: a megabyte of media, some hundred events, and what people made of the case: its steps, its items, their
corrections of words. Lists of files and recordings lie on the disk; of the recording being copied, its files' names.
"""

import os
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio.from_thread
import anyio.to_thread

from cases.casework.rows import Recording
from cases.custody import checkpoint
from cases.export import page, standalone
from cases.export.case_file import CaseFile, Entry, folder_of
from cases.export.pack import Pack, Spool, chunks_of, index, lines_of
from cases.facts import Fact, JsonValue, canonical, parse_entry
from cases.uploads import kept
from pipeline.errors import EvidenceError
from pipeline.record.chain_check import ChainReader
from pipeline.record.lines import SegmentLine
from pipeline.record.manifest import NAME
from pipeline.record.recovery import SEGMENT_NAME
from pipeline.record.signing import Signer, announced, read_public_keys, read_rotations

Progress = Callable[[int], None]
Note = Callable[[str, str, str], None]
"""file, defect, detail"""
_SETTLED_S = 60.0  # a recording that ended so long ago has told everything
_README = Path(__file__).with_name("README.txt")
_PROGRAM = Path(standalone.__file__)


@dataclass(frozen=True, slots=True)
class Exported:
    """defects: what was wrong with the originals already. index_sha256: names the whole export."""

    case_id: str
    head_size: int
    events: int
    recordings: int
    size_bytes: int
    defects: int
    index_sha256: str


async def export(
    file: CaseFile, data: Path, target: Path, signer: Signer, by: str, progress: Progress = lambda _bytes: None
) -> Exported:
    """Write the zip `target`; nothing stays of one that fails. by: who asked for it. progress(bytes so far).

    Raises: StorageError: it cannot be written. EvidenceError: the log is not whole. StoreUnavailable.
    """
    pack = await anyio.to_thread.run_sync(Pack, target)
    try:
        return await _Writing(file, data, pack, signer, by, progress).run()
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(pack.abandon)
        raise


_OF_CLIP = ("clip_id", "item_id", "approval_id", "media", "start_ms", "end_ms", "is_exact", "segments")
_OF_COPY = (
    "redaction_id", "clip_id", "item_id", "approval_id", "media", "of_clip", "blurred", "drawn", "clear", "removed",
    "detector", "edits", "plan_sha256",
)  # fmt: skip
_DERIVED = {"ClipMade": _OF_CLIP, "ClipBlurred": _OF_COPY}


class _Writing:
    def __init__(
        self, file: CaseFile, data: Path, pack: Pack, signer: Signer, by: str, progress: Progress
    ) -> None:  # fmt: skip
        self._file = file
        self._data = data
        self._pack = pack
        self._signer = signer
        self._by = by
        self._progress = progress

    async def run(self) -> Exported:
        for path, raw in await anyio.to_thread.run_sync(self._small_files):
            await self._write(path, [raw])
        covered, later = await self._file.counts()
        about = await self._file.about()
        await self._stream(
            "timeline.html",
            page.parts(
                self._file.entries(with_proofs=False), about, self._file.signed, later, await self._file.corrections()
            ),
        )
        await self._stream("timeline.json", _timeline(self._file.entries(with_proofs=False)))
        await self._stream("entries.jsonl", _entries(self._file.entries(with_proofs=True)))
        told, sent = await anyio.to_thread.run_sync(self._pack.spool), await anyio.to_thread.run_sync(self._pack.spool)
        derived = await anyio.to_thread.run_sync(self._pack.spool)
        defects = 0
        async for recording in self._file.recordings():
            defects += await anyio.to_thread.run_sync(self._recording, recording, told)
        async for each in self._sent():
            defects += await anyio.to_thread.run_sync(self._sent_file, *each, sent, derived)
        tree: dict[str, JsonValue] = {
            "format": standalone.FORMAT, "version": standalone.VERSION, "log_id": self._file.signed.head.log_id,
            "head_size": self._file.signed.head.size, "as_of": self._file.signed.head.at, "exported_by": self._by,
            "events": covered, "later_events": later, **about,
        }  # fmt: skip
        lists = {"recordings": told, "derivatives": derived, "sent": sent, "files": self._pack.files}
        sha256 = await self._write("index.json", index(tree, lists), is_listed=False)
        note = checkpoint.sign_text(
            self._file.signed.head.log_id, f"onrecord/{self._file.signed.head.log_id} export\n{sha256}\n", self._signer
        )
        await self._write("index.sig", [note.encode()], is_listed=False)
        await anyio.to_thread.run_sync(self._pack.finish)
        case_id, head_size = self._file.case.case_id, self._file.signed.head.size
        return Exported(case_id, head_size, covered, told.count, self._pack.size_bytes, defects, sha256)

    def _small_files(self) -> list[tuple[str, bytes]]:
        """Raises: EvidenceError."""
        keys = self._data / "keys"
        found = [("head.txt", self._file.signed.note().encode())]
        named = [("README.txt", _README), ("verify.py", _PROGRAM)]
        named += [(f"keys/{path.name}", path) for path in sorted(keys.glob("*.pub.pem"))]
        if (keys / "rotations.jsonl").exists():
            named.append(("keys/rotations.jsonl", keys / "rotations.jsonl"))
        for name, path in named:
            try:
                found.append((name, path.read_bytes()))
            except OSError as error:
                raise EvidenceError(f"{path} cannot be read ({error.strerror}); nothing was exported") from error
        return found

    async def _write(self, path: str, chunks: Iterable[bytes], *, is_listed: bool = True) -> str:
        """Its SHA-256."""
        sha256, _ = await anyio.to_thread.run_sync(lambda: self._pack.write(path, chunks, is_listed=is_listed))
        self._progress(self._pack.size_bytes)
        return sha256

    async def _stream(self, path: str, parts: AsyncIterator[bytes]) -> None:
        """Asked for from the writing thread, a part at a time."""

        def pulled() -> Iterator[bytes]:
            while (part := anyio.from_thread.run(_next, parts)) is not None:
                yield part

        await self._write(path, pulled())

    def _recording(self, recording: Recording, told: Spool) -> int:
        """Copy it as it is; what is wrong with it is said in the index. How much is."""
        folder = folder_of(self._data, recording)
        ended_us = recording.ended_us
        is_settled = ended_us is not None and time.time() - ended_us / 1e6 > _SETTLED_S
        wrong: list[JsonValue] = []

        def note(file: str, defect: str, detail: str) -> None:
            wrong.append({"file": file, "defect": defect, "detail": detail})

        try:
            size_bytes = (folder / NAME).stat().st_size  # it may grow meanwhile
            self._pack.write(f"recordings/{recording.recording_id}/{NAME}", chunks_of(folder / NAME, size_bytes))
        except OSError as error:
            note(NAME, "recording_missing", f"the manifest cannot be read ({error.strerror})")
        else:
            self._segments(folder, recording.recording_id, size_bytes, note, is_settled=is_settled)
        told.add(
            {
                "recording_id": recording.recording_id, "stream_id": recording.stream_id,
                "device_id": recording.device_id, "is_settled": is_settled, "defects": wrong,
            }
        )  # fmt: skip
        return len(wrong)

    def _segments(self, folder: Path, recording_id: str, size_bytes: int, note: Note, *, is_settled: bool) -> None:
        """Those that the first `size_bytes` of the manifest name. Raises: EvidenceError: one cannot be read whole."""
        chain = ChainReader(self._trusted())
        listed, rest = {NAME}, b""
        for row in lines_of(folder / NAME, size_bytes):
            if not row.endswith(b"\n"):
                rest = row
                continue
            if (line := chain.take(row[:-1])) is not None:
                listed.add(line.file)
                self._segment(folder, recording_id, line, note)
        for defect in chain.end(rest).defects:
            if defect.defect != "not_ended" or is_settled:
                note(defect.file, defect.defect, defect.detail)
        for name in sorted(each.name for each in os.scandir(folder) if each.name not in listed):
            if is_settled:
                note(name, "file_added", "no line of the manifest names it; it was left out")

    def _segment(self, folder: Path, recording_id: str, line: SegmentLine, note: Note) -> None:
        path = folder / line.file
        if not SEGMENT_NAME.fullmatch(line.file) or not _is_regular(path):
            note(line.file, "file_missing", f"the manifest says {line.size_bytes} bytes")
            return
        try:
            copied = self._pack.write(f"recordings/{recording_id}/{line.file}", chunks_of(path))
        except OSError as error:
            raise EvidenceError(f"{path} cannot be read ({error.strerror}); nothing was exported") from error
        self._progress(self._pack.size_bytes)
        if copied != (line.sha256, line.size_bytes):
            note(line.file, "hash_differs", "it is not the file that the manifest names")

    async def _sent(self) -> AsyncIterator[tuple[Fact, bool]]:
        """The facts that tell of files, and whether the file is told of for the first time. One sent in comes once."""
        seen: dict[str, set[str]] = {kind: set() for kind in ("UploadReceived", *_DERIVED)}
        async for entries in self._file.entries(with_proofs=False):
            for fact in (each.fact for each in entries):
                sha256 = str(fact.body.get("sha256"))
                if fact.kind in _DERIVED or (fact.kind == "UploadReceived" and sha256 not in seen[fact.kind]):
                    yield fact, not any(sha256 in each for each in seen.values())
                    seen[fact.kind].add(sha256)

    def _sent_file(self, fact: Fact, is_first: bool, sent: Spool, derived: Spool) -> int:
        """Copy it as it is; one that is gone is said in the index. How many defects that are."""
        sha256 = str(fact.body.get("sha256"))
        path, to = kept.path_of(self._data, sha256), f"files/{sha256}"
        if fact.kind in _DERIVED:
            named = {name: fact.body.get(name) for name in _DERIVED[fact.kind]}
            derived.add({"path": to, "name": str(fact.body.get("title")), "made_by": fact.by, **named})
        else:
            sent.add({"path": to, "name": str(fact.body.get("name"))})
        if not is_first:
            return 0
        if not _is_regular(path):
            return 1
        try:
            copied, _ = self._pack.write(to, chunks_of(path))
        except OSError as error:
            raise EvidenceError(f"{path} cannot be read ({error.strerror}); nothing was exported") from error
        self._progress(self._pack.size_bytes)
        return int(copied != sha256)

    def _trusted(self) -> tuple[bytes, ...]:
        keys = self._data / "keys"
        there = [key for path in sorted(keys.glob("*.pub.pem")) for key in read_public_keys(path)]
        named = [key for key in there if checkpoint.new_log_id(key) == self._file.signed.head.log_id]
        return announced(named, read_rotations(keys))


async def _next(parts: AsyncIterator[bytes]) -> bytes | None:
    return await anext(parts, None)


async def _timeline(pages: AsyncIterator[list[Entry]]) -> AsyncIterator[bytes]:
    """A JSON array with an event a line."""
    yield b"[\n"
    lines: list[bytes] = []
    async for entries in pages:
        if lines:
            yield b"".join(line + b",\n" for line in lines)
        lines = [standalone.timeline_line(each.seq, _entry_tree(each)) for each in entries]
    yield b",\n".join(lines) + (b"\n" if lines else b"") + b"]\n"


def _entry_tree(entry: Entry) -> dict[str, JsonValue]:
    fact, learned_at_us = parse_entry(entry.raw)
    return {
        "event_id": fact.event_id, "kind": fact.kind, "at_us": fact.at_us, "ends_at_us": fact.ends_at_us,
        "learned_at_us": learned_at_us, "stream_id": fact.stream_id, "case_id": fact.case_id, "by": fact.by,
        "words": fact.words, "body": dict(fact.body),
    }  # fmt: skip


async def _entries(pages: AsyncIterator[list[Entry]]) -> AsyncIterator[bytes]:
    """A line for each event: its place, the text that the leaf hashes, and the way to the head."""
    async for entries in pages:
        yield b"".join(_line(each) for each in entries)


def _line(entry: Entry) -> bytes:
    tree: dict[str, JsonValue] = {
        "seq": entry.seq, "entry": entry.raw.decode(), "path": [each.hex() for each in entry.path]
    }  # fmt: skip
    if entry.path_sm3 is not None:
        tree["path_sm3"] = [each.hex() for each in entry.path_sm3]
    return canonical(tree) + b"\n"


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
