"""The demuxer as a function and as a process: what it tells of good, cut and damaged bodies, and what it cannot do."""

import io
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest

from pipeline.errors import CodecUnsupported, ContainerUnknown, LimitExceeded, ProtocolError
from pipeline.ingest import annexb, records
from pipeline.ingest.annexb import AnnexB, AvcSets, nal_units
from pipeline.ingest.container import Container, container_of
from pipeline.ingest.demux import Clamped, demux
from pipeline.ingest.elementary import AdtsAac
from pipeline.ingest.records import (
    Codec,
    DemuxEnded,
    DemuxFailed,
    Jailed,
    Kind,
    Record,
    RecordReader,
    TracksFound,
    track_of,
    write_packet,
    write_text,
    write_tracks,
)
from pipeline.media import AUDIO_TRACK, VIDEO_TRACK, Packet

MOST = 1 << 22
SPS, PPS = bytes.fromhex("6742c01fda014016ec0440000003004000000c83c60ca8"), bytes.fromhex("68ce3c80")
ROUNDS = 150


def made(form: str, pictures: int = 20, b_frames: int = 0) -> bytes:
    """A body of `pictures` pictures, and sound, encoded here."""
    file = io.BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"} if form == "mp4" else {}
    with av.open(file, "w", format=form, options=options) as box:
        video = box.add_stream("libx264", rate=25, options={"g": "10", "bf": str(b_frames), "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        audio = box.add_stream("aac", rate=48000, layout="mono")
        for index in range(pictures):
            frame = av.VideoFrame(160, 120, "yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            box.mux(video.encode(frame))
            sound = av.AudioFrame("fltp", "mono", 1920)
            sound.pts, sound.sample_rate, sound.time_base = index * 1920, 48000, Fraction(1, 48000)
            for plane in sound.planes:
                plane.update(bytes(plane.buffer_size))
            box.mux(audio.encode(sound))
        box.mux([*video.encode(None), *audio.encode(None)])
    return file.getvalue()


BODIES = {form: made(form) for form in ("mpegts", "mp4")}


def told(body: bytes, form: str) -> list[Record]:
    """What the demuxer tells of `body`; a pipe's short reads included."""
    out: list[bytes] = []
    demux(Clamped(io.BytesIO(body).read1), form, out.append)
    return RecordReader(MOST).feed(b"".join(out), 0.0)


def packets(found: list[Record], track_id: int) -> list[Packet]:
    return [each for each in found if isinstance(each, Packet) and each.track_id == track_id]


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("form", ["mpegts", "mp4"])
def test_every_picture_and_sound_comes_out_with_its_tracks_before_it(form: str, b_frames: int) -> None:
    found = told(made(form, b_frames=b_frames), form)
    assert isinstance(found[0], TracksFound)
    assert [codec for codec, _ in found[0].tracks] == [Codec.H264, Codec.AAC]
    assert (track_of(*found[0].tracks[0], 160, 120).width, len(packets(found, VIDEO_TRACK))) == (160, 20)
    assert len(packets(found, AUDIO_TRACK)) >= 37
    assert [each.is_key for each in packets(found, VIDEO_TRACK)].count(True) == 2
    assert isinstance(found[-1], DemuxEnded)
    for packet in packets(found, VIDEO_TRACK):
        at = 0
        while at < len(packet.data):
            at += 4 + int.from_bytes(packet.data[at : at + 4], "big")
        assert at == len(packet.data)


@pytest.mark.parametrize("form", ["mpegts", "mp4"])
def test_a_cut_or_damaged_body_ends_in_a_last_word_and_nothing_else_escapes(form: str) -> None:
    chance = random.Random(7)
    for _ in range(ROUNDS):
        body = bytearray(BODIES[form])
        if chance.random() < 0.3:
            del body[chance.randrange(len(body)) :]
        for _ in range(chance.randrange(30)):
            if body:
                body[chance.randrange(len(body))] = chance.randrange(256)
        found = told(bytes(body), form)
        assert isinstance(found[-1], DemuxEnded | DemuxFailed)


@pytest.mark.parametrize("body", [b"", b"\x47", b"G" * 5000, b"\0\0\0\x18ftypisom" + bytes(300), bytes(5000)])
@pytest.mark.parametrize("form", ["mpegts", "mp4"])
def test_garbage_is_refused_in_words(form: str, body: bytes) -> None:
    assert isinstance(told(body, form)[-1], DemuxFailed)


def test_a_read_never_gives_more_than_was_asked_for() -> None:
    """PyAV would copy the rest behind its buffer."""
    assert Clamped(lambda _: b"x" * 100).read(10) == b"x" * 10
    assert Clamped(lambda _: b"x" * 100).read(-1) == b""


def child(body: bytes, form: str, memory_bytes: int = 512 << 20) -> tuple[int, list[Record]]:
    command = [sys.executable, "-m", "pipeline.ingest.demux", form, str(memory_bytes)]
    done = subprocess.run(command, input=body, capture_output=True, timeout=20)
    return done.returncode, RecordReader(MOST).feed(done.stdout, 0.0)


def test_the_process_says_how_it_is_caged_and_then_the_same_as_the_function() -> None:
    code, found = child(BODIES["mpegts"], "mpegts")
    assert code == 0
    assert isinstance(found[0], Jailed)
    assert found[1:] == told(BODIES["mpegts"], "mpegts")


CAGED = """
import os, socket, subprocess, sys
from pipeline.jail import confine, limit
limit(512 << 20)
missing = confine()
if missing:
    print(missing); sys.exit(3)
def refused(act):
    try:
        act()
    except OSError:
        return True
    return False
acts = [lambda: socket.socket(), lambda: open("/tmp/caged", "w"), lambda: open("/etc/passwd"), lambda: os.fork(),
        lambda: os.execv("/bin/true", ["true"]), lambda: os.kill(1, 0), lambda: os.rename("a", "b")]
print([refused(act) for act in acts])
"""


def test_the_cage_refuses_files_sockets_and_processes() -> None:
    done = subprocess.run([sys.executable, "-c", CAGED], capture_output=True, text=True, timeout=20)
    if done.returncode == 3:
        pytest.skip(done.stdout)
    assert done.stdout.strip() == str([True] * 7), done.stderr


def test_a_file_on_stdin_is_sought_in_so_that_an_index_at_its_end_is_found(tmp_path: Path) -> None:
    path = tmp_path / "plain.mp4"
    with av.open(io.BytesIO(BODIES["mpegts"]), "r") as source, av.open(str(path), "w") as box:
        video = box.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = video
                box.mux(packet)
    with path.open("rb") as file:
        command = [sys.executable, "-m", "pipeline.ingest.demux", "mp4", str(512 << 20)]
        done = subprocess.run(command, stdin=file, capture_output=True, timeout=20)
    found = RecordReader(MOST).feed(done.stdout, 0.0)
    assert len(packets(found, VIDEO_TRACK)) == 20
    assert isinstance(found[-1], DemuxEnded)


def test_start_codes_become_lengths_and_parameter_sets_the_configuration() -> None:
    unit = AnnexB(AvcSets())
    assert unit.convert(b"\0\0\0\1\x41abc") == b""  # before its SPS nobody can show it
    assert unit.convert(b"\0\0\0\1\x09\xf0\0\0\0\1" + SPS + b"\0\0\1" + PPS + b"\0\0\1\x65pic\0") == b"\0\0\0\4\x65pic"
    assert track_of(Codec.H264, unit.config, 4096, 4096).width == 1280
    before = unit.config
    unit.convert(b"\0\0\1" + SPS + b"\0\0\1" + PPS + b"\0\0\1\x65pic")
    assert unit.config is before
    assert nal_units(b"\0\0\1\0\0\1\0\0\0\1") == []
    with pytest.raises(LimitExceeded):
        nal_units(b"\0\0\1\x41" * 5000)


@pytest.mark.parametrize("kind", [0x65, 0x67, 0x68, 0x42, 0x44])
def test_damaged_parameter_sets_raise_only_our_errors(kind: int) -> None:
    chance = random.Random(kind)
    for _ in range(2000):
        data = b"\0\0\1" + bytes([kind]) + chance.randbytes(chance.randrange(30))
        for converter in (AnnexB(AvcSets()), AnnexB(annexb.HevcSets())):
            try:
                converter.convert(data)
            except (CodecUnsupported, ProtocolError):
                continue


def test_an_adts_header_becomes_the_configuration() -> None:
    frame = bytes.fromhex("fff14c80") + bytes([10 >> 3, (10 & 7) << 5 | 0x1F, 0xFC]) + b"aac"
    sound = AdtsAac()
    assert sound.convert(frame) == b"aac"
    track = track_of(Codec.AAC, sound.config, 1, 1)
    assert (track.timescale, track.channels, track.codec) == (48000, 2, "mp4a.40.2")
    for bad in (b"", b"\xff\xf1", b"LATM" * 5, frame[:4] + b"\xff\xff\xfc" + b"aac"):
        with pytest.raises(ProtocolError):
            sound.convert(bad)


def test_the_reader_takes_records_in_any_pieces_and_believes_no_size() -> None:
    wire = write_tracks([(Codec.AAC, b"\x11\x88")]) + write_packet(AUDIO_TRACK, 5, 6, True, b"x" * 300)
    wire += write_text(Kind.SKIPPED, "video \u00e9\n") + write_text(Kind.ENDED)
    whole = RecordReader(MOST).feed(wire, 1.0)
    assert whole[1] == Packet(AUDIO_TRACK, 5, 6, True, b"x" * 300, 1.0)
    pieces = RecordReader(MOST)
    assert [each for byte in wire for each in pieces.feed(bytes([byte]), 1.0)] == whole
    with pytest.raises(LimitExceeded):
        RecordReader(100).feed(write_packet(1, 0, 0, True, b"x" * 100), 0.0)
    for nonsense in (write_packet(3, 0, 0, True, b"x"), write_packet(1, 1 << 60, 1 << 60, True, b"x"),
                     write_packet(1, 0, 1 << 40, True, b"x"), write_packet(1, 0, 0, True, b""),
                     b"\0\0\0\0\x09", b"\0\0\0\3\1\x09\0\0", b"\0\0\0\2\1\1\0"):  # fmt: skip
        with pytest.raises(ProtocolError):
            RecordReader(MOST).feed(nonsense, 0.0)


def test_random_bytes_never_raise_anything_but_a_protocol_error() -> None:
    chance = random.Random(3)
    for _ in range(3000):
        reader = records.RecordReader(4096)
        try:
            reader.feed(chance.randbytes(chance.randrange(60)), 0.0)
        except ProtocolError:
            continue


def test_a_container_is_known_by_its_type_or_its_first_bytes() -> None:
    assert container_of("video/MP2T; x=y", b"") is Container.MPEG_TS
    assert container_of("application/octet-stream", b"FLV\1") is Container.FLV
    assert container_of("", b"\0\0\0\x18ftypisom") is Container.MP4
    assert container_of("", b"\x47\x40") is Container.MPEG_TS
    with pytest.raises(ContainerUnknown):
        container_of("text/plain", b"#EXTM3U")
