"""`python -m api.bench.analysis_text`: how often certificates in made pictures are found, and what reading costs here.

The seeds of the figures are 1,000 and up; what was tuned was tuned below them.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import cv2
import numpy as np
from numpy.typing import NDArray

from cases.judgement.precision import wilson
from models.entries import Task
from models.registry import Registry
from models.text import cards, rapid
from models.text.base import Picture, TextReader
from models.text.certificate import bare, found
from models.text.worth import chosen, worth_reading

_FIRST_SEED = 1_000
_SPANS = 24


@dataclass(slots=True)
class Tally:
    """Of one kind of picture. exact: lines that hold 行政执法证 as they are; loose: that hold 执法证."""

    pictures: int = 0
    shown: int = 0
    numbers: int = 0
    names: int = 0
    exact: int = 0
    loose: int = 0
    cpu_s: dict[int, list[float]] = field(default_factory=dict)


def tallied(reader: TextReader, each_kind: int, first_seed: int) -> dict[str, Tally]:
    """Every kind of picture, `each_kind` of it, half of them of 1080 lines."""
    tallies: dict[str, Tally] = {}
    for kinds, make in ((cards.CONDITIONS, cards.positive), (cards.OTHERS, cards.negative)):
        for kind in kinds:
            tally = tallies[kind] = Tally()
            for seed in range(first_seed, first_seed + each_kind):
                lines = 1080 if seed % 2 else 720
                _count(tally, make(kind, seed, lines), lines, reader)
    return tallies


def _count(tally: Tally, made: cards.Made, lines: int, reader: TextReader) -> None:
    began_s = process_time()
    read = reader.read(made.picture)
    tally.cpu_s.setdefault(lines, []).append(process_time() - began_s)
    certificate = found(read)
    texts = [bare(line.text) for line in read]
    tally.pictures += 1
    tally.shown += certificate.is_shown
    tally.numbers += bool(made.number) and certificate.number == made.number
    tally.names += bool(made.name) and certificate.name == made.name
    tally.exact += any("行政执法证" in text for text in texts)
    tally.loose += any("执法证" in text for text in texts)


def spans(count: int, first_seed: int) -> Counter[str]:
    """In how many spans of 21 key frames each way's four pictures hold a steady one of the certificate."""
    hits: Counter[str] = Counter()
    for seed in range(first_seed, first_seed + count):
        made = cards.span(seed, 720)
        lumas = [np.asarray(cv2.cvtColor(each.picture, cv2.COLOR_BGR2GRAY), np.uint8) for each in made]
        readable = {at for at, each in enumerate(made) if each.has_certificate and each.kind == "steady"}
        hits["any of all 21"] += bool(readable)
        for way, worth in _WAYS.items():
            times = chosen((float(at), worth(at, luma)) for at, luma in enumerate(lumas))
            hits[way] += bool(readable & {int(at) for at in times})
    return hits


def _evenly(at: int, luma: NDArray[np.uint8]) -> float:
    return 1.0 if at % 5 == 2 and luma.size else 0.0


def _sharpest(at: int, luma: NDArray[np.uint8]) -> float:
    return float(cv2.Laplacian(luma, cv2.CV_64F).var()) if at >= 0 else 0.0


_WAYS: dict[str, Callable[[int, NDArray[np.uint8]], float]] = {
    "worth_reading": lambda _, luma: worth_reading(luma),
    "evenly spaced": _evenly,
    "sharpest": _sharpest,
}


def resident_mib() -> float:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def opened_reader(threads: int = 1) -> rapid.RapidReader:
    """Raises: ModelError: the model is not here or not the one of the registry."""
    with TemporaryDirectory() as data:
        registry = Registry.open(Path(data), writes=False)
        ready = registry.ready(registry.choose(Task.TEXT).name)
        return rapid.opened(
            rapid.TextEntry(ready.folder, ready.entry.name, ready.entry.version, ready.entry.languages), threads
        )


def main(each_kind: int) -> None:
    """Prints the figures, one a line."""
    out = sys.stdout
    before = resident_mib()
    began_s = process_time()
    reader = opened_reader()
    out.write(f"loaded: {process_time() - began_s:.1f} s CPU, {resident_mib() - before:.0f} MiB more\n")
    tallies = tallied(reader, each_kind, _FIRST_SEED)
    for kind, tally in tallies.items():
        out.write(
            f"{kind}: {tally.pictures} pictures, shown {tally.shown}, number {tally.numbers}, name {tally.names}; "
            f"exact {tally.exact}, loose {tally.loose}\n"
        )
    for name, kinds in (("with", cards.CONDITIONS), ("without", cards.OTHERS)):
        _say(out.write, name, [tallies[kind] for kind in kinds])
    for lines in (1080, 720):
        took_s = [each for tally in tallies.values() for each in tally.cpu_s.get(lines, [])]
        out.write(f"{lines} lines: median {np.median(took_s):.2f} s CPU, 95 % within {np.quantile(took_s, 0.95):.2f}\n")
    out.write(f"resident after all: {resident_mib():.0f} MiB\n")
    out.write(f"worth_reading: {_worth_ms(1080):.1f} ms at 1080 lines, {_worth_ms(720):.1f} at 720\n")
    for way, hits in spans(_SPANS, _FIRST_SEED).items():
        low, high = wilson(hits, _SPANS)
        out.write(f"spans, {way}: {hits} of {_SPANS} ({low:.2f} to {high:.2f})\n")


def _say(write: Callable[[str], int], name: str, tallies: Sequence[Tally]) -> None:
    pictures = sum(tally.pictures for tally in tallies)
    for way in ("shown", "exact", "loose", "numbers", "names"):
        hits = sum(int(getattr(tally, way)) for tally in tallies)
        low, high = wilson(hits, pictures)
        write(f"{name} a certificate, {way}: {hits} of {pictures} = {hits / pictures:.3f} ({low:.3f} to {high:.3f})\n")


def _worth_ms(lines: int) -> float:
    pictures: list[Picture] = [cards.positive("plain", seed, lines).picture[:, :, 1].copy() for seed in range(4)]
    began_s = process_time()
    for picture in pictures:
        worth_reading(picture)
    return (process_time() - began_s) / len(pictures) * 1000


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
