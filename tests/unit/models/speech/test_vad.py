"""The voice detector: state carried from call to call, silence that costs nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.base import Samples
from models.speech.vad import SileroDetector
from tests.unit.models.speech.material import noise, silence, sound, sounds, table


def test_a_probability_for_each_whole_window() -> None:
    detector = SileroDetector()
    assert detector.feed(silence(0.01)).size == 0
    assert detector.feed(silence(0.03)).size == 1
    assert detector.feed(silence(1.0)).size == 31
    assert detector.feed(silence(0.0)).size == 0


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9_000), min_size=1, max_size=20))
def test_how_the_sound_is_cut_into_calls_makes_no_difference(sizes: list[int]) -> None:
    given_sound = np.concatenate(
        [noise(1.0, 0.1, 1.0), silence(1.0), noise(1.0, 0.05, 2.0), silence(0.2), noise(0.5, 0.1)]
    )
    whole = SileroDetector().feed(given_sound)
    detector, parts, place = SileroDetector(), [], 0
    for size in [*sizes, given_sound.size]:
        parts.append(detector.feed(given_sound[place : place + size]))
        place += size
    assert np.allclose(np.concatenate(parts), whole, atol=1e-4)


def test_a_long_silence_is_not_looked_at_and_the_sound_after_it_is_as_if_first(monkeypatch: pytest.MonkeyPatch) -> None:
    detector, asked = SileroDetector(), []
    ask = detector._ask

    def counted(windows: Samples) -> Samples:
        asked.append(len(windows))
        return ask(windows)

    monkeypatch.setattr(detector, "_ask", counted)
    after = noise(1.0, 0.1)
    detector.feed(noise(0.512, 0.1, 1.0))
    assert detector.feed(silence(60.0)).max() < 0.1
    assert sum(asked) == 16 + 8
    heard = detector.feed(np.concatenate([silence(0.008), after]))  # a whole window again: 1,875 of silence are none
    assert np.allclose(heard, SileroDetector().feed(np.concatenate([silence(0.008), after])), atol=1e-4)


def test_speech_is_found_where_it_is() -> None:
    folder = sounds()
    scene = sound(folder / "scene.flac")
    spoken = np.zeros(scene.size // 512, bool)
    for line in table(folder / "scene.tsv"):
        spoken[int(float(line["start"]) / 0.032) : int(float(line["end"]) / 0.032)] = True
    found = SileroDetector().feed(scene)[: spoken.size] > 0.5
    assert (found & spoken).sum() / spoken.sum() > 0.85
    assert (found & ~spoken).sum() / (~spoken).sum() < 0.15
