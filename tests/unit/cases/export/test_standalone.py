"""The program that lies in every export: it runs by itself, and names whatever was done to the export."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from cases.custody import checkpoint
from cases.custody.heads_file import HeadsFile
from cases.export import console, standalone
from cases.export.write import Exported
from pipeline.errors import EvidenceError
from pipeline.record import lines
from pipeline.record.chain import Chain
from pipeline.record.lines import RecordingLine, SegmentLine
from pipeline.record.signing import Signer, read_public_keys
from pipeline.settings import StoreSettings
from tests.record_made import record
from tests.unit.cases.custody.test_check_record import bit, by_the_key, cut, folders, gone, segment_gone, with_one_more

NUMBER = "京市监案〔2026〕1号"
HERE = Path(__file__).parent


def made(where: StoreSettings, data: Path, *, sm3: bool = False) -> Exported:
    """The record in `data`, and its case as `case.zip` there."""
    anyio.run(partial(record, where, data, sm3=sm3))
    return anyio.run(console.export, where, data, NUMBER, data / "case.zip", "tester")


def slip_file(data: Path) -> None:
    (folders(data)[0] / "0009.mp4").write_bytes(b"x")


def other_photo(data: Path) -> None:
    path = next((data / "files").glob("*/*"))
    path.chmod(0o600)
    path.write_bytes(b"another photo")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    made(StoreSettings(), folder)
    return folder / "case.zip"


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(whole) as file:
        file.extractall(tmp_path / "out")
    return tmp_path / "out"


def run(folder: Path, *words: str) -> tuple[int, list[dict[str, object]]]:
    """Alone: an empty environment, Python without anything of ours, in the folder itself."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", *words],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def named(folder: Path, *words: str) -> set[object]:
    code, lines = run(folder, *words)
    found = {line["defect"] for line in lines if "defect" in line}
    assert code == (1 if found else 0)
    return found


def test_an_export_proves_itself_in_another_folder_with_nothing_but_python(
    where: StoreSettings, tmp_path: Path
) -> None:
    done = made(where, tmp_path)
    out = tmp_path / "elsewhere"
    with zipfile.ZipFile(tmp_path / "case.zip") as file:
        assert file.testzip() is None
        file.extractall(out)
    code, lines = run(out)
    assert code == 0, lines
    assert lines[-1]["result"] == "whole"
    assert (lines[-1]["events"], lines[-1]["recordings"]) == (done.events, 2)
    assert lines[-1]["segments"] == 6
    assert any("cannot tell whose key" in str(line.get("note")) for line in lines)
    originals = {path.name: path for path in (tmp_path / "recordings").rglob("*.mp4")}
    for path in (out / "recordings").rglob("*.mp4"):
        assert path.name in originals
    for each in (tmp_path / "recordings").rglob("manifest.jsonl"):
        copied = out / "recordings" / each.parent.name
        assert {p.name: p.read_bytes() for p in copied.iterdir()} == {
            p.name: p.read_bytes() for p in each.parent.iterdir()
        }
    (key,) = (tmp_path / "keys").glob("*.pub.pem")
    assert not any("whose key" in str(line.get("note")) for line in run(out, "--key", str(key))[1])
    assert standalone.main([str(tmp_path / "case.zip")]) == 0


def test_the_same_case_and_head_give_the_same_bytes(tmp_path: Path) -> None:
    done = made(StoreSettings(), tmp_path)
    again = anyio.run(console.export, StoreSettings(), tmp_path, done.case_id, tmp_path / "again.zip", "tester")
    assert again == done
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "case.zip").read_bytes()
    assert len(console.left(tmp_path)) == 2


def test_both_roots_are_proved_where_the_log_has_two(where: StoreSettings, tmp_path: Path) -> None:
    made(where, tmp_path, sm3=True)
    assert standalone.check(str(tmp_path / "case.zip")).defects == []
    head = HeadsFile(tmp_path / "custody").read()[-1].head
    with zipfile.ZipFile(tmp_path / "case.zip") as file:
        tree = json.loads(file.read("entries.jsonl").splitlines()[0])
    leaf = hashlib.new("sm3", b"\0" + tree["entry"].encode()).digest()
    path = [bytes.fromhex(each) for each in tree["path_sm3"]]
    assert head.root_sm3 is not None
    assert standalone.is_included(leaf, tree["seq"], head.size, path, head.root_sm3, "sm3")


