"""Templates are held in a child: searched exactly, gone when removed, and the child with the last of them."""

import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import numpy as np
import pytest

from api.face_search import FaceSearcher, Wanted
from cases.faces.shapes import Held, Judged, checked
from models.face.calibration import Impostors
from pipeline.errors import ValueRefused, WorkerFailed

SET = "gal_1|made@1"
SIZE = 128


def vector(seed: int, size: int = SIZE) -> bytes:
    """Of unit length; those of different seeds are strangers."""
    made = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made), "<f4").tobytes()


def held(*persons: int) -> list[Held]:
    return [Held(f"per_{each}", f"tpl_{each}", vector(each)) for each in persons]


def run(folder: Path, scene: Callable[[FaceSearcher], Awaitable[None]]) -> None:
    async def main() -> None:
        searcher = FaceSearcher(Wanted(1e-4, 0.05, folder))
        try:
            await scene(searcher)
        finally:
            await searcher.close()

    anyio.run(main)


def test_the_nearest_is_suggested_with_what_its_bound_rests_on(tmp_path: Path) -> None:
    async def scene(searcher: FaceSearcher) -> None:
        await searcher.load(SET, held(1, 2, 3))
        found = await searcher.search(SET, vector(2))
        assert (found.decision, found.person_id, found.template_id) == ("suggested", "per_2", "tpl_2")
        assert found.similarity == pytest.approx(1.0, abs=1e-5)
        assert found.second < 0.4
        assert (found.bound.basis, found.bound.fmr, found.bound.one_in) == ("stated", None, None), "nobody counted"
        stranger = await searcher.search(SET, vector(9))
        assert stranger.decision == "unknown"

    run(tmp_path, scene)


def test_what_was_measured_of_a_model_gives_its_bound_and_its_rate(tmp_path: Path) -> None:
    strangers = np.stack([np.frombuffer(vector(seed), "<f4") for seed in range(100, 500)])
    named = [str(seed) for seed in range(100, 500)]
    Impostors.of("made@1", np.asarray(strangers, np.float32), named).write(tmp_path / "made@1.json")

    async def scene(searcher: FaceSearcher) -> None:
        await searcher.load(SET, held(1, 2))
        found = await searcher.search(SET, vector(1))
        assert found.bound.basis == "measured"
        assert found.bound.fmr is not None
        assert 0 < found.bound.fmr <= 1e-4
        assert found.bound.one_in is not None
        assert found.bound.one_in >= 10_000

    run(tmp_path, scene)


def test_two_who_look_alike_are_near_and_nobody_is_suggested(tmp_path: Path) -> None:
    twin = np.frombuffer(vector(1), "<f4") + 0.1 * np.frombuffer(vector(5), "<f4")
    raw = np.asarray(twin / np.linalg.norm(twin), "<f4").tobytes()

    async def scene(searcher: FaceSearcher) -> None:
        await searcher.load(SET, [*held(1), Held("per_twin", "tpl_twin", raw)])
        assert (await searcher.search(SET, vector(1))).decision == "near"

    run(tmp_path, scene)


def test_one_look_or_a_poor_one_is_near_and_suggests_nobody(tmp_path: Path) -> None:
    async def scene(searcher: FaceSearcher) -> None:
        await searcher.load(SET, held(1, 2))
        assert (await searcher.search(SET, vector(1), looks=1)).decision == "near"
        assert (await searcher.search(SET, vector(1), quality=0.1)).decision == "near"

    run(tmp_path, scene)


def test_a_person_who_is_removed_is_found_no_more_and_others_still_are(tmp_path: Path) -> None:
    async def scene(searcher: FaceSearcher) -> None:
        await searcher.load(SET, [*held(1, 2, 3), Held("per_1", "tpl_1b", vector(11))])
        await searcher.remove(SET, "per_1")
        for seed in (1, 11):
            assert (await searcher.search(SET, vector(seed))).decision == "unknown"
        for seed in (2, 3):
            assert (await searcher.search(SET, vector(seed))).person_id == f"per_{seed}"
        await searcher.add(SET, held(1))
        assert (await searcher.search(SET, vector(1))).person_id == "per_1"

    run(tmp_path, scene)


