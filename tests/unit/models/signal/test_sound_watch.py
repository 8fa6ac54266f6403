"""The watch over sound: each kind begins and ends, and what resembles it does not begin."""

from dataclasses import replace

import numpy as np
import pytest

from models.signal.noticed import Noticed
from models.signal.sound_watch import SoundWatch
from models.signal.sounds import RATE_HZ, Samples, SoundRow
from pipeline.analyse.sound import SoundDecoder
from pipeline.analyse.units import Unit
from pipeline.media import Track
from pipeline.simulate.sound import FRAME
from pipeline.simulate.spoken import aac_of
from tests.unit.models.signal.noises import bounds, noise, pink, rows_of, spans, times, vowels, watched

_ROOM_DB = -50.0


def _in_room(length_s: float, at_s: float, sound: Samples) -> Samples:
    room = noise(length_s, _ROOM_DB)
    room[round(at_s * RATE_HZ) :][: len(sound)] += sound
    return room


def _only(sound: Samples, finding: str) -> tuple[float, float]:
    """The one span of this kind, and no other kind was told."""
    rows = rows_of(sound)
    assert {told.finding for _, told in watched(rows)} == {finding}
    (span,) = spans(rows, finding)
    return span


def test_sound_that_goes_silent_is_missing_within_two_seconds_and_until_it_is_back() -> None:
    sound = noise(20, _ROOM_DB)
    sound[round(8.2 * RATE_HZ) : round(13.2 * RATE_HZ)] = 0
    began_s, ended_s = _only(sound, "sound_missing")
    assert 8.2 < began_s <= 10.0
    assert 13.2 < ended_s <= 15.0


def test_silence_through_an_encoder_is_missing_and_the_second_one_is_as_soon() -> None:
    room = np.asarray(np.random.default_rng(3).standard_normal(30 * 48_000) * 0.002, np.float32)
    for at_s in (8, 18):
        room[at_s * 48_000 : (at_s + 5) * 48_000] = 0
    coded = aac_of(room)
    decoder = SoundDecoder(Track(2, "audio", "mp4a.40.2", coded.config, 48_000, rate_hz=48_000, channels=1))
    frame_s = FRAME / 48_000
    units = [Unit(2, number * frame_s, frame_s, True, data) for number, data in enumerate(coded.frames)]
    (sound,) = decoder.decode_all(units)
    found = spans(rows_of(sound.samples), "sound_missing")
    assert [8 < began_s <= 10 for began_s, _ in found] + [18 < found[1][0] <= 20] == [True, False, True]
    assert found[0][1] <= 15


def test_a_quiet_room_is_not_silence() -> None:
    assert watched(rows_of(noise(60, -76))) == []


def test_a_device_that_mutes_between_words_is_given_longer() -> None:
    sound = vowels(90, -25)
    for at_s, length_s in ((6.1, 0.4), (12.0, 4.0), (20.0, 6.0), (40.0, 40.0)):
        first, last = round(at_s * RATE_HZ), round((at_s + length_s) * RATE_HZ)
        sound[first - 3_200 : first] *= np.linspace(1, 0, 3_200, dtype=np.float32) ** 6
        sound[first:last] = 0
    ((began_s, ended_s),) = spans(rows_of(sound), "sound_missing")
    assert 70 <= began_s <= 72
    assert 80 <= ended_s <= 82


def test_a_device_that_fades_into_silence_the_first_time_is_given_longer_at_once() -> None:
    sound = vowels(20, -25)
    sound[8 * RATE_HZ - 3_200 : 8 * RATE_HZ] *= np.linspace(1, 0, 3_200, dtype=np.float32) ** 6
    sound[8 * RATE_HZ : 12 * RATE_HZ] = 0
    assert watched(rows_of(sound)) == []


def test_a_stream_that_is_silent_from_its_beginning_is_missing_its_sound_after_half_a_minute() -> None:
    ((began_s, _),) = spans(rows_of(np.zeros(40 * RATE_HZ, np.float32)), "sound_missing")
    assert 30 < began_s <= 32


def test_clipped_sound_is_told_and_loud_talk_is_not() -> None:
    talk = vowels(20, -18, flatter=1.5)
    assert spans(rows_of(talk), "sound_clipped") == []
    loud = talk.copy()
    loud[8 * RATE_HZ : 14 * RATE_HZ] *= 30
    ((began_s, ended_s),) = spans(rows_of(loud.clip(-1, 1)), "sound_clipped")
    assert 8 < began_s <= 10
    assert 14 < ended_s <= 18.5


def test_sound_that_keeps_breaking_off_is_cut_and_no_bang() -> None:
    sound = pink(20, -30)
    for at_s in np.arange(8, 14, 0.3):
        sound[round(at_s * RATE_HZ) :][:1_600] = 0
    began_s, ended_s = _only(sound, "sound_cut")
    assert 8 < began_s <= 10
    assert 14 < ended_s <= 18.5


