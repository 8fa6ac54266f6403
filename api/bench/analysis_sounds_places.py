"""What a body camera hears where nothing is wrong, made here: places, talk, clothes on the microphone. 16 kHz mono."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.sound import voice

RATE_HZ: Final = 16_000
Waves: TypeAlias = NDArray[np.float32]
Random: TypeAlias = np.random.Generator


@dataclass(frozen=True, slots=True)
class Voices:
    """Said sentences, each at RMS 1 where it is loud. Bounds are chosen with TUNING and figures made with HELD_OUT."""

    said: tuple[Waves, ...]

    def one(self, random: Random) -> Waves:
        """A sentence, as a somewhat bigger or smaller person would say it."""
        return resampled(self.said[random.integers(len(self.said))], random.uniform(0.9, 1.12))


TUNING: Final = tuple(f"sample{number:02}" for number in range(1, 7))
HELD_OUT: Final = tuple(f"sample{number:02}" for number in range(7, 13))


def voices(names: tuple[str, ...], scene_s: tuple[float, float]) -> Voices:
    """Of these files and this span of the scene. Raises: SettingsInvalid: a file is not there."""
    scene = voice("scene")[::3]
    span = scene[round(scene_s[0] * RATE_HZ) : round(scene_s[1] * RATE_HZ)]
    pieces = [voice(name)[::3] for name in names]
    pieces += [span[first : first + 6 * RATE_HZ] for first in range(0, len(span) - 6 * RATE_HZ, 6 * RATE_HZ)]
    return Voices(tuple(_levelled(piece) for piece in pieces))


def _levelled(sound: Waves) -> Waves:
    power = np.square(sound[: len(sound) // 400 * 400]).reshape(-1, 400).mean(axis=1)
    return np.asarray(sound / np.sqrt(np.mean(power[power > np.percentile(power, 50)])), np.float32)


def gain(level_db: float) -> np.float32:
    """Of a sound of RMS 1 to this level."""
    return np.float32(10 ** (level_db / 20))


def resampled(sound: Waves, faster: float) -> Waves:
    """Played this much faster, and so much higher."""
    at = np.arange(0, len(sound) - 1, faster)
    return np.asarray(np.interp(at, np.arange(len(sound)), sound), np.float32)


def shaped(random: Random, count: int, curve: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Waves:
    """Noise of RMS 1. curve: amplitude by frequency in Hz."""
    short = min(count, 1 << 17)
    amplitudes = curve(np.maximum(np.fft.rfftfreq(short, 1 / RATE_HZ), 1.0))
    parts = [
        np.fft.irfft(np.fft.rfft(random.standard_normal(short)) * amplitudes, short) for _ in range(-(-count // short))
    ]
    noise = np.concatenate(parts)[:count]
    return np.asarray(noise / np.sqrt(np.square(noise).mean()), np.float32)


def falling(
    power: float, least_hz: float = 20.0, most_hz: float = 8_000.0
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Power falls with frequency ** power, between these."""
    return lambda hertz: np.maximum(hertz, least_hz) ** (-power / 2) * ((hertz >= least_hz) & (hertz <= most_hz))


def slow(random: Random, count: int, change_s: float) -> Waves:
    """Between 0 and 1, smooth, another value about every change_s."""
    knots = random.uniform(0, 1, max(round(count / RATE_HZ / change_s), 1) + 3)
    at = np.linspace(0, len(knots) - 1.001, count)
    part = at % 1
    part = part * part * (3 - 2 * part)
    low = at.astype(int)
    return np.asarray(knots[low] * (1 - part) + knots[low + 1] * part, np.float32)


def put(into: Waves, at: int, sound: Waves) -> None:
    """Adds as much of the sound as there is room for."""
    room = max(min(len(sound), len(into) - at), 0)
    into[at : at + room] += sound[:room]


def ringing(random: Random, length_s: float, hertz: tuple[float, float], modes: int, decay_s: float) -> Waves:
    """Something hit: damped tones, peak 1."""
    times = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    sound = np.zeros(len(times))
    for _ in range(modes):
        tone_hz = np.exp(random.uniform(*np.log(hertz)))
        fade = np.exp(-times / (decay_s * random.uniform(0.3, 1.5)))
        sound += random.uniform(0.3, 1) * fade * np.sin(2 * np.pi * tone_hz * times + random.uniform(0, 6.28))
    return np.asarray(sound / np.abs(sound).max(), np.float32)


def babble(random: Random, count: int, said: Voices, talkers: int) -> Waves:
    """So many who talk at once and without end, RMS 1."""
    sound = np.zeros(count, np.float32)
    for _ in range(talkers):
        loud = gain(random.uniform(-6, 6))
        at = -int(random.integers(0, 4 * RATE_HZ))
        while at < count:
            words = said.one(random)
            put(sound, max(at, 0), words[max(-at, 0) :] * loud)
            at += len(words) + int(random.uniform(0.1, 1.0) * RATE_HZ)
    return np.asarray(sound / np.sqrt(np.square(sound).mean()), np.float32)


