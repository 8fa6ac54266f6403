"""Error rates of a labelled set, and what a set is too small to show."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.face import evaluate
from models.face.base import Found, Picture
from models.face.calibration import Impostors
from models.face.decide import Basis
from models.face.evaluate import Labelled, Look, Pairs
from pipeline.errors import SettingsInvalid
from tests.unit.models.face import material
from tests.unit.models.face.test_search import strangers, unit


def pairs(same: Sequence[float], different: Sequence[float]) -> Pairs:
    similarity = np.array([*same, *different])
    is_same = np.array([True] * len(same) + [False] * len(different))
    return Pairs(similarity, np.full(len(similarity), 0.6), is_same, ("",) * len(similarity))


def taken(people: int, each: int, spread: float = 0.03, seed: int = 1) -> list[Look]:
    """Looks at so many people, alike to one another by about 1 / (1 + spread² · 128)."""
    rng = np.random.default_rng(seed)
    made = []
    for number, centre in enumerate(strangers(people, 128, seed)):
        for turn in range(each):
            vector = unit(centre + rng.standard_normal(128) * spread)
            label = Labelled(Path(f"{number}-{turn}.jpg"), f"p{number}", "ab"[number % 2])
            made.append(Look(label, 0.3 + 0.1 * turn, vector))
    return made


def test_the_rate_of_false_non_matches_is_read_where_false_matches_are_as_rare_as_asked() -> None:
    different = np.linspace(0, 0.5, 4_000)
    told = evaluate.at_rate(pairs([0.1, 0.49, 0.9, 0.9], [*different]), 1e-3)
    assert told["fnmr"] == {
        "value": 0.5,
        "hits": 2,
        "of": 4,
        "low": pytest.approx(0.0676, abs=1e-4),
        "high": pytest.approx(0.9324, abs=1e-4),
    }
    matched = told["false_matches"]
    assert isinstance(matched, dict)
    assert matched["hits"] == 4
    assert matched["of"] == 4_000


@pytest.mark.parametrize(("rate", "needed"), [(1e-3, 3_000), (1e-4, 30_000)])
def test_a_set_too_small_for_a_rate_says_so_and_gives_no_figure(rate: float, needed: int) -> None:
    told = evaluate.at_rate(pairs([0.9], [0.1] * (needed - 1)), rate)
    assert told["fnmr"] is None
    assert str(needed) in str(told["not_measurable"])
    assert "not_measurable" not in evaluate.at_rate(pairs([0.9], [0.1] * needed), rate)
    assert evaluate.at_rate(pairs([], [0.1] * needed), rate)["not_measurable"] == "no pair of one person"


def test_rates_are_told_by_quality_and_by_group() -> None:
    made = evaluate.all_pairs(taken(6, 3))
    assert len(made.similarity) == 18 * 17 // 2
    assert int(made.is_same.sum()) == 6 * 3
    told = evaluate.at_threshold(made, 0.5)
    bands, groups = told["by_quality"], told["by_group"]
    assert isinstance(bands, dict)
    assert isinstance(groups, dict)
    assert set(groups) == {"a", "b"}
    assert sum(band["fnmr"]["of"] for band in bands.values()) == 18
    assert sum(band["fmr"]["of"] for band in bands.values()) == 18 * 17 // 2 - 18
    assert sum(group["fnmr"]["of"] for group in groups.values()) == 18
    assert groups["a"]["fmr"]["of"] == 9 * 8 // 2 - 9


def test_the_open_set_finds_who_is_enrolled_and_nobody_else() -> None:
    told = evaluate.open_set(taken(12, 3), Impostors("mobilefacenet@1", 0, 0, ()), 1e-3)
    assert told["basis"] == Basis.STATED.value
    assert (told["enrolled"], told["rounds"]) == (6, 20)
    for name, of in (("fpir", 20 * 6 * 3), ("fnir", 20 * 6 * 2), ("wrong_person", 20 * 6 * 2)):
        figure = told[name]
        assert isinstance(figure, dict)
        assert (figure["hits"], figure["of"]) == (0, of)


def test_the_open_set_counts_strangers_who_look_like_somebody() -> None:
    alike = [
        *taken(6, 2),
        *(Look(Labelled(Path("x"), f"q{n}"), 0.9, each.vector) for n, each in enumerate(taken(6, 1))),
    ]
    told = evaluate.open_set(alike, Impostors("mobilefacenet@1", 0, 0, ()), 1e-3)
    figure = told["fpir"]
    assert isinstance(figure, dict)
    assert int(figure["hits"]) > 0


def _written(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))


def test_a_folder_is_read_as_lfw_has_it_with_its_groups(tmp_path: Path) -> None:
    for name in ("anna/1.jpg", "anna/2.png", "bert/1.jpg", "bert/notes.txt"):
        _written(tmp_path / name) if "txt" not in name else (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "groups.csv").write_text("person,group\nanna,x\n", encoding="utf-8")
    read = evaluate.read_folder(tmp_path)
    assert [(each.person, each.group) for each in read] == [("anna", "x"), ("anna", "x"), ("bert", "")]


def test_a_folder_of_numbered_pictures_is_read_too(tmp_path: Path) -> None:
    for name in ("anna-1.jpg", "anna-2.jpg", "bert-1.jpg", "anna-and-bert.jpg"):
        _written(tmp_path / name)
    assert [each.person for each in evaluate.read_folder(tmp_path)] == ["anna", "anna", "bert"]


def test_a_folder_without_two_people_is_refused(tmp_path: Path) -> None:
    _written(tmp_path / "anna" / "1.jpg")
    with pytest.raises(SettingsInvalid, match="two people"):
        evaluate.read_folder(tmp_path)
    with pytest.raises(SettingsInvalid, match="two people"):
        evaluate.read_folder(tmp_path / "nonsense")


def test_a_file_of_pairs_is_read_with_its_groups(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        _written(tmp_path / name)
    with (tmp_path / "p.csv").open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([["a", "b", "same", "group"], ["a.jpg", "b.jpg", "1", "x"]])
    ((one, other, is_same),) = evaluate.read_pairs(tmp_path / "p.csv")
    assert (one.path.name, other.path.name, is_same, one.group) == ("a.jpg", "b.jpg", True, "x")


@pytest.mark.parametrize(
    "text",
    ["", "x,y\n1,2\n", "a,b,same\n", "a,b,same\na.jpg,b.jpg,yes\n", "a,b,same\na.jpg,gone.jpg,1\n", "a,b,same\na\n"],
)
def test_what_is_no_file_of_pairs_is_refused(text: str, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        _written(tmp_path / name)
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsInvalid, match=r"p\.csv"):
        evaluate.read_pairs(tmp_path / "p.csv")


class Faces:
    """A detector that finds a face wherever a picture is bright, and an embedder that tells them by their colour."""

    label, size = "fake@1", 3

    def detect(self, picture: Picture) -> list[Found]:
        points = np.array([[38, 51], [73, 51], [56, 71], [41, 92], [70, 92]], np.float32)
        return [Found((10, 10, 100, 100), points, 0.9)] if picture.mean() > 20 else []

    def embed(self, crops: Sequence[Picture]) -> NDArray[np.float32]:
        return unit(np.array([crop.mean(axis=(0, 1)) for crop in crops]) + 1)


def test_pictures_without_a_face_or_none_at_all_are_counted_as_such(tmp_path: Path) -> None:
    for name, colour in (("a", (200, 30, 30)), ("b", (30, 200, 30)), ("dark", (0, 0, 0))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((112, 112, 3), colour, np.uint8))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nonsense")
    labels = [Labelled(tmp_path / f"{name}.png", name) for name in ("a", "b", "dark", "broken", "gone")]
    seen = evaluate.looks(labels, Faces(), Faces())
    assert [look is not None for look in seen] == [True, True, False, False, False]
    a, b, dark = labels[:3]
    made = evaluate.given_pairs(
        [(a, a, True), (a, b, False), (a, dark, False)], [seen[0], seen[0], *seen[:2], seen[0], seen[2]]
    )
    assert [*made.is_same] == [True, False]
    assert made.similarity[0] == pytest.approx(1)
    assert made.similarity[1] < 0.9


def test_with_the_shared_weights_two_people_are_told_apart() -> None:
    material.picture("obama-1")
    place = evaluate.read_folder(_shared_pictures())
    assert sorted({each.person for each in place}) == ["biden", "obama"]
    seen = evaluate.looks(place, material.detector("yunet"), material.embedder())
    told = evaluate.spread(evaluate.all_pairs([look for look in seen if look is not None]))
    same, different = told["same"], told["different"]
    assert isinstance(same, dict)
    assert isinstance(different, dict)
    assert (same["pairs"], different["pairs"]) == (4, 6)
    assert same["least"] > different["most"] + 0.2


def _shared_pictures() -> Path:
    return Path(os.environ["ONRECORD_TEST_DATA"]) / "faces"
