"""Keys: what is sealed opens for its own person and thing alone, and for nobody once its key is destroyed."""

import json
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select

from cases.backup import backup
from cases.faces import people, suggestions, switch
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


def made(folder: Path, gallery: str = "g1") -> tuple[Vault, bytes]:
    vault = Vault(folder)
    vault.make_key(gallery, "p1")
    return vault, vault.seal(gallery, "p1", "vector t1", b"a face")


def test_sealed_bytes_open_for_their_person_and_thing_alone(tmp_path: Path) -> None:
    vault, sealed = made(tmp_path)
    vault.make_key("g1", "p2")
    for person, name in (("p2", "vector t1"), ("p1", "vector t2")):
        vault.seal("g1", person, name, b"has a key too")
    assert b"a face" not in sealed
    assert vault.open("g1", "p1", "vector t1", sealed) == b"a face"
    for person, name, raw in (
        ("p2", "vector t1", sealed), ("p1", "vector t2", sealed), ("p1", "crop t1", sealed),
        ("p1", "vector t1", sealed[:-1] + b"x"),
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


def test_one_template_is_destroyed_alone_and_its_key_is_no_others(tmp_path: Path) -> None:
    vault, sealed = made(tmp_path)
    crop = vault.seal("g1", "p1", "crop t1", b"a picture")
    other = vault.seal("g1", "p1", "vector t2", b"another face")
    assert vault.owned("g1") == [("p1", "t1"), ("p1", "t2")]
    assert vault.shred_one("g1", "p1", "t1")
    assert not vault.shred_one("g1", "p1", "t1")
    for name, raw in (("vector t1", sealed), ("crop t1", crop)):
        with pytest.raises(ThingUnknown):
            vault.open("g1", "p1", name, raw)
    asked = [("p1", "vector t1", sealed), ("p1", "vector t2", other)]
    assert vault.open_many("g1", asked) == [None, b"another face"]
    assert vault.open("g1", "p1", "vector t2", other) == b"another face"
    assert vault.owned("g1") == [("p1", "t2")]
    vault.shred_person("g1", "p1")
    assert vault.owned("g1") == []
    assert not (tmp_path / "g1" / "p1").exists()


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


@pytest.mark.parametrize("at", ["os.pwrite", "os.fsync", "pathlib.Path.unlink"])
def test_a_key_whose_destruction_breaks_off_is_none_and_is_gone_with_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Half a key would keep all of its gallery from being searched, and the master key from being rotated."""
    for kept in ("g1", "g2"):
        vault, _ = made(tmp_path, kept)
    vault.make_key("g1", "p2")
    other = vault.seal("g1", "p2", "vector t2", b"another")
    sealed = vault.seal("g1", "p1", "vector t1", b"a face")

    class KilledError(BaseException):
        """As kill -9 would: nothing runs after it."""

    def kill(*_args: object, **_more: object) -> None:
        raise KilledError

    for act in (partial(vault.shred_person, "g1", "p1"), partial(vault.shred_gallery, "g2")):
        with monkeypatch.context() as killed:
            killed.setattr(at, kill)
            with pytest.raises(KilledError):
                act()
    asked = [("p1", "vector t1", sealed), ("p2", "vector t2", other)]
    assert vault.open_many("g1", asked) == [None, b"another"]
    assert vault.rotate().galleries == 1
    vault.tidy()
    assert [path for path in tmp_path.rglob(".*") if path.is_file()] == []
    assert vault.open_many("g1", asked) == [None, b"another"]
    assert not vault.shred_person("g1", "p1")


def test_a_disk_that_is_full_in_the_middle_of_a_destruction_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tried again, it is the same key: nothing is told as destroyed that lies there under another name."""
    vault, _ = made(tmp_path)

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.pwrite", full)
        with pytest.raises(StorageError, match="No space left"):
            vault.shred_person("g1", "p1")
    assert [path for path in tmp_path.rglob(".*") if path.is_file()] != []
    assert vault.shred_person("g1", "p1")
    assert [path for path in tmp_path.rglob(".*") if path.is_file()] == []


def test_a_key_that_does_not_open_stops_a_rotation_before_anything_is_changed(tmp_path: Path) -> None:
    made(tmp_path, "g1")
    vault, sealed = made(tmp_path, "g2")
    (tmp_path / "g1" / "gallery.key").write_bytes(b"damaged")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(EvidenceError):
        vault.rotate()
    assert sorted(tmp_path.rglob("*")) == before
    assert vault.open("g2", "p1", "vector t1", sealed) == b"a face"
    vault.shred_gallery("g1")
    assert vault.rotate().galleries == 1


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
        wrapped = [path.read_bytes() for path in (keys / gallery.gallery_id).rglob("*.key")]
        assert len(wrapped) == 4, "of gallery, person, template and picture"
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


def test_what_is_refused_of_a_confirmed_person_cannot_be_opened_and_what_was_confirmed_can(tmp_path: Path) -> None:
    """Row, log of writes (WAL) and keys are looked through: the sealed bytes may lie there, their key does not."""

    async def test(made: Site) -> None:
        await made.on()
        gallery = await made.gallery(made.cases[0])
        person = await made.confirm(await made.enrol(gallery, "zhang"))
        kept = (await _sealed(made))[0]
        await made.enrol(gallery, "zhang~0.2", "usr_wang", person_id=person.person_id)
        waiting = next(each for each in await _sealed(made) if each.template_id != kept.template_id)
        stolen = [waiting.vector, waiting.crop]
        keys = made.vault._folder / gallery.gallery_id
        assert (wal := made.data / "record.db-wal").stat().st_size, "the log of writes is looked through too"
        own = (keys / person.person_id / f"{waiting.template_id}.key").read_bytes()
        assert _opened(made.data, stolen), "before, the keys on the disk open it"
        act = partial(people.refuse, vault=made.vault, person_id=person.person_id, reason="不是本人")
        await made.appender.change(partial(act, actor=made.actor("usr_lin")))
        assert wal.exists()
        assert not _opened(made.data, stolen)
        assert _opened(made.data, [kept.vector])
        everything = b"".join(path.read_bytes() for path in made.data.rglob("*") if path.is_file())
        secret = bytes.fromhex(json.loads(own)["key"])
        for needle in (own, secret, secret.hex().encode(), face("zhang", 0.2), b"crop of zhang~0.2"):
            assert needle not in everything
        assert waiting.crop not in (made.data / "record.db").read_bytes()
        made.clock.now_s += 1
        assert (await made.matching.probe(made.probe("zhang~0.1"))).answer == "suggested"

    run(tmp_path, test)


def test_a_rejected_picture_cannot_be_opened_though_the_persons_key_stays(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await made.on()
        gallery = await made.gallery(made.cases[0])
        await made.confirm(await made.enrol(gallery, "zhang"))
        made.clock.now_s += 1
        assert (await made.matching.probe(made.probe("zhang~0.1"))).answer == "suggested"
        async with made.store.reading() as connection:
            row = (await connection.execute(select(face_suggestions))).one()
        shot, kept = bytes(row.sealed_shot), (await _sealed(made))[0]
        assert _opened(made.data, [shot])
        for by in ("usr_a", "usr_b"):
            act = partial(suggestions.give_opinion, vault=made.vault, suggestion_id=row.suggestion_id)
            act = partial(act, verdict="different", reason="不像")
            await made.appender.change(partial(act, actor=made.actor(by)))
        assert not _opened(made.data, [shot])
        assert _opened(made.data, [kept.vector])

    run(tmp_path, test)


def test_a_crash_before_the_commit_leaves_a_key_that_the_next_start_destroys(tmp_path: Path) -> None:
    async def test(made: Site) -> None:
        await made.on()
        gallery = await made.gallery(made.cases[0])
        person = await made.confirm(await made.enrol(gallery, "zhang"))
        made.vault.seal(gallery.gallery_id, person.person_id, "vector ftpl_never", b"x")
        await made.keeper.sweep()
        (kept,) = await _sealed(made)
        assert made.vault.owned(gallery.gallery_id) == [(person.person_id, kept.template_id)]

    run(tmp_path, test)


@dataclass(frozen=True)
class Sealed:
    template_id: str
    vector: bytes
    crop: bytes


async def _sealed(made: Site) -> list[Sealed]:
    of_it = face_templates.c
    async with made.store.reading() as connection:
        rows = await connection.execute(select(of_it.template_id, of_it.sealed_vector, of_it.sealed_crop))
        return [Sealed(row[0], bytes(row[1]), bytes(row[2])) for row in rows]


def _opened(data: Path, stolen: list[bytes]) -> bool:
    """Whether any 32 bytes of key material on the disk, wrapped or not, opens any of it: every key with every other."""
    raw = [path.read_bytes() for path in data.rglob("*.key")]
    masters = {each for each in raw if len(each) == 32}
    trees = [(json.loads(each), path.stem, path.parent.name) for each, path in _trees(data)]
    keys = set(masters)
    for _ in range(3):
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
