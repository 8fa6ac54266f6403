"""Keys: what is sealed opens for its own person and thing alone, and for nobody once its key is destroyed."""

import json
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select

from cases.backup import backup
from cases.faces import switch
from cases.faces.vault import Vault
from cases.store.tables import face_suggestions, face_templates
from pipeline.errors import EvidenceError, StorageError, ThingUnknown
from pipeline.record.signing import Signer
from pipeline.settings import StoreSettings
from tests.unit.cases.faces.made import Site, face, site


def run(data: Path, test: Callable[[Site], Awaitable[None]]) -> None:
    async def whole() -> None:
        with anyio.fail_after(120):
            async with site(StoreSettings(), data) as made:
                await test(made)

    anyio.run(whole)


def made(folder: Path) -> tuple[Vault, bytes]:
    vault = Vault(folder)
    vault.make_key("g1", "p1")
    return vault, vault.seal("g1", "p1", "vector t1", b"a face")


def test_sealed_bytes_open_for_their_person_and_thing_alone(tmp_path: Path) -> None:
    vault, sealed = made(tmp_path)
    vault.make_key("g1", "p2")
    assert b"a face" not in sealed
    assert vault.open("g1", "p1", "vector t1", sealed) == b"a face"
    for person, name, raw in (
        ("p2", "vector t1", sealed), ("p1", "vector t2", sealed), ("p1", "vector t1", sealed[:-1] + b"x"),
        ("p1", "vector t1", b""),
    ):  # fmt: skip
        with pytest.raises(EvidenceError):
            vault.open("g1", person, name, raw)
    assert vault.open_many("g1", [("p1", "vector t1", sealed), ("p3", "vector t1", sealed)]) == [b"a face", None]


def test_keys_are_files_of_their_owner_alone(tmp_path: Path) -> None:
    made(tmp_path / "keys")
    for path in (tmp_path / "keys").rglob("*"):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_a_new_master_key_opens_what_the_old_one_wrapped_and_the_old_one_is_gone(tmp_path: Path) -> None:
    vault, sealed = made(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.glob("master-*.key")}
    wrapped = (tmp_path / "g1" / "gallery.key").read_bytes()
    rotated = vault.rotate()
    assert rotated.galleries == 1
    assert vault.open("g1", "p1", "vector t1", sealed) == b"a face"
    after = list(tmp_path.glob("master-*.key"))
    assert len(after) == 1
    assert after[0] not in before
    assert (tmp_path / "g1" / "gallery.key").read_bytes() != wrapped
    assert [each.after for each in vault.rotations()] == [rotated.after]
    vault.make_key("g2", "p9")
    assert vault.seal("g2", "p9", "x", b"y")


def test_a_destroyed_key_opens_nothing_and_is_not_made_anew(tmp_path: Path) -> None:
    vault, sealed = made(tmp_path)
    vault.make_key("g1", "p2")
    assert vault.shred_person("g1", "p1")
    assert not vault.shred_person("g1", "p1")
    with pytest.raises(ThingUnknown):
        vault.open("g1", "p1", "vector t1", sealed)
    with pytest.raises(ThingUnknown):
        vault.seal("g1", "p1", "shot", b"x")
    assert vault.shred_gallery("g1")
    assert vault.galleries() == []
    with pytest.raises(ThingUnknown):
        vault.open("g1", "p2", "x", sealed)


def test_the_bytes_of_a_destroyed_key_are_overwritten_before_it_is_unlinked(tmp_path: Path) -> None:
    vault, _ = made(tmp_path)
    path = tmp_path / "g1" / "p1.key"
    twin = tmp_path / "twin"
    twin.hardlink_to(path)
    raw = path.read_bytes()
    vault.shred_person("g1", "p1")
    assert len(twin.read_bytes()) == len(raw)
    assert twin.read_bytes() != raw
    with pytest.raises((ValueError, UnicodeDecodeError)):
        json.loads(twin.read_bytes())


