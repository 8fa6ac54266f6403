"""Rows of the past judged at once: what is found is what the watches find that are fed with every row."""

import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.signal.bounds import Bounds
from models.signal.pictures import PictureRow
from models.signal.sounds import ROW_S, SoundRow
from pipeline.analyse.board import Work
from pipeline.analyse.columns import columns_of
from pipeline.analyse.judge_rows import answer, judged, judged_at_once
from pipeline.analyse.rows import Row, Rows, form_of
from pipeline.analyse.signal_rules import SignalRules
from pipeline.event_codec import event_from
from pipeline.events import FindingEnded

RULES = SignalRules.load()
WORK = Work("rows:rec_1", "span", "signal", "st_1", "rec_1", 1_700_000_000.0)

Change = dict[str, float]
CALM_PICTURE: Change = {
    "mean": 110.0, "low": 40.0, "high": 200.0, "clipped": 0.001, "structure": 0.6, "edged": 0.8, "sharp": 0.6,
    "motion": 60.0, "changed": 0.5, "same": 0.02, "turn": 2.0, "agreed": 12.0, "back": 1.0,
}  # fmt: skip
CALM_SOUND: Change = {
    "level_db": -45.0, "peak": 0.2, "flat": 0.01, "edge_db": -120.0, "low_db": -50.0, "middle_db": -50.0,
    "upper_db": -55.0, "high_db": -60.0, "floor_db": -58.0, "wobble_db": 4.0, "harmonic": 0.3, "voice_db": -120.0,
    "burst_db": -60.0, "burst_middle_db": -60.0, "burst_top_db": -70.0, "rise_db": 3.0, "fall_db": 2.0,
    "burst_harmonic": 0.2,
}  # fmt: skip
PICTURES: tuple[Change, ...] = (
    {}, {"turn": 8.0}, {"turn": 352.0}, {"turn": 178.0, "agreed": 20.0}, {"turn": 40.0, "back": 2.0}, {"agreed": 0.0},
    {"high": 16.0, "low": 16.0, "mean": 16.0, "structure": 0.0, "sharp": 0.0, "edged": 0.0},
    {"structure": 0.02, "sharp": 0.0, "mean": 25.0, "high": 30.0}, {"structure": 0.06, "sharp": 0.02, "mean": 90.0},
    {"clipped": 0.9}, {"clipped": 0.6}, {"sharp": 0.01}, {"sharp": 0.08}, {"motion": 1.0, "same": 0.99, "changed": 0.0},
    {"motion": 2.0, "same": 0.1, "changed": 0.0}, {"motion": 7.0, "changed": 0.1}, {"motion": -1.0, "changed": -1.0},
)  # fmt: skip
TALK: Change = {"voiced": 0.6, "voice_db": -24.0, "tilt_db": -9.0, "pitch_hz": 140.0, "level_db": -26.0}
BLOW: Change = {
    "burst_db": -5.0, "burst_middle_db": -8.0, "burst_top_db": -12.0, "rise_db": 30.0, "fall_db": 25.0,
    "burst_harmonic": 0.1,
}  # fmt: skip
TONE: Change = {"tonal": 0.9, "tone_hz": 900.0, "tone_low_hz": 895.0, "tone_high_hz": 905.0, "tone_fade_db": 0.1}
SOUNDS: tuple[Change, ...] = (
    {}, TALK, {**TALK, "voice_db": -12.0, "tilt_db": 2.0, "pitch_hz": 260.0}, {**TALK, "tonal": 0.31},
    {**TALK, "voice_db": -5.0, "tilt_db": 12.0}, {**TALK, "tilt_db": -3.5}, {**TALK, "voiced": 0.31},
    {"level_db": -110.0, "zero": 1.0, "edge_db": -1.0}, {"level_db": -110.0, "zero": 1.0, "edge_db": -60.0},
    {"level_db": -82.0}, {"zero": 0.2, "edge_db": -40.0}, {"zero": 0.2, "edge_db": -2.0},
    {"flat": 0.08, "peak": 0.99}, {"flat": 0.2, "peak": 1.0}, {"flat": 0.04, "peak": 0.9},
    {"drops": 2.0, "level_db": -20.0}, {"drops": 1.0, "level_db": -20.0}, {"floor_db": -20.0}, {"floor_db": -28.0},
    BLOW, {**BLOW, "burst_middle_db": -40.0, "burst_top_db": -5.0}, {**BLOW, "fall_db": 1.0},
    TONE, {**TONE, "tone_same": 0.9, "tone_same_hz": 2000.0, "tonal": 0.3},
    {"tonal": 0.25, "tone_hz": 2000.0, "tone_low_hz": 1900.0, "tone_high_hz": 2000.0, "tone_step": 0.02},
    {"floor_db": -25.0, "harmonic": 0.2, "wobble_db": 2.0, "low_db": -30.0, "middle_db": -28.0, "high_db": -50.0},
)  # fmt: skip


