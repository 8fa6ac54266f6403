"""How a model runs fastest: chosen from what was measured."""

import pytest

from models.speech.calibrate import cheapest, measured, opened
from models.speech.whisper import Calibration
from models.speech.whisper_engine import Engine
from tests.unit.models.speech.material import demo_model


@pytest.mark.parametrize(
    ("costs", "choice"),
    [
        ({1: 1.0, 2: 0.6, 4: 0.4, 8: 0.39}, 4),
        ({1: 1.0, 2: 1.1, 4: 1.5, 8: 0.1}, 1),
        ({1: 0.1, 2: 0.098, 4: 0.097}, 1),
    ],
)
def test_the_first_that_costs_hardly_more_than_the_best_is_chosen(costs: dict[int, float], choice: int) -> None:
    assert cheapest(costs, lambda count: costs[count] / 10)[0] == choice


def test_a_large_model_is_not_tried_over_and_over() -> None:
    tried: list[int] = []

    def cost(count: int) -> float:
        tried.append(count)
        return 3.0

    assert cheapest((1, 2, 4, 8, 16), cost) == (1, 3.0)
    assert tried == [1]


def test_a_known_calibration_is_taken_and_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = demo_model()
    monkeypatch.setattr("models.speech.calibrate.measured", None)
    known = Calibration(threads=1, most_together=8, step_frames=16)
    assert opened(entry, "cpu", known=known).calibration == known


def test_the_demo_model_is_measured() -> None:
    found = measured(Engine(demo_model().folder, "cpu", 1), 1, has_feature_cut=True)
    assert found.calibration.threads == 1
    assert found.calibration.most_together in (1, 2, 4, 8, 16)
    assert found.calibration.step_frames in (2, 16, 64)
    assert 0.0005 < found.utterance_s < 2.0
