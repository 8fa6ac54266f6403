"""Faults and loud events put into the sound of a place, and the AAC that it then passes through. 16 kHz mono."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from av.audio.stream import AudioStream

from api.bench.analysis_sounds_places import (
    RATE_HZ,
    Random,
    Voices,
    Waves,
    babble,
    falling,
    gain,
    microphone,
    resampled,
    ringing,
    shaped,
)
from pipeline.errors import WorkerFailed

_FRAME: Final = 1024
_LONGEST_PAUSE_S: Final = 2.0
"""Before the first syllable of a voice."""


@dataclass(frozen=True, slots=True)
class Event:
    """What is to be noticed in a sound, in seconds of it."""

    finding: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Mixed:
    """sound: as the device encodes it. event: what was put into it; variant: how."""

    sound: Waves
    event: Event
    variant: str


def _span(at_s: float, length_s: float) -> slice:
    first = round(at_s * RATE_HZ)
    return slice(first, first + round(length_s * RATE_HZ))


def _over_db(place: Waves, over_db: float, least_db: float) -> float:
    """A level so far over that of a place, at least the other one."""
    return max(float(10 * np.log10(np.square(place).mean() + 1e-12)) + over_db, least_db)


def _missing(random: Random, place: Waves, _said: Voices, at_s: float) -> Mixed:
    length_s = random.uniform(5, 12)
    sound = microphone(place)
    variant = random.choice(["digital zero", "muted, noise at -96 dBFS"])
    muted = shaped(random, len(sound), falling(0.0)) * gain(-96) if variant != "digital zero" else np.zeros_like(sound)
    span = _span(at_s, length_s)
    sound[span] = muted[span]
    return Mixed(sound, Event("sound_missing", at_s, at_s + length_s), str(variant))


def _clipped(random: Random, place: Waves, said: Voices, at_s: float) -> Mixed:
    """Amplified so far that the loud half is over full scale, there or in front of a converter that is not driven full."""
    length_s, over_db = random.uniform(5, 10), random.uniform(6, 18)
    span = _span(at_s, length_s)
    sound = place.copy()
    sound[span] += _speech(random, said, length_s) * gain(_over_db(place, 6, -30))
    loud = float(np.sqrt(np.mean(np.sort(np.square(sound[span]))[-len(sound[span]) // 4 :])))
    top = float(random.uniform(0.5, 1.0))
    sound[span] = (sound[span] * (gain(over_db) / loud)).clip(-1, 1) * np.float32(top)
    rest = np.ones(len(sound), bool)
    rest[span] = False
    sound[rest] = microphone(sound)[rest]
    return Mixed(sound, Event("sound_clipped", at_s, at_s + length_s), f"{over_db:.0f} dB over")


def _cut(random: Random, place: Waves, said: Voices, at_s: float) -> Mixed:
    """Two to six drop-outs a second of 20 to 250 ms, as packets that were lost, in someone's talk."""
    length_s = random.uniform(6, 10)
    span = _span(at_s, length_s)
    sound = place.copy()
    sound[span] += _speech(random, said, length_s) * gain(_over_db(place, 3, -36))
    sound = microphone(sound)
    at = at_s
    while at < at_s + length_s:
        sound[_span(at, random.uniform(0.02, 0.25))] = 0
        at += 0.05 + random.uniform(0.12, 0.45)
    return Mixed(sound, Event("sound_cut", at_s, at_s + length_s), "drop-outs")


def _speech(random: Random, said: Voices, length_s: float) -> Waves:
    count = round(length_s * RATE_HZ)
    words = said.one(random)
    while len(words) < count:
        words = np.concatenate([words, said.one(random)])
    return words[:count]


def raised(random: Random, said: Voices, length_s: float) -> Waves:
    """Speech made into shouting, RMS 1: higher by 4 to 9 semitones, its formants 10 to 20 % up and as much slower, flatter by
    6 to 12 dB between 500 Hz and 3 kHz, its syllables made more alike in level; it begins with a voice and not with a pause.

    It is made and not shouted: nothing in it breaks, and no real throat was heard.
    Source: Traunmüller and Eriksson 2000, 10.1121/1.429414 (pitch, first formant and tilt by vocal effort).
    """
    higher, formants = 2 ** (random.uniform(4, 9) / 12), random.uniform(1.1, 1.2)
    words = _begun(_speech(random, said, length_s + _LONGEST_PAUSE_S))
    words = formants_moved(resampled(_stretched(words, higher), higher), formants / higher)
    words = _stretched(words, formants)
    spectrum, hertz = np.fft.rfft(words), np.fft.rfftfreq(len(words), 1 / RATE_HZ)
    tilt_db = random.uniform(6, 12) * (np.log2(hertz.clip(500, 3_000) / 500) / np.log2(6)) - 6 * (hertz < 250)
    words = np.fft.irfft(spectrum * 10 ** (tilt_db / 20), len(words)).astype(np.float32)
    power = np.convolve(np.square(words), np.full(800, 1 / 800), "same")
    words = words / (power + power.mean() * 0.05) ** 0.25  # the quiet half as loud again
    return np.asarray(words / np.sqrt(np.square(words).mean()), np.float32)[: round(length_s * RATE_HZ)]


