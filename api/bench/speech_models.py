"""What recognising costs and how often it errs: of each model alone, and of ours against the engine as it comes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

from api.bench.speech_set import Told
from models.base import RATE_HZ, Samples, Speech, Transcriber
from models.entries import Entry
from models.registry import Ready
from models.speech.cer import errors, total
from models.speech.entry import SpeechEntry
from models.speech.evaluate import Throughput, batched, heard_in, one_by_one, text_of, utterances_of
from models.speech.passage import Rules
from models.speech.stock import StockTranscriber
from models.speech.utterances import Utterance
from models.speech.whisper import WhisperTranscriber
from pipeline.analyse.recogniser import Loaded

_STREAMS: Final = 8
_VOICED: Final = 0.35
_PARTIAL_S: Final = 0.5
_SHORTEST_PARTIAL_S: Final = 0.4
METHOD: Final = (
    "throughput_gain_8: {streams} streams say the scene ({utterances} utterances), each from another utterance on, all talk all "
    "the time; CPU time for a second of sound of `WhisperModel.transcribe` with its defaults but for language and "
    "condition_on_previous_text=False (beam 5, padded to 30 s, word times), one utterance a call, over that of our batches "
    "with word times. Same model, same utterances, one thread each, this run, the least of {rounds}. The stock engine is run "
    "over one stream, since its calls do not know of one another. throughput: both costs, the gain by the wall's clock and each "
    "side's characters that are wrong (before our guards). models: every speech model whose files are here, through the whole "
    "chain; rtf: seconds of one core (of a GPU: of the wall's clock) for a second of an utterance, its final words alone, the "
    "calibrated batch, one thread. streams_per_core = 1 / (rtf + sound path) of streams that talk all the time; "
    "streams_per_core_voiced_35: of streams that talk for 35 % of it; with_captions: the same where words are shown every "
    "0.5 s while somebody speaks, which is given up first when there is too much work. cer: characters wrong of the set."
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What models are measured on and with. sound_share: of a core, for the sound of a stream before its words."""

    told: list[Told]
    sound_share: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Gain:
    """What batches and no padding save. stock_cer, ours_cer: characters wrong, 0..1, of what the engines wrote."""

    model: str
    most_together: int
    utterances: int
    stock: Throughput
    ours: Throughput
    stock_cer: float
    ours_cer: float

    def report(self) -> dict[str, object]:
        stock, ours = _cpu_share(self.stock), _cpu_share(self.ours)
        return {
            "throughput_gain_8": round(stock / ours, 2),
            "throughput": {
                "model": self.model,
                "gain_wall": round(self.stock.wall_s / self.stock.sound_s * self.ours.sound_s / self.ours.wall_s, 2),
                "stock": {"rtf_cpu": round(stock, 5), "cer": round(self.stock_cer, 4)},
                "ours": {
                    "rtf_cpu": round(ours, 5), "cer": round(self.ours_cer, 4), "most_together": self.most_together,
                },
                "cer_more_points": round((self.ours_cer - self.stock_cer) * 100, 2),
            },
        }  # fmt: skip


