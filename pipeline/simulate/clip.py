"""The clip that simulated devices send over and over: drawn and encoded once, in a child process. Knows no network.

Run as `python -m pipeline.simulate.clip` with a `ClipPlan` as JSON on stdin; writes an FLV file to stdout, whose tags
are what RTMP carries. The parent reads it with `read_clip` and needs no libav.
"""

import json
import math
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from typing import Final

from pipeline.errors import WorkerFailed

SOUND_RATE_HZ: Final = 48_000
_WHOLE_S: Final = 8  # the shortest whole number of seconds with a whole number of sound frames
_SOUND_BITS_PER_S: Final = 64_000
_ENCODE_TIMEOUT_S: Final = 300.0
_FLV_HEADER_BYTES, _TAG_HEADER_BYTES, _TRAILER_BYTES = 13, 11, 4
_AUDIO, _VIDEO = 8, 9
_KEY, _ENHANCED = 1, 0x80


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """What to encode. codec: h264 or h265. gop: pictures from one key frame to the next."""

    bits_per_s: int
    gop: int
    frames_per_s: int
    codec: str

    @property
    def duration_s(self) -> int:
        """At least one group of pictures long; a group that does not fit is cut short at the end of the clip."""
        return _WHOLE_S * math.ceil(self.gop / (_WHOLE_S * self.frames_per_s))


@dataclass(frozen=True, slots=True)
class ClipUnit:
    """One picture or sound frame: payload is the body of its RTMP message, time_ms counts from the clip's beginning."""

    is_video: bool
    is_key: bool
    time_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Clip:
    """opening: the decoder configurations, sent first on every connection. units: in the order they are sent."""

    duration_ms: int
    opening: tuple[ClipUnit, ...]
    units: tuple[ClipUnit, ...]

    @property
    def bits_per_s(self) -> float:
        """What it really has, sound included; an encoder does not always spend what it may."""
        return sum(len(unit.payload) for unit in self.units) * 8000 / self.duration_ms


