"""A process that appends facts to a record and says which are committed, until somebody kills it."""

import sys
from pathlib import Path

import anyio

from cases.appender import Appender
from cases.custody.heads import Heads
from cases.facts import Fact
from cases.store.engine import open_store
from pipeline.clock import SystemClock
from pipeline.record.signing import Signer
from pipeline.settings import StoreSettings


async def main(data: Path) -> None:
    clock = SystemClock()
    async with open_store(StoreSettings(), data) as store:
        appender = await Appender.load(store, clock)
        heads = Heads(store, appender, Signer.load(data / "keys"), clock, data, 1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(appender.run)
            await heads.load()
            while True:
                first = appender.size
                facts = [Fact(event_id=f"ev_{n}", kind="Told", at_us=n, words="开箱") for n in range(first, first + 7)]
                await appender.append(facts)
                sys.stdout.write(f"{appender.size}\n")
                sys.stdout.flush()
                if first % 3 == 0:
                    await heads.sign_now()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]))
