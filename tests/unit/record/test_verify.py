"""The verifier finds and names whatever was changed."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline import fmp4
from pipeline.media import Ended, Gap, GapCause
from pipeline.record import lines, verify
from pipeline.record.chain_check import check_chain
from pipeline.record.file_check import check_data
from pipeline.record.signing import Signer, rotate
from tests.unit.record.material import SIGNER, BrokenDisk, Site, contents, fragments, recorded


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / whole.name)


def defects(folder: Path) -> set[tuple[str, str]]:
    return {(each.file, each.defect) for each in verify.verify(folder).defects}


def test_a_whole_recording_is_whole(whole: Path) -> None:
    report = verify.verify(whole, (SIGNER.public_key,))
    assert report.exit_code == 0
    assert set(report.verdicts.values()) == {verify.Verdict.VALID}
    assert len(report.verdicts) == 5


def test_every_flipped_bit_of_a_manifest_is_found(tmp_path: Path) -> None:
    """Exhaustive: all bits of all lines of a recording of one segment."""
    raw = bytearray((recorded(tmp_path, 0.4) / "manifest.jsonl").read_bytes())
    assert not check_chain(bytes(raw), ()).defects
    for place in range(len(raw)):
        for bit in range(8):
            raw[place] ^= 1 << bit
            assert check_chain(bytes(raw), ()).defects, (place, bit)
            raw[place] ^= 1 << bit


def test_a_flipped_bit_in_every_byte_of_a_segment_is_found(tmp_path: Path) -> None:
    """Every byte of 30 KB, each in another bit, and all bits of the init segment and the first head.

    All bits of all bytes were tried once by hand (131,000 flips, 11 s); the hash makes them alike.
    """
    folder = recorded(tmp_path, 0.4)
    (line,) = check_chain((folder / "manifest.jsonl").read_bytes(), ()).segments
    raw = bytearray((folder / line.file).read_bytes())
    assert len(raw) > 20_000
    assert not check_data(bytes(raw), line, None)
    dense = fmp4.init_size(bytes(raw)) + fmp4.HEAD_BYTES
    for place in range(len(raw)):
        for bit in range(8) if place < dense else (place % 8,):
            raw[place] ^= 1 << bit
            assert check_data(bytes(raw), line, None), (place, bit)
            raw[place] ^= 1 << bit


def test_a_flipped_bit_anywhere_in_the_folder_is_named_with_its_file(copy: Path) -> None:
    chance = random.Random(1)
    for _ in range(150):
        path = chance.choice(sorted(copy.iterdir()))
        raw = path.read_bytes()
        place = chance.randrange(len(raw))
        broken = bytearray(raw)
        broken[place] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        report = verify.verify(copy)
        assert report.exit_code == 1
        assert path.name in {each.file for each in report.defects}
        path.write_bytes(raw)


def _swap(folder: Path) -> None:
    first, second = (folder / "0001.mp4").read_bytes(), (folder / "0002.mp4").read_bytes()
    (folder / "0001.mp4").write_bytes(second)
    (folder / "0002.mp4").write_bytes(first)


def _drop_line(number: int) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        rows = (folder / "manifest.jsonl").read_bytes().splitlines(keepends=True)
        del rows[number]
        (folder / "manifest.jsonl").write_bytes(b"".join(rows))

    return act


def _swap_lines(folder: Path) -> None:
    rows = (folder / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    rows[2:4], rows[4:6] = rows[4:6], rows[2:4]
    (folder / "manifest.jsonl").write_bytes(b"".join(rows))


ATTACKS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "segment removed": (lambda f: (f / "0002.mp4").unlink(), "0002.mp4", "file_missing"),
    "segment renamed": (lambda f: (f / "0002.mp4").rename(f / "0009.mp4"), "0009.mp4", "file_added"),
    "file added": (lambda f: (f / "note.txt").write_text("x"), "note.txt", "file_added"),
    "segments swapped": (_swap, "0001.mp4", "foreign_segment"),
    "tail cut": (lambda f: _resize(f / "0003.mp4", -7), "0003.mp4", "size_differs"),
    "data added": (lambda f: _resize(f / "0003.mp4", 7), "0003.mp4", "malformed"),
    "link": (lambda f: _link(f / "0001.mp4"), "0001.mp4", "not_a_file"),
    "manifest removed": (lambda f: (f / "manifest.jsonl").unlink(), "manifest.jsonl", "file_missing"),
    "first line removed": (_drop_line(0), "manifest.jsonl", "line_out_of_place"),
    "segment line removed": (_drop_line(4), "manifest.jsonl", "chain_broken"),
    "head removed": (_drop_line(5), "manifest.jsonl", "unsigned"),
    "final head removed": (_drop_line(-1), "manifest.jsonl", "not_ended"),
    "lines swapped": (_swap_lines, "manifest.jsonl", "chain_broken"),
}


def _resize(path: Path, by: int) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:by] if by < 0 else raw + bytes(by))


def _link(path: Path) -> None:
    target = path.rename(path.parent.parent / "elsewhere.mp4")
    path.symlink_to(target)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_named(name: str, copy: Path) -> None:
    act, file, defect = ATTACKS[name]
    act(copy)
    report = verify.verify(copy)
    assert report.exit_code == 1
    assert (file, defect) in defects(copy)


@pytest.mark.parametrize("count", [2, 4, 6])
def test_a_manifest_cut_after_a_head_is_incomplete_and_its_files_are_unclosed(count: int, copy: Path) -> None:
    path = copy / "manifest.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:count]))
    report = verify.verify(copy)
    assert ("manifest.jsonl", "not_ended") in defects(copy)
    assert report.verdicts["0004.mp4"] is verify.Verdict.UNCLOSED


def test_a_segment_of_another_recording_is_foreign(copy: Path, tmp_path: Path) -> None:
    other = recorded(tmp_path / "other")
    shutil.copyfile(other / "0001.mp4", copy / "0001.mp4")
    assert ("0001.mp4", "foreign_segment") in defects(copy)


def test_a_head_signed_by_another_key_is_not_trusted(copy: Path) -> None:
    stranger = Signer.of(Ed25519PrivateKey.generate())
    report = verify.verify(copy, (stranger.public_key,))
    assert {each.defect for each in report.defects} == {"key_untrusted"}


def test_a_manifest_signed_anew_by_a_stranger_is_found_with_the_trusted_key(copy: Path, tmp_path: Path) -> None:
    forged = Site(tmp_path / "forged", disk=BrokenDisk(), signer=Signer.of(Ed25519PrivateKey.generate()))
    anyio.run(forged.record, list(fragments(2.0)))
    assert verify.verify(forged.folder).exit_code == 0
    assert verify.verify(forged.folder, (SIGNER.public_key,)).exit_code == 1


def test_a_rotated_key_is_trusted_through_the_old_one(tmp_path: Path) -> None:
    old = Signer.load(tmp_path / "keys")
    new = rotate(tmp_path / "keys", "2026-11-23T00:00:00.000Z")
    assert new.key_id == Signer.load(tmp_path / "keys").key_id != old.key_id
    (change,) = new.way_from(old.key_id)
    head = lines.HeadLine("", "r", 0, "", False, None, (), (change,), new.key_id, new.public_key, b"")
    signed = lines.encode(head.with_signature(new.sign(head.signed_bytes())))
    assert "key_untrusted" not in {each.defect for each in check_chain(signed, (old.public_key,)).defects}
    bare = lines.HeadLine("", "r", 0, "", False, None, (), (), new.key_id, new.public_key, b"")
    alone = lines.encode(bare.with_signature(new.sign(bare.signed_bytes())))
    assert "key_untrusted" in {each.defect for each in check_chain(alone, (old.public_key,)).defects}


def test_a_hole_without_a_gap_is_named(tmp_path: Path) -> None:
    """Two honest segments with time missing between them: the insider's recorder left the gap out."""
    site = Site(tmp_path, disk=BrokenDisk())

    async def act() -> None:
        recording = site.open()
        for fragment in fragments(2.0):
            recording.offer(fragment)
        recording.offer(Gap(2.0, 6.0, GapCause.PUBLISHER_LOST))
        for fragment in fragments(2.0, start_s=6.0, sequence=1000):
            recording.offer(fragment)
        await site.finish(recording)

    anyio.run(act)
    assert verify.verify(site.folder).exit_code == 0
    checked = check_chain((site.folder / "manifest.jsonl").read_bytes(), ())
    bare = [line for line in checked.segments if line.gaps]
    assert len(bare) == 1
    report = verify.Report()
    verify.check_coverage([line for line in checked.segments if not line.gaps], None, report)
    assert [each.defect for each in report.defects] == ["hole"]


