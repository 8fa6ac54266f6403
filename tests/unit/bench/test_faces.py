"""The bench of faces says what it lacks, and compares like with like."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from api.bench import FaceSet, faces, faces_pictures, faces_search
from api.bench.faces_pictures import Cutout
from models.face.base import Vector
from models.face.evaluate import Labelled
from models.face.search import Gallery
from pipeline.errors import SettingsInvalid


def test_without_models_and_pictures_it_says_so_and_still_tells_of_the_search(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in (faces.WEIGHTS, faces.PICTURES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ONRECORD_DATA", str(tmp_path))
    monkeypatch.setattr(faces_search, "run", lambda queries: {"search_ms_10k": 0.3, "asked": queries})
    report = faces.run(exact_queries=7)
    assert (report["search_ms_10k"], report["asked"]) == (0.3, 7)
    assert all(report[name] is None for name in ("model", "fmr", "fnmr", "threshold", "streams_per_core", "enrolled"))
    lacks = report["lacks"]
    assert isinstance(lacks, list)
    assert "--folder" in lacks[0]
    assert "no face model" in lacks[1]


def test_two_sets_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="give one"):
        faces.run(FaceSet(tmp_path, tmp_path / "p.csv"))


def test_the_answer_is_compared_with_that_of_every_row() -> None:
    told = faces_search.exactness(40, size=32)
    assert told == {"exact_of_40": 40, "exact_clustered": 40}


def test_a_search_that_misses_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_rows(_gallery: Gallery, _vector: Vector, top: int) -> NDArray[np.intp]:
        return np.arange(top)

    monkeypatch.setattr(Gallery, "_possible", first_rows)
    assert faces_search.exactness(20, size=32)["exact_of_20"] == 0


def test_the_figures_of_speed_have_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces_search, "_QUERIES", 4)
    told = faces_search._speed(faces_search.unit(600, 512, 1))
    assert set(told) == {"ms", "p95_ms", "cpu_ms", "numpy_float32_ms", "add_us", "remove_us"}
    assert faces_search.index(rows=300, size=16)["recall"] == 1.0


def cutout() -> Cutout:
    return Cutout(Labelled(Path("x.jpg"), "x"), np.full((100, 80, 3), 200, np.uint8), (20, 20, 60, 80))


def test_a_face_is_put_where_the_scene_says_and_as_large() -> None:
    scene = faces_pictures.on_backdrop([cutout()] * 8, 60, seed=3)
    assert scene.picture.shape == (1080, 1920, 3)
    for _, (left, top, right, bottom) in scene.faces:
        assert bottom - top == pytest.approx(60)
        assert right - left == pytest.approx(40)
        middle = scene.picture[round((top + bottom) / 2), round((left + right) / 2)]
        assert [*middle] == [200, 200, 200]


def test_every_cutout_is_in_the_scenes_twice() -> None:
    scenes = list(faces_pictures.scenes_of([cutout()] * 5, 32, seed=1))
    assert sorted(number for scene in scenes for number, _ in scene.faces) == sorted([*range(5)] * 2)


def test_overlap_is_of_the_union() -> None:
    assert faces_pictures.overlap((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert faces_pictures.overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert faces_pictures.overlap((0, 0, 2, 2), (2, 0, 3, 2)) == 0
