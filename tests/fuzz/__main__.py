"""`python -m tests.fuzz [TARGET…] [--inputs N] [--seed S] [--number K]`: exit 1 where an input was taken badly."""

import argparse
import resource
import sys
import time

from tests.fuzz.run import attempt, fuzz, watchdog
from tests.fuzz.targets import targets

_MORE_MEMORY_BYTES = 2 << 30  # address space: room for the interpreter and libav, and none for an input that asks


def main() -> int:
    words = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    words.add_argument("target", nargs="*", help="all where none is named")
    words.add_argument("--inputs", type=int, default=100_000, help="for each target")
    words.add_argument("--seed", type=int, default=int(time.time()), help="the same seed gives the same inputs")
    words.add_argument("--number", type=int, help="this input alone, its error let through")
    asked = words.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (_MORE_MEMORY_BYTES, resource.RLIM_INFINITY))
    known = targets()
    unknown = set(asked.target) - set(known)
    if unknown:
        words.error(f"no target {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    chosen = [known[name] for name in asked.target or known]
    if asked.number is not None:
        for target in chosen:
            with watchdog():
                failure = attempt(target, asked.number, target.input(asked.seed, asked.number))
            _say(f"{target.name}: {failure.what if failure else 'taken well'}")
            target.attempt(target.input(asked.seed, asked.number))
        return 0
    total, bad = 0, 0
    for target in chosen:
        tried, failures, took_s = fuzz(target, asked.inputs, asked.seed)
        total, bad = total + tried, bad + len(failures)
        _say(f"{target.name:<16} {tried:>8} inputs {took_s:>8.1f} s  {len(failures)} failures")
        for failure in failures:
            _say(failure.keep(asked.seed))
    _say(f"{total} inputs, {bad} failures, seed {asked.seed}")
    return 1 if bad else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
