"""Publishers over HTTP in one process: the same clip with every key, at the pace of its bytes.

Run as `python -m pipeline.simulate.push` with a `PushLoad` as JSON on stdin, so that no process list shows the keys;
prints a `PushReport` as JSON.
"""

import json
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import WorkerFailed

_LOOP_S = 8
_TICK_S = 0.04
_ENCODE_TIMEOUT_S = 120.0
_MAX_UNSENT_BYTES = 4 * 1024 * 1024  # a connection that falls further behind counts as lost
_SOURCE = "testsrc2=size=1280x720:rate=25"
_CODED = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "50", "-pix_fmt", "yuv420p"]
_RATE = ["-b:v", "1900k", "-minrate", "1900k", "-maxrate", "1900k", "-bufsize", "1900k", "-nal-hrd", "cbr"]


@dataclass(frozen=True, slots=True)
class PushLoad:
    """What to post. clip: a file that plays for `seconds`."""

    host: str
    port: int
    keys: list[str]
    clip: str
    seconds: float


@dataclass(frozen=True, slots=True)
class PushReport:
    """cpu_s: of this process. late_ms_p99: of a round of sending behind its moment."""

    cpu_s: float
    late_ms_p99: float
    lost_connections: int
    sent_bytes: int


def make_clip(file: Path, form: str, seconds: float) -> None:
    """Draw and encode 2 Mbit/s of 720p with sound, once, and repeat it for `seconds`. form: mpegts or flv.

    Raises: WorkerFailed: ffmpeg is not there or refused.
    """
    once = file.with_suffix(".mkv")
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-c:a", "aac", "-b:a", "96k"]
    _ffmpeg("-f", "lavfi", "-i", _SOURCE, *tone, *_CODED, *_RATE, "-t", str(_LOOP_S), str(once))
    loops = str(int(seconds / _LOOP_S) + 1)
    _ffmpeg("-stream_loop", loops, "-i", str(once), "-c", "copy", "-t", str(seconds), "-f", form, str(file))


def _ffmpeg(*words: str) -> None:
    command = ["ffmpeg", "-v", "error", "-y", *words]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_ENCODE_TIMEOUT_S)  # noqa: S603  # our words
    except (OSError, subprocess.SubprocessError) as error:
        raise WorkerFailed(f"ffmpeg made no clip to send: {error}; install Debian's ffmpeg") from error


class _Connection:
    """One POST whose body goes on."""

    def __init__(self, load: PushLoad, key: str) -> None:
        self.socket = socket.create_connection((load.host, load.port))
        head = f"POST /ingest/{key} HTTP/1.1\r\nHost: {load.host}:{load.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.socket.sendall(head.encode())
        self.socket.setblocking(False)
        self._unsent = b""

    def send(self, data: bytes) -> bool:
        """Whether the connection still stands and keeps up."""
        waiting = self._unsent + data
        try:
            sent = self.socket.send(waiting)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        self._unsent = waiting[sent:]
        return len(self._unsent) <= _MAX_UNSENT_BYTES


def push(load: PushLoad) -> PushReport:
    """Post the clip with every key; it takes `load.seconds`.

    Raises: OSError: nobody listens.
    """
    clip = Path(load.clip).read_bytes()
    standing = [_Connection(load, key) for key in load.keys]
    cpu_s, began_s = time.process_time(), time.monotonic()
    at = sent_bytes = 0
    late_ms = []
    due_s = began_s
    while at < len(clip) and standing:
        due_s += _TICK_S
        time.sleep(max(0.0, due_s - time.monotonic()))
        late_ms.append((time.monotonic() - due_s) * 1000)
        end = min(len(clip), int((due_s - began_s) / load.seconds * len(clip)))
        chunk = b"%x\r\n%b\r\n" % (end - at, clip[at:end]) if end > at else b""
        standing = [connection for connection in standing if connection.send(chunk)]
        sent_bytes += len(chunk) * len(standing)
        at = end
    for connection in standing:
        connection.send(b"0\r\n\r\n")
    lost = len(load.keys) - len(standing)
    ordered = sorted(late_ms)
    return PushReport(time.process_time() - cpu_s, ordered[int(len(ordered) * 0.99)], lost, sent_bytes)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(push(PushLoad(**json.load(sys.stdin))))))