def spells(changes: Sequence[Change]) -> st.SearchStrategy[list[tuple[Change, int]]]:
    """So many rows on end of one sort, then of another."""
    return st.lists(st.tuples(st.sampled_from(changes), st.integers(1, 25)), max_size=25)


def picture(at_s: float, change: Change) -> Row:
    values = dict.fromkeys(PictureRow.names(), 0.0) | CALM_PICTURE | change
    return Row("picture", form_of(PictureRow), at_s, PictureRow(**values).values())


def sound(at_s: float, change: Change) -> Row:
    values = dict.fromkeys(SoundRow.names(), 0.0) | CALM_SOUND | change | {"at_s": at_s}
    return Row("sound", form_of(SoundRow), at_s, SoundRow(**values).values())


def rows_of(
    made: Callable[[float, Change], Row], spell: Sequence[tuple[Change, int]], holes: Sequence[float], step_s: float
) -> list[Row]:
    """Behind the first rows of each of the spells some are missing, as long as `holes` says."""
    rows, at_s = list[Row](), 0.0
    for number, (change, count) in enumerate(spell):
        at_s += holes[number % len(holes)] if holes else 0.0
        for _ in range(count):
            at_s += step_s
            rows.append(made(at_s, change))
    return rows


def kept(folder: Path, rows: Sequence[Row]) -> Sequence[Row]:
    """As they lie on the disk: five digits each."""
    Rows(folder).write("rec_1", "".join(f"{row.line()}\n" for row in rows))
    return Rows(folder).of("rec_1")


@settings(deadline=None, max_examples=150)
@given(
    pictures=spells(PICTURES), sounds=spells(SOUNDS),
    holes=st.lists(st.sampled_from([0.0, 0.0, 0.5, 3.0, 11.0, 40.0]), max_size=6),
)  # fmt: skip
def test_rows_judged_at_once_tell_what_rows_that_are_fed_one_by_one_tell(
    tmp_path_factory: pytest.TempPathFactory,
    pictures: list[tuple[Change, int]],
    sounds: list[tuple[Change, int]],
    holes: list[float],
) -> None:
    folder = tmp_path_factory.mktemp("measures")
    made = [*rows_of(picture, pictures, holes, 1.0), *rows_of(sound, sounds, holes, ROW_S)]
    rows = kept(folder, made)
    columns = columns_of(folder, "rec_1")
    assert columns is not None
    assert len(columns) == len(rows)
    assert judged_at_once(WORK, columns, RULES) == judged(WORK, rows, RULES)[0]


ALL = frozenset((*RULES.pictures.kinds, *RULES.sounds.kinds)) - {"stream_thin", "undecodable"}


def bounds(of: Bounds, finding: str, **changed: float) -> Bounds:
    kinds = dict(of.kinds)
    kind = kinds[finding]
    values = {each.name: getattr(kind, each.name) for each in fields(kind)}
    kinds[finding] = type(kind)(**{**values, "bounds": {**kind.bounds, **changed}})
    return type(of)(of.name, of.version, kinds)


