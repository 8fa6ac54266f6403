"""A process that appends facts to a record and says which are committed, until somebody kills it.

With `STOP_AT` in its environment it stops itself at that step of its third append, says so, and waits to be killed: so
SIGKILL falls between two known steps. The steps are met from outside the program, by events of its database connection.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import anyio
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Appender
from cases.custody.heads import Heads
from cases.facts import Fact
from cases.store.engine import Store, open_store
from pipeline.clock import SystemClock
from pipeline.record.signing import Signer
from pipeline.settings import StoreSettings

Step = Literal["before begin", "after the events", "after the tiles", "before the commit", "after the commit"]
STEPS: tuple[Step, ...] = get_args(Step)
STOP_AT = "ONRECORD_TEST_STOP_AT"
STOPPED = "stopped"
AT_ONCE = 7
_STOPS_IN = 3  # the how many-th append
_AFTER_STATEMENT: dict[str, Step] = {"INSERT INTO events ": "after the events", "INSERT INTO tiles ": "after the tiles"}


class Brake:
    """Stops the process where it is told to, once `is_armed`."""

    def __init__(self, stop_at: str) -> None:
        self.is_armed = False
        self._stop_at = stop_at

    def reached(self, step: Step) -> None:
        if self.is_armed and step == self._stop_at:
            sys.stdout.write(f"{STOPPED}\n")
            sys.stdout.flush()
            while True:
                signal.pause()

    def watch(self, engine: Engine) -> None:
        def executed(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            for beginning, step in _AFTER_STATEMENT.items():
                if statement.startswith(beginning):
                    self.reached(step)

        event.listen(engine, "begin", lambda _: self.reached("before begin"), insert=True)  # ours says BEGIN
        event.listen(engine, "after_cursor_execute", executed)
        event.listen(engine, "commit", lambda _: self.reached("before the commit"))


class Braked(Appender):
    """Also stops between its commit and whoever waits for it."""

    brake = Brake("")

    async def _commit(self, connection: AsyncConnection, group: Sequence[object]) -> None:
        await super()._commit(connection, group)  # type: ignore[arg-type]  # as it came
        self.brake.reached("after the commit")  # who waits for it runs in this thread too, and has not yet


async def main(data: Path, first: int | None) -> None:
    """first: the fact to begin with; None: the next one."""
    clock = SystemClock()
    async with open_store(StoreSettings(), data) as store:
        appender = await Braked.load(store, clock)
        brake = _braked(store)
        heads = Heads(store, appender, Signer.load(data / "keys"), clock, data, 1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(appender.run)
            await heads.load()
            number, count = appender.size if first is None else first, 0
            while True:
                count += 1
                brake.is_armed = count == _STOPS_IN
                facts = [
                    Fact(event_id=f"ev_{n}", kind="Told", at_us=n, words="开箱")
                    for n in range(number, number + AT_ONCE)
                ]
                await appender.append(facts)
                number += AT_ONCE
                sys.stdout.write(f"{number}\n")
                sys.stdout.flush()
                if count % 3 == 1:
                    await heads.sign_now()


def _braked(store: Store) -> Brake:
    Braked.brake = Brake(os.environ.get(STOP_AT, ""))
    Braked.brake.watch(store._writer.sync_engine)
    return Braked.brake


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
