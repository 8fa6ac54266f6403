"""The run: mutated inputs into a target, each under a watchdog; what it may not do is named with how to repeat it."""

import contextlib
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

from pipeline.errors import OnRecordError
from tests.fuzz.mutate import mutated

CPU_S = 1.0  # no input may cost more
_WALL_S = 20.0  # nor wait longer, however busy the machine is
MAX_GROWTH_KIB = 64 * 1024  # of the process, by one input
_FAILURES = Path(".fuzz")


@dataclass(frozen=True)
class Target:
    """A reader of bytes. attempt(input): may raise an OnRecordError and nothing else.

    share: of the inputs asked for, where one costs a process. ready: makes what all inputs share, and is not measured.
    """

    name: str
    seeds: Sequence[bytes]
    attempt: Callable[[bytes], None]
    words: Sequence[bytes] = ()
    share: float = 1.0
    ready: Callable[[], object] = tuple

    def input(self, seed: int, number: int) -> bytes:
        """The input `number` of a run; the first ones are the seeds as they are."""
        if number < len(self.seeds):
            return self.seeds[number]
        return mutated(random.Random(seed << 40 | number), self.seeds, self.words)


@dataclass(frozen=True)
class Failure:
    """An input that a target did not take well."""

    target: str
    number: int
    what: str
    data: bytes

    def keep(self, seed: int) -> str:
        """Save the input; how to see it again, in words."""
        _FAILURES.mkdir(exist_ok=True)
        path = _FAILURES / f"{self.target}-{seed}-{self.number}.bin"
        path.write_bytes(self.data)
        return (
            f"{self.target}: {self.what}\n  input {path} ({len(self.data)} bytes); "
            f"again: python -m tests.fuzz {self.target} --seed {seed} --number {self.number}"
        )


class _TooSlow(BaseException):
    """Raised by the watchdog; not an Exception, so that nothing takes it for one of its own."""


def _bark(number: int, frame: FrameType | None) -> None:
    raise _TooSlow(signal.Signals(number).name)


@contextlib.contextmanager
def watchdog() -> Iterator[None]:
    """Deadlines can be set within; outside, the signals are as before."""
    before = {number: signal.signal(number, _bark) for number in (signal.SIGPROF, signal.SIGALRM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Judge:
    """What the code within did wrong: `what` is empty where it did nothing wrong."""

    def __init__(self) -> None:
        self.what = ""

    def __enter__(self) -> "_Judge":
        self._before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        signal.setitimer(signal.ITIMER_REAL, _WALL_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self._before_kib
        if isinstance(error, _TooSlow):
            self.what = f"took longer than {CPU_S} s ({error})"
        elif error is not None and not isinstance(error, OnRecordError):
            self.what = f"{type(error).__name__}: {error}"
        elif grown_kib > MAX_GROWTH_KIB:
            self.what = f"took {grown_kib} KiB of memory"
        return not isinstance(error, KeyboardInterrupt)


def attempt(target: Target, number: int, data: bytes) -> Failure | None:
    """What `target` did wrong with `data`. Call it within `watchdog()`."""
    target.ready()
    with _Judge() as judge:
        target.attempt(data)
    return Failure(target.name, number, judge.what, data) if judge.what else None


def fuzz(target: Target, inputs: int, seed: int, most_failures: int = 5) -> tuple[int, list[Failure], float]:
    """(inputs tried, failures, seconds). Stops at `most_failures`."""
    failures: list[Failure] = []
    began_s = time.monotonic()
    tried = 0
    with watchdog():
        for number in range(max(len(target.seeds), int(inputs * target.share))):
            tried += 1
            failure = attempt(target, number, target.input(seed, number))
            if failure is not None:
                failures.append(failure)
                if len(failures) >= most_failures:
                    break
    return tried, failures, time.monotonic() - began_s
