"""The signing key on disk."""

import stat
from pathlib import Path

import pytest

from pipeline.errors import EvidenceError, StorageError
from pipeline.record.signing import Signer, is_signed, read_public_keys, rotate


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    first, again = Signer.load(tmp_path / "keys"), Signer.load(tmp_path / "keys")
    assert first.key_id == again.key_id
    assert stat.S_IMODE((tmp_path / "keys" / "signing.pem").stat().st_mode) == 0o600
    assert is_signed(first.public_key, again.sign(b"x"), b"x")
    assert not is_signed(first.public_key, again.sign(b"x"), b"y")


def test_old_public_keys_stay_and_lead_to_the_new_one(tmp_path: Path) -> None:
    old = Signer.load(tmp_path)
    new = rotate(tmp_path, "2026-11-23T00:00:00.000Z")
    assert read_public_keys(tmp_path / f"{old.key_id}.pub.pem") == (old.public_key,)
    assert read_public_keys(tmp_path / f"{new.key_id}.pub.pem") == (new.public_key,)
    (change,) = Signer.load(tmp_path).way_from(old.key_id)
    assert is_signed(old.public_key, change.signature, change.signed_bytes())
    assert change.new_public_key == new.public_key


def test_a_broken_key_or_folder_is_told_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "signing.pem").write_text("no key")
    with pytest.raises(EvidenceError, match="backup"):
        Signer.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="writable"):
        Signer.load(tmp_path / "file" / "keys")
