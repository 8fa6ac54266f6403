"""Pulls over real HTTP from a server on this machine that breaks, lies and forgets."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.folder import exclusive
from models.pull import Pull
from models.registry import Registry
from pipeline.errors import ModelError, ModelMissing, ModelUnverified, StorageFull
from tests.models_made import FILES, FileServer, entry, lay, registry_file, sha256, unpinned

SIZE = len(FILES["model.bin"])
WRONG = {**FILES, "model.bin": FILES["model.bin"][:-1] + b"?"}


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer().running() as running:
        yield running


class Pulled:
    """A pull of small-one with what it showed and told."""

    def __init__(self, folder: Path, *sources: str, made: dict[str, object] | None = None) -> None:
        self.registry = Registry.open(folder, registry_file(folder, made or entry(sources=list(sources))))
        self.folder = folder / "models" / "small-one"
        self.shown: list[tuple[str, int, int | None]] = []
        self.told: list[str] = []

    def run(self) -> Path:
        def show(file: str, done: int, size: int | None) -> None:
            self.shown.append((file, done, size))

        return Pull(self.registry, self.registry.entry("small-one"), show, self.told.append, pause_s=0.01).run()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def of(server: FileServer, name: str) -> list[tuple[str, str, str]]:
    return [asked for asked in server.asked if asked[0] == name]


def test_a_pull_brings_every_file_and_leaves_nothing_else(tmp_path: Path, server: FileServer) -> None:
    pulled = Pulled(tmp_path, server.url)
    assert pulled.run() == pulled.folder
    assert names(pulled.folder) == set(FILES)
    assert pulled.registry.ready("small-one").folder == pulled.folder
    assert pulled.shown[0][0] == "model.bin"
    assert ("model.bin", SIZE, SIZE) in pulled.shown


def test_a_pull_that_breaks_at_90_percent_goes_on_from_there(tmp_path: Path, server: FileServer) -> None:
    server.breaks_at = [SIZE * 9 // 10]
    Pulled(tmp_path, server.url).run()
    first, (_, wanted, if_range) = of(server, "model.bin")
    assert (first, if_range) == (("model.bin", "", ""), '"first"')
    at = int(wanted.removeprefix("bytes=").removesuffix("-"))
    assert SIZE * 9 // 10 - 65_536 <= at <= SIZE * 9 // 10, "at most one piece of what came is asked for again"
    assert (tmp_path / "models" / "small-one" / "model.bin").read_bytes() == FILES["model.bin"]


def test_what_is_whole_has_its_name_already_when_another_file_fails(tmp_path: Path) -> None:
    with FileServer(files={"model.bin": FILES["model.bin"]}).running() as server:
        pulled = Pulled(tmp_path, server.url)
        with pytest.raises(ModelMissing, match=r"config\.json.*it says 404"):
            pulled.run()
        assert names(pulled.folder) == {"model.bin"}
        server.files, server.asked = dict(FILES), []
        pulled.run()
    assert [asked[0] for asked in server.asked] == ["config.json", "vocabulary.json"]


def test_a_server_that_is_gone_leaves_the_part_and_the_next_run_takes_it_up(tmp_path: Path) -> None:
    at = SIZE * 9 // 10
    with FileServer().running() as server:
        pulled = Pulled(tmp_path, server.url)
        part = pulled.folder / "model.bin.part"
        lay(pulled.folder, {"model.bin.part": FILES["model.bin"][:at]})
        (pulled.folder / "model.bin.part.json").write_text(
            json.dumps({"url": f"{server.url}model.bin", "etag": server.etag})
        )
        url = server.url
    with pytest.raises(ModelMissing, match=rf"{at} bytes are here, the same command goes on"):
        Pulled(tmp_path, url).run()
    assert part.stat().st_size == at
    with FileServer().running() as again:
        Pulled(tmp_path, again.url).run()
        assert of(again, "model.bin") == [("model.bin", f"bytes={at}-", "")], "another address: its ETag is not known"
    assert names(pulled.folder) == set(FILES)


def test_a_server_without_ranges_begins_anew(tmp_path: Path, server: FileServer) -> None:
    server.has_ranges, server.breaks_at = False, [SIZE * 9 // 10]
    pulled = Pulled(tmp_path, server.url)
    pulled.run()
    assert len(of(server, "model.bin")) == 2
    assert (pulled.folder / "model.bin").read_bytes() == FILES["model.bin"]


def test_a_server_without_ranges_that_always_breaks_is_given_up(tmp_path: Path, server: FileServer) -> None:
    server.has_ranges, server.breaks_at = False, [SIZE * 9 // 10] * 100
    with pytest.raises(ModelMissing, match=r"model\.bin"):
        Pulled(tmp_path, server.url).run()
    assert len(of(server, "model.bin")) == 4, "one that came further than ever before, and three that did not"


def test_a_file_that_changed_at_the_server_is_begun_anew(tmp_path: Path, server: FileServer) -> None:
    pulled = Pulled(tmp_path, server.url)
    lay(pulled.folder, {"model.bin.part": b"of another file"})
    (pulled.folder / "model.bin.part.json").write_text(json.dumps({"url": f"{server.url}model.bin", "etag": '"old"'}))
    pulled.run()
    assert of(server, "model.bin") == [("model.bin", "bytes=15-", '"old"')]


def test_a_range_that_was_not_asked_for_is_refused_and_a_mirror_goes_on(tmp_path: Path, server: FileServer) -> None:
    with FileServer(is_off_by=1).running() as source:
        pulled = Pulled(tmp_path, source.url, server.url)
        lay(pulled.folder, {"model.bin.part": FILES["model.bin"][: SIZE // 2]})
        pulled.run()
    assert any("another range" in told for told in pulled.told)
    assert of(server, "model.bin") == [("model.bin", f"bytes={SIZE // 2}-", "")]


def test_a_server_that_sends_more_than_the_registry_says_is_refused(tmp_path: Path, server: FileServer) -> None:
    """It does not say how much comes, so that only the bytes themselves show it."""
    server.files["model.bin"] += b"more"
    server.has_length = False
    pulled = Pulled(tmp_path, server.url)
    with pytest.raises(ModelMissing, match="more than 1000000 bytes"):
        pulled.run()
    assert names(pulled.folder) == set()


def test_a_mirror_goes_on_where_the_source_broke(tmp_path: Path, server: FileServer) -> None:
    at = SIZE * 9 // 10
    with FileServer().running() as source:
        lay(tmp_path / "models" / "small-one", {"model.bin.part": FILES["model.bin"][:at]})
        source.says = [503, 503, 503]
        pulled = Pulled(tmp_path, source.url, server.url)
        pulled.run()
    assert [told for told in pulled.told if "503" in told]
    assert of(server, "model.bin") == [("model.bin", f"bytes={at}-", "")]
    assert names(pulled.folder) == set(FILES)


def test_a_wrong_file_is_deleted_said_and_never_gets_its_name(tmp_path: Path, server: FileServer) -> None:
    server.files = dict(WRONG)
    pulled = Pulled(tmp_path, server.url)
    with pytest.raises(ModelUnverified, match=r"model\.bin: 127\.0\.0\.1.*SHA-256.*deleted"):
        pulled.run()
    assert names(pulled.folder) == set()


def test_a_source_that_sends_us_on_is_followed_and_gone_on_with(tmp_path: Path, server: FileServer) -> None:
    """As model hubs do: the address of the list leads to another one, of a server that changes."""
    server.breaks_at = [SIZE * 9 // 10]
    pulled = Pulled(tmp_path, server.url.replace("/files/", "/moved/"))
    pulled.run()
    assert names(pulled.folder) == set(FILES)
    ranges = [wanted for _, wanted, _ in of(server, "model.bin")]
    assert ranges[:2] == ["", ""]
    assert ranges[2] == ranges[3] != ""
    assert len(ranges) == 4


def test_a_mirror_helps_where_the_source_gives_a_wrong_file(tmp_path: Path, server: FileServer) -> None:
    with FileServer(files=dict(WRONG)).running() as source:
        pulled = Pulled(tmp_path, source.url, server.url)
        pulled.run()
    assert of(server, "model.bin") == [("model.bin", "", "")], "nothing of the wrong file was kept"
    assert any("deleted" in told for told in pulled.told)


def test_parts_of_two_different_files_are_found_out(tmp_path: Path, server: FileServer) -> None:
    """The part is of something else, and its server is not asked again: the end shows it, and it goes."""
    lay(tmp_path / "models" / "small-one", {"model.bin.part": bytes(SIZE // 2)})
    pulled = Pulled(tmp_path, server.url, server.url)
    pulled.run()
    assert [asked[1] for asked in of(server, "model.bin")] == [f"bytes={SIZE // 2}-", ""]


def test_a_page_in_place_of_the_file_is_refused_by_its_size_before_it_is_read(
    tmp_path: Path, server: FileServer
) -> None:
    server.files = dict.fromkeys(FILES, b"<html>please sign in</html>")
    with pytest.raises(ModelMissing, match="its file has 27 bytes, not 1000000"):
        Pulled(tmp_path, server.url).run()


def test_a_model_without_hashes_is_not_pulled_and_no_server_is_asked(tmp_path: Path, server: FileServer) -> None:
    with pytest.raises(ModelUnverified, match="--pin"):
        Pulled(tmp_path, made=unpinned(sources=[server.url])).run()
    assert server.asked == []
    assert not (tmp_path / "models").exists()


def test_a_size_that_nobody_knows_does_not_hinder_a_pull(tmp_path: Path, server: FileServer) -> None:
    made = entry(sources=[server.url], files=[{"path": path, "sha256": sha256(data)} for path, data in FILES.items()])
    lay(tmp_path / "models" / "small-one", {"config.json.part": FILES["config.json"]})
    pulled = Pulled(tmp_path, made=made)
    server.breaks_at = [SIZE // 2]
    pulled.run()
    assert names(pulled.folder) == set(FILES)


def test_what_is_here_and_right_is_not_pulled_again(tmp_path: Path, server: FileServer) -> None:
    pulled = Pulled(tmp_path, server.url)
    lay(pulled.folder)
    assert pulled.run() == pulled.folder
    assert server.asked == []


def test_a_file_that_is_here_and_wrong_is_replaced(tmp_path: Path, server: FileServer) -> None:
    pulled = Pulled(tmp_path, server.url)
    lay(pulled.folder, WRONG)
    pulled.run()
    assert [asked[0] for asked in server.asked] == ["model.bin"]
    assert (pulled.folder / "model.bin").read_bytes() == FILES["model.bin"]


def test_two_pulls_at_once_do_not_meet(tmp_path: Path, server: FileServer) -> None:
    pulled = Pulled(tmp_path, server.url)
    with exclusive(tmp_path / "models"), pytest.raises(ModelError, match="another pull or import"):
        pulled.run()
    pulled.run()


def test_a_pull_that_does_not_fit_is_not_begun(tmp_path: Path, server: FileServer) -> None:
    made = entry(sources=[server.url], files=[{"path": "a", "size_bytes": 1 << 60, "sha256": "0" * 64}])
    with pytest.raises(StorageFull, match=r"models\.folder"):
        Pulled(tmp_path, made=made).run()
    assert server.asked == []


def test_a_model_without_a_source_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no source"):
        Pulled(tmp_path).run()