def test_a_device_that_chops_what_is_quiet_is_not_cut() -> None:
    sound = noise(20, -52)
    for at_s in np.arange(8, 14, 0.3):
        sound[round(at_s * RATE_HZ) :][:1_600] = 0
    assert spans(rows_of(sound), "sound_cut") == []


def test_one_drop_is_no_cut() -> None:
    sound = noise(20, -25)
    sound[8 * RATE_HZ :][:1_600] = 0
    assert watched(rows_of(sound)) == []


def test_a_raised_voice_is_told_over_the_calm_voices_of_the_stream() -> None:
    calm, raised = vowels(30, -24, 120), vowels(4, -12, 220, flatter=5.0)
    began_s, ended_s = _only(_in_room(40, 0, np.concatenate([calm, raised])), "shouting")
    assert 30 < began_s <= 32
    assert 34 < ended_s <= 39


def test_a_horn_is_no_shouting() -> None:
    at = times(0.9)
    horn = sum(np.sin(2 * np.pi * 400 * ratio * k * at) / k for ratio in (1, 1.25) for k in range(1, 9))
    sound = np.concatenate([vowels(20, -24, 120), np.asarray(0.1 * horn, np.float32)])
    row = max(rows_of(_in_room(26, 0, sound)), key=lambda row: row.tilt_db * (row.voiced >= 0.5))
    assert row.at_s >= 20, "it has the spectrum of a raised voice"
    assert spans(rows_of(_in_room(26, 0, sound)), "shouting") == []


def test_a_calm_voice_that_comes_near_the_microphone_is_no_shouting() -> None:
    calm, near = vowels(30, -30, 120), vowels(8, -8, 120)
    assert spans(rows_of(_in_room(40, 0, np.concatenate([calm, near]))), "shouting") == []


def _hit() -> Samples:
    """Pink noise at full scale that is gone in a tenth of a second."""
    hit = pink(0.6, -10, seed=5) * np.exp(-times(0.6) / 0.03)
    return np.asarray(hit / np.abs(hit).max(), np.float32)


@pytest.mark.parametrize("at_s", [8.0, 8.13, 8.26, 8.45, 8.49])
def test_a_bang_is_told_once_and_is_over(at_s: float) -> None:
    began_s, ended_s = _only(_in_room(16, at_s, _hit()), "bang")
    assert at_s < began_s <= at_s + 2
    assert began_s < ended_s <= began_s + 1


@pytest.mark.parametrize(
    ("hit", "before"),
    [
        ({"rise_db": 5.0}, {}),
        ({"fall_db": 2.0}, {}),
        ({"burst_middle_db": -24.0, "burst_top_db": -20.0}, {}),
        ({"burst_top_db": -30.0}, {}),
        ({"burst_harmonic": 0.5}, {}),
        ({"drops": 1.0}, {}),
        ({}, {"upper_db": -14.0}),
    ],
)
def test_what_lacks_one_mark_of_a_bang_is_none(hit: dict[str, float], before: dict[str, float]) -> None:
    rows = rows_of(_in_room(16, 8.13, _hit()))
    assert len(spans(rows, "bang")) == 1
    rows[14], rows[16] = replace(rows[14], **before), replace(rows[16], **hit)
    assert spans(rows, "bang") == []


def test_a_bang_wants_to_be_known_from_what_was_before() -> None:
    rows = rows_of(_in_room(16, 8.13, _hit()))
    assert len(spans(rows[15:], "bang")) == 1
    assert spans(rows[16:], "bang") == []
    rows[15] = replace(rows[15], drops=1.0)
    assert spans(rows, "bang") == []


def test_glass_that_rings_is_a_bang_though_it_is_a_tone() -> None:
    at, random = times(0.8), np.random.default_rng(6)
    tones = [np.sin(2 * np.pi * hertz * at) for hertz in random.uniform(2_500, 7_000, 12)]
    ringing = np.asarray(sum(tones) * np.exp(-at / 0.1) / 8, np.float32)
    began_s, ended_s = _only(_in_room(16, 8.13, ringing), "bang")
    assert 8.13 < began_s <= 9
    assert ended_s <= 10


def test_a_sharp_sound_of_a_mouth_is_no_bang() -> None:
    """As loud up there as a bang, but it swells, and there is little between 500 Hz and 2 kHz."""
    spectrum = np.fft.rfft(noise(0.12, 0, seed=7))
    spectrum[: int(0.12 * 2_500)] = 0
    hiss = np.fft.irfft(spectrum, len(times(0.12)))
    hiss *= np.hanning(len(hiss)) * 10 ** (-19 / 20) / np.sqrt(np.square(hiss).mean())
    for seed in range(8):
        assert spans(rows_of(_in_room(16, 8.1 + seed / 20, np.asarray(hiss, np.float32))), "bang") == []