def make_clip(plan: ClipPlan) -> Clip:
    """Encode in a child process; takes a few seconds.

    Raises: WorkerFailed: the encoder is missing, failed, or took longer than five minutes.
    """
    command = [sys.executable, "-m", "pipeline.simulate.clip"]
    try:
        said = subprocess.run(  # noqa: S603 - our own module
            command,
            input=json.dumps(asdict(plan)).encode(),
            capture_output=True,
            timeout=_ENCODE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise WorkerFailed(f"the clip was not encoded within {_ENCODE_TIMEOUT_S:g} s; ask for a smaller one") from late
    if said.returncode:
        raise WorkerFailed(f"the clip could not be encoded: {said.stderr.decode(errors='replace')[-300:]}")
    return read_clip(said.stdout, plan)


def read_clip(flv: bytes, plan: ClipPlan) -> Clip:
    """The clip in an FLV file of our own child."""
    opening: list[ClipUnit] = []
    units: list[ClipUnit] = []
    at = _FLV_HEADER_BYTES
    duration_ms = plan.duration_s * 1000
    while at + _TAG_HEADER_BYTES <= len(flv):
        size = int.from_bytes(flv[at + 1 : at + 4], "big")
        time_ms = int.from_bytes(flv[at + 4 : at + 7], "big") | flv[at + 7] << 24
        body = flv[at + _TAG_HEADER_BYTES : at + _TAG_HEADER_BYTES + size]
        kind = flv[at]
        at += _TAG_HEADER_BYTES + size + _TRAILER_BYTES
        if kind in (_AUDIO, _VIDEO) and len(body) > 1 and not _is_end(kind, body):
            unit = ClipUnit(kind == _VIDEO, kind == _VIDEO and body[0] >> 4 & 7 == _KEY, time_ms, body)
            if _is_configuration(kind, body):
                opening.append(unit)
            elif time_ms < duration_ms:
                units.append(unit)
    # the muxer puts sound before the first picture; a loop that begins with it would begin with nothing to show
    first_ms = next((unit.time_ms for unit in units if unit.is_key), 0)
    turned = [replace(unit, time_ms=(unit.time_ms - first_ms) % duration_ms) for unit in units]
    turned.sort(key=lambda unit: (unit.time_ms, not unit.is_video))
    return Clip(duration_ms, tuple(opening), tuple(turned))


def _is_configuration(kind: int, body: bytes) -> bool:
    if kind == _VIDEO and body[0] & _ENHANCED:
        return body[0] & 15 == 0
    return body[1] == 0


def _is_end(kind: int, body: bytes) -> bool:
    """The tags with which a file says that a track is over, and metadata."""
    if kind == _AUDIO:
        return False
    return body[0] & 15 in (2, 4) if body[0] & _ENHANCED else body[1] == 2


def encode(plan: ClipPlan) -> bytes:
    """The FLV file: a drawn market with grain, so that the encoder has something to spend its bits on."""
    import io

    import av
    import numpy as np
    from av.audio.stream import AudioStream
    from av.video.stream import VideoStream

    from pipeline.simulate.picture import HEIGHT, WIDTH, blank
    from pipeline.simulate.scenes import make_scene
    from pipeline.simulate.sound import spoken_loop

    buffer = io.BytesIO()
    bits = max(50_000, plan.bits_per_s - _SOUND_BITS_PER_S)
    rate = {"maxrate": str(bits), "bufsize": str(bits), "g": str(plan.gop), "preset": "ultrafast"}
    x264 = {"tune": "zerolatency", "threads": "1", "x264-params": "scenecut=0:bframes=0:nal-hrd=cbr"}
    x265 = {"x265-params": f"log-level=none:pools=1:bframes=0:scenecut=0:keyint={plan.gop}:min-keyint={plan.gop}"}
    is_h264 = plan.codec == "h264"
    with av.open(buffer, "w", format="flv") as box:
        video = box.add_stream("libx264" if is_h264 else "libx265", rate=plan.frames_per_s)
        sound = box.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono")
        if not isinstance(video, VideoStream) or not isinstance(sound, AudioStream):
            raise WorkerFailed("libav gave another kind of stream")
        video.options = {**rate, **(x264 if is_h264 else x265)}
        video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", bits
        sound.bit_rate = _SOUND_BITS_PER_S
        scene, picture, loop = (
            make_scene("market"),
            blank(),
            spoken_loop([f"sample0{number}" for number in range(1, 6)]),
        )
        grain = np.random.default_rng(1).integers(0, 24, (HEIGHT * 2, WIDTH), np.uint8)
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        heard = av.AudioFrame("fltp", "mono", 1024)
        heard.rate = SOUND_RATE_HZ
        spoken = 0
        for number in range(plan.duration_s * plan.frames_per_s):
            while spoken * 1024 * plan.frames_per_s <= number * SOUND_RATE_HZ:
                start = spoken * 1024 % (len(loop) - 1024)
                heard.planes[0].update(loop[start : start + 1024].tobytes())
                heard.pts = spoken * 1024
                spoken += 1
                box.mux(sound.encode(heard))
            scene.draw(picture, number / plan.frames_per_s)
            shift = number * 37 % HEIGHT
            np.copyto(picture.y, np.minimum(picture.y, 210) + grain[shift : shift + HEIGHT])
            for plane, samples in zip(frame.planes, (picture.y, picture.u, picture.v), strict=True):
                view = np.asarray(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
                view[:, : samples.shape[1]] = samples
            frame.pts = number
            box.mux(video.encode(frame))
        box.mux(video.encode(None))
        box.mux(sound.encode(None))
    return buffer.getvalue()


if __name__ == "__main__":
    sys.stdout.buffer.write(encode(ClipPlan(**json.load(sys.stdin))))
