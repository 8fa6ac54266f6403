"""A process that tells facts until it is killed: `python -m tests.outbox_child FOLDER RUN`. Says how many are told."""

import sys
from pathlib import Path

import anyio

from pipeline.events import StreamStarted
from pipeline.outbox import Outbox, writer
from pipeline.record.disk import SystemDisk

AT_ONCE = 7


def fact(run: int, number: int) -> StreamStarted:
    return StreamStarted(at=float(number), stream_id=f"st_{run}_{number}", device_id="dev_1")


async def tell(folder: Path, run: int) -> None:
    box, number = Outbox(folder, SystemDisk(), 0.5), 0
    while True:
        for _ in range(AT_ONCE):
            box.tell(fact(run, number))
            number += 1
        await box.flush()
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    writer._ROTATE_BYTES = 20_000
    anyio.run(tell, Path(sys.argv[1]), int(sys.argv[2]))