@pytest.mark.parametrize(
    ("finding", "changed"),
    [
        ("shouting", {}), ("shouting", {"pitch_weight": 0.5}), ("shouting", {"level_weight": -0.3}),
        ("shouting", {"effort_min_leave": 1.0}),
        ("sound_cut", {"drops_min": 0.0, "drops_min_leave": 0.0}), ("sound_missing", {"muting_s": 4.0}),
        ("crowd", {"over_min": 1.0, "over_min_leave": 0.5}), ("upside_down", {"turned_min": 20.0}),
        ("frozen", {"moved_min": 0.0}), ("blurred", {"sharp_max": 0.9, "sharp_max_leave": 0.95}),
    ],
)  # fmt: skip
def test_the_same_holds_for_other_bounds(tmp_path: Path, finding: str, changed: Change) -> None:
    of_pictures = finding in RULES.pictures.kinds
    rules = SignalRules(
        bounds(RULES.pictures, finding, **changed) if of_pictures else RULES.pictures,
        RULES.sounds if of_pictures else bounds(RULES.sounds, finding, **changed), RULES.label,
    )  # fmt: skip
    spell = [(change, 3 + 5 * number % 17) for number, change in enumerate((*PICTURES, *reversed(PICTURES)))]
    noise = [(change, 2 + 7 * number % 19) for number, change in enumerate((*SOUNDS, TALK, *reversed(SOUNDS)))]
    rows = kept(tmp_path, [*rows_of(picture, spell, [], 1.0), *rows_of(sound, noise, [0.0, 0.0, 2.0], ROW_S)])
    columns = columns_of(tmp_path, "rec_1")
    assert columns is not None
    found = judged_at_once(WORK, columns, rules)
    assert found == judged(WORK, rows, rules)[0]
    hidden = {"bang", "sound_drowned"} if finding == "sound_cut" else set()  # what is cut all the time is nothing else
    assert {each.finding for each in found} >= ALL - {finding} - hidden, "there is something to compare"


def test_few_rows_of_a_calm_hour_are_fed_one_by_one(tmp_path: Path) -> None:
    rows = [
        *(picture(at + 0.04, {"turn": float(at % 7)}) for at in range(3600)),
        *(sound(at / 2, TALK if at % 9 < 4 else {}) for at in range(7200)),
    ]
    kept(tmp_path, rows)
    columns = columns_of(tmp_path, "rec_1")
    assert columns is not None
    pictures, _, sounds = RULES.watches()
    assert pictures.restless(columns.pictures[:, 1:]).sum() < 10
    assert sounds.past(columns.sounds[:, 1:]).restless.sum() < 10


def test_a_silence_three_hours_into_a_recording_is_found_where_it_is(tmp_path: Path) -> None:
    """Among the numbers of a row its time is cut to five digits, and half seconds are lost from 10,000 s on."""
    silent = {"level_db": -110.0, "zero": 1.0, "edge_db": -1.0}
    rows = kept(tmp_path, [sound(12_000 + at / 2, silent if 40 <= at < 60 else TALK) for at in range(100)])
    begun, over = judged(WORK, rows, RULES)[0]
    assert isinstance(over, FindingEnded)
    assert (begun.finding, begun.start_s, over.end_s) == ("sound_missing", 12_020.0, 12_030.0)
    columns = columns_of(tmp_path, "rec_1")
    assert columns is not None
    assert judged_at_once(WORK, columns, RULES) == (begun, over)


