"""What the bench makes of captions as they came, and that its report holds what the contract names."""

from pathlib import Path

import pytest

from api.bench import run, speech
from api.bench.captions import Shown, delays_of, finals_of, quantiles_ms
from api.bench.speech_set import read_set, script_text
from pipeline.errors import SettingsInvalid, WorkerFailed
from pipeline.simulate.sound import voice
from pipeline.simulate.spoken import spoken_stream

PAD_S = 0.2


def shown(
    utterance: int, arrived_s: float, text: str = "您好", *, is_final: bool = False, stream_id: str = "st_1"
) -> Shown:
    """An utterance of the seconds 100 to 102, with its padding."""
    return Shown(stream_id, utterance, 100.0, 102.0, arrived_s, text, is_final)


def test_first_words_count_from_the_beginning_of_speech_and_final_ones_from_its_end() -> None:
    delays = delays_of([shown(1, 100.9), shown(1, 101.5), shown(1, 102.4, is_final=True)], PAD_S)
    assert delays.first_s == pytest.approx([0.7])
    assert delays.final_s == pytest.approx([0.6])


def test_an_utterance_without_partials_has_its_first_words_with_the_final_ones() -> None:
    delays = delays_of([shown(1, 102.4, is_final=True)], PAD_S)
    assert delays.first_s == pytest.approx([2.2])
    assert delays.final_s == pytest.approx([0.6])


def test_a_caption_without_words_is_no_first_caption_and_no_final_one() -> None:
    delays = delays_of([shown(1, 100.5, ""), shown(1, 101.0), shown(1, 102.3, "", is_final=True)], PAD_S)
    assert delays.first_s == pytest.approx([0.8])
    assert delays.final_s == ()


def test_the_same_number_in_another_stream_is_another_utterance() -> None:
    delays = delays_of([shown(1, 101.0), shown(1, 101.2, stream_id="st_2")], PAD_S)
    assert sorted(delays.first_s) == pytest.approx([0.8, 1.0])


def test_what_a_stream_said_is_its_finals_in_their_order_whenever_they_came() -> None:
    came = [shown(2, 102.5, "再见", is_final=True), shown(1, 103.0, "您好", is_final=True), shown(3, 103.1, "等等")]
    assert finals_of(came) == {"st_1": "您好再见"}


def test_quantiles_are_milliseconds_and_nothing_heard_is_a_failure() -> None:
    assert quantiles_ms([0.1, 0.2, 0.3]) == {"p50": 200, "p95": 290, "max": 300, "utterances": 3}
    with pytest.raises(WorkerFailed, match="hardly any words"):
        quantiles_ms([0.1])


def test_a_set_is_read_with_its_texts(tmp_path: Path) -> None:
    copied(tmp_path, "file\tspeaker\ttext\nsample01.flac\tofficer\t您好\n")
    (told,) = read_set(tmp_path)
    assert (told.file, told.text) == ("sample01.flac", "您好")
    assert told.samples.size > 16_000


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ("file\twords\nsample01.flac\t您好\n", "head does not name"),
        ("file\ttext\n", "has no line"),
        ("file\ttext\nsample01.flac\n", "as many columns"),
        ("file\ttext\nmissing.flac\t您好\n", "missing.flac holds no sound"),
        ("file\ttext\ntranscripts.tsv\t您好\n", "transcripts.tsv holds no sound"),
    ],
)
def test_a_set_that_does_not_hold_is_told_with_its_file_and_no_spoken_word(
    tmp_path: Path, lines: str, named: str
) -> None:
    copied(tmp_path, lines)
    with pytest.raises(SettingsInvalid, match=named) as caught:
        read_set(tmp_path)
    assert "您好" not in str(caught.value)


def test_a_folder_without_a_table_is_no_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"transcripts\.tsv cannot be read"):
        read_set(tmp_path)


def copied(folder: Path, lines: str) -> None:
    from pipeline.simulate.sound import VOICES

    (folder / "sample01.flac").write_bytes((VOICES / "sample01.flac").read_bytes())
    (folder / "transcripts.tsv").write_text(lines, encoding="utf-8")


def test_a_spoken_stream_is_a_whole_loop_of_pictures_and_real_sound() -> None:
    stream = spoken_stream(voice("sample01"), 300_000)
    sounds = [unit for unit in stream.access_units if not unit.is_video]
    assert stream.duration_ms % 8000 == 0
    assert len(sounds) == stream.duration_ms * 48 // 1024
    assert sum(unit.is_key for unit in stream.access_units) == stream.duration_ms // 2000
    assert [unit.time_ms for unit in stream.access_units] == sorted(unit.time_ms for unit in stream.access_units)
    assert len({unit.data for unit in sounds}) > 60, "what is said is in it, and no loop of one frame"


@pytest.mark.slow
def test_the_report_has_what_the_contract_names_and_says_that_a_demo_model_was_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ONRECORD_DATA", str(tmp_path))
    monkeypatch.setattr(speech, "WHOLE", speech.Scale(devices=2, seconds=9.0, rounds=1, scene_s=16.2))
    report = run("speech")
    assert {"throughput_gain_8", "sound_core_share_per_stream", "models", "meta"} <= report.keys()
    for name in ("caption_partial_ms", "caption_final_ms"):
        delays = report[name]
        assert isinstance(delays, dict)
        assert 0 < delays["p50"] <= delays["p95"]
    models = report["models"]
    assert isinstance(models, list)
    demo = next(each for each in models if each["name"] == "whisper-demo-zh")
    assert {"rtf", "streams_per_core", "cer"} <= demo.keys()
    assert demo["cer"] < 0.1
    throughput = report["throughput"]
    assert isinstance(throughput, dict)
    assert throughput["ours"]["cer"] < 0.1
    assert demo["streams_per_core"] < demo["streams_per_core_voiced_35"]
    assert demo["with_captions"]["streams_per_core"] < demo["streams_per_core"]
    meta = report["meta"]
    assert isinstance(meta, dict)
    assert {"bench", "machine", "commit", "method"} <= meta.keys()
    if report["is_demo"]:
        assert "demonstration model" in meta["method"]


def test_the_script_is_all_lines_of_the_scene() -> None:
    assert len(script_text()) > 250