def test_what_comes_back_at_once_after_drop_outs_is_no_bang() -> None:
    rows = rows_of(_in_room(16, 8.13, _hit()))
    broken = [replace(row, drops=2.0, level_db=-30.0) if 13 <= number <= 18 else row for number, row in enumerate(rows)]
    assert {told.finding for _, told in watched(broken)} == {"sound_cut"}


def test_a_knock_on_the_microphone_is_no_bang() -> None:
    at = times(0.3)
    knock = np.asarray(0.9 * np.sin(2 * np.pi * 90 * at) * np.exp(-at / 0.03), np.float32)
    assert watched(rows_of(_in_room(16, 8.1, knock))) == []


def test_noise_that_comes_at_once_and_stays_is_no_bang() -> None:
    assert spans(rows_of(_in_room(16, 8.42, pink(7.5, -9))), "bang") == []


def test_a_word_that_comes_at_once_is_no_bang() -> None:
    word = vowels(0.35, -4, 120)[1_600:]
    assert spans(rows_of(_in_room(16, 8.2, word)), "bang") == []


def test_beeps_under_a_tune_are_an_alarm_and_the_tune_is_none() -> None:
    at = times(24)
    notes = 440 * 2 ** (np.random.default_rng(4).choice([0, 2, 4, 7, 9, 12], 100)[(at / 0.3).astype(int)] / 12)
    tune = 0.08 * np.sin(2 * np.pi * np.cumsum(notes) / RATE_HZ) * np.exp(-(at % 0.3) / 0.25)
    beeps = 0.1 * np.sin(2 * np.pi * 3_100 * at) * (at % 1 < 0.5) * (at >= 12)
    ((began_s, _),) = spans(rows_of(_in_room(24, 0, np.asarray(tune + beeps, np.float32))), "alarm")
    assert 12 < began_s <= 14


@pytest.mark.parametrize(
    ("hertz", "fade_db", "is_alarm"),
    [(1_000.0, 0.1, True), (1_000.0, 0.3, False), (1_500.0, 0.3, True), (800.0, 0.1, False)],
)
def test_a_tone_that_comes_again_is_an_alarm_if_it_is_high_or_does_not_fade(
    hertz: float, fade_db: float, is_alarm: bool
) -> None:
    rows = rows_of(noise(20, _ROOM_DB))
    for number in range(20, 26):
        rows[number] = replace(
            rows[number], tonal=0.5, tone_hz=hertz, tone_low_hz=400.0, tone_high_hz=hertz, tone_same=0.3,
            tone_same_hz=hertz, tone_fade_db=fade_db,
        )  # fmt: skip
    assert (spans(rows, "alarm") != []) == is_alarm


def _alarm(variant: str) -> Samples:
    at = times(8)
    hertz, on = {
        "beeps": (np.full(len(at), 3_100.0), at % 1 < 0.5),
        "two tones": (np.where(at % 1 < 0.5, 800.0, 1_000.0), at >= 0),
        "wail": (1_000 + 450 * np.sin(2 * np.pi * at / 4), at >= 0),
    }[variant]
    return np.asarray(0.1 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE_HZ) * on, np.float32)


@pytest.mark.parametrize("variant", ["beeps", "two tones", "wail"])
def test_an_alarm_is_told_until_it_stops(variant: str) -> None:
    began_s, ended_s = _only(_in_room(24, 8, _alarm(variant)), "alarm")
    assert 8 < began_s <= 10
    assert 16 < ended_s <= 20.5


def test_a_melody_is_no_alarm() -> None:
    at = times(30)
    notes = 440 * 2 ** (np.random.default_rng(2).choice([0, 2, 4, 7, 9, 12], 100)[(at / 0.3).astype(int)] / 12)
    plucked = np.sin(2 * np.pi * np.cumsum(notes) / RATE_HZ) * np.exp(-(at % 0.3) / 0.25)
    assert spans(rows_of(_in_room(30, 0, np.asarray(0.2 * plucked, np.float32))), "alarm") == []


def _many(length_s: float, level_db: float) -> Samples:
    voices = [
        np.roll(vowels(length_s, 0, 95 + 13 * number, 1.6 + 0.1 * (number % 3), number), number * 911)
        for number in range(14)
    ]
    crowd = sum(voices[1:], voices[0])
    return np.asarray(crowd * 10 ** (level_db / 20) / np.sqrt(np.square(crowd).mean()), np.float32)