def talk(random: Random, count: int, said: Voices) -> Waves:
    """The wearer near the microphone, calm and at times loud, and someone else two steps away."""
    sound = np.zeros(count, np.float32)
    wearer_db, other_db = random.uniform(-26, -9), random.uniform(-40, -26)
    at = int(random.uniform(0, 5) * RATE_HZ)
    while at < count:
        is_wearer = random.random() < 0.5
        words = said.one(random)
        if is_wearer:
            words = near(words)
        put(sound, at, words * gain((wearer_db if is_wearer else other_db) + random.uniform(-3, 3)))
        at += len(words) + int(random.exponential(2.5) * RATE_HZ)
    return sound


def near(words: Waves) -> Waves:
    """As a microphone on the chest hears its wearer: more of what lies below 300 Hz. RMS as before."""
    spectrum = np.fft.rfft(words)
    hertz = np.fft.rfftfreq(len(words), 1 / RATE_HZ)
    closer = np.fft.irfft(spectrum * (1 + 1.5 / (1 + (hertz / 250) ** 2)), len(words))
    return np.asarray(closer * np.sqrt(np.square(words).mean() / np.square(closer).mean()), np.float32)


def _street(random: Random, count: int, _said: Voices) -> Waves:
    sound = shaped(random, count, falling(1.0)) * gain(random.uniform(-42, -30))
    sound += (
        shaped(random, count, falling(1.5, 60, 3_000)) * gain(random.uniform(-36, -24)) * slow(random, count, 4) ** 3
    )
    for _ in range(random.poisson(count / RATE_HZ / 60)):  # horns: 0.2 to 0.9 s, two harmonic notes
        times = np.arange(round(random.uniform(0.2, 0.9) * RATE_HZ)) / RATE_HZ
        root = random.uniform(330, 480)
        horn = sum(np.sin(2 * np.pi * root * ratio * k * times) / k for ratio in (1, 1.25) for k in range(1, 9))
        put(sound, int(random.integers(count)), np.asarray(horn, np.float32) * gain(random.uniform(-36, -20)))
    return sound


def _kitchen(random: Random, count: int, _said: Voices) -> Waves:
    sound = shaped(random, count, falling(1.2)) * gain(random.uniform(-42, -30))
    sound += shaped(random, count, lambda hertz: 1 / (1 + (2_500 / hertz) ** 4)) * gain(-44) * slow(random, count, 3)
    for _ in range(random.poisson(count / RATE_HZ / 2)):  # plates and pans
        loud = gain(random.uniform(-34, -14))
        put(sound, int(random.integers(count)), ringing(random, 0.4, (700, 6_500), 8, 0.05) * loud)
    return sound


def _wind(random: Random, count: int, _said: Voices) -> Waves:
    gusts = slow(random, count, 1.5) ** 2
    sound = shaped(random, count, falling(2.5, 20, 4_000)) * gain(random.uniform(-20, -6)) * gusts
    return sound + shaped(random, count, falling(1.0)) * gain(random.uniform(-46, -34))


_DROP: Final = np.hanning(160).astype(np.float32)


def _rain(random: Random, count: int, _said: Voices) -> Waves:
    sound = shaped(random, count, falling(0.3)) * gain(random.uniform(-40, -24)) * (0.7 + 0.3 * slow(random, count, 5))
    for at in random.integers(0, count, random.poisson(count / RATE_HZ * 8)):  # drops on the case
        put(sound, int(at), shaped(random, 160, falling(0.5)) * gain(random.uniform(-40, -22)) * _DROP)
    return sound


def _market(random: Random, count: int, said: Voices) -> Waves:
    sound = babble(random, count, said, int(random.integers(5, 14))) * gain(random.uniform(-42, -30))
    louder = np.float32(0.6) + np.float32(0.4) * slow(random, count, 4)
    return np.asarray(sound * louder + shaped(random, count, falling(1.0)) * gain(-46), np.float32)


def _music(random: Random, count: int, _said: Voices) -> Waves:
    """A melody over chords with a drum, from a loudspeaker."""
    sound = np.zeros(count, np.float32)
    beat, root = int(random.uniform(0.25, 0.6) * RATE_HZ), random.uniform(110, 220)
    scale = np.array([0, 2, 4, 7, 9, 12, 14, 16, 19])
    times = np.arange(4 * beat) / RATE_HZ
    for number, at in enumerate(range(0, count, beat)):
        if number % 4 == 0:
            notes = root * 2 ** (random.choice(scale[:5], 3, replace=False) / 12)
            chord = sum(np.sin(2 * np.pi * note * k * times) / k for note in notes for k in (1, 2, 3, 4))
            put(sound, at, np.asarray(chord * np.exp(-times / 0.8), np.float32) * np.float32(0.25))
        lead_s = times[: beat * int(random.integers(1, 4))]
        note = 2 * root * 2 ** (random.choice(scale) / 12)
        lead = sum(np.sin(2 * np.pi * note * k * lead_s) / k**1.5 for k in (1, 2, 3))
        put(sound, at, np.asarray(lead * np.exp(-lead_s / 0.4), np.float32) * np.float32(0.4))
        if number % 2 == 0:
            put(sound, at, ringing(random, 0.2, (60, 200), 3, 0.06) * np.float32(0.6))
    return np.asarray(sound / np.sqrt(np.square(sound).mean()), np.float32) * gain(random.uniform(-36, -20))