def flip(path: Path, at: int = -1) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def a_recording(folder: Path) -> Path:
    return min((folder / "recordings").iterdir())


def a_file(folder: Path) -> Path:
    return next((folder / "files").iterdir())


def reindex(folder: Path, signer: Signer | None = None) -> None:
    """The index made to fit what is there; signed anew with a key, if there is one."""
    index = json.loads((folder / "index.json").read_bytes())
    index["files"] = [
        {
            "path": path.relative_to(folder).as_posix(),
            "size_bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("index.json", "index.sig")
    ]
    raw = standalone.canonical(index)
    (folder / "index.json").write_bytes(raw)
    if signer is not None:
        text = f"onrecord/{index['log_id']} export\n{hashlib.sha256(raw).hexdigest()}\n"
        (folder / "index.sig").write_text(checkpoint.sign_text(index["log_id"], text, signer), encoding="utf-8")


def drop_line(path: Path, number: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[number]
    path.write_bytes(b"".join(lines))


def change_entry(folder: Path) -> None:
    path = folder / "entries.jsonl"
    raw = path.read_text(encoding="utf-8")
    assert "过期" in raw
    path.write_text(raw.replace("过期", "新鲜"), encoding="utf-8")
    shown = folder / "timeline.json"
    shown.write_text(shown.read_text(encoding="utf-8").replace("过期", "新鲜"), encoding="utf-8")


def double_entry(folder: Path) -> None:
    for name in ("entries.jsonl", "timeline.json"):
        path = folder / name
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*lines[:2], lines[1], *lines[2:]]))


def show_more(folder: Path) -> None:
    path = folder / "timeline.json"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-2], lines[-2].rstrip() + b",\n", lines[-2], lines[-1]]))


def other_signature(folder: Path) -> None:
    """Of the final head, in its form."""
    path = a_recording(folder) / "manifest.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    head = json.loads(lines[-1])
    head["signature"] = json.loads(lines[1])["signature"]
    path.write_bytes(b"".join(lines[:-1]) + standalone.canonical(head) + b"\n")


def cut_short(folder: Path) -> None:
    path = a_recording(folder) / "0001.mp4"
    path.write_bytes(path.read_bytes()[:-1])


def exchange_segments(folder: Path) -> None:
    """A segment of another recording in the place of one of this."""
    one, other = sorted((folder / "recordings").iterdir())
    shutil.copy(other / "0001.mp4", one / "0001.mp4")
    flip(one / "0001.mp4")


def other_root(folder: Path) -> None:
    """The head of another tree: its root hash, a line of base64, differs in its first sign."""
    lines = (folder / "head.txt").read_bytes().split(b"\n")
    lines[2] = (b"B" if lines[2][:1] == b"A" else b"A") + lines[2][1:]
    (folder / "head.txt").write_bytes(b"\n".join(lines))


TAMPERED: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: flip(a_recording(folder) / "0001.mp4"), "hash_differs"),
    (lambda folder: flip(a_recording(folder) / "manifest.jsonl", 100), "line_malformed"),
    (lambda folder: drop_line(a_recording(folder) / "manifest.jsonl", -1), "not_ended"),
    (lambda folder: drop_line(a_recording(folder) / "manifest.jsonl", 2), "chain_broken"),
    (lambda folder: (a_recording(folder) / "0001.mp4").unlink(), "file_missing"),
    (lambda folder: (a_recording(folder) / "0009.mp4").write_bytes(b"x"), "file_added"),
    (lambda folder: shutil.rmtree(a_recording(folder)), "file_missing"),
    (exchange_segments, "hash_differs"),
    (change_entry, "entry_unproved"),
    (lambda folder: drop_line(folder / "entries.jsonl", 3), "timeline_differs"),
    (lambda folder: drop_line(folder / "timeline.json", 3), "timeline_differs"),
    (double_entry, "entry_doubled"),
    (show_more, "timeline_differs"),
    (other_signature, "signature_wrong"),
    (cut_short, "size_differs"),
    (lambda folder: flip(folder / "timeline.html", 2000), "hash_differs"),
    (other_root, "head_unsigned"),
    (lambda folder: (folder / "head.txt").unlink(), "file_missing"),
    (lambda folder: (folder / "index.sig").unlink(), "file_missing"),
    (lambda folder: (folder / "more.txt").write_text("x"), "file_added"),
    (lambda folder: (folder / "recordings" / "link").symlink_to("/etc/passwd"), "not_a_file"),
    (lambda folder: flip(folder / "README.txt"), "hash_differs"),
]


