"""The whole chain, from sound to what is left of the text: what is said comes through, and nothing else does."""

from functools import cache

import numpy as np
import pytest

from models.base import RATE_HZ, Speech
from models.speech.cer import errors, total
from models.speech.evaluate import batched, captions_of, heard_in, one_by_one, start_errors_s, text_of, utterances_of
from models.speech.guards import judged
from models.speech.nothing import KINDS, nothing
from models.speech.passage import Rules
from models.speech.stock import StockTranscriber
from models.speech.whisper import Calibration, WhisperTranscriber
from tests.unit.models.speech.material import demo_model, noise, silence, sound, sounds, table


@cache
def model() -> WhisperTranscriber:
    return WhisperTranscriber(demo_model(), "cpu", Calibration(threads=1, most_together=4))


def test_a_scene_of_two_voices_comes_through() -> None:
    lines = table(sounds() / "scene.tsv")
    said = heard_in(sound(sounds() / "scene.flac"), model())
    assert errors("".join(line["text"] for line in lines), text_of(said)).rate < 0.025
    assert not any(each.judged.removed for each in said), "a guard took away what was said"
    assert not any(each.judged.is_doubtful for each in said)


def test_sentences_begin_when_they_were_begun() -> None:
    lines = table(sounds() / "scene.tsv")
    said = heard_in(sound(sounds() / "scene.flac"), model())
    off_s = start_errors_s(said, [float(line["start"]) for line in lines])
    assert len(off_s) == 21
    assert np.median(off_s) <= 0.1
    assert np.quantile(off_s, 0.9) <= 0.2


def test_samples_with_noise_and_codecs_come_through() -> None:
    lines = table(sounds() / "transcripts.tsv")
    pairs = [(line["text"], text_of(heard_in(sound(sounds() / line["file"]), model()))) for line in lines]
    assert total(pairs).rate < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_speaks_and_no_word_comes(kind: str) -> None:
    assert text_of(heard_in(nothing(kind, 60.0), model())) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_even_where_the_detector_is_fooled_the_guards_let_no_word_through(kind: str) -> None:
    for seed in (4, 5):
        whole = nothing(kind, 9.0, seed)
        for length_s in (0.4, 1.5, 5.0, 9.0):
            part = whole[: int(length_s * RATE_HZ)]
            (heard,) = model().transcribe([Speech(part)])
            assert judged(heard, ((0.0, length_s),)).heard.text == ""


def test_wind_around_speech_adds_nothing_to_it() -> None:
    line = table(sounds() / "transcripts.tsv")[1]
    spoken = sound(sounds() / line["file"])
    around = np.concatenate([nothing("wind", 5.0) * 0.3, spoken, nothing("wind", 5.0, 2) * 0.3])
    assert errors(line["text"], text_of(heard_in(around, model()))).wrong <= 1


def test_what_a_viewer_saw_as_settled_is_hardly_ever_revised() -> None:
    shown = captions_of(sound(sounds() / "scene.flac"), model())
    assert shown.partials > 80
    assert shown.settled > 200
    assert shown.revised <= 0.05 * shown.settled
    assert len(shown.final_s) == 20
    assert np.median(shown.first_s) < 1.0
    assert np.median(shown.final_s) < 1.0


def test_eight_streams_together_cost_a_quarter_of_one_call_an_utterance_and_hear_as_well() -> None:
    spoken = utterances_of(sound(sounds() / "scene.flac"), Rules(longest_s=10.0))
    streams = [spoken[start : start + 2] for start in range(8)]
    together = min((batched(streams, model(), 4) for _ in range(2)), key=lambda each: each.cpu_s)
    alone = one_by_one([each for stream in streams for each in stream], StockTranscriber(demo_model(), threads=1))
    assert alone.cpu_s / together.cpu_s >= 4.0
    assert errors("".join(alone.texts), "".join(together.texts)).rate <= 0.02


def test_silence_between_makes_no_difference_to_what_is_said() -> None:
    line = table(sounds() / "transcripts.tsv")[1]
    spoken = sound(sounds() / line["file"])
    for before_s, hiss in ((0.1, 1e-9), (3.0, 0.001), (7.3, 0.003)):
        whole = np.concatenate([silence(before_s), spoken, silence(1.0)])
        whole += noise(whole.size / RATE_HZ, hiss)
        assert errors(line["text"], text_of(heard_in(whole, model()))).wrong == 0
