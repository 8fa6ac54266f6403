"""The transcriber over faster-whisper, with the demo model where it lies."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from models.base import Samples, Speech
from models.speech.cer import errors, total
from models.speech.whisper import Calibration, WhisperTranscriber
from models.speech.whisper_engine import Decoded, Engine, Way
from pipeline.errors import ModelFailed, ModelMissing
from tests.unit.models.speech.material import demo_model, noise, silence, sound, sounds, table


@cache
def transcriber() -> WhisperTranscriber:
    return WhisperTranscriber(demo_model(), "cpu", Calibration(threads=1, most_together=4))


def samples() -> tuple[list[str], list[Samples]]:
    """What is said in the twelve samples, and their sound."""
    folder = sounds()
    lines = table(folder / "transcripts.tsv")
    return [line["text"] for line in lines], [sound(folder / line["file"]) for line in lines]


def test_what_is_said_is_heard() -> None:
    model = transcriber()
    said, spoken = samples()
    heard = model.transcribe([Speech(each) for each in spoken])
    assert total(zip(said, [each.text for each in heard], strict=True)).rate < 0.02
    assert {each.language for each in heard} == {"zh"}
    assert all(each.average_log_probability > -0.5 for each in heard)


def test_the_answers_are_in_the_order_of_the_questions_whatever_their_length() -> None:
    model = transcriber()
    _, spoken = samples()
    together = model.transcribe([Speech(each) for each in spoken])
    backwards = model.transcribe([Speech(each) for each in reversed(spoken)])
    assert [each.text for each in together] == [each.text for each in reversed(backwards)]


def test_a_batch_gives_the_words_that_each_gives_alone() -> None:
    said, spoken = samples()
    model = transcriber()
    together = total(zip(said, [each.text for each in model.transcribe([Speech(one) for one in spoken])], strict=True))
    alone = total(zip(said, [model.transcribe([Speech(one)])[0].text for one in spoken], strict=True))
    assert abs(together.rate - alone.rate) <= 0.005


def test_words_have_times_inside_the_sound_that_never_go_back() -> None:
    model = transcriber()
    _, spoken = samples()
    for one, heard in zip(spoken, model.transcribe([Speech(each) for each in spoken]), strict=True):
        assert "".join(word.text for word in heard.words).strip() == heard.text
        edges = [edge for word in heard.words for edge in (word.start_s, word.end_s)]
        assert edges == sorted(edges)
        assert edges[0] >= 0.0
        assert edges[-1] <= one.size / 16_000


def test_an_unfinished_utterance_is_not_said_over_and_over() -> None:
    model = transcriber()
    said, spoken = samples()
    parts = [
        (text, one[: int(16_000 * length_s)]) for text, one in zip(said, spoken, strict=True) for length_s in (1, 2)
    ]
    heard = model.transcribe([Speech(part, is_final=False) for _, part in parts])
    assert all(not each.words for each in heard)
    assert all(len(each.text) <= 16 for each in heard)
    assert sum(each.text[:2] == text[:2] for each, (text, _) in zip(heard, parts, strict=True)) > 0.8 * len(parts)


def test_no_sound_is_too_short_or_too_odd() -> None:
    model = transcriber()
    odd = [
        silence(0),
        silence(0.02),
        noise(0.02, 0.1),
        noise(0.0613, 0.1),
        noise(0.5001, 0.1),
        silence(1),
        noise(9.99, 0.1),
    ]
    heard = model.transcribe([Speech(each) for each in odd])
    assert [each.text for each in heard[:3]] == ["", "", ""]
    assert all(each.average_log_probability < -1.0 and each.no_speech_probability > 0.6 for each in heard[3:])


def test_what_looks_invented_is_tried_once_more_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    model = WhisperTranscriber(demo_model(), "cpu", Calibration(threads=1))
    said, spoken = samples()
    ways: list[Way] = []
    sober = model.engine.decode(
        model.engine.encode([model.engine.features(spoken[1])], 400), model.engine.prompt("zh", ""), "zh", Way(5), 100
    )[0]
    loop = Decoded(sober.tokens[:3] * 30, -0.3, 0.0)
    answers = {"loop": [loop, sober], "both": [loop, replace(loop, average_log_probability=-0.2)], "sober": [sober]}

    def decoded(encoded: object, prompt: list[int], language: str, way: Way, most_tokens: int) -> list[Decoded]:
        ways.append(way)
        return [answers[case][len(ways) - 1]]

    monkeypatch.setattr(model.engine, "decode", decoded)
    for case, tries in (("loop", 2), ("both", 2), ("sober", 1)):
        ways.clear()
        (heard,) = model.transcribe([Speech(spoken[1])])
        assert len(ways) == tries
        assert (errors(said[1], heard.text).wrong == 0) == (case != "both")
    assert ways == [Way(5)]


def test_a_partial_is_never_tried_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    model = WhisperTranscriber(demo_model(), "cpu", Calibration(threads=1))
    ways: list[Way] = []

    def decoded(encoded: object, prompt: list[int], language: str, way: Way, most_tokens: int) -> list[Decoded]:
        ways.append(way)
        return [Decoded((), -9.0, 0.0)]

    monkeypatch.setattr(model.engine, "decode", decoded)
    assert model.transcribe([Speech(noise(1.0, 0.1), is_final=False)])[0].text == ""
    assert [way.width for way in ways] == [1]


def test_nothing_asked_is_nothing_answered() -> None:
    assert transcriber().transcribe([]) == []


def test_what_is_longer_than_the_model_hears_at_once_is_refused() -> None:
    with pytest.raises(ModelFailed, match="longer than the 10 s"):
        transcriber().transcribe([Speech(noise(10.2, 0.1))])


def test_a_language_that_the_model_does_not_know_is_refused() -> None:
    with pytest.raises(ModelFailed, match="language ja"):
        transcriber().transcribe([Speech(noise(1.0, 0.1), language="ja")])


def test_the_language_is_found_where_none_is_given() -> None:
    model = transcriber()
    said, spoken = samples()
    (heard,) = model.transcribe([Speech(spoken[1], language="")])
    assert heard.language == "zh"
    assert errors(said[1], heard.text).wrong == 0


def test_the_same_sound_gives_the_same_words_even_where_they_are_guessed() -> None:
    model = transcriber()
    strange = noise(4.0, 0.3, 1.0) * np.sin(np.arange(64_000) / 900).astype(np.float32)
    assert model.transcribe([Speech(strange)]) == model.transcribe([Speech(strange)])


def spoilt(folder: Path, name: str, content: bytes | None) -> Path:
    """A copy of the demo model in which one file is other than it should be, or missing."""
    copied = folder / "spoilt"
    shutil.copytree(demo_model().folder, copied, copy_function=shutil.copyfile)
    copied.chmod(0o755)
    (copied / name).unlink()
    if content is not None:
        (copied / name).write_bytes(content)
    return copied


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("model.bin", lambda whole: whole[: len(whole) // 2]),
        ("model.bin", lambda whole: whole[:3]),
        ("model.bin", lambda _: b""),
        ("model.bin", lambda _: bytes(range(256)) * 20),
        ("model.bin", lambda whole: whole.replace(b"WhisperSpec\0", b"Wav2Vec2Sp\0\0", 1)),
        ("config.json", lambda _: b'{"architectures": ['),
        ("tokenizer.json", lambda whole: whole[:1000]),
        ("tokenizer.json", lambda _: b"{}"),
        ("preprocessor_config.json", lambda _: b'{"feature_size": 128}'),
        ("preprocessor_config.json", lambda _: b'{"feature_size": "many"}'),
    ],
)
def test_broken_files_are_told_in_a_plain_sentence(name: str, change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    whole = (demo_model().folder / name).read_bytes()
    entry = replace(demo_model(), folder=spoilt(tmp_path, name, change(whole)))
    with pytest.raises(ModelFailed, match="spoilt"):
        WhisperTranscriber(entry, "cpu")


def test_files_that_are_not_here_are_named(tmp_path: Path) -> None:
    entry = replace(demo_model(), folder=spoilt(tmp_path, "model.bin", None))
    with pytest.raises(ModelMissing, match=r"model\.bin"):
        WhisperTranscriber(entry, "cpu")


def test_a_gpu_that_is_not_there_is_told_in_a_plain_sentence() -> None:
    entry = demo_model()
    if Engine(entry.folder, "auto", 1).device == "cuda":
        pytest.skip("there is a GPU here")
    with pytest.raises(ModelFailed, match="cannot be loaded on cuda"):
        WhisperTranscriber(entry, "cuda")