def gain_8(ready: Ready, loaded: Loaded, sound: Samples, reference: str, rounds: int) -> Gain:
    """Ours against the engine as it comes, for a faster-whisper model. reference: what is said in `sound`."""
    utterances = utterances_of(sound, Rules(longest_s=ready.entry.longest_s))
    count = len(utterances)
    turns = [number * count // _STREAMS for number in range(_STREAMS)]
    streams = [[*utterances[turn:], *utterances[:turn]] for turn in turns]
    stock_model = StockTranscriber(speech_entry(ready), 1)
    stock = _least(rounds, lambda: one_by_one(utterances, stock_model))
    ours = _least(rounds, lambda: batched(streams, loaded.transcriber, loaded.most_together))
    texts = [ours.texts[number * count : (number + 1) * count] for number in range(_STREAMS)]
    said = ["".join([*each[count - turn :], *each[: count - turn]]) for each, turn in zip(texts, turns, strict=True)]
    return Gain(
        ready.entry.name, loaded.most_together, count, stock, ours, errors(reference, "".join(stock.texts)).rate,
        total((reference, each) for each in said).rate,
    )  # fmt: skip


def model_figures(entry: Entry, loaded: Loaded, measured: Measured) -> dict[str, object]:
    """One line of `models`."""
    model = loaded.transcriber
    heard = [text_of(heard_in(each.samples, model)) for each in measured.told]
    found = total((each.text, text) for each, text in zip(measured.told, heard, strict=True))
    rules = Rules(longest_s=entry.longest_s)
    utterances = [one for each in measured.told for one in utterances_of(each.samples, rules)]
    rtf = _cost(utterances, [[Speech(each.samples)] for each in utterances], loaded, measured.rounds)
    partials = _cost(utterances, [_partials(each) for each in utterances], loaded, 1)
    share = measured.sound_share
    return {
        "name": entry.name, "is_demo": entry.is_demo, "rtf": round(rtf, 5),
        "streams_per_core": _per_core(rtf + share), "streams_per_core_voiced_35": _per_core(rtf * _VOICED + share),
        "with_captions": {
            "rtf": round(rtf + partials, 5), "streams_per_core": _per_core(rtf + partials + share),
            "streams_per_core_voiced_35": _per_core((rtf + partials) * _VOICED + share),
        },
        "cer": round(found.rate, 4), "signs": found.signs, "files": len(measured.told),
        "most_together": loaded.most_together, "clock": "wall" if _is_on_gpu(loaded) else "cpu",
    }  # fmt: skip


def speech_entry(ready: Ready) -> SpeechEntry:
    entry = ready.entry
    return SpeechEntry(
        ready.folder, entry.name, entry.version, entry.languages, entry.longest_s, entry.feature_cut, entry.hot_words,
        entry.is_demo,
    )  # fmt: skip


def method(folder: Path | None, utterances: object, rounds: int) -> str:
    """folder: of the set; None: the project's own."""
    said = METHOD.format(streams=_STREAMS, utterances=utterances, rounds=rounds)
    return f"{said} The set: {folder.name if folder else 'twelve sentences of synthetic voices that come with the project'}."


def _cost(
    utterances: Sequence[Utterance], asked: Sequence[Sequence[Speech]], loaded: Loaded, rounds: int
) -> float:  # fmt: skip
    """Seconds for a second of the utterances, of all that is asked about them, those of like length together."""
    sound_s = sum(each.samples.size for each in utterances) / RATE_HZ
    speeches = sorted((one for each in asked for one in each), key=lambda one: one.samples.size)
    clock = perf_counter if _is_on_gpu(loaded) else process_time
    least_s = min(_spent_s(speeches, loaded.transcriber, loaded.most_together, clock) for _ in range(rounds))
    return least_s / max(sound_s, 1e-9)


def _spent_s(speeches: Sequence[Speech], model: Transcriber, together: int, clock: Callable[[], float]) -> float:
    began_s = clock()
    for first in range(0, len(speeches), together):
        model.transcribe(speeches[first : first + together])
    return clock() - began_s


def _partials(utterance: Utterance) -> list[Speech]:
    """What is asked while it is said: all of it so far, every half second."""
    step, least = round(_PARTIAL_S * RATE_HZ), round(_SHORTEST_PARTIAL_S * RATE_HZ)
    return [
        Speech(utterance.samples[:end], is_final=False)
        for end in range(step, utterance.samples.size, step)
        if end >= least
    ]


def _least(rounds: int, measure: Callable[[], Throughput]) -> Throughput:
    return min((measure() for _ in range(rounds)), key=lambda each: each.cpu_s)


def _cpu_share(spent: Throughput) -> float:
    return spent.cpu_s / spent.sound_s


def _per_core(share: float) -> float:
    return round(1 / share, 1)


def _is_on_gpu(loaded: Loaded) -> bool:
    model = loaded.transcriber
    return isinstance(model, WhisperTranscriber) and model.engine.device != "cpu"
