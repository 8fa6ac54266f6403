"""What an export holds in memory does not grow with the case: not with its events, its segments or their bytes."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import anyio
import pytest

from cases.appender import Appender
from cases.casework import attaching, case_acts
from cases.casework.actor import Actor
from cases.casework.case_acts import CaseWanted
from cases.casework.recordings import attach
from cases.casework.rows import Recording
from cases.custody.heads import Heads
from cases.export import standalone
from cases.export.case_file import folder_of
from cases.facts import Fact, canonical, fact_of
from pipeline.clock import rfc3339
from pipeline.events import Event, RecordingStarted, SegmentClosed, StreamEnded, StreamStarted
from pipeline.record.chain import Chain
from pipeline.record.lines import RecordingLine, SegmentLine
from pipeline.record.signing import Signer
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened
from tests.unit.record.material import DEVICE, STARTED_AT

_MOST_GROWN_KIB = 16 * 1024  # SQLite's cache of 4 MiB, pages of 500 events with their proofs, the tiles of these
_RUN = """
import sys
from pathlib import Path
from api.cli import app
app(sys.argv[1:], standalone_mode=False)
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


def large_case(data: Path, events: int, segments: int, segment_bytes: int) -> None:
    """One case with one recording; its segments are holes, all alike."""
    anyio.run(partial(_large_case, data, events, segments, segment_bytes))


async def _large_case(data: Path, events: int, segments: int, segment_bytes: int) -> None:
    signer = Signer.load(data / "keys")
    told = _recorded(data, signer, segments, segment_bytes)
    async with opened(StoreSettings(), data) as store:
        appender = await Appender.load(store, ManualClock(), [attaching.Attaching()])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(appender.run)
            actor = Actor("prin_1", "林晓岚", int(STARTED_AT) * 1_000_000)
            wanted = CaseWanted(number="1", kind="food", class_="ordinary", title="超市案", party="")
            case = await appender.change(partial(case_acts.open_case, actor=actor, wanted=wanted))
            await appender.append(told[:2])
            await appender.change(
                partial(attach, actor=actor, case_id=case.case_id, recording_id="rec_1", step_id=None)
            )  # fmt: skip
            for at in range(2, len(told), 4000):
                await appender.append(told[at : at + 4000])
            for at in range(0, events, 4000):
                await appender.append([_note(case.case_id, n) for n in range(at, min(at + 4000, events))])
            await Heads(store, appender, signer, ManualClock(), data, 60).sign_now()
            tasks.cancel_scope.cancel()


def _note(case_id: str, number: int) -> Fact:
    text = f"第 {number} 条备注：货架上有过期酸奶，{number * 7919 % 1_000_003}"
    return Fact(
        event_id=f"note_{number}", kind="NoteAdded", at_us=int(STARTED_AT * 1e6) + number, case_id=case_id, words=text,
        body={"text": text},
    )  # fmt: skip


def _recorded(data: Path, signer: Signer, segments: int, segment_bytes: int) -> list[Fact]:
    """The folder, as the recorder would leave it, and what was told of it."""
    at = rfc3339(STARTED_AT)
    row = Recording("rec_1", "st_1", DEVICE.device_id, None, int(STARTED_AT * 1e6), None, "")
    folder = folder_of(data, row)
    folder.mkdir(parents=True)
    sha256 = hashlib.sha256(bytes(segment_bytes)).hexdigest()
    chain = Chain("rec_1", signer)
    told: list[Event] = [
        StreamStarted(at=STARTED_AT, stream_id="st_1", device_id=DEVICE.device_id),
        RecordingStarted(at=STARTED_AT, stream_id="st_1", recording_id="rec_1", device_id=DEVICE.device_id),
    ]
    with (folder / "manifest.jsonl").open("wb") as manifest:
        first = RecordingLine("rec_1", "st_1", DEVICE.device_id, DEVICE.name, "", "", at)
        manifest.write(chain.begin(first, at))
        for number in range(segments):
            name = f"{number:04}.mp4"
            with (folder / name).open("wb") as file:
                file.truncate(segment_bytes)
            start_s = number * 10.0
            line = SegmentLine(
                name, segment_bytes, sha256, "", start_s, start_s + 9.96, start_s + 10, ((1, 0),), ("avc1",), at, at,
                None, None, (), False, False,
            )  # fmt: skip
            manifest.write(chain.add(line, at))
            told.append(
                SegmentClosed(
                    at=STARTED_AT + start_s + 10, stream_id="st_1", recording_id="rec_1", file=name, sha256=sha256,
                    size_bytes=segment_bytes, start_s=start_s, end_s=start_s + 10,
                )
            )  # fmt: skip
        manifest.write(chain.end("ended", (), at))
    told.append(StreamEnded(at=STARTED_AT + segments * 10, stream_id="st_1", pts_s=segments * 10.0, reason="ended"))
    return [fact_of(each) for each in told]


def peak_kib(data: Path) -> int:
    """The most that `onrecord export` of the case had resident, mapped files included."""
    words = ["export", "1", "--out", str(data / "case.zip")]
    environment = {**os.environ, "ONRECORD_DATA": str(data)}
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *words], env=environment, capture_output=True, text=True, check=True, timeout=600
    )
    return int(done.stdout.split()[-1])


@pytest.mark.slow
def test_a_case_of_thousands_of_events_and_files_takes_no_more_memory_than_an_empty_one(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    large_case(small, 1, 1, 64)
    large_case(large, 20_000, 6_000, 64)
    grown_kib = peak_kib(large) - peak_kib(small)
    assert grown_kib < _MOST_GROWN_KIB
    assert standalone.check(str(large / "case.zip")).defects == []


def test_the_index_is_written_in_pieces_as_its_one_canonical_text(tmp_path: Path) -> None:
    large_case(tmp_path, 3, 4, 64)
    peak_kib(tmp_path)
    with zipfile.ZipFile(tmp_path / "case.zip") as file:
        raw = file.read("index.json")
        names = file.namelist()
    assert raw == canonical(json.loads(raw))
    assert [each["path"] for each in json.loads(raw)["files"]] == names[:-2]


@pytest.mark.skipif(shutil.which("unzip") is None, reason="not installed: unzip")
def test_another_program_reads_the_zip(tmp_path: Path) -> None:
    large_case(tmp_path, 1, 2, 64)
    peak_kib(tmp_path)
    assert subprocess.run(["unzip", "-tq", tmp_path / "case.zip"], capture_output=True).returncode == 0


def test_a_start_of_the_export_loads_nothing_that_it_does_not_use() -> None:
    asked = "import sys, api.cli, cases.export.console; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"alembic", "rfc3161_client", "cryptography.x509", "fastapi", "numpy", "av", "argon2", "requests"}
    assert not heavy & set(loaded)