def test_a_full_disk_leaves_no_half_key_and_keys_can_still_be_destroyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, sealed = made(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        for act in (lambda: vault.make_key("g1", "p2"), vault.rotate):
            with pytest.raises(StorageError, match="No space left"):
                act()
    assert sorted(tmp_path.rglob("*")) == before
    assert vault.open("g1", "p1", "vector t1", sealed) == b"a face"
    assert vault.shred_person("g1", "p1")


def test_a_name_that_leads_elsewhere_is_no_key(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "keys")
    for name in ("../x", "a/b", "", "."):
        with pytest.raises(StorageError):
            vault.make_key(name, "p")
        with pytest.raises(StorageError):
            vault.make_key("g", name)


def test_what_a_closed_gallery_held_cannot_be_opened_with_anything_that_is_left(tmp_path: Path) -> None:
    """The proof: sealed bytes are copied out of the database before, as a thief would; then the gallery closes."""

    async def test(made: Site) -> None:
        await made.on()
        gallery = await made.gallery(made.cases[0])
        person = await made.confirm(await made.enrol(gallery, "zhang"))
        made.clock.now_s += 1
        assert (await made.matching.probe(made.probe("zhang~0.1"))).answer == "suggested"
        async with made.store.reading() as connection:
            rows = await connection.execute(select(face_templates.c.sealed_vector, face_templates.c.sealed_crop))
            stolen = [bytes(each) for row in rows for each in row]
            shots = await connection.execute(select(face_suggestions.c.sealed_shot))
            stolen += [bytes(row[0]) for row in shots]
        assert len(stolen) == 3
        keys = made.vault._folder
        wrapped = [path.read_bytes() for path in (keys / gallery.gallery_id).glob("*.key")]
        assert len(wrapped) == 2
        secrets_ = [bytes.fromhex(json.loads(raw)["key"]) for raw in wrapped]
        assert _opened(made.data, stolen), "before, the keys on the disk open it"
        act = made.appender.change
        await act(lambda connection: switch.off(connection, made.actor("usr_rev"), "案件终结"))
        await made.keeper.turn()
        assert not _opened(made.data, stolen)
        everything = b"".join(path.read_bytes() for path in made.data.rglob("*") if path.is_file())
        needles = [face("zhang"), face("zhang")[:32], *wrapped, *secrets_, *(each.hex().encode() for each in secrets_)]
        assert not [needle for needle in needles if needle in everything]
        with pytest.raises(ThingUnknown):
            made.vault.open(gallery.gallery_id, person.person_id, "vector", stolen[0])
        assert made.searcher.sets == {}

    run(tmp_path, test)


def _opened(data: Path, stolen: list[bytes]) -> bool:
    """Whether any 32 bytes of key material on the disk, wrapped or not, opens any of it: every key with every other."""
    raw = [path.read_bytes() for path in data.rglob("*.key")]
    masters = {each for each in raw if len(each) == 32}
    trees = [(json.loads(each), path.stem, path.parent.name) for each, path in _trees(data)]
    keys = set(masters)
    for _ in range(2):
        for tree, stem, parent in trees:
            for key in list(keys):
                for bound in (stem, parent):
                    try:
                        sealed, nonce = bytes.fromhex(tree["key"]), bytes.fromhex(tree["nonce"])
                        keys.add(AESGCM(key).decrypt(nonce, sealed, b"onrecord face key 1\x1f" + bound.encode()))
                    except InvalidTag:
                        continue
    persons = [path.stem for path in data.rglob("*.key")]
    names = [f"{kind} {name}" for kind in ("vector", "crop", "shot") for name in _names(data)]
    for key in keys:
        for person in persons:
            for name in names:
                for each in stolen:
                    try:
                        AESGCM(key).decrypt(each[:12], each[12:], f"onrecord face 1\x1f{person}\x1f{name}".encode())
                    except InvalidTag:
                        continue
                    return True
    return False


def _trees(data: Path) -> list[tuple[bytes, Path]]:
    return [(path.read_bytes(), path) for path in data.rglob("*.key") if path.read_bytes().startswith(b"{")]


def _names(data: Path) -> set[str]:
    """Every id of a template or suggestion that stands anywhere in the data folder."""
    import re

    raw = b"".join(path.read_bytes() for path in data.glob("record.db*"))
    return {each.decode() for each in re.findall(rb"(?:ftpl|fsug)_[0-9a-f]{24}", raw)}


def test_a_backup_leaves_the_keys_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()

    async def test(made: Site) -> None:
        Signer.load(data / "keys")
        from cases.access import Access

        Access.of(data).close()
        await made.on()
        gallery = await made.gallery(made.cases[0])
        await made.confirm(await made.enrol(gallery, "zhang"))
        out = tmp_path / "backup"
        await anyio.to_thread.run_sync(lambda: backup(data, out, "correct horse battery", copies_media=True))
        assert (out / "record.db").exists()
        assert not list(out.rglob("*faces-keys*"))
        everything = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
        for path in (data / "faces-keys").rglob("*.key"):
            assert path.read_bytes() not in everything, path.name

    run(data, test)