@pytest.mark.parametrize(("act", "defect"), TAMPERED)
def test_whatever_is_changed_is_named_also_where_the_index_was_made_to_fit(
    folder: Path, act: Callable[[Path], object], defect: str
) -> None:
    act(folder)
    found = named(folder)
    assert found
    if defect not in ("hash_differs", "size_differs", "file_missing", "file_added", "not_a_file"):
        reindex(folder)
        fitted = named(folder)
        assert {defect, "index_differs"} <= fitted
    else:
        assert defect in found


@pytest.mark.parametrize(
    ("act", "defect"),
    [
        (change_entry, "entry_unproved"),
        (lambda folder: flip(a_recording(folder) / "0001.mp4"), "hash_differs"),
        (lambda folder: (a_recording(folder) / "0009.mp4").write_bytes(b"x"), "file_added"),
        (lambda folder: shutil.rmtree(a_recording(folder)), "file_missing"),
        (lambda folder: drop_line(a_recording(folder) / "manifest.jsonl", -1), "not_ended"),
        (lambda folder: flip(a_file(folder)), "hash_differs"),
        (lambda folder: a_file(folder).unlink(), "file_missing"),
        (lambda folder: (folder / "files" / ("a" * 64)).write_bytes(b"x"), "file_added"),
    ],
)
def test_whoever_can_sign_the_index_anew_still_cannot_change_what_the_log_and_the_manifests_hold(
    whole: Path, folder: Path, act: Callable[[Path], object], defect: str
) -> None:
    act(folder)
    reindex(folder, Signer.load(whole.parent / "keys"))
    assert defect in named(folder)


@pytest.mark.parametrize(
    ("act", "defects"),
    [
        (by_the_key, {"recording_differs", "segment_differs", "segment_missing"}),
        (with_one_more, {"segment_untold"}),
        (bit, {"hash_differs"}),
        (segment_gone, {"file_missing"}),
        (gone, {"recording_missing", "file_missing"}),
        (cut, {"not_ended", "segment_missing"}),
        (slip_file, {"file_added"}),
        (lambda data: next((data / "files").glob("*/*")).unlink(), {"file_missing"}),
        (other_photo, {"hash_differs"}),
    ],
)
def test_what_was_wrong_with_the_originals_before_is_exported_as_it_is_and_named(
    tmp_path: Path, act: Callable[[Path], object], defects: set[str]
) -> None:
    anyio.run(record, StoreSettings(), tmp_path)
    act(tmp_path)
    done = anyio.run(console.export, StoreSettings(), tmp_path, NUMBER, tmp_path / "case.zip", "tester")
    assert defects <= {each[1] for each in standalone.check(str(tmp_path / "case.zip")).defects}
    known = defects - {"recording_differs", "segment_differs", "segment_missing", "segment_untold"}
    assert (done.defects > 0) == bool(known)


def test_recordings_that_the_index_does_not_name_are_named(whole: Path, folder: Path) -> None:
    index = json.loads((folder / "index.json").read_bytes())
    (folder / "index.json").write_bytes(standalone.canonical({**index, "recordings": []}))
    reindex(folder, Signer.load(whole.parent / "keys"))
    found = {(each[0].count("/"), each[1]) for each in standalone.check(str(folder)).defects}
    assert found == {(1, "file_added"), (1, "recording_missing")}


