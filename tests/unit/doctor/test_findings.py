"""How the doctor judges what it is told: time services, room, speed, versions, folders."""

from pathlib import Path

import pytest

from api.doctor import worst
from api.doctor.finding import Finding, Verdict, ok, warning
from api.doctor.machine import chrony_offset_s, ntpd_offset_s
from api.doctor.program import certificates, packages
from api.doctor.storage import disk_speed, folder, space
from pipeline.settings import ApiSettings, RecordSettings, Settings
from tests.certificates import Authority, Pair

CHRONY = """Reference ID    : C0A80001 (192.168.0.1)
Stratum         : 3
System time     : 0.000412 seconds {way} of NTP time
Last offset     : +0.000012345 seconds
Leap status     : {leap}
"""


@pytest.mark.parametrize(
    ("way", "leap", "offset_s"),
    [("fast", "Normal", 0.000412), ("slow", "Normal", -0.000412), ("slow", "Not synchronised", None)],
)
def test_chrony_is_believed_where_it_is_synchronised(way: str, leap: str, offset_s: float | None) -> None:
    assert chrony_offset_s(CHRONY.format(way=way, leap=leap)) == offset_s


@pytest.mark.parametrize(
    ("said", "offset_s"),
    [("leap=00, offset=-1.500", -0.0015), ("offset=2.0, leap=11", None), ("ntpq: read: refused", None)],
)
def test_ntpd_is_believed_where_it_is_synchronised(said: str, offset_s: float | None) -> None:
    assert ntpd_offset_s(said) == offset_s


def test_room_is_told_in_hours_of_the_streams_asked_for(tmp_path: Path) -> None:
    few = space(Settings(data=tmp_path), 1)
    many = space(Settings(data=tmp_path), 1_000_000)
    full = space(Settings(data=tmp_path, record=RecordSettings(min_free_bytes=1 << 60)), 1)
    assert "h of 1 streams at 2 Mbit/s" in few.found
    assert (many.verdict, full.verdict) == (Verdict.WARNING, Verdict.ERROR)


def test_a_disk_is_tried_without_a_file_left_behind_and_measured_against_the_streams(tmp_path: Path) -> None:
    sync, rate = disk_speed(Settings(data=tmp_path), 1_000_000)
    assert "p95" in sync.found
    assert rate.verdict is Verdict.WARNING
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_others_may_read_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert folder(tmp_path).verdict is Verdict.WARNING
    tmp_path.chmod(0o750)
    assert folder(tmp_path).verdict is Verdict.OK
    (tmp_path / "file").touch()
    assert folder(tmp_path / "file").verdict is Verdict.ERROR


def test_a_package_of_another_version_than_the_locked_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("anyio==0.0.1 \\\n    --hash=sha256:0\nnot-here==1.0\n")
    found = packages(lock)
    assert found.verdict is Verdict.WARNING
    assert "locked 0.0.1" in found.found
    assert "not-here" not in found.found
    assert packages(tmp_path / "none").verdict is Verdict.CANNOT_TELL


def test_the_worst_finding_is_the_verdict_and_cannot_tell_is_no_error() -> None:
    doubt = Finding("clock", Verdict.CANNOT_TELL, "")
    assert worst([ok("a", ""), doubt]) is Verdict.CANNOT_TELL
    assert worst([doubt, warning("b", "", "", "")]) is Verdict.WARNING
    assert worst([ok("a", "")]) is Verdict.OK


@pytest.mark.parametrize(
    ("days", "mode", "verdict"),
    [
        (90, 0o600, Verdict.OK),
        (10, 0o600, Verdict.WARNING),
        (-1, 0o600, Verdict.ERROR),
        (90, 0o644, Verdict.WARNING),
    ],
)
def test_a_certificate_is_judged_by_its_end_and_the_mode_of_its_key(
    tmp_path: Path, days: int, mode: int, verdict: Verdict
) -> None:
    assert _judged(Authority().pair(days=days), tmp_path, mode) is verdict


def test_a_certificate_with_the_key_of_another_one_is_an_error(tmp_path: Path) -> None:
    authority = Authority()
    pair = Pair(authority.pair().certificate, authority.pair().key)
    assert _judged(pair, tmp_path, 0o600) is Verdict.ERROR


def _judged(pair: Pair, folder: Path, mode: int) -> Verdict:
    certificate, key = pair.write(folder)
    key.chmod(mode)
    api, _ = certificates(Settings(data=folder, api=ApiSettings(tls_certificate=certificate, tls_key=key)))
    return api.verdict
