"""sherpa-onnx's engines as Transcribers: a recogniser that answers as theirs; theirs over models of no meaning."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path

import pytest

from models.base import Samples, Speech
from models.speech import sherpa
from models.speech.entry import SpeechEntry
from models.speech.guards import judged
from models.speech.sherpa import Recogniser, SherpaTranscriber, Stream
from models.speech.sherpa_words import Result, words_of
from pipeline.errors import ModelFailed, ModelMissing
from tests.unit.models.speech.material import noise, silence, voice
from tests.unit.models.speech.tiny_onnx import write_paraformer, write_sense_voice


@dataclass
class FakeResult:
    """What OfflineRecognitionResult gives."""

    text: str = ""
    lang: str = ""
    tokens: list[str] = field(default_factory=list)
    timestamps: list[float] = field(default_factory=list)
    ys_log_probs: list[float] = field(default_factory=list)


@dataclass
class FakeStream:
    result: Result = field(default_factory=FakeResult)
    heard: int = 0

    def accept_waveform(self, sample_rate: float, waveform: Samples) -> None:
        assert sample_rate == 16_000
        self.heard += waveform.size


class FakeRecogniser:
    """Answers every stream with the same result."""

    def __init__(self, result: FakeResult, *, refuses: bool = False) -> None:
        self._result = result
        self._refuses = refuses
        self.batches: list[int] = []

    def create_stream(self) -> Stream:
        return FakeStream()

    def decode_streams(self, streams: list[Stream]) -> None:
        if self._refuses:
            raise RuntimeError("onnxruntime says no")
        self.batches.append(len(streams))
        for stream in streams:
            assert isinstance(stream, FakeStream)
            stream.result = self._result


def entry(folder: Path = Path("nowhere")) -> SpeechEntry:
    return SpeechEntry(folder, "sense-voice", "1", ("zh", "en"), longest_s=30.0)


def transcriber(result: FakeResult, *, refuses: bool = False) -> tuple[SherpaTranscriber, FakeRecogniser]:
    recogniser = FakeRecogniser(result, refuses=refuses)
    as_used: Recogniser = recogniser
    return SherpaTranscriber(entry(), as_used), recogniser


SENSE_VOICE = FakeResult(
    text="<|zh|><|NEUTRAL|><|Speech|><|withitn|>您好，請簽字。",
    lang="<|zh|>",
    tokens=["您", "好", "，", "請", "簽", "字", "。"],
    timestamps=[0.3, 0.48, 0.6, 0.9, 1.1, 1.3, 1.5],
)


def test_tags_go_and_signs_become_simplified_words_with_times() -> None:
    (heard,) = transcriber(SENSE_VOICE)[0].transcribe([Speech(voice(2.0))])
    assert heard.text == "您好，请签字。"
    assert heard.language == "zh"
    assert [word.text for word in heard.words] == ["您", "好，", "请", "签", "字。"]
    assert [word.start_s for word in heard.words] == [0.3, 0.48, 0.9, 1.1, 1.3]
    assert all(word.start_s <= word.end_s <= 2.0 for word in heard.words)


def test_one_call_decodes_all_and_the_answers_keep_their_order() -> None:
    model, recogniser = transcriber(SENSE_VOICE)
    heard = model.transcribe([Speech(voice(1)), Speech(silence(0)), Speech(silence(0.02)), Speech(voice(2))])
    assert recogniser.batches == [2]
    assert [bool(each.text) for each in heard] == [True, False, False, True]
    assert model.transcribe([]) == []


def test_a_model_without_probabilities_says_so_and_is_not_doubted() -> None:
    (heard,) = transcriber(SENSE_VOICE)[0].transcribe([Speech(voice(2.0))])
    assert isnan(heard.average_log_probability)
    found = judged(heard, ((0.2, 1.8),))
    assert found.heard.text == heard.text
    assert (found.confidence, found.is_doubtful) == (0.0, False)


def test_pieces_of_latin_words_are_put_together() -> None:
    subwords = FakeResult("hello world", "", ["hel@@", "lo", "world"], [0.1, 0.2, 0.5], [-0.1, -0.5, 0.0])
    assert [word.text for word in words_of(subwords, 1.0)] == ["hello", "world"]
    assert words_of(subwords, 1.0)[0].probability == pytest.approx(0.6065, abs=1e-3)
    sentence_pieces = FakeResult("hello world.", "", ["▁hel", "lo", "▁world", "."], [0.1, 0.2, 0.5, 0.9])
    assert [word.text for word in words_of(sentence_pieces, 1.0)] == [" hello", " world."]


def test_tokens_that_do_not_fit_their_times_or_the_text_give_no_words() -> None:
    assert words_of(FakeResult("您好", "", ["您", "好"], [0.1]), 1.0) == ()
    (heard,) = transcriber(FakeResult("您好", "zh", ["再", "见"], [0.1, 0.2]))[0].transcribe([Speech(voice(1))])
    assert heard.text == "您好"
    assert heard.words == ()


def test_an_engine_that_refuses_is_a_failed_model() -> None:
    with pytest.raises(ModelFailed, match="sense-voice"):
        transcriber(SENSE_VOICE, refuses=True)[0].transcribe([Speech(voice(1))])
    with pytest.raises(ModelFailed, match="longer than the 30 s"):
        transcriber(SENSE_VOICE)[0].transcribe([Speech(voice(31))])


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sherpa_onnx", None)
    with pytest.raises(ModelMissing, match="pip install sherpa-onnx"):
        sherpa.opened(entry(), "sense_voice")


def test_files_that_are_not_here_are_named(tmp_path: Path) -> None:
    pytest.importorskip("sherpa_onnx", reason="sherpa-onnx is not installed")
    with pytest.raises(ModelMissing, match=r"tokens\.txt"):
        sherpa.opened(entry(tmp_path), "paraformer")


@pytest.mark.parametrize(("kind", "write"), [("sense_voice", write_sense_voice), ("paraformer", write_paraformer)])
def test_the_real_engine_runs_models_of_the_right_form(
    kind: sherpa.Kind, write: Callable[[Path], None], tmp_path: Path
) -> None:
    pytest.importorskip("sherpa_onnx", reason="sherpa-onnx is not installed")
    write(tmp_path)
    model = sherpa.opened(entry(tmp_path), kind)
    sound = noise(2.0, 0.1, 1.0)
    heard = model.transcribe([Speech(sound), Speech(sound[:320]), Speech(sound[:16_000]), Speech(silence(0))])
    assert [bool(each.text) for each in heard] == [True, False, True, False]
    assert model.transcribe([Speech(sound)])[0].text == heard[0].text
    assert isnan(heard[0].average_log_probability)
    for word in heard[0].words:
        assert 0 <= word.start_s <= word.end_s <= 2.0
    assert bool(heard[0].words) == (kind == "sense_voice")  # this Paraformer tells no times


@pytest.mark.parametrize("content", [b"", b"not a model", b"neg_mean inv_stddev vocab_size lfr_window_size" * 9])
def test_what_is_no_model_is_told_in_a_plain_sentence(content: bytes, tmp_path: Path) -> None:
    pytest.importorskip("sherpa_onnx", reason="sherpa-onnx is not installed")
    write_paraformer(tmp_path)
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ModelFailed, match=tmp_path.name):
        sherpa.opened(entry(tmp_path), "paraformer")


def test_a_model_of_the_other_kind_is_refused_before_it_ends_the_process(tmp_path: Path) -> None:
    pytest.importorskip("sherpa_onnx", reason="sherpa-onnx is not installed")
    write_paraformer(tmp_path)
    with pytest.raises(ModelFailed, match="normalize_samples"):
        sherpa.opened(entry(tmp_path), "sense_voice")


def test_the_real_package_takes_what_we_give_it() -> None:
    """The names of its arguments and attributes are those that we use."""
    package = pytest.importorskip("sherpa_onnx", reason="sherpa-onnx is not installed")
    import inspect

    sense_voice = inspect.signature(package.OfflineRecognizer.from_sense_voice).parameters
    paraformer = inspect.signature(package.OfflineRecognizer.from_paraformer).parameters
    assert {"model", "tokens", "num_threads", "provider", "use_itn"} <= sense_voice.keys()
    assert {"paraformer", "tokens", "num_threads", "provider"} <= paraformer.keys()
    assert {"text", "lang", "tokens", "timestamps", "ys_log_probs"} <= set(
        dir(package.lib._sherpa_onnx.OfflineRecognitionResult)
    )
    assert {"create_stream", "decode_streams"} <= set(dir(package.OfflineRecognizer))