def _begun(words: Waves) -> Waves:
    """From its first syllable on."""
    levels = np.square(words[: len(words) // 800 * 800]).reshape(-1, 800).mean(axis=1)
    return words[int((levels > np.percentile(levels, 90) * 0.1).argmax()) * 800 :]


def formants_moved(sound: Waves, by: float) -> Waves:
    """Its formants at `by` times their frequency, its pitch as it is: each frame's smooth spectrum (the first 1.5 ms of its cepstrum)."""
    size, hop, smooth = 512, 128, 24
    window = np.hanning(size + 1)[:-1]
    padded = np.pad(sound, (size, 2 * size))
    starts = np.arange(0, len(padded) - size, hop)
    spectra = np.fft.rfft(padded[starts[:, None] + np.arange(size)] * window, axis=1)
    cepstra = np.fft.irfft(np.log(np.abs(spectra) + 1e-4), axis=1)
    cepstra[:, smooth : size - smooth + 1] = 0
    shapes = np.fft.rfft(cepstra, axis=1).real
    lines = np.arange(shapes.shape[1])
    there = np.array([np.interp(lines / by, lines, shape) for shape in shapes])
    pieces = np.fft.irfft(spectra * np.exp((there - shapes).clip(-4, 4)), size, axis=1) * window
    out = np.zeros(len(padded))
    for start, piece in zip(starts, pieces, strict=True):
        out[start : start + size] += piece
    return np.asarray(out[size : size + len(sound)], np.float32)


def _stretched(sound: Waves, longer: float) -> Waves:
    """As high, and so much longer: pieces of 40 ms laid where they fit best (WSOLA, Verhelst and Roelands 1993)."""
    size, hop, reach = 640, 320, 160
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    count = int(len(sound) * longer)
    out, padded = np.zeros(count + size, np.float32), np.pad(sound, (reach, size + hop + 2 * reach))
    follows = padded[reach : reach + size]
    for at in range(0, count, hop):
        begin = int(at / longer)
        near = padded[begin : begin + size + 2 * reach]
        fits = np.correlate(near, follows, "valid") if at else np.zeros(1)
        begin += int(fits.argmax()) if at else reach
        out[at : at + size] += padded[begin : begin + size] * window
        follows = padded[begin + hop : begin + hop + size]
        if len(follows) < size:
            break
    return out[:count]


def _shouting(random: Random, place: Waves, said: Voices, at_s: float) -> Mixed:
    length_s = random.uniform(3, 7)
    sound = place.copy()
    level_db = min(_over_db(place, random.uniform(8, 16), -20), -8)
    sound[_span(at_s, length_s)] += raised(random, said, length_s) * gain(level_db)
    return Mixed(microphone(sound), Event("shouting", at_s, at_s + length_s), "made of calm speech")


def _bang(random: Random, place: Waves, _said: Voices, at_s: float) -> Mixed:
    variant = str(random.choice(["glass", "slam", "blow", "crack"]))
    count = round(0.8 * RATE_HZ)
    fade = np.exp(-np.arange(count) / RATE_HZ / 0.04).astype(np.float32)
    match variant:
        case "glass":
            hit = shaped(random, count, falling(0.0, 1_500)) * fade + 2 * ringing(random, 0.8, (2_000, 7_500), 25, 0.15)
        case "slam":
            hit = 2 * ringing(random, 0.8, (50, 1_200), 30, 0.1) + shaped(random, count, falling(1.0)) * fade
        case "blow":
            hit = ringing(random, 0.8, (150, 3_000), 20, 0.06) + 0.5 * shaped(random, count, falling(0.5)) * fade
        case _:
            hit = shaped(random, count, falling(0.7)) * fade**2
    sound = microphone(place) * np.float32(0.8)
    span = _span(at_s, 0.8)
    sound[span] += hit[: len(sound[span])] / np.float32(np.abs(hit).max() / random.uniform(0.8, 2.0))
    return Mixed(sound.clip(-1, 1), Event("bang", at_s, at_s + 0.8), variant)


def _alarm(random: Random, place: Waves, _said: Voices, at_s: float) -> Mixed:
    """A smoke detector's three beeps (ISO 8201), two tones, a siren's wail, a car's yelp, a fast beep."""
    length_s = random.uniform(6, 12)
    times = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    variant = str(random.choice(["three beeps", "two tones", "wail", "yelp", "beeps"]))
    match variant:
        case "three beeps":
            hertz = np.full(len(times), random.uniform(2_900, 3_400))
            on = (times % 4 < 3) & (times % 1 < 0.5)
        case "two tones":
            low = random.uniform(600, 900)
            hertz, on = np.where(times % 1.0 < 0.5, low, low * 1.25), times >= 0
        case "wail":
            hertz = 1_000 + 450 * np.sin(2 * np.pi * times / random.uniform(2.5, 5) + random.uniform(0, 6))
            on = times >= 0
        case "yelp":
            hertz, on = 700 + 800 * (times * random.uniform(1.5, 3.5) % 1), times >= 0
        case _:
            hertz, on = np.full(len(times), random.uniform(1_000, 3_500)), times * random.uniform(2, 5) % 1 < 0.5
    phase = 2 * np.pi * np.cumsum(hertz) / RATE_HZ
    tone = (
        np.sin(phase) + random.uniform(0, 0.3) * np.sin(2 * phase) + random.uniform(0, 0.3) * np.sin(3 * phase)
    ) * on
    sound = place.copy()
    level_db = min(_over_db(place, random.uniform(6, 14), -34), -6)
    sound[_span(at_s, length_s)] += (tone * 1.41).astype(np.float32) * gain(level_db)
    return Mixed(microphone(sound), Event("alarm", at_s, at_s + length_s), variant)


def _crowd(random: Random, place: Waves, said: Voices, at_s: float) -> Mixed:
    """Ten to twenty who talk loudly at once, half of them shouting; comes within half a second."""
    length_s = random.uniform(10, 15)
    count = round(length_s * RATE_HZ)
    crowd = babble(random, count, said, int(random.integers(6, 12)))
    loud = Voices(tuple(raised(random, said, 4) for _ in range(4)))
    crowd = crowd + babble(random, count, loud, int(random.integers(4, 9)))
    crowd *= np.minimum(np.arange(count) / (0.5 * RATE_HZ), 1).astype(np.float32)
    sound = place.copy()
    level_db = min(_over_db(place, random.uniform(8, 14), -26), -10)
    sound[_span(at_s, length_s)] += crowd / np.sqrt(np.square(crowd).mean()) * gain(level_db)
    return Mixed(microphone(sound), Event("crowd", at_s, at_s + length_s), "babble, half of it raised")


EVENTS: Final[Mapping[str, Callable[[Random, Waves, Voices, float], Mixed]]] = {
    "sound_missing": _missing,
    "sound_clipped": _clipped,
    "sound_cut": _cut,
    "shouting": _shouting,
    "bang": _bang,
    "alarm": _alarm,
    "crowd": _crowd,
}


def through_aac(sound: Waves, bits_per_s: int) -> Waves:
    """Encoded and decoded by libav at 16 kHz; as many samples, without the encoder's delay. Raises: WorkerFailed: no encoder."""
    padded = np.pad(sound.clip(-1, 1), (0, -len(sound) % _FRAME + _FRAME))
    box = io.BytesIO()
    with av.open(box, "w", format="adts") as out:
        stream = out.add_stream("aac", rate=RATE_HZ, layout="mono")
        if not isinstance(stream, AudioStream):
            raise WorkerFailed("libav gave another kind of stream")
        stream.bit_rate = bits_per_s
        frame = av.AudioFrame("fltp", "mono", _FRAME)
        frame.rate = RATE_HZ
        for first in range(0, len(padded), _FRAME):
            frame.planes[0].update(padded[first : first + _FRAME].tobytes())
            frame.pts = first
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    box.seek(0)
    with av.open(box, "r", format="aac") as back:
        heard = np.concatenate([each.to_ndarray().reshape(-1) for each in back.decode(audio=0)])
    return np.asarray(heard[_FRAME : _FRAME + len(sound)], np.float32)
