"""Cameras that are pulled, in one process: the same synthetic stream by RTSP, interleaved in TCP, to whoever plays it.

Run as `python -m pipeline.simulate.rtsp` with a `Cameras` as JSON on stdin; prints a `CameraReport` as JSON. The
payloads are cut once; what a packet costs here is its header and its share of a send.
"""

import asyncio
import base64
import json
import sys
import time
from dataclasses import asdict, dataclass

import uvloop

from pipeline.simulate.synthetic import (
    AUDIO_CONFIG,
    AUDIO_RATE_HZ,
    AccessUnit,
    SyntheticStream,
    make_sps,
    synthetic_stream,
)

_PAYLOAD_BYTES = 1400
_VIDEO_HZ = 90_000
_MAX_REQUEST_BYTES = 16 * 1024
_MAX_UNSENT_BYTES = 4 * 1024 * 1024  # a reader that falls further behind is cut off
_PPS = bytes.fromhex("68ce3c80")


@dataclass(frozen=True, slots=True)
class Cameras:
    """port: to listen on at 127.0.0.1; any path is a camera. seconds: how long."""

    port: int
    seconds: float
    bits_per_s: int = 2_000_000


@dataclass(frozen=True, slots=True)
class CameraReport:
    """cpu_s: of this process. late_ms_p99: of an access unit behind its moment. sent_access_units: to all readers."""

    sent_access_units: int
    cpu_s: float
    late_ms_p99: float
    lost_connections: int


@dataclass(frozen=True, slots=True)
class _Cut:
    """One access unit as payloads of RTP, the last marked where it is a picture."""

    is_video: bool
    time_ms: int
    payloads: tuple[bytes, ...]


class Site:
    """All cameras; owned by one event loop."""

    def __init__(self, stream: SyntheticStream) -> None:
        self.late_s: list[float] = []
        self.lost = 0
        self._cuts = [_cut(unit) for unit in stream.access_units]
        self._duration_ms = stream.duration_ms

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one reader's requests, then send until it goes."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii", "replace").split("\r\n")
                method, url, _ = head[0].split(" ")
                sequence = next(line.partition(":")[2].strip() for line in head if line.lower().startswith("cseq:"))
                wish = next((line for line in head if line.lower().startswith("transport:")), "")
                writer.write(_answer(method, url, sequence, wish))
                if method == "PLAY":
                    break
            await self._play(writer)
        except (asyncio.IncompleteReadError, OSError):
            self.lost += 1
        finally:
            writer.close()

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        """What the reader says meanwhile is not read: its keep-alives fit the socket's buffer."""
        sequences = [0, 0]
        began_s, round_ms = time.perf_counter(), 0
        while True:
            for cut in self._cuts:
                due_s = began_s + (round_ms + cut.time_ms) / 1000
                ahead_s = due_s - time.perf_counter()
                if ahead_s > 0:
                    await asyncio.sleep(ahead_s)
                if writer.is_closing() or writer.transport.get_write_buffer_size() > _MAX_UNSENT_BYTES:
                    self.lost += 1
                    return
                self.late_s.append(max(0.0, time.perf_counter() - due_s))
                writer.write(_packets(cut, round_ms + cut.time_ms, sequences))
            round_ms += self._duration_ms


def _cut(unit: AccessUnit) -> _Cut:
    if not unit.is_video:
        head = b"\0\x10" + (len(unit.data) << 3).to_bytes(2, "big")
        return _Cut(False, unit.time_ms, (head + unit.data,))
    nal = unit.data[4:]
    indicator, kind, body = nal[0] & 0xE0 | 28, nal[0] & 31, nal[1:]
    parts = [body[at : at + _PAYLOAD_BYTES] for at in range(0, len(body), _PAYLOAD_BYTES)]
    last = len(parts) - 1
    payloads = tuple(
        bytes([indicator, kind | (0x80 if number == 0 else 0) | (0x40 if number == last else 0)]) + part
        for number, part in enumerate(parts)
    )
    return _Cut(True, unit.time_ms, payloads)


def _packets(cut: _Cut, time_ms: int, sequences: list[int]) -> bytes:
    """The access unit as interleaved packets. sequences: of picture and sound; counted on."""
    track = 0 if cut.is_video else 1
    hz = _VIDEO_HZ if cut.is_video else AUDIO_RATE_HZ
    stamp = (time_ms * hz // 1000 & 0xFFFFFFFF).to_bytes(4, "big") + bytes([0, 0, 0, 7 + track])
    last = len(cut.payloads) - 1
    out = []
    for number, payload in enumerate(cut.payloads):
        sequences[track] = sequences[track] + 1 & 0xFFFF
        size = (12 + len(payload)).to_bytes(2, "big")
        kind = 96 + track | (0x80 if number == last else 0)
        out.append(bytes([0x24, 2 * track]) + size + bytes([0x80, kind]) + sequences[track].to_bytes(2, "big") + stamp)
        out.append(payload)
    return b"".join(out)


def _answer(method: str, url: str, sequence: str, wish: str) -> bytes:
    body = _description() if method == "DESCRIBE" else b""
    lines = ["RTSP/1.0 200 OK", f"CSeq: {sequence}"]
    match method:
        case "DESCRIBE":
            lines += ["Content-Type: application/sdp", f"Content-Base: {url}/", f"Content-Length: {len(body)}"]
        case "SETUP":
            lines += [wish, "Session: 1"]
        case "PLAY":
            lines += ["Session: 1", f"RTP-Info: url={url}/0;seq=1;rtptime=0,url={url}/1;seq=1;rtptime=0"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _description() -> bytes:
    sets = ",".join(base64.b64encode(each).decode() for each in (make_sps(), _PPS))
    sound = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3"
    lines = ["v=0", "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=control:0"]
    lines += [f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}"]
    lines += ["m=audio 0 RTP/AVP 97", f"a=rtpmap:97 mpeg4-generic/{AUDIO_RATE_HZ}/2", "a=control:1"]
    lines += [f"a=fmtp:97 {sound};config={AUDIO_CONFIG.hex()}", ""]
    return "\r\n".join(lines).encode()


async def run(cameras: Cameras) -> CameraReport:
    """Serve for `cameras.seconds`. Raises: OSError: the port is taken."""
    site = Site(synthetic_stream(cameras.bits_per_s))
    server = await asyncio.start_server(site.serve, "127.0.0.1", cameras.port, limit=_MAX_REQUEST_BYTES)
    await asyncio.sleep(cameras.seconds)
    lost = site.lost
    server.close()
    ordered = sorted(site.late_s) or [0.0]
    return CameraReport(len(site.late_s), time.process_time(), ordered[int(len(ordered) * 0.99)] * 1000, lost)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(uvloop.run(run(Cameras(**json.load(sys.stdin)))))))