def test_noise_as_loud_as_a_crowd_is_none() -> None:
    spectrum = np.fft.rfft(pink(10, -8))
    spectrum[:1_200] = 0  # below 120 Hz
    spectrum[20_000:] /= np.arange(20_000, len(spectrum)) / 20_000
    swelling = np.asarray(np.fft.irfft(spectrum) * (0.7 + 0.3 * np.sin(2 * np.pi * 3 * times(10))), np.float32)
    assert spans(rows_of(_in_room(30, 12, noise(10, -18))), "crowd") == []
    assert spans(rows_of(_in_room(30, 12, swelling)), "crowd") == []


def test_one_voice_as_loud_as_a_crowd_is_none() -> None:
    assert spans(rows_of(_in_room(30, 12, vowels(10, -16))), "crowd") == []


def test_a_crowd_is_told_where_it_comes_and_not_where_it_always_was() -> None:
    base = rows_of(_in_room(4, 0, _many(4, -18)))[2]
    babble = replace(
        base, floor_db=-24.0, harmonic=0.2, wobble_db=2.0, voiced=0.1, low_db=-30, middle_db=-22, high_db=-40
    )
    quiet = replace(babble, floor_db=-45.0)
    comes = [replace(babble if 20 <= n < 40 else quiet, at_s=n / 2) for n in range(60)]
    ((began_s, ended_s),) = spans(comes, "crowd")
    assert 10 < began_s <= 12
    assert 20 < ended_s <= 24.5
    always = [replace(babble, at_s=n / 2) for n in range(200)]
    assert all(began_s < 2 and ended_s < 30 for began_s, ended_s in spans(always, "crowd"))


def test_a_short_gap_keeps_what_is_open_and_a_long_one_ends_it() -> None:
    rows = rows_of(np.concatenate([noise(6, _ROOM_DB), np.zeros(4 * RATE_HZ, np.float32)]))

    def told(gap_s: float) -> list[Noticed]:
        watch = SoundWatch(bounds())
        late = [
            replace(rows[-1], at_s=10 + gap_s),
            replace(rows[0], at_s=10.5 + gap_s),
            replace(rows[0], at_s=11 + gap_s),
        ]
        return [each for row in [*rows, *late] for each in watch.feed(row)]

    assert [(each.is_end, each.at_s) for each in told(3)] == [(False, 6.0), (True, 13.5)]
    assert [(each.is_end, each.at_s) for each in told(60)] == [(False, 6.0), (True, 10.0)]


def test_rows_that_were_kept_are_judged_as_live_ones() -> None:
    rows = rows_of(_in_room(24, 8, _alarm("wail")))
    assert watched(SoundRow.from_values(row.values()) for row in rows) == watched(rows)


def test_what_was_measured_is_told_with_a_finding() -> None:
    ((_, began), *_) = watched(rows_of(_in_room(24, 8, _alarm("beeps"))))
    assert dict(began.measures)["tone_hz"] == pytest.approx(3_100, rel=0.01)
    assert 0.5 <= began.confidence <= 1


def test_noise_that_drowns_words_is_told_and_a_voice_over_it_is_not() -> None:
    loud = noise(30, -20.0)
    quiet = noise(30, _ROOM_DB)
    sound = np.concatenate([quiet[: 8 * RATE_HZ], loud[: 10 * RATE_HZ], quiet[: 8 * RATE_HZ]])
    ((told_s, ended_s),) = spans(rows_of(sound), "sound_drowned")
    assert 11 <= told_s <= 12, "it is told when it has lasted"
    assert 21 <= ended_s <= 22
    assert spans(rows_of(quiet), "sound_drowned") == []


def _much() -> Samples:
    """Something of each that is loud."""
    tune = np.asarray(0.2 * np.sin(2 * np.pi * 500 * times(3)) * np.exp(-(times(3) % 0.3) / 0.2), np.float32)
    parts = [
        vowels(20, -24),
        vowels(4, -12, 220, flatter=5.0),
        tune,
        _hit(),
        pink(3, -18),
        _alarm("wail"),
        vowels(6, -20),
    ]
    parts += [
        _alarm("beeps"),
        _hit(),
        np.zeros(4_000, np.float32),
        vowels(5, -14, 180, flatter=3.0),
        _alarm("two tones"),
    ]
    return _in_room(80, 0.3, np.concatenate(parts))


def test_nothing_begins_with_a_row_that_is_told_to_change_nothing() -> None:
    rows, watch = rows_of(_much()), SoundWatch(bounds())
    restless = watch.past(np.array([row.values() for row in rows])).restless
    begins = [(n, told.finding) for n, row in enumerate(rows) for told in watch.feed(row) if not told.is_end]
    assert {finding for _, finding in begins} >= {"shouting", "bang", "alarm"}
    assert [each for each in begins if not restless[each[0]]] == []
    assert restless.mean() < 0.7