def test_a_second_moov_or_an_unknown_box_is_malformed(whole: Path) -> None:
    line = check_chain((whole / "manifest.jsonl").read_bytes(), ()).segments[0]
    raw = (whole / line.file).read_bytes()
    init = fmp4.init_size(raw)
    for extra in (raw[:init], b"\x00\x00\x00\x0cfreeabcd"):
        for place in (init, len(raw)):
            forged = raw[:place] + extra + raw[place:]
            assert "malformed" in {each.defect for each in check_data(forged, line, None)}


def test_no_recording_folder_cannot_be_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(tmp_path, None) == 2
    assert verify.main(tmp_path / "nowhere", None) == 2
    assert not capsys.readouterr().out


def test_a_running_recording_is_incomplete(tmp_path: Path) -> None:
    site = Site(tmp_path, disk=BrokenDisk())

    async def act() -> None:
        recording = site.open()
        for fragment in fragments(2.0):
            recording.offer(fragment)
        await site.recorder.commit()

    anyio.run(act)
    report = verify.verify(site.folder)
    assert report.exit_code == 1
    assert sorted(map(str, report.verdicts.values())) == ["UNCLOSED", "VALID"]


def test_the_folder_alone_is_enough(whole: Path, copy: Path) -> None:
    assert contents(whole) == contents(copy)
    assert verify.verify(copy).exit_code == 0


def test_ended_is_needed_only_once(tmp_path: Path) -> None:
    site = Site(tmp_path, disk=BrokenDisk())

    async def act() -> None:
        recording = await site.record(fragments(1.0))
        recording.offer(Ended())

    anyio.run(act)
    assert verify.verify(site.folder).exit_code == 0