def test_columns_are_made_once_and_anew_when_rows_came_or_the_file_is_torn(tmp_path: Path) -> None:
    rows = kept(tmp_path, [sound(at / 2, {}) for at in range(50)])
    first = columns_of(tmp_path, "rec_1")
    file = tmp_path / "columns" / "rec_1"
    whole = file.read_bytes()
    (tmp_path / "rec_1.jsonl").write_bytes(b"x" * (tmp_path / "rec_1.jsonl").stat().st_size)
    assert first is not None
    again = columns_of(tmp_path, "rec_1")
    assert again is not None
    assert again.sounds.tobytes() == first.sounds.tobytes(), "lines are not read again"
    (tmp_path / "rec_1.jsonl").unlink()
    kept(tmp_path, rows)
    for torn in (whole[:-8], whole[:-1] + b"\x07", b"", b"{}\n", b"\xff", whole.replace(b'"rows": ', b'"rows": 1')):
        file.write_bytes(torn)
        made = columns_of(tmp_path, "rec_1")
        assert made is not None
        assert made.sounds.tobytes() == first.sounds.tobytes()
        assert file.read_bytes() == whole
    kept(tmp_path, [sound(99.0, {})])
    grown = columns_of(tmp_path, "rec_1")
    assert grown is not None
    assert len(grown) == 51


@pytest.mark.parametrize(
    "spoiled", ["", "torn", '["sound", "x"', '["picture"]', "[]", "3", '["sound", "{form}", 1e999, 1]']
)
def test_rows_that_are_torn_repeated_or_out_of_order_make_the_columns_of_what_counts(
    tmp_path: Path, spoiled: str
) -> None:
    rows = [sound(at / 2, {}) for at in (3, 1, 2, 2)] + [sound(1.0, TALK), picture(0.5, {}), picture(0.5, {"low": 3.0})]
    lines = [row.line() for row in rows]
    lines.insert(2, spoiled.replace("{form}", form_of(SoundRow)))
    Rows(tmp_path).write("rec_1", "\n".join(lines) + "\n")
    columns = columns_of(tmp_path, "rec_1")
    assert columns is not None
    assert columns.sounds[:, 0].tolist() == [0.5, 1.0, 1.5]
    assert columns.pictures[0, 1:].tolist() == list(rows[-1].numbers)
    told = Rows(tmp_path).of("rec_1")
    assert judged_at_once(WORK, columns, RULES) == judged(WORK, told, RULES)[0]
    assert columns.sounds[:, 1:].tolist() == [list(row.numbers) for row in told if row.kind == "sound"]


def test_rows_of_another_form_have_no_columns_and_are_judged_one_by_one(tmp_path: Path) -> None:
    folder = tmp_path / "analysis" / "measures"
    kept(folder, [sound(at / 2, {}) for at in range(3)])
    Rows(folder).write("rec_1", Row("sound", "older", 9.0, (1.0,)).line() + "\nno row\n")
    assert columns_of(folder, "rec_1") is None
    *_, counts = answer(tmp_path, [("rec_1", "st_1", 0.0)], RULES)
    assert json.loads(counts) == {"recordings": 1, "rows": 4, "passed_over": 1}
    assert columns_of(folder, "rec_none") is not None, "of no rows there are columns without any"


def test_one_process_answers_one_question_after_the_other(tmp_path: Path) -> None:
    folder = tmp_path / "analysis" / "measures"
    kept(folder, [sound(at / 2, {"level_db": -110.0, "zero": 1.0} if at > 120 else TALK) for at in range(240)])
    question = json.dumps({"data": str(tmp_path), "recordings": [["rec_1", "st_1", 5.0], ["rec_2", "st_2", 5.0]]})
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.analyse.judge_rows"], input=f"{question}\n" * 2, capture_output=True,
        text=True, timeout=120, check=True,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines == [*lines[: len(lines) // 2]] * 2
    *events, counts = lines[: len(lines) // 2]
    assert counts == {"recordings": 2, "rows": 240, "passed_over": 0}
    assert [event_from(each).finding for each in events] == ["sound_missing"] * 2  # type: ignore[union-attr]
    assert not any(math.isnan(each["at"]) for each in events)
