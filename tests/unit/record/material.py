"""Material for the recorder's tests: real pictures and sound made in memory, a clock to set, a disk to break."""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TypeVar

import anyio
import av
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline import fmp4
from pipeline.errors import StorageError
from pipeline.events import Event
from pipeline.media import AUDIO_TRACK, VIDEO_TRACK, Device, Ended, Fragment, Track, TracksChanged
from pipeline.record.disk import Disk, SystemDisk
from pipeline.record.recorder import Recorder
from pipeline.record.recording import Recording
from pipeline.record.signing import Signer
from pipeline.settings import RecordSettings

DEVICE = Device("dev_1", "执法记录仪 1", "Li", "unit 7")
STARTED_AT = 1_795_000_000.0
SIGNER = Signer.of(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
SETTINGS = RecordSettings(segment_s=1.0, min_free_bytes=0)
EventT = TypeVar("EventT", bound=Event)
RATE = 25
GOP = 10


class SetClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def utc_s(self) -> float:
        return STARTED_AT + self.now_s

    def monotonic_s(self) -> float:
        return self.now_s


@cache
def encoded(codec: str) -> tuple[bytes, tuple[tuple[bytes, bool], ...]]:
    """(configuration record, samples with their key flag) of two seconds of H.264 or AAC."""
    sink = io.BytesIO()
    samples: list[tuple[bytes, bool]] = []
    with av.open(sink, "w", format="mp4") as out:
        if codec == "h264":
            video = out.add_stream("libx264", rate=RATE, options={"g": str(GOP), "bf": "0", "preset": "ultrafast"})
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            for number in range(2 * RATE):
                picture = np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
                out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            out.mux(video.encode(None))
        else:
            audio = out.add_stream("aac", rate=48000, layout="mono")
            for number in range(94):
                sound = av.AudioFrame.from_ndarray(
                    np.random.default_rng(number).uniform(-0.1, 0.1, (1, 1024)).astype(np.float32), "fltp", "mono"
                )
                sound.sample_rate, sound.pts, sound.time_base = 48000, number * 1024, Fraction(1, 48000)
                out.mux(audio.encode(sound))
            out.mux(audio.encode(None))
    sink.seek(0)
    with av.open(sink, "r") as source:
        stream = source.streams[0]
        config = bytes(stream.codec_context.extradata or b"")
        samples += [(bytes(packet), packet.is_keyframe) for packet in source.demux(stream) if packet.size]
    return config, tuple(samples)


@cache
def header(kinds: str = "va") -> TracksChanged:
    tracks = []
    if "v" in kinds:
        config = encoded("h264")[0]
        codec = f"avc1.{config[1:4].hex()}"
        tracks.append(Track(VIDEO_TRACK, "video", codec, config, 90000, width=64, height=48))
    if "a" in kinds:
        config = encoded("aac")[0]
        tracks.append(Track(AUDIO_TRACK, "audio", "mp4a.40.2", config, 48000, rate_hz=48000, channels=1))
    return TracksChanged(tuple(tracks), fmp4.init_segment(tuple(tracks)), fmp4.mime_type(tuple(tracks)))


def fragments(seconds: float, kinds: str = "va", start_s: float = 0.0, sequence: int = 0) -> Iterator[Fragment]:
    """`seconds` of a live stream from `start_s` on, in the order of arrival; the two encoded seconds repeat."""
    video, audio = encoded("h264")[1], encoded("aac")[1]
    at = {"v": 0, "a": 0}
    while True:
        times_s = {"v": at["v"] / RATE, "a": at["a"] * 1024 / 48000}
        kind = min(kinds, key=times_s.__getitem__)
        if times_s[kind] >= seconds:
            return
        number, sequence = at[kind], sequence + 1
        at[kind] += 1
        data, is_sync = (video if kind == "v" else audio)[number % (len(video) if kind == "v" else len(audio))]
        is_key = is_sync and (kind == "v" or "v" not in kinds)
        scale, step = (90000, 3600) if kind == "v" else (48000, 1024)
        dts = round(start_s * scale) + number * step
        track = VIDEO_TRACK if kind == "v" else AUDIO_TRACK
        yield Fragment(
            sequence, track, is_key, dts, dts, step, dts / scale, step / scale, STARTED_AT + dts / scale,
            fmp4.fragment(sequence, track, dts, 0, step, is_sync, data),
        )  # fmt: skip


class BrokenDisk(SystemDisk):
    """A real disk that refuses when told.

    trouble(call, number): the error the `number`-th call of all (from 0), one of `call`, shall raise, or None.
    """

    def __init__(self, trouble: Callable[[str, int], StorageError | None] = lambda _call, _number: None) -> None:
        super().__init__()
        self.trouble = trouble
        self.calls = 0
        self.free = 1 << 40

    def _meet(self, call: str) -> None:
        number, self.calls = self.calls, self.calls + 1
        error = self.trouble(call, number)
        if error is not None:
            raise error

    def make_folder(self, path: Path) -> None:
        self._meet("make_folder")
        super().make_folder(path)

    def create(self, path: Path) -> int:
        self._meet("create")
        return super().create(path)

    def open_append(self, path: Path) -> int:
        self._meet("open_append")
        return super().open_append(path)

    def claim(self, descriptor: int) -> None:
        """Nothing: a crash that a test plays takes no process with it, so the claim would outlive it."""

    def write(self, descriptor: int, data: bytes) -> None:
        try:
            self._meet("write")
        except StorageError:
            super().write(descriptor, data[: len(data) // 2])  # a short write: part of it is in the file
            raise
        super().write(descriptor, data)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        self._meet("truncate")
        super().truncate(descriptor, size_bytes)

    def sync(self, descriptor: int) -> None:  # noqa: ARG002 # a fake disk has nothing to sync
        self._meet("sync")

    def sync_folder(self, path: Path) -> None:  # noqa: ARG002
        self._meet("sync_folder")

    def sync_all(self) -> None:
        self._meet("sync_all")

    def remove(self, path: Path) -> None:
        self._meet("remove")
        super().remove(path)

    def free_bytes(self, path: Path) -> int:  # noqa: ARG002
        return self.free


@dataclass
class Site:
    """A recorder over a folder, with what it told."""

    root: Path
    settings: RecordSettings = SETTINGS
    disk: Disk = field(default_factory=SystemDisk)
    clock: SetClock = field(default_factory=SetClock)
    events: list[Event] = field(default_factory=list)
    signer: Signer = SIGNER

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.settings, self.root, self.signer, self.disk, self.clock, self.tell)

    def open(self, kinds: str = "va") -> Recording:
        return self.open_as("st_1", kinds)

    def open_as(self, stream_id: str, kinds: str = "va") -> Recording:
        recording = self.recorder.open(stream_id, DEVICE, STARTED_AT)
        recording.offer(header(kinds))
        return recording

    @property
    def folder(self) -> Path:
        (manifest,) = self.root.rglob("manifest.jsonl")
        return manifest.parent

    def told(self, kind: type[EventT]) -> list[EventT]:
        return [event for event in self.events if isinstance(event, kind)]

    def tell(self, event: Event) -> None:
        self.events.append(event)

    async def finish(self, recording: Recording) -> None:
        """End the recording and commit until its final head stands."""
        recording.offer(Ended())
        for _ in range(8):
            self.clock.now_s += 2.0
            await self.recorder.commit()
            if recording.is_ended:
                return

    async def record(self, media: Iterable[Fragment], kinds: str = "va", every: int = 20) -> Recording:
        """A whole recording of `media`, committed every so many fragments."""
        recording = self.open(kinds)
        for number, fragment in enumerate(media, 1):
            recording.offer(fragment)
            self.clock.now_s = max(self.clock.now_s, fragment.end_s)
            if number % every == 0:
                await self.recorder.commit()
        await self.finish(recording)
        return recording


def recorded(root: Path, seconds: float = 5.0, kinds: str = "va") -> Path:
    """The folder of a whole recording."""
    site = Site(root, disk=BrokenDisk())
    anyio.run(site.record, list(fragments(seconds, kinds)), kinds)
    return site.folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def sequences(folder: Path) -> list[int]:
    """The numbers of all fragments in the folder's files, in order."""
    found = []
    for path in sorted(folder.glob("*.mp4")):
        data = path.read_bytes()
        found += [info.sequence for info in fmp4.walk(data, fmp4.init_size(data))]
    return found
