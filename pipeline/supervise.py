"""Tasks that outlive a mistake of ours: the only place that catches every exception. Knows no task.

Source: house rule: `except Exception` stands here and nowhere else.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import anyio

_FIRST_PAUSE_S = 1.0
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Mistake:
    """kind: the exception's class; at: file:line of ours where it rose. Its message may hold secrets: it is dropped."""

    kind: str
    at: str


async def supervise(work: Callable[[], Awaitable[None]], tell: Callable[[Mistake], None], longest_s: float) -> None:
    """Run `work` until it returns or is cancelled; when it raises, tell, and begin it anew after 1 s to `longest_s`.

    The pause doubles with every mistake: a task that cannot live costs little.
    """
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - what one task does wrong ends no other; it is told and counted
            tell(_mistake(error))
        else:
            return
        await anyio.sleep(pause_s)
        pause_s = min(2 * pause_s, longest_s)


async def contained(work: Callable[[], Awaitable[None]]) -> Mistake | None:
    """Run `work` once; what it did wrong, where it raised. A process without memory is not to go on: that is raised."""
    try:
        await work()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - as above: what one lease does wrong ends no other
        return _mistake(error)
    return None


def _mistake(error: Exception) -> Mistake:
    """The innermost of a group, at the innermost line of ours."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return Mistake(type(error).__name__, _place(error.__traceback__))


def _place(trace: TracebackType | None) -> str:
    found = "unknown"
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(_ROOT) and ".venv" not in path.parts:
            found = f"{path.relative_to(_ROOT)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found
