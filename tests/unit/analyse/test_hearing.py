"""What is said under one lease: each utterance once, from its beginning, with its caption; the rest is left."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from models.base import RATE_HZ, VOICE_WINDOW, Heard, Samples, Word
from models.speech.passage import Rules
from models.speech.utterances import Utterances
from pipeline.analyse.board import Work
from pipeline.analyse.hearing import Hearing, Wanted
from pipeline.analyse.progress import Covered
from pipeline.analyse.sound import Sound
from pipeline.events import WordsHeard

LIVE = Work("live:st_1:speech", "live", "speech", "st_1", "rec_1", 1_700_000_000.0, model="made")
SPAN = Work("span:rec_1", "span", "speech", "st_1", "rec_1", 1_700_000_000.0, 10.0, 20.0, model="made")
STEP = RATE_HZ // 4


class Loud:
    """A VoiceDetector that takes what is loud for speech."""

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        windows = samples[: samples.size // VOICE_WINDOW * VOICE_WINDOW].reshape(-1, VOICE_WINDOW)
        return np.asarray(np.abs(windows).max(axis=1) > 0.1, np.float32)

    def reset(self) -> None:
        pass


@dataclass
class Ear:
    """A lease, its sound, and a model that hears what it is told."""

    work: Work = LIVE
    removed: list[str] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)
    told: list[Covered] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hearing = Hearing(
            self.work, "made@1", Utterances(Loud(), Rules(longest_s=10.0)), str.upper,
            lambda text, reason: self.removed.append(f"{reason}: {text}"),
        )  # fmt: skip

    def hear(self, start_s: float, *said: tuple[float, float], until_s: float) -> None:
        """Sound from start_s to until_s, loud between each pair."""
        tone = np.sin(np.arange(round((until_s - start_s) * RATE_HZ)) / 13).astype(np.float32)
        sound = tone * np.float32(0.001)
        for low_s, high_s in said:
            low, high = round((low_s - start_s) * RATE_HZ), round((high_s - start_s) * RATE_HZ)
            sound[low:high] = 0.5 * tone[low:high]
        for first in range(0, sound.size, STEP):
            piece = sound[first : first + STEP]
            self.wanted += self.hearing.feed(Sound(start_s + first / RATE_HZ, piece, is_new_run=first == 0))

    def answer(self, wanted: Wanted, text: str = "你好") -> None:
        self.hearing.final(wanted, heard(text, wanted), 0.4)

    def words(self) -> list[WordsHeard]:
        self.told += self.hearing.covered()
        return [each for covered in self.told for each in covered.events if isinstance(each, WordsHeard)]

    def spans(self) -> list[tuple[float, float, str]]:
        self.words()
        return [(round(each.start_s, 1), round(each.end_s, 1), each.reason) for each in self.told]


def heard(text: str, wanted: Wanted) -> Heard:
    """The text, spread over what was voiced."""
    low_s, high_s = wanted.utterance.voiced[0][0], wanted.utterance.voiced[-1][1]
    step_s = (high_s - low_s) / max(1, len(text))
    words = tuple(
        Word(sign, low_s + step_s * place, low_s + step_s * (place + 1), 0.9) for place, sign in enumerate(text)
    )
    return Heard(text, words, "zh", -0.2)


def test_an_utterance_becomes_words_in_the_streams_time_and_its_span_is_covered() -> None:
    ear = Ear()
    ear.hear(0.0, (1.0, 2.0), until_s=4.0)
    (wanted,) = ear.wanted
    assert wanted.is_final
    ear.answer(wanted, "五元ab")
    (words,) = ear.words()
    assert (words.text, words.normal, words.model, words.recording_id) == ("五元ab", "五元AB", "made@1", "rec_1")
    assert words.start_s == pytest.approx(1.0, abs=0.06)
    assert words.end_s == pytest.approx(2.0, abs=0.06)
    assert words.at == pytest.approx(1_700_000_000.0 + words.start_s)
    assert words.word_times.splitlines()[0].startswith("0-")
    assert ear.spans()[0][0] == 0.0
    assert ear.spans()[-1][1] > 3.3


def test_nothing_is_covered_while_its_words_are_on_their_way() -> None:
    ear = Ear()
    ear.hear(0.0, (1.0, 2.0), until_s=5.0)
    assert ear.spans()[-1][1] < 1.0
    ear.answer(ear.wanted[0])
    assert ear.spans()[-1][1] > 4.0


def test_what_was_being_said_when_a_worker_took_over_is_left_to_the_recording() -> None:
    ear = Ear()
    ear.hear(30.0, (30.0, 32.0), (33.0, 34.0), until_s=36.0)
    assert [round(each.utterance.start_s) for each in ear.wanted] == [33]
    ear.answer(ear.wanted[0])
    assert ear.spans()[0][:1] >= (32.0,), "its span is a hole, so that somebody looks at it from its beginning"
    assert len(ear.words()) == 1


def test_at_the_very_beginning_of_a_stream_nothing_can_have_been_missed() -> None:
    ear = Ear()
    ear.hear(0.0, (0.0, 1.0), until_s=3.0)
    assert len(ear.wanted) == 1


def test_a_span_of_a_recording_is_heard_from_its_first_sample() -> None:
    ear = Ear(SPAN)
    ear.hear(10.0, (10.0, 11.0), until_s=13.0)
    assert len(ear.wanted) == 1
    ear.answer(ear.wanted[0])
    assert ear.spans()[0][0] == 10.0


def test_sound_that_we_lost_is_a_hole_and_sound_that_never_was_is_none() -> None:
    ours, theirs = Ear(), Ear()
    for ear, is_ours in ((ours, True), (theirs, False)):
        ear.hear(0.0, (1.0, 2.0), until_s=4.0)
        ear.wanted += ear.hearing.missed(4.0, 8.0, is_ours=is_ours)
        ear.hear(8.0, (8.0, 9.0), (10.0, 11.0), until_s=13.0)
        for wanted in ear.wanted:
            ear.answer(wanted)
    assert [round(each.start_s) for each in ours.words()] == [1, 10], "what was being said at 8 s began in the loss"
    assert any(reason == "feed_lost" and start_s > 9.0 for start_s, _, reason in ours.spans())
    assert [round(each.start_s) for each in theirs.words()] == [1, 8, 10]
    assert all(reason == "" for *_, reason in theirs.spans())


def test_an_utterance_that_is_given_up_leaves_a_hole_with_its_reason() -> None:
    ear = Ear()
    ear.hear(0.0, (1.0, 2.0), (4.0, 5.0), until_s=7.0)
    first, second = ear.wanted
    ear.hearing.drop(first, "overload")
    ear.answer(second)
    assert [each.start_s > 3 for each in ear.words()] == [True]
    assert any(reason == "overload" for *_, reason in ear.spans())
    ear.answer(first)
    assert len(ear.words()) == 1, "its answer comes too late to count"


def test_partials_settle_and_the_final_closes_them() -> None:
    ear = Ear()
    ear.hear(0.0, (1.0, 5.0), until_s=2.5)
    growing = ear.hearing.growing
    assert growing is not None
    assert not growing.is_final
    shown = [ear.hearing.partial(growing, heard(text, growing)) for text in ("请出", "请出示营业")]
    assert [(each.text, each.settled, each.is_final) for each in shown if each] == [
        ("请出", 0, False),
        ("请出示营业", 2, False),
    ]
    ear.hear(2.5, (2.5, 5.0), until_s=7.0)
    (wanted,) = ear.wanted
    final = ear.hearing.final(wanted, heard("请出示营业执照", wanted), 0.4)
    assert final is not None
    assert (final.text, final.is_final, final.utterance, final.late_s) == (
        "请出示营业执照",
        True,
        shown[0] and shown[0].utterance,
        0.4,
    )
    assert ear.hearing.revisions == 0
    assert ear.hearing.partial(growing, heard("迟", growing)) is None, "a partial of what is over shows nothing"


def test_invented_text_is_no_words_and_its_caption_is_taken_back() -> None:
    ear = Ear()
    ear.hear(0.0, (1.0, 3.0), until_s=2.0)
    growing = ear.hearing.growing
    assert growing is not None
    ear.hearing.partial(growing, heard("你好", growing))
    ear.hear(2.0, (2.0, 3.0), until_s=5.0)
    (wanted,) = ear.wanted
    caption = ear.hearing.final(wanted, Heard("谢谢观看", (), "zh", -5.0), 0.4)
    assert caption is not None
    assert (caption.text, caption.is_final) == ("", True)
    assert ear.words() == []
    assert ear.removed == ["unlikely: 谢谢观看"]
    assert ear.spans()[-1][1] > 3.5, "its span was heard, and held nothing"


def test_words_of_a_smaller_model_carry_its_name_and_its_span() -> None:
    ear = Ear()
    ear.hear(0.0, (1.0, 2.0), (4.0, 5.0), until_s=7.0)
    first, second = ear.wanted
    ear.hearing.final(first, heard("你好", first), 0.4, "small@1")
    ear.answer(second)
    assert [(each.model, each.by) for each in ear.words()] == [("small@1", "small@1"), ("made@1", "made@1")]
    assert [each.model for each in ear.told if each.events] == ["small@1", ""]


def test_a_speaker_who_has_stopped_is_not_looked_at_again_before_the_final_words() -> None:
    ear = Ear()
    ear.hear(0.0, (0.5, 1.75), until_s=1.75)
    assert ear.hearing.growing is not None, "somebody speaks"
    ear.hear(1.75, until_s=2.0)
    assert ear.hearing.growing is None, "the final words are near, and must not wait for a look at the same sound"
    assert ear.wanted == []
    ear.hear(2.0, (2.0, 2.5), until_s=2.5)
    assert ear.hearing.growing is not None, "the pause was one within the utterance"
