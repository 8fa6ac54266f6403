"""Faces are off unless the law and the models allow them, and say in plain words why; nothing is wanted unasked."""

from pathlib import Path
from typing import cast

import anyio
import pytest

from api.analysis import FACES, OFF_BY_LAW, faces_wanted, order_of, stage_of, stages_of
from cases.faces.faces import Faces
from cases.faces.shapes import Watching
from pipeline.errors import StoreUnavailable
from pipeline.settings import Settings, load
from tests.models_made import faces_in


def settings_in(folder: Path, **more: str) -> Settings:
    return load(
        None, {"ONRECORD_DATA": str(folder / "data"), "ONRECORD_MODELS__FOLDER": str(folder / "models"), **more}
    )


def test_a_server_begins_with_faces_off_by_law_whatever_models_are_here(tmp_path: Path) -> None:
    stage = next(each for each in stages_of(settings_in(tmp_path)) if each.name == FACES)
    assert (stage.is_on, stage.why) == (False, OFF_BY_LAW)
    assert stage.is_chosen
    assert not stage.needs_sound


def test_without_models_they_are_off_and_it_says_which(tmp_path: Path) -> None:
    stage = stage_of(settings_in(tmp_path), FACES)
    assert not stage.is_on
    assert "face-detection" in stage.why


def test_models_whose_licence_was_not_accepted_are_named_with_what_it_takes(tmp_path: Path) -> None:
    faces_in(tmp_path / "models", "yunet", "mobilefacenet")
    stage = stage_of(settings_in(tmp_path), FACES)
    assert not stage.is_on
    assert "mobilefacenet" in stage.why
    assert "models.accept_noncommercial" in stage.why
    named = stage_of(settings_in(tmp_path, ONRECORD_FACES__EMBEDDER="mobilefacenet"), FACES)
    assert "models.accept_noncommercial" in named.why


def test_with_models_and_the_law_they_are_on_by_the_embedder(tmp_path: Path) -> None:
    faces_in(tmp_path / "models", "yunet", "mobilefacenet")
    settings = settings_in(tmp_path, ONRECORD_MODELS__ACCEPT_NONCOMMERCIAL="true")
    stage = stage_of(settings, FACES)
    assert (stage.is_on, stage.model, stage.label) == (True, "mobilefacenet", "mobilefacenet@128")
    assert stage_of(settings, FACES, OFF_BY_LAW).is_on is False


def test_a_worker_is_told_what_it_needs_for_faces(tmp_path: Path) -> None:
    settings = settings_in(
        tmp_path, ONRECORD_FACES__DETECTOR="yunet", ONRECORD_FACES__DETECT_PX="480", ONRECORD_FACES__BURST_S="1.5"
    )
    order = order_of(settings, "w", "http://127.0.0.1:1", "token", None)
    assert (order.face_detector, order.face_detect_px, order.face_burst_s) == ("yunet", 480, 1.5)


class Held:
    """Faces as far as the desk asks. is_away: the record is closed."""

    def __init__(self, *, is_away: bool = False) -> None:
        self._is_away = is_away

    @property
    def matching(self) -> "Held":
        if self._is_away:
            raise StoreUnavailable("closed")
        return self

    async def watching(self, stream_id: str) -> Watching:
        return Watching(stream_id == "st_1", 1)


@pytest.mark.parametrize(
    ("held", "stage", "stream_id", "is_wanted"),
    [
        (Held(), FACES, "st_1", True),
        (Held(), FACES, "st_2", False),
        (Held(), "speech", "st_1", False),
        (Held(is_away=True), FACES, "st_1", False),
    ],
)
def test_only_what_is_to_be_searched_now_is_wanted(held: Held, stage: str, stream_id: str, is_wanted: bool) -> None:
    assert anyio.run(faces_wanted, cast(Faces, held), stage, stream_id) is is_wanted
