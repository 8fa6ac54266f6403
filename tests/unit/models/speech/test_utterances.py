"""Utterances: what is said between two silences, every sample in exactly one of them or in quiet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.base import RATE_HZ, VOICE_WINDOW, Samples
from models.speech.passage import WINDOW_S, Rules
from models.speech.utterances import Happened, QuietPassed, Utterance, UtteranceEnded, UtteranceGrew, Utterances
from tests.unit.models.speech.material import LevelDetector, silence, voice

RULES = Rules(longest_s=5.0)


def heard(sound: Samples, *, start_s: float = 100.0, chunk: int = 4000, rules: Rules = RULES) -> list[Happened]:
    """Everything that happens in a sound that is fed in pieces."""
    utterances = Utterances(LevelDetector(), rules)
    happened = []
    for first in range(0, sound.size, chunk):
        happened += utterances.feed(sound[first : first + chunk], start_s + first / RATE_HZ)
    return happened + utterances.finish()


def ended(happened: list[Happened]) -> list[Utterance]:
    return [each.utterance for each in happened if isinstance(each, UtteranceEnded)]


def test_an_utterance_lies_between_two_silences_with_its_padding() -> None:
    (utterance,) = ended(heard(np.concatenate([silence(1.0), voice(1.28), silence(1.0)])))
    assert utterance.start_s == pytest.approx(101.0 - RULES.pad_s, abs=WINDOW_S)
    assert utterance.end_s == pytest.approx(102.28 + RULES.pad_s, abs=WINDOW_S)
    assert [(round(a, 1), round(b, 1)) for a, b in utterance.voiced] == [(0.2, 1.5)]
    assert not utterance.is_at_start
    assert not utterance.is_cut


def test_the_end_is_known_half_a_second_after_the_last_word() -> None:
    sound = np.concatenate([silence(1.0), voice(1.28), silence(2.0)])
    utterances, known_s = Utterances(LevelDetector(), RULES), None
    for first in range(0, sound.size, 1600):
        if ended(utterances.feed(sound[first : first + 1600], first / RATE_HZ)):
            known_s = first / RATE_HZ + 0.1
    assert known_s is not None
    assert known_s - 2.28 < 0.6


def test_a_pause_shorter_than_the_silence_does_not_end_it() -> None:
    happened = heard(np.concatenate([silence(1), voice(0.8), silence(0.3), voice(0.8), silence(1)]))
    (utterance,) = ended(happened)
    assert len(utterance.voiced) == 2


def test_a_click_is_no_utterance() -> None:
    happened = heard(np.concatenate([silence(1), voice(0.04), silence(1)]))
    assert not [each for each in happened if not isinstance(each, QuietPassed)]
    assert isinstance(happened[-1], QuietPassed)
    assert happened[-1].until_s == pytest.approx(102.04)


def test_what_grows_is_told_with_all_of_it_so_far_and_one_number() -> None:
    happened = heard(np.concatenate([silence(1), voice(1.6), silence(1)]), chunk=8000)
    grown = [each.utterance for each in happened if isinstance(each, UtteranceGrew)]
    (final,) = ended(happened)
    assert len(grown) >= 3
    assert {each.number for each in grown} == {final.number}
    assert {each.start_s for each in grown} == {final.start_s}
    sizes = [each.samples.size for each in grown]
    assert sizes == sorted(sizes)
    for each in grown:
        shared = min(each.samples.size, final.samples.size)
        assert np.array_equal(each.samples[:shared], final.samples[:shared])


def test_speech_that_ran_when_the_sound_began_has_no_heard_beginning() -> None:
    first, second = ended(heard(np.concatenate([voice(1), silence(1), voice(1), silence(1)])))
    assert first.is_at_start
    assert not second.is_at_start


def test_a_jump_ends_what_is_open_and_begins_anew() -> None:
    detector = LevelDetector()
    utterances = Utterances(detector, RULES)
    happened = utterances.feed(np.concatenate([silence(1), voice(1)]), 10.0)
    happened += utterances.feed(np.concatenate([voice(1), silence(1)]), 20.0)
    happened += utterances.finish()
    first, second = ended(happened)
    assert first.is_cut
    assert first.end_s == pytest.approx(12.0)
    assert second.start_s == pytest.approx(20.0)
    assert second.is_at_start
    assert detector.resets == 1


def test_a_clock_that_drifts_moves_the_times_and_cuts_nothing() -> None:
    utterances, happened = Utterances(LevelDetector(), RULES), []
    piece = np.concatenate([silence(0.75), voice(0.5), silence(0.75)])
    for number in range(20):
        happened += utterances.feed(piece, number * 2.02)
    last = ended(happened)[-1]
    assert len(ended(happened)) == 20
    assert last.start_s == pytest.approx(19 * 2.02 + 0.75 - RULES.pad_s, abs=0.06)


def test_what_is_too_long_is_cut_where_least_is_said() -> None:
    sound = np.concatenate([silence(1), voice(3.6), voice(0.2, level=0.06), voice(3.2), silence(1)])
    first, second = ended(heard(sound))
    assert first.is_cut
    assert first.end_s == pytest.approx(104.7, abs=0.1)
    assert second.start_s == first.end_s
    assert first.samples.size <= RULES.longest_s * RATE_HZ


def test_a_constant_offset_clipping_and_bad_samples_change_nothing() -> None:
    clean = np.concatenate([silence(2), voice(1.28), silence(1)])
    spoilt = clean.copy()
    spoilt[20_000:20_100] = np.nan
    spoilt[40_000] = np.inf
    spoilt += np.float32(0.2)
    spoilt[50_000] = 7.0
    (utterance,) = ended(heard(spoilt))
    (expected,) = ended(heard(clean))
    assert (utterance.start_s, utterance.end_s) == (expected.start_s, expected.end_s)
    assert np.isfinite(utterance.samples).all()
    assert np.abs(utterance.samples).max() <= 1.0
    assert abs(utterance.samples.mean()) < 0.02


pieces = st.lists(st.tuples(st.booleans(), st.integers(200, 24_000)), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(pieces, st.integers(300, 9_000), st.sampled_from([0.0, 0.192, 0.352]))
def test_every_sample_is_in_one_utterance_or_in_quiet(parts: list[tuple[bool, int]], chunk: int, pad_s: float) -> None:
    sound = np.concatenate(
        [voice(count / RATE_HZ) if is_loud else silence(count / RATE_HZ) for is_loud, count in parts]
    )
    happened = heard(sound, start_s=0.0, chunk=chunk, rules=Rules(longest_s=5.0, pad_s=pad_s))
    told, reach = ended(happened), 0
    for utterance in told:
        start = round(utterance.start_s * RATE_HZ)
        assert start >= reach, "two utterances share a sample"
        assert np.allclose(utterance.samples, sound[start : start + utterance.samples.size], atol=1e-6)
        reach = start + utterance.samples.size
    assert reach <= sound.size
    quiet = [each.until_s for each in happened if isinstance(each, QuietPassed)]
    assert quiet == sorted(quiet)
    assert quiet[-1] == pytest.approx(sound.size / RATE_HZ)


@settings(max_examples=60, deadline=None)
@given(pieces, st.integers(300, 9_000))
def test_what_is_said_to_be_quiet_or_told_stays_so(parts: list[tuple[bool, int]], chunk: int) -> None:
    sound = np.concatenate(
        [voice(count / RATE_HZ) if is_loud else silence(count / RATE_HZ) for is_loud, count in parts]
    )
    happened = heard(sound, start_s=0.0, chunk=chunk)
    until_s = 0.0
    for each in happened:
        match each:
            case QuietPassed():
                until_s = each.until_s
            case UtteranceGrew(utterance):
                assert utterance.start_s >= until_s - 1e-6
            case UtteranceEnded(utterance):
                assert utterance.start_s >= until_s - 1e-6


@settings(max_examples=30, deadline=None)
@given(pieces, st.integers(300, 9_000))
def test_how_the_sound_is_cut_into_calls_makes_no_difference(parts: list[tuple[bool, int]], chunk: int) -> None:
    sound = np.concatenate(
        [voice(count / RATE_HZ) if is_loud else silence(count / RATE_HZ) for is_loud, count in parts]
    )
    one, other = ended(heard(sound, chunk=chunk)), ended(heard(sound, chunk=sound.size))
    assert [(a.number, a.samples.size, a.voiced) for a in one] == [(a.number, a.samples.size, a.voiced) for a in other]
    assert all(a.samples.size % VOICE_WINDOW == 0 for a in one[:-1])


def test_the_padding_of_two_utterances_never_overlaps() -> None:
    sound = np.concatenate([silence(1), voice(0.64), silence(0.416), voice(0.64), silence(1)])
    first, second = ended(heard(sound, rules=Rules(longest_s=5.0, pad_s=0.352)))
    assert second.start_s == pytest.approx(first.end_s, abs=1e-6)
