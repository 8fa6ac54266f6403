"""Publishers by the hundred in one process. Run as `python -m pipeline.simulate.load` with a `Load` as JSON on stdin.

Prints a `ReplayReport` as JSON at the end. Stream keys come by stdin,
so that no process list shows them.
"""

import json
import struct
import sys
from array import array
from dataclasses import asdict, dataclass

import uvloop

from pipeline.simulate.replay import ReplayReport, prepare_loop, replay
from pipeline.simulate.synthetic import SyntheticStream, synthetic_stream


@dataclass(frozen=True, slots=True)
class Load:
    """What to publish: the same synthetic stream with every key.

    clock_file: where given, gets one array a key (u32 count, then float64 monotonic seconds): when each access unit was
    handed to its socket. voice: where given, the file of voices/ that every stream says over and over.
    """

    host: str
    port: int
    keys: list[str]
    seconds: float
    bits_per_s: int = 2_000_000
    clock_file: str = ""
    voice: str = ""


async def publish(load: Load) -> ReplayReport:
    """Publish until `load.seconds` are over.

    Raises: PublishRefused, OSError: as `replay`. SettingsInvalid: there is no such voice.
    """
    loop = prepare_loop(_stream(load))
    sent_at = [array("d") for _ in load.keys] if load.clock_file else None
    report = await replay(load.host, load.port, load.keys, loop, load.seconds, sent_at)
    if sent_at is not None:
        with open(load.clock_file, "wb") as file:
            for times in sent_at:
                file.write(struct.pack(">I", len(times)))
                times.tofile(file)
    return report


def _stream(load: Load) -> SyntheticStream:
    if not load.voice:
        return synthetic_stream(load.bits_per_s)
    from pipeline.simulate.sound import voice
    from pipeline.simulate.spoken import spoken_stream  # libav, which load without a voice goes without

    return spoken_stream(voice(load.voice), load.bits_per_s)


def read_sent(path: str) -> "list[array[float]]":
    """What `publish` wrote to its clock_file."""
    sent = []
    with open(path, "rb") as file:
        while head := file.read(4):
            times = array("d")
            times.fromfile(file, struct.unpack(">I", head)[0])
            sent.append(times)
    return sent


if __name__ == "__main__":
    report = uvloop.run(publish(Load(**json.load(sys.stdin))))
    sys.stdout.write(json.dumps(asdict(report)))
