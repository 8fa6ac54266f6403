"""What recovery keeps of a torn file."""

import struct
from pathlib import Path

import pytest

from pipeline import fmp4
from pipeline.errors import BoxMalformed
from pipeline.record.scan import scan
from tests.unit.record.material import fragments, recorded


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = recorded(tmp_path_factory.mktemp("scan"), 1.15)
    return (folder / "0000.mp4").read_bytes()


def test_a_cut_at_every_byte_of_the_last_64_kib_keeps_every_whole_fragment(raw: bytes) -> None:
    ends = [info.offset + info.size_bytes for info in fmp4.walk(raw, fmp4.init_size(raw))]
    for cut in range(len(raw) - 65536, len(raw) + 1):
        whole = max((end for end in ends if end <= cut), default=0)
        assert scan(raw[:cut]).end == whole


def test_the_quick_scan_agrees_with_the_reader_of_fragments(raw: bytes) -> None:
    found = scan(raw)
    infos = list(fmp4.walk(raw, fmp4.init_size(raw)))
    assert found.end == infos[-1].offset + infos[-1].size_bytes == len(raw)
    assert found.first_pts_s == 0.0
    assert found.last_pts_s == max(fragment.pts_s for fragment in fragments(1.15))
    assert not found.holes


def test_zero_filled_pages_in_the_tail_are_not_kept(raw: bytes) -> None:
    for start in range(len(raw) - 20480, len(raw), 512):
        aligned = start - start % 512
        torn = raw[:aligned] + bytes(len(raw) - aligned)
        assert scan(torn).end <= aligned
        hole = raw[:aligned] + bytes(512) + raw[aligned + 512 :]
        assert scan(hole).end <= aligned


def test_garbage_in_the_length_fields_is_not_kept(raw: bytes) -> None:
    infos = [info for info in fmp4.walk(raw, fmp4.init_size(raw)) if info.track_id == 1]
    last = infos[-1]
    place = last.offset + fmp4.HEAD_BYTES
    torn = raw[:place] + struct.pack(">I", last.sample_size) + raw[place + 4 :]
    assert scan(torn).end == last.offset


def test_a_stream_that_breaks_the_rule_everywhere_is_not_cut_for_it(tmp_path: Path) -> None:
    raw = bytearray((recorded(tmp_path, 1.15) / "0000.mp4").read_bytes())
    for info in fmp4.walk(bytes(raw), fmp4.init_size(bytes(raw))):
        raw[info.offset + info.size_bytes - 1] = 0
    assert scan(bytes(raw)).end == len(raw)


def test_a_file_without_a_whole_init_segment_holds_nothing(raw: bytes) -> None:
    init = fmp4.init_size(raw)
    for cut in range(init):
        with pytest.raises(BoxMalformed):
            scan(raw[:cut])
    assert scan(raw[:init]).end == 0


def test_damage_in_the_middle_is_told_from_a_torn_end(tmp_path: Path) -> None:
    """More media behind a break than can have been un-synced: nothing may be cut."""
    import anyio

    from pipeline.settings import RecordSettings
    from tests.unit.record.material import BrokenDisk, Site

    site = Site(tmp_path, RecordSettings(segment_s=60.0, min_free_bytes=0), BrokenDisk())
    anyio.run(site.record, list(fragments(8.0)))
    raw = (site.folder / "0000.mp4").read_bytes()
    infos = list(fmp4.walk(raw, fmp4.init_size(raw)))
    place = infos[100].offset + 6
    broken = raw[:place] + b"X" + raw[place + 1 :]
    found = scan(broken)
    assert found.is_damaged
    assert found.end == infos[100].offset
