"""Wearer or other: named only where both were heard."""

import numpy as np

from models.base import RATE_HZ, Samples
from models.speech.passage import Rules
from models.speech.utterances import Utterance, UtteranceEnded, Utterances
from models.speech.vad import SileroDetector
from models.speech.voices import Speaker, Voices
from tests.unit.models.speech.material import noise, sound, sounds, table


def far(voice: Samples, db: float = 12.0, hz: float = 1500.0) -> Samples:
    """The same voice from further away: quieter, and its heights gone."""
    spectrum = np.fft.rfft(voice)
    frequency = np.fft.rfftfreq(voice.size, 1 / RATE_HZ)
    dull = np.fft.irfft(spectrum / np.sqrt(1 + (frequency / hz) ** 4), voice.size)
    return np.asarray(dull * 10 ** (-db / 20), np.float32)


def speech(seed: int, level: float = 0.1) -> Samples:
    return noise(1.5, level, 1.0, seed)


def test_one_voice_alone_is_nobody() -> None:
    voices = Voices()
    assert {voices.feed(speech(number, 0.08 + 0.01 * (number % 4)), ((0.0, 1.5),)) for number in range(30)} == {
        "unknown"
    }


def test_two_voices_clearly_apart_are_told_apart_once_both_were_heard_twice() -> None:
    voices, named = Voices(), []
    for number in range(8):
        near = speech(number)
        named.append(voices.feed(near if number % 2 == 0 else far(near), ((0.0, 1.5),)))
    assert named[:3] == ["unknown"] * 3
    assert named[4:] == ["wearer", "other"] * 2


def test_louder_and_duller_is_not_nearer() -> None:
    voices, named = Voices(), []
    for number in range(8):
        near = speech(number)
        named.append(voices.feed(near if number % 2 == 0 else far(near, db=-12.0), ((0.0, 1.5),)))
    assert set(named) == {"unknown"}


def test_two_people_in_one_utterance_are_nobody() -> None:
    voices = Voices()
    for number in range(6):
        voices.feed(speech(number) if number % 2 == 0 else far(speech(number)), ((0.0, 1.5),))
    both = np.concatenate([speech(20), far(speech(21))])
    assert voices.feed(both, ((0.0, 1.5), (1.5, 3.0))) == "unknown"


def test_a_word_too_short_to_measure_is_nobody_s() -> None:
    assert Voices().feed(speech(1)[:3000], ((0.0, 0.18),)) == "unknown"
    assert Voices().feed(speech(1), ()) == "unknown"


def named(scene: Samples, lines: list[dict[str, str]]) -> list[tuple[set[str], Speaker]]:
    """Who spoke each utterance of the scene, and who was named."""
    utterances, ended = Utterances(SileroDetector(), Rules(longest_s=10.0)), []
    for first in range(0, scene.size, 4000):
        ended += utterances.feed(scene[first : first + 4000], first / RATE_HZ)
    told = [each.utterance for each in [*ended, *utterances.finish()] if isinstance(each, UtteranceEnded)]
    voices = Voices()
    return [(speakers(each, lines), voices.feed(each.samples, each.voiced)) for each in told]


def speakers(utterance: Utterance, lines: list[dict[str, str]]) -> set[str]:
    return {
        line["speaker"]
        for line in lines
        if min(utterance.end_s, float(line["end"])) - max(utterance.start_s, float(line["start"])) > 0.3
    }


def test_two_synthetic_voices_of_one_level_are_unknown() -> None:
    folder = sounds()
    found = named(sound(folder / "scene.flac"), table(folder / "scene.tsv"))
    assert {name for _, name in found} == {"unknown"}


def test_the_owner_from_further_away_is_other_and_nobody_is_named_wrongly() -> None:
    folder = sounds()
    lines, scene = table(folder / "scene.tsv"), sound(folder / "scene.flac").copy()
    dull = far(scene)
    for line in lines:
        if line["speaker"] == "owner":
            first, last = int((float(line["start"]) - 0.05) * RATE_HZ), int((float(line["end"]) + 0.05) * RATE_HZ)
            scene[first:last] = dull[first:last]
    found = named(scene, lines)
    right = {"wearer": {"officer"}, "other": {"owner"}}
    assert all(name == "unknown" or who == right[name] for who, name in found)
    assert sum(name != "unknown" for _, name in found) >= 0.5 * len(found)