@pytest.mark.parametrize(
    ("recording_id", "line_count", "defect"), [("rec_x", 0, "foreign_head"), ("", 7, "lines_missing")]
)
def test_a_manifest_whose_heads_are_of_another_recording_or_of_other_lines_is_named(
    whole: Path, folder: Path, recording_id: str, line_count: int, defect: str
) -> None:
    path = a_recording(folder) / "manifest.jsonl"
    signer = Signer.load(whole.parent / "keys")
    parsed = [lines.parse(line) for line in path.read_bytes().splitlines(keepends=True)]
    first = parsed[0]
    assert isinstance(first, RecordingLine)
    chain = Chain(recording_id or first.recording_id, signer, line_count=line_count)
    raw = chain.begin(first, first.started_at)
    for line in parsed:
        if isinstance(line, SegmentLine):
            raw += chain.add(line, first.started_at)
    path.write_bytes(raw + chain.end("ended", (), first.started_at))
    reindex(folder, signer)
    assert named(folder) == {defect}


def test_an_index_that_was_signed_for_another_log_is_named(whole: Path, folder: Path) -> None:
    signer = Signer.load(whole.parent / "keys")
    digest = hashlib.sha256((folder / "index.json").read_bytes()).hexdigest()
    other = "0" * 16
    note = checkpoint.sign_text(other, f"onrecord/{other} export\n{digest}\n", signer)
    (folder / "index.sig").write_text(note, encoding="utf-8")
    assert named(folder) == {"index_differs"}


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    anyio.run(record, StoreSettings(), tmp_path)
    (tmp_path / "keys" / "x.pub.pem").mkdir()  # cannot be read as a file
    with pytest.raises(EvidenceError):
        anyio.run(console.export, StoreSettings(), tmp_path, NUMBER, tmp_path / "case.zip", "tester")
    assert not list(tmp_path.glob("case.zip*"))


def test_an_export_signed_by_another_key_is_whole_by_itself_and_refused_by_the_key_that_was_got_elsewhere(
    whole: Path, tmp_path: Path
) -> None:
    """What cannot be told without a key of one's own is said: whose key it is."""
    other = tmp_path / "other"
    other.mkdir()
    made(StoreSettings(), other)
    (ours,) = (whole.parent / "keys").glob("*.pub.pem")
    assert standalone.check(str(other / "case.zip")).defects == []
    found = {each[1] for each in standalone.check(str(other / "case.zip"), read_public_keys(ours)).defects}
    assert {"head_unsigned", "index_unsigned", "key_untrusted"} <= found


def test_an_entry_of_another_case_is_named_though_it_is_proved(whole: Path, folder: Path) -> None:
    data = whole.parent
    anyio.run(console.export, StoreSettings(), data, "2", folder / "two.zip", "tester")
    with zipfile.ZipFile(folder / "two.zip") as file:
        foreign, shown = file.read("entries.jsonl"), file.read("timeline.json").splitlines()[1]
    (folder / "two.zip").unlink()
    entries, timeline = folder / "entries.jsonl", folder / "timeline.json"
    entries.write_bytes(entries.read_bytes() + foreign.splitlines(keepends=True)[0])
    lines = timeline.read_bytes().splitlines()
    timeline.write_bytes(b"\n".join([*lines[:-2], lines[-2] + b",", shown.rstrip(b","), b"]", b""]))
    reindex(folder, Signer.load(data / "keys"))
    assert {"entry_foreign", "entry_missing"} <= named(folder)


@pytest.mark.parametrize("name", ["../out.txt", "/etc/x", "a\\b", "recordings/../x", "INDEX.JSON", "a\u202eb"])
def test_a_name_that_leads_elsewhere_or_hides_is_named(whole: Path, tmp_path: Path, name: str) -> None:
    bad = tmp_path / "bad.zip"
    shutil.copy(whole, bad)
    with zipfile.ZipFile(bad, "a") as file:
        file.writestr(name, "x")
    assert {"name_unsafe", "file_added"} <= {each[1] for each in standalone.check(str(bad)).defects}