def test_an_empty_gallery_answers_with_its_bound_and_one_that_is_not_held_does_not(tmp_path: Path) -> None:
    async def scene(searcher: FaceSearcher) -> None:
        await searcher.load(SET, [])
        found: Judged = await searcher.search(SET, vector(1))
        assert (found.decision, found.person_id, found.second) == ("unknown", "", -1.0)
        assert found.bound.similarity > 0.3
        with pytest.raises(WorkerFailed):
            await searcher.search("gal_2|made@1", vector(1))

    run(tmp_path, scene)


def test_a_vector_of_another_size_or_of_no_numbers_is_refused_and_the_gallery_stays(tmp_path: Path) -> None:
    async def scene(searcher: FaceSearcher) -> None:
        await searcher.load(SET, held(1))
        no_number = np.frombuffer(vector(1), "<f4").copy()
        no_number[3] = np.nan
        for bad in (vector(1, 64), no_number.tobytes(), b"\0" * 4 * SIZE, b"abc"):
            with pytest.raises(ValueRefused):
                await searcher.search(SET, bad)
        with pytest.raises(ValueRefused):
            await searcher.add(SET, [Held("per_8", "tpl_8", vector(8, 64))])
        assert (await searcher.search(SET, vector(1))).decision == "suggested"

    run(tmp_path, scene)


def test_the_process_that_held_them_ends_with_the_last_gallery(tmp_path: Path) -> None:
    async def scene(searcher: FaceSearcher) -> None:
        await searcher.load(SET, held(1))
        await searcher.load("gal_2|made@1", held(2))
        pid = searcher.process_id
        assert pid is not None
        await searcher.drop(SET)
        assert searcher.process_id == pid
        await searcher.drop("gal_2|made@1")
        assert searcher.process_id is None
        assert not Path(f"/proc/{pid}").exists(), "and with it what it held"
        await searcher.load(SET, held(3))
        assert (await searcher.search(SET, vector(3))).decision == "suggested"

    run(tmp_path, scene)


def test_a_process_that_dies_holds_nothing_and_says_so_once(tmp_path: Path) -> None:
    async def scene(searcher: FaceSearcher) -> None:
        await searcher.load(SET, held(1))
        assert searcher.process_id is not None
        os.kill(searcher.process_id, signal.SIGKILL)
        with pytest.raises(WorkerFailed):
            await searcher.search(SET, vector(1))
        with pytest.raises(WorkerFailed):
            await searcher.search(SET, vector(1))
        await searcher.load(SET, held(1))
        assert (await searcher.search(SET, vector(1))).decision == "suggested"

    run(tmp_path, scene)


def test_a_gallery_of_many_is_loaded_in_pieces_and_every_one_is_found(tmp_path: Path) -> None:
    async def scene(searcher: FaceSearcher) -> None:
        everyone = held(*range(6000))
        await searcher.load(SET, everyone)
        for seed in (0, 4095, 4096, 5999):
            assert (await searcher.search(SET, vector(seed))).person_id == f"per_{seed}"

    run(tmp_path, scene)


@pytest.mark.parametrize("length", [0.99, 0.998, 0.9995, 1.0005, 1.002, 1.01])
def test_what_may_be_enrolled_can_be_held(tmp_path: Path, length: float) -> None:
    """Or one template that the search refuses would keep its whole gallery from being searched."""
    scaled = (np.frombuffer(vector(1), "<f4") * np.float32(length)).tobytes()

    async def scene(searcher: FaceSearcher) -> None:
        try:
            checked(scaled)
        except ValueRefused:
            return
        await searcher.load(SET, [*held(2), Held("per_1", "tpl_1", scaled)])
        assert (await searcher.search(SET, vector(1))).person_id == "per_1"

    run(tmp_path, scene)