def _engine(random: Random, count: int, _said: Voices) -> Waves:
    speed_hz = 25 + 50 * slow(random, count, 3)
    phase = 2 * np.pi * np.cumsum(speed_hz) / RATE_HZ
    sound = sum(np.sin(k * phase) / k for k in range(1, 16)) * gain(random.uniform(-34, -22))
    return np.asarray(sound + shaped(random, count, falling(1.5)) * gain(random.uniform(-36, -26)), np.float32)


def _clothes(random: Random, count: int, _said: Voices) -> Waves:
    """Rubbing and knocks of clothes while somebody runs; the knocks may reach full scale."""
    sound = shaped(random, count, falling(1.0)) * gain(random.uniform(-50, -40))
    step = random.uniform(0.33, 0.6)
    for at in np.arange(0, count / RATE_HZ, step):
        length = int(random.uniform(0.05, 0.25) * RATE_HZ)
        rub = shaped(random, length, falling(2.0, 40, 3_000)) * np.hanning(length).astype(np.float32) ** 0.5
        put(sound, int(at * RATE_HZ), rub * gain(random.uniform(-32, -14)))
        if random.random() < 0.3:
            knock = ringing(random, 0.15, (50, 220), 4, 0.03) * gain(random.uniform(-12, 0))
            put(sound, int((at + random.uniform(0, step)) * RATE_HZ), knock)
    return sound


def _room(random: Random, count: int, _said: Voices) -> Waves:
    """A quiet room: nothing but the noise of the microphone."""
    return shaped(random, count, falling(0.5)) * gain(random.uniform(-76, -58))


def _office(random: Random, count: int, _said: Voices) -> Waves:
    """Quiet, with a fan, keys and a door that is closed gently."""
    sound = shaped(random, count, falling(1.5)) * gain(random.uniform(-56, -44))
    for _ in range(random.poisson(count / RATE_HZ / 1.5)):
        loud = gain(random.uniform(-48, -26))
        put(sound, int(random.integers(count)), ringing(random, 0.06, (900, 5_000), 5, 0.01) * loud)
    for _ in range(random.poisson(count / RATE_HZ / 40)):
        loud = gain(random.uniform(-34, -18))
        put(sound, int(random.integers(count)), ringing(random, 0.4, (70, 900), 10, 0.05) * loud)
    return sound


PLACES: Final[Mapping[str, Callable[[Random, int, Voices], Waves]]] = {
    "street": _street,
    "kitchen": _kitchen,
    "wind": _wind,
    "rain": _rain,
    "market": _market,
    "music": _music,
    "engine": _engine,
    "clothes": _clothes,
    "room": _room,
    "office": _office,
}
"""Each makes so many samples."""


MUTING: Final = 1 / 6
"""Share of the devices that mute what is quiet, as cheap ones do. Assumed."""


def heard(random: Random, place: str, length_s: float, said: Voices, muting: float = MUTING) -> Waves:
    """So many seconds of a place, with talk three times of four. muting: how likely the device is one that mutes."""
    count = round(length_s * RATE_HZ)
    sound = PLACES[place](random, count, said)
    if random.random() < 0.75:
        sound = sound + talk(random, count, said)
    if random.random() < muting:
        sound = _gated(sound)
    return sound


def _gated(sound: Waves) -> Waves:
    """Fades to digital silence what is 30 dB under the loud, within 80 ms."""
    blocks = sound[: len(sound) // 320 * 320].reshape(-1, 320)
    levels = 10 * np.log10(np.square(blocks).mean(axis=1) + 1e-12)
    is_open = np.repeat((levels > np.percentile(levels, 95) - 30).astype(np.float32), 320)
    held = np.convolve(np.pad(is_open, (0, len(sound) - len(is_open))), np.ones(800, np.float32))[: len(sound)].clip(
        0, 1
    )
    cumulated = np.concatenate([np.zeros(1), np.cumsum(held, dtype=np.float64)])
    ends = np.arange(1, len(sound) + 1)
    smooth = (cumulated[ends] - cumulated[np.maximum(ends - 1_280, 0)]) / 1_280
    return np.asarray(sound * smooth, np.float32)


def microphone(sound: Waves) -> Waves:
    """Turned down where it would be clipped more than in passing, then limited softly at full scale."""
    loudest = float(np.percentile(np.abs(sound), 99.9))
    sound = sound * np.float32(min(0.8 / max(loudest, 1e-6), 1.0))
    size = np.abs(sound)
    bent = np.where(size > 0.8, np.sign(sound) * (0.8 + 0.2 * np.tanh((size - 0.8) / 0.2)), sound)
    return np.asarray(bent, np.float32)
