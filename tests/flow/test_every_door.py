"""The doors with the codecs Debian's ffmpeg puts through them and we carry; what was recorded is read with ffprobe."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.serving import Server, until
from tests.tools import needs

pytestmark = needs("ffmpeg", "ffprobe")

X265 = "log-level=none:pools=1"
VIDEO = {
    "h264": ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "10"],
    "h264 with B-frames": ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "10"],
    "hevc": ["-c:v", "libx265", "-preset", "ultrafast", "-g", "10", "-x265-params", X265 + ":bframes=0"],
    "hevc with B-frames": ["-c:v", "libx265", "-preset", "ultrafast", "-g", "10", "-x265-params", X265 + ":bframes=2"],
    "av1": ["-c:v", "libsvtav1", "-preset", "12", "-g", "10"],
}
SOUND = {
    "aac": ["-c:a", "aac", "-ar", "48000"],
    "opus": ["-c:a", "libopus", "-ar", "48000"],
    "flac": ["-c:a", "flac", "-strict", "-2"],
    "pcm_alaw": ["-c:a", "pcm_alaw", "-ar", "8000", "-ac", "1"],
    "pcm_mulaw": ["-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"],
}
H264 = ("h264", "h264 with B-frames")
HEVC = ("hevc", "hevc with B-frames")
ALL_OF_FLV = [(video, sound) for video in H264 for sound in (*SOUND, "") if sound not in ("opus", "flac")]
"""Debian's ffmpeg 5.1 writes no Enhanced RTMP."""
DOORS = {
    "rtmp": ALL_OF_FLV,
    "flv": ALL_OF_FLV,
    "mpegts": [*((video, "aac") for video in H264 + HEVC), ("h264", "opus"), ("h264", "")],
    "mp4": [
        *((video, "aac") for video in H264 + HEVC),
        ("h264", "opus"),
        ("h264", ""),
        ("av1", "aac"),
        ("h264", "flac"),
    ],
}
FORMS = {
    "rtmp": ["-f", "flv"],
    "flv": ["-f", "flv", "-flvflags", "no_duration_filesize"],
    "mpegts": ["-f", "mpegts"],
    "mp4": ["-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof"],
}
LENGTH_S = 1.2


@dataclass(frozen=True)
class Clips:
    """One file a codec, encoded once, and a server that takes them."""

    server: Server
    folder: Path


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def packets(file: Path) -> dict[str, int]:
    """How many packets each codec has."""
    shown = ["-count_packets", "-show_entries", "stream=codec_name,nb_read_packets", "-of", "json", str(file)]
    return {
        each["codec_name"]: int(each["nb_read_packets"])
        for each in json.loads(run("ffprobe", "-v", "error", *shown))["streams"]
    }


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clips]:
    folder = tmp_path_factory.mktemp("clips")
    drawn = ["-f", "lavfi", "-i", f"testsrc2=size=128x96:rate=25:duration={LENGTH_S}", "-pix_fmt", "yuv420p"]
    sung = ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={LENGTH_S}"]
    for source, codecs in ((drawn, VIDEO), (sung, SOUND)):
        for name, words in codecs.items():
            run("ffmpeg", "-v", "error", *source, *words, str(folder / f"{name}.mkv"))
    with Server(folder / "data") as server:
        yield Clips(server, folder)


def recorded(server: Server, stream_id: str) -> dict[str, int]:
    """The packets of all files of the stream."""
    found: dict[str, int] = {}
    for folder in server.recordings():
        if stream_id in (folder / "manifest.jsonl").read_text():
            for file in sorted(folder.glob("*.mp4")):
                for codec, count in packets(file).items():
                    found[codec] = found.get(codec, 0) + count
    return found


@pytest.mark.parametrize(
    ("door", "video", "sound"),
    [(door, video, sound) for door, pairs in DOORS.items() for video, sound in pairs],
)
def test_all_that_comes_through_a_door_is_recorded(clips: Clips, door: str, video: str, sound: str) -> None:
    server, name = clips.server, f"{door} {video} {sound}"
    key = server.add_device(name)
    inputs = [clips.folder / f"{codec}.mkv" for codec in (video, sound) if codec]
    tag = ["-tag:v", "hvc1"] if door == "mp4" and video in HEVC else []
    rtmp = f"rtmp://127.0.0.1:{server.rtmp_port}/live/{key}"
    to = [rtmp] if door == "rtmp" else ["-method", "POST", f"http://127.0.0.1:{server.port}/ingest/{key}"]
    words = [word for file in inputs for word in ("-i", str(file))]
    run("ffmpeg", "-v", "error", *words, "-c", "copy", "-strict", "-2", *tag, *FORMS[door], *to)
    until(lambda: (server.stream_of(name) or {}).get("state") == "ended", f"{name} ended")
    got = recorded(server, str((server.stream_of(name) or {})["stream_id"]))
    sent = {codec: count for file in inputs for codec, count in packets(file).items()}
    for codec, count in sent.items():
        if codec.startswith("pcm_"):
            assert got["flac"] > 0
        elif codec == video.partition(" ")[0]:
            assert got[codec] == count, (got, sent)
        else:
            assert abs(got[codec] - count) <= 2, (got, sent)  # muxers drop or add a priming frame
    assert len(got) == len(sent)
