"""A demuxer that takes a body as ours does and then goes wrong: `python -m tests.bad_demuxer HOW FORMAT MEMORY_BYTES`.

It wears the same cage as ours, and tells the first seconds of its stream before it eats memory, spins or falls silent.
"""

import os
import sys

import av.logging

from pipeline.ingest.demux import Clamped, demux
from pipeline.jail import confine, limit

_GOOD_RECORDS = 50  # about a second of picture and sound
_EATS_BYTES = 16 << 20


def main() -> None:
    how, container, memory_bytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
    limit(memory_bytes)
    av.logging.set_level(av.logging.PANIC)
    demux(Clamped(lambda _: b""), container, lambda _: None)
    confine()
    told = 0

    def tell(record: bytes) -> None:
        nonlocal told
        os.write(1, record)
        told += 1
        if told > _GOOD_RECORDS:
            _go_wrong(how)

    demux(Clamped(lambda size: os.read(0, size)), container, tell)


def _go_wrong(how: str) -> None:
    match how:
        case "eats":
            eaten = []
            while True:
                eaten.append(bytearray(_EATS_BYTES))
        case "spins":
            while True:
                pass
        case "silent":
            while os.read(0, 65_536):
                pass
        case _:
            pass  # goes on; somebody stops or kills it


if __name__ == "__main__":
    main()
