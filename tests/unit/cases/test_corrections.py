"""Words that were heard: what is found of them, which version counts, and a person's word over every model's."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import timeline, words
from cases.appender import Stored
from cases.casework import case_acts, recordings
from cases.casework.corrections import MOST_SIGNS, correct_words
from cases.casework.rows import Case, Recording, the_recording
from cases.custody.check_rows import Expected, of_rows, of_timelines
from cases.facts import Fact, fact_of
from pipeline.errors import StateConflict, ThingUnknown, ValueRefused
from pipeline.events import AnalysisGap, WordsHeard
from pipeline.settings import StoreSettings
from tests.unit.cases.test_casework import NOW_US, Desk, at_desk


def heard(
    text: str, start_s: float, end_s: float, model: str = "sense@1", stream_id: str = "st_1", normal: str = ""
) -> WordsHeard:
    return WordsHeard(
        at=NOW_US / 1e6 + start_s, stream_id=stream_id, recording_id=f"rec_{stream_id[3:]}", start_s=start_s,
        end_s=end_s, text=text, normal=normal, word_times="", language="zh", confidence=0.8, is_doubtful=False,
        speaker="wearer", model=model,
    )  # fmt: skip


def correction(of: WordsHeard, text: str) -> Fact:
    body = {"of_event": of.event_id, "text": text, "by_name": "林晓岚"}
    return Fact(event_id=f"c {text}", kind="WordsCorrected", at_us=NOW_US, by="usr_1", words=text, body=body)


def spans(*facts: WordsHeard | Fact) -> tuple[words.Span, ...]:
    told = [each if isinstance(each, Fact) else fact_of(each) for each in facts]
    return words.spans_of([Stored(seq, NOW_US, fact) for seq, fact in enumerate(told)])


def texts(found: Sequence[words.Said]) -> list[str]:
    return [each.text for each in found]


def test_words_are_searchable_as_heard_and_in_their_normal_form_and_end_when_they_end() -> None:
    fact = fact_of(heard("罚款五百一十元", 10, 12.5, normal="罚款510元"))
    assert fact.words == "罚款五百一十元\n罚款510元"
    assert fact.ends_at_us == fact.at_us + 2_500_000
    assert fact.body["text"] == "罚款五百一十元"
    assert fact_of(heard("您好", 10, 11)).words == "您好"
    gap = AnalysisGap(
        at=NOW_US / 1e6, stream_id="s", recording_id="r", start_s=1, end_s=4, stage="speech", cause="behind"
    )  # fmt: skip
    assert fact_of(gap).ends_at_us == NOW_US + 3_000_000
    assert fact_of(gap).words == ""


def test_of_several_models_the_one_that_was_learned_last_counts_and_the_older_stays() -> None:
    (span,) = spans(heard("出示正件", 1, 3, "small@1"), heard("出示证件", 1.1, 3.1, "large@1"))
    assert [version.model for version in span.versions] == ["large@1", "small@1"]
    assert texts(words.chosen([span])) == ["出示证件"]
    assert texts(words.chosen([span], "small@1")) == ["出示正件"]
    assert words.chosen([span], "none@1") == ()


def test_a_demonstration_model_counts_only_where_nothing_else_was_heard() -> None:
    (span,) = spans(heard("出示证件", 1, 3, "large@1"), heard("出示", 1, 3, "whisper-demo-zh@1"))
    assert texts(words.chosen([span])) == ["出示证件"]
    assert texts(words.chosen(spans(heard("出示", 1, 3, "whisper-demo-zh@1")))) == ["出示"]
    assert not words.is_demo_model("demosthenes@1")


def test_a_persons_words_win_over_every_model_that_heard_before_or_after() -> None:
    old = heard("出示正件", 1, 3, "small@1")
    found = spans(old, correction(old, "出示证件"), heard("初试证件", 1, 3, "large@2"), correction(old, "请出示证件"))
    assert texts(words.chosen(found)) == ["请出示证件"]
    assert words.chosen(found)[0].heard == "出示正件"
    assert [version.model for version in found[0].versions] == ["small@1", "large@2"]


def test_versions_that_cut_the_same_speech_differently_are_one_span_and_neighbours_are_not() -> None:
    found = spans(
        heard("甲", 0, 4), heard("乙", 4, 8), heard("丙", 10, 12),
        heard("甲乙", 0.1, 8, "large@1"), heard("丙", 10.1, 12, "large@1"), heard("丁", 11.8, 14, "large@1"),
    )  # fmt: skip
    assert [(span.start_s, span.end_s, len(span.versions)) for span in found] == [(0, 8, 2), (10, 12, 2), (11.8, 14, 1)]
    assert texts(found[0].versions[1].said) == ["甲", "乙"]


def test_a_model_that_hears_a_span_again_and_cuts_it_otherwise_has_an_older_and_a_newer_version() -> None:
    first = heard("出示正件", 1, 3)
    found = spans(first, heard("出示证件", 1.03, 3), heard("您好", 4, 5))
    assert [[texts(version.said) for version in span.versions] for span in found] == [
        [["出示证件"], ["出示正件"]], [["您好"]],
    ]  # fmt: skip
    assert texts(words.chosen(found)) == texts(words.chosen(found, "sense@1")) == ["出示证件", "您好"]
    found = spans(first, heard("出示证见", 1.03, 3), correction(first, "出示证件"))
    assert texts(words.chosen(found)) == ["出示证件"]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20), st.sampled_from("abc")), max_size=20))
def test_every_utterance_is_in_exactly_one_version_of_one_span(said: list[tuple[int, int, str]]) -> None:
    told = {(at, model): heard(f"{at} {model}", at, at + long, f"{model}@1") for at, long, model in said}
    found = spans(*told.values())
    kept = [each.event_id for span in found for version in span.versions for each in version.said]
    assert sorted(kept) == sorted(each.event_id for each in told.values())
    assert [span.start_s for span in found] == sorted(span.start_s for span in found)


async def _attached(desk: Desk) -> tuple[Case, WordsHeard]:
    case = await desk.case()
    await desk.records(1)
    await desk.appender.change(
        partial(
            recordings.attach, actor=desk.actor(), case_id=case.case_id, recording_id="rec_1", step_id=None
        )
    )  # fmt: skip
    said = heard("出示正件", 1, 3)
    await desk.appender.append([fact_of(said)])
    return case, said


def test_a_correction_is_a_fact_of_the_case_is_found_and_tells_the_old_text_by_its_hash_only(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(desk: Desk) -> None:
        case, said = await _attached(desk)
        correct = partial(correct_words, case_id=case.case_id, event_id=said.event_id)
        first = await desk.appender.change(partial(correct, actor=desk.actor("k"), text=" 出示证件 "))
        assert await desk.appender.change(partial(correct, actor=desk.actor("k"), text="出示证件")) == first
        await desk.appender.change(partial(correct, actor=desk.actor(), text="请出示证件"))
        async with desk.store.reading() as connection:
            (newest, oldest), _ = await timeline.search(desk.store, connection, "证件", 10)
            heard, _ = await timeline.search(desk.store, connection, "正件", 10)
            assert [each.fact.event_id for each in heard] == [said.event_id]
            assert oldest.fact.event_id == first
            body = newest.fact.body
            assert body == {
                "of_event": said.event_id, "text": "请出示证件", "recording_id": "rec_1", "start_s": 1, "end_s": 3,
                "previous_sha256": hashlib.sha256("出示证件".encode()).hexdigest(), "by_name": "林晓岚",
            }  # fmt: skip
            assert oldest.fact.body["previous_sha256"] == hashlib.sha256("出示正件".encode()).hexdigest()
            assert (newest.fact.stream_id, newest.fact.case_id) == ("st_1", case.case_id)
            recording: Recording = await the_recording(connection, "rec_1")
            assert texts(words.chosen(await words.of_recording(connection, recording))) == ["请出示证件"]
        assert (await desk.shown(case)).count("WordsCorrected") == 2
        await _is_whole(desk)

    at_desk(where, tmp_path, act)


async def _is_whole(desk: Desk) -> None:
    """Tables and timelines are what the facts say."""
    expected = Expected()
    async with desk.store.reading() as connection:
        for each in await timeline.after(connection, -1, 1000):
            expected.take(each.fact)
        assert [each async for each in of_rows(connection, expected)] == []
        assert [each async for each in of_timelines(connection)] == []


def test_a_correction_stays_with_its_case_when_the_recording_leaves_it(where: StoreSettings, tmp_path: Path) -> None:
    async def act(desk: Desk) -> None:
        case, said = await _attached(desk)
        other = await desk.case("2")
        await desk.appender.change(
            partial(correct_words, actor=desk.actor(), case_id=case.case_id, event_id=said.event_id, text="好")
        )
        attach = partial(recordings.attach, case_id=other.case_id, recording_id="rec_1", step_id=None)
        await desk.appender.change(partial(attach, actor=desk.actor()))
        assert "WordsCorrected" not in await desk.shown(other)
        assert "WordsHeard" in await desk.shown(other)
        await _is_whole(desk)

    at_desk(where, tmp_path, act)


def test_only_words_on_the_timeline_of_an_open_case_are_corrected(where: StoreSettings, tmp_path: Path) -> None:
    async def act(desk: Desk) -> None:
        case, said = await _attached(desk)
        other = await desk.case("2")
        note = await desk.appender.change(
            partial(
                case_acts.add_note, actor=desk.actor(), case_id=case.case_id,
                wanted=case_acts.NoteWanted(text="备注"),
            )
        )  # fmt: skip

        async def refused(
            error: type[Exception], text: str = "好", event_id: str = said.event_id, of: Case = case
        ) -> None:
            with pytest.raises(error):
                await desk.appender.change(
                    partial(correct_words, actor=desk.actor(), case_id=of.case_id, event_id=event_id, text=text)
                )

        await refused(ThingUnknown, of=other)
        await refused(ThingUnknown, event_id="ev_none")
        await refused(ThingUnknown, event_id=note)
        for text in ("", "  \n", "字" * (MOST_SIGNS + 1), "一行\n两行", "\u202e倒"):
            await refused(ValueRefused, text)
        await desk.appender.change(
            partial(
                case_acts.change_case, actor=desk.actor(), case_id=case.case_id, version=1, wanted={"state": "closed"}
            )
        )
        await refused(StateConflict)
        assert "WordsCorrected" not in await desk.shown(case)

    at_desk(where, tmp_path, act)