def test_doubled_packed_and_linked_entries_of_a_zip_are_named(whole: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.zip"
    shutil.copy(whole, bad)
    with zipfile.ZipFile(bad, "a") as file:
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("README.txt", "another")
        file.writestr("bomb.txt", bytes(50_000_000), zipfile.ZIP_DEFLATED)
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
    found = {(each[0], each[1]) for each in standalone.check(str(bad)).defects}
    assert {("README.txt", "file_added"), ("bomb.txt", "not_a_file"), ("link", "not_a_file")} <= found


def test_what_is_no_export_cannot_be_told(tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_bytes(b"no zip at all")
    assert standalone.main([str(tmp_path / "no.zip")]) == 2
    (tmp_path / "empty").mkdir()
    assert standalone.main([str(tmp_path / "empty")]) == 2
    assert standalone.main([str(tmp_path / "nowhere")]) == 2
    assert standalone.main(["--what"]) == 2


def test_hostile_bytes_anywhere_are_answered_with_a_verdict(whole: Path, tmp_path: Path) -> None:
    """Never a traceback: 400 zips with bytes flipped, cut or put in."""
    raw = whole.read_bytes()
    with zipfile.ZipFile(whole) as file:
        small = [info for info in file.infolist() if not info.filename.endswith(".mp4")]
        spans = [(info.header_offset, info.file_size + 200) for info in small]
    chance = random.Random(11)
    bad = tmp_path / "bad.zip"
    verdicts = set()
    for _ in range(int(os.environ.get("ONRECORD_TEST_FUZZ", "60"))):
        data = bytearray(raw)
        low, length = chance.choice([*spans, (len(raw) - 3000, 3000)])
        for _ in range(chance.choice((1, 1, 3, 20))):
            data[min(low + chance.randrange(length), len(data) - 1)] = chance.randrange(256)
        if chance.random() < 0.2:
            del data[chance.randrange(len(data)) :]
        bad.write_bytes(data)
        verdicts.add(standalone.main([str(bad)]))
    assert verdicts <= {0, 1, 2}  # 0: a byte of a zip's own header that nobody reads
    assert 1 in verdicts


HOSTILE = [
    b"[" * 100_000, b"1" * 100_000, b'{"format":' + b"9" * 5000 + b"}", b'"\\ud800"', b"\xff\xfe", b"NaN", b"{}", b"[]",
    b'{"files":7,"format":"onrecord-export","recordings":"x","version":1}',
    b'{"case":7,"files":[7,{"path":7}],"format":"onrecord-export","recordings":[7,{"recording_id":"r"}],"version":1}',
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HOSTILE)))
@pytest.mark.parametrize("name", ["index.json", "index.sig", "head.txt", "entries.jsonl", "timeline.json", "manifest"])
def test_hostile_texts_anywhere_are_answered_with_defects(folder: Path, whole: Path, name: str, number: int) -> None:
    path = a_recording(folder) / "manifest.jsonl" if name == "manifest" else folder / name
    path.write_bytes(HOSTILE[number] + b"\n")
    if name != "index.json":
        reindex(folder, None if name == "index.sig" else Signer.load(whole.parent / "keys"))
    assert standalone.check(str(folder)).defects


VECTORS = [json.loads(line) for line in (HERE / "ed25519.jsonl").read_text().splitlines()]


def test_signatures_are_checked_as_the_vectors_say() -> None:
    """Project Wycheproof's ed25519_test.json, 210 signatures. Those it calls acceptable have keys of odd orders."""
    assert len(VECTORS) == 210
    wrong = [
        comment
        for key, message, signature, result, comment in VECTORS
        if result != "acceptable"
        and standalone.is_signed(bytes.fromhex(key), bytes.fromhex(signature), bytes.fromhex(message))
        != (result == "valid")
    ]
    assert wrong == []


def test_a_point_has_one_form() -> None:
    assert all(standalone._point((2**255 - 19 + y).to_bytes(32, "little")) is None for y in range(19))


def test_keys_of_small_order_and_other_forms_of_a_key_sign_nothing() -> None:
    """With such a key a signature of zeros would fit every text. Encodings: RFC 8032, 5.1.3."""
    order_1 = (1).to_bytes(32, "little")
    order_2 = (2**255 - 20).to_bytes(32, "little")
    order_4 = bytes(32)
    order_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
    other_form = (2**255 - 18).to_bytes(32, "little")  # 1, written as p + 1
    for key in (order_1, order_2, order_4, order_8, other_form):
        assert not standalone.is_signed(key, order_1 + bytes(32), b"anything")
        assert not standalone.is_signed(key, key + bytes(32), b"anything")
