"""Every reader of bytes from outside, as a fuzz target: its good seeds, and the call that reads.

A new one is one line in `targets()`.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path

from pipeline import fmp4
from pipeline.codecs.aac import track_from_audio_config
from pipeline.codecs.av1 import check_obus, track_from_av1c, without_delimiter
from pipeline.codecs.flac import track_from_flac_header
from pipeline.codecs.h264 import read_avcc, read_sps, track_from_avcc
from pipeline.codecs.h265 import read_hevc_sps, read_hvcc, track_from_hvcc
from pipeline.codecs.nal import prefixed_nal_units, with_long_nal_lengths
from pipeline.codecs.opus import packet_duration, track_from_opus_head
from pipeline.errors import OnRecordError, ProtocolError
from pipeline.ingest.annexb import AnnexB, AvcSets, HevcSets
from pipeline.ingest.container import HEAD_BYTES, container_of
from pipeline.ingest.demux import Clamped, demux
from pipeline.ingest.elementary import AdtsAac
from pipeline.ingest.flv_body import FlvBody
from pipeline.ingest.records import Codec, RecordReader, TracksFound, track_of, write_packet, write_tracks
from pipeline.ingest.rtmp.flv import FlvReader
from pipeline.media import Packet
from pipeline.record import lines
from pipeline.record.chain_check import check_chain
from pipeline.record.scan import scan
from pipeline.record.verify import Report, check_coverage, verify
from pipeline.rtmp import amf0, chunks
from pipeline.settings import load
from tests.fuzz import cameras, doors
from tests.fuzz.run import Target
from tests.unit.codecs.records import (
    AV1C_720P,
    HVCC_720P,
    HVCC_HIGH_TIER_10_BITS,
    HVCC_TWO_LAYERS_444,
    OPUS_HEAD_MONO,
    STREAMINFO_48K,
)
from tests.unit.ingest.test_demux import made
from tests.unit.record.material import recorded
from tests.unit.rtmp.tape import (
    AUDIO_CONFIG,
    AVCC,
    HANDSHAKE,
    KEY,
    KEY_PICTURE,
    PICTURE,
    SOUND,
    VIDEO_CONFIG,
    TapeDoor,
    connect,
    message,
    opening,
    session,
)

_CAPTURES = sorted((Path(__file__).parents[1] / "unit" / "rtmp" / "captures").glob("*.rtmp"))
_CUTS = (1 << 16, 1460, 97, 11)  # how a stream of bytes is cut on its way
_SPS = bytes.fromhex("6742c01fda014016ec0440000003004000000c83c60ca8")
_PPS = bytes.fromhex("68ce3c80")
_NOW_S = 1_700_000_000.0
_WIDTH, _HEIGHT = 4096, 2304


def targets() -> dict[str, Target]:
    """All targets by name."""
    made = [
        Target("rtmp-handshake", [HANDSHAKE + connect()[len(HANDSHAKE) :]], _rtmp),
        Target("rtmp-session", _sessions(), lambda data: _rtmp(HANDSHAKE + data), [b"\xc4", b"\x04", b"publish"]),
        Target("amf0", _amf_messages(), lambda data: _any(amf0.read(data)), [b"\x03", b"\0\0\x09", b"\x0a\0\0\0"]),
        Target("flv", _flv_bodies(), _flv, [b"\x90hvc1", b"\x91av01", b"\x90Opus", b"\x72", b"\x83", b"\x17\1"]),
        Target("h264", [AVCC, _SPS], _h264),
        Target("h265", [HVCC_720P, HVCC_HIGH_TIER_10_BITS, HVCC_TWO_LAYERS_444, HVCC_720P[30:]], _h265),
        Target("av1", [AV1C_720P, AV1C_720P[4:], b"\x12\0" + AV1C_720P[4:]], _av1),
        Target(
            "aac",
            [b"\x11\x90", b"\x11\x88\x56\xe5\0", b"\x13\x90\x56\xe5\xa0", b"\xff\xf1\x50\x80\1\x9f\xfcabcde"],
            _aac,
        ),
        Target("opus", [OPUS_HEAD_MONO, b"\xfcabc", b"\xff\x03abc"], _opus),
        Target("flac", [STREAMINFO_48K, b"fLaC\x80\0\0\x22" + STREAMINFO_48K], _flac),
        Target("nal", [b"\0\0\0\3\x65ab\0\0\0\2\x41c", b"\0\0\0\1" + _SPS + b"\0\0\1" + _PPS + b"\0\0\1\x65abc"], _nal),
        Target("child-records", _child_records(), _records, [b"\2", b"\1", b"\0\0\0\0\4"]),
        Target(
            "push-head", [b"video/mp2t\0G" + bytes(11), b"\0FLV\1\5\0\0\0\x09", b"\0\0\0\0\x18ftypisom"], _push_head
        ),
        Target("fmp4", _segments(), _fmp4, [b"moof", b"mdat", b"uuid", b"moov"]),
        Target(
            "manifest", _manifests(), _manifest, [b"null", b"1e999", b"[" * 40, b'"gaps":', b"-0.0", b"\\ud800", b"NaN"]
        ),
        Target("verify", _manifests(), _verify, [b'"file":"../x"', b'"0001.mp4"', b"null"]),
        Target(
            "settings",
            _SETTINGS,
            _settings,
            [b"&a", b"*a", b"!!python/object", b": ", b"- ", b"9999-99-99", b"0x"],
        ),
        Target("http", doors.REQUESTS, doors.http, doors.REQUEST_WORDS, ready=doors.building),
        Target("websocket", doors.FRAMES, doors.websocket, [b"\x88\x80", b"\x7f", b"\xff"], ready=doors.building),
        Target("playlist", doors.PLAYLISTS, doors.playlist, doors.PLAYLIST_WORDS, ready=doors.building),
        Target(
            "rtsp-message", cameras.ANSWERS, cameras.messages, [b"$\0", b"\r\n\r\n", b"Content-Length: 9", b"CSeq:"]
        ),
        Target("rtsp-challenge", cameras.CHALLENGES, cameras.challenge, [b"Digest ", b"qop=", b'"', b"stale=true"]),
        Target("sdp", cameras.DESCRIPTIONS, cameras.description, [b"m=", b"a=fmtp:96 ", b"a=rtpmap:96 ", b"config="]),
        Target("rtp", cameras.PACKETS, cameras.packets, [b"\x80", b"\x80\xe0", b"\xc8"]),
        Target(
            "rtp-payload", cameras.PAYLOADS, cameras.payloads, [b"\x7c\x85", b"\x7c\x45", b"\x78", b"\x62", b"\x60"]
        ),
        Target("hls-playlist", cameras.PLAYLISTS, cameras.playlist, cameras.PLAYLIST_WORDS),
        Target(
            "http-answer", cameras.RESPONSES, cameras.response, [b"chunked", b"\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n"]
        ),
        Target("source-url", cameras.URLS, cameras.url, [b"@", b"[", b"%0a", b"://", b"?"]),
        Target("ticket", [b"a" * 32, b"kR3_-"], doors.ticket),
        Target("mpegts", [_container("mpegts")], lambda data: _demuxed("mpegts", data), share=0.02),
        Target("mp4", [_container("mp4")], lambda data: _demuxed("mp4", data), [b"moof", b"trun", b"stbl"], share=0.02),
    ]
    return {target.name: target for target in made}


def _any(_: object) -> None:
    """Read is enough."""


def _cut(data: bytes) -> list[bytes]:
    """`data` in pieces, of a size that follows from it."""
    size = _CUTS[len(data) % len(_CUTS)]
    return [data[at : at + size] for at in range(0, len(data), size)]


def _first_error(*attempts: Callable[[], object]) -> None:
    """Each of them, whatever the others say."""
    for attempt in attempts:
        try:
            attempt()
        except OnRecordError:
            continue


def _rtmp(data: bytes) -> None:
    door = TapeDoor()
    peer = session(door)
    try:
        for piece in _cut(data):
            peer.feed(piece, _NOW_S)
            assert peer.held_bytes <= len(data)
    except ProtocolError as error:
        peer.lost(str(error))
    peer.lost("over")
    assert KEY not in peer.close_reason
    assert sum(len(packet.data) for got in door.publications for packet in got.packets) <= 4 * len(data)
    for got in door.publications:
        known = {track.track_id for tracks in got.tracks for track in tracks}
        assert {packet.track_id for packet in got.packets} <= known


def _sessions() -> list[bytes]:
    whole = [path.read_bytes()[len(HANDSHAKE) :] for path in _CAPTURES]
    codecs = opening()[len(HANDSHAKE) :] + b"".join(
        message(chunks.VIDEO if is_video else chunks.AUDIO, tag) for is_video, tag in _tags()
    )
    return [codecs, opening()[len(HANDSHAKE) :], *(each[:6000] for each in whole)]


def _tags() -> list[tuple[bool, bytes]]:
    """Tags of every codec: (is it a picture, the tag)."""
    return [
        (True, VIDEO_CONFIG), (False, AUDIO_CONFIG), (True, KEY_PICTURE), (False, SOUND), (True, PICTURE),
        (True, b"\x90hvc1" + HVCC_720P), (True, b"\x93hvc1\0\0\0\3\x26ab"), (True, b"\xa1hvc1\0\0\1\0\0\0\2\x02a"),
        (True, b"\x90av01" + AV1C_720P), (True, b"\x91av01\x12\0\x0a\1a"),
        (False, b"\x90Opus" + OPUS_HEAD_MONO), (False, b"\x91Opus\xfcabc"),
        (False, b"\x90fLaCfLaC\x80\0\0\x22" + STREAMINFO_48K), (False, b"\x91fLaCabc"),
        (False, b"\x72" + b"\xd5" * 320), (False, b"\x83" + b"\xff" * 400),
    ]  # fmt: skip


def _amf_messages() -> list[bytes]:
    info: dict[str, amf0.Value] = {
        "app": "live",
        "tcUrl": "rtmp://h/live",
        "fourCcList": ["hvc1", "av01"],
        "capsEx": 7.0,
    }
    return [
        amf0.write("connect", 1.0, info), amf0.write("publish", 5.0, None, KEY, "live"),
        b"\x08\0\0\0\1\0\1a\0" + bytes(8) + b"\0\0\x09\x0b" + bytes(10) + b"\x0c\0\0\0\2ab\x10\0\1c\0\0\x09",
    ]  # fmt: skip


def _flv(data: bytes) -> None:
    body = FlvBody(FlvReader(_WIDTH, _HEIGHT), 1 << 20)
    taken = 0
    for piece in _cut(data):
        found = body.feed(piece, _NOW_S)
        taken += sum(len(each.data) for each in found if isinstance(each, Packet))
    body.finish(_NOW_S)
    assert taken <= 4 * len(data)


def _flv_bodies() -> list[bytes]:
    whole = b"FLV\1\5\0\0\0\x09\0\0\0\0"
    for number, (is_video, tag) in enumerate(_tags()):
        head = bytes([9 if is_video else 8]) + len(tag).to_bytes(3, "big") + (number * 40).to_bytes(3, "big") + bytes(4)
        whole += head + tag + (11 + len(tag)).to_bytes(4, "big")
    return [whole, whole[:13] + whole[200:]]


def _h264(data: bytes) -> None:
    _first_error(
        lambda: track_from_avcc(data, max_width=_WIDTH, max_height=_HEIGHT),
        lambda: read_avcc(data),
        lambda: read_sps(data),
    )


def _h265(data: bytes) -> None:
    _first_error(
        lambda: track_from_hvcc(data, max_width=_WIDTH, max_height=_HEIGHT),
        lambda: read_hvcc(data),
        lambda: read_hevc_sps(data),
    )


def _av1(data: bytes) -> None:
    _first_error(
        lambda: track_from_av1c(data, max_width=_WIDTH, max_height=_HEIGHT),
        lambda: check_obus(data),
        lambda: without_delimiter(data),
    )


def _aac(data: bytes) -> None:
    _first_error(lambda: track_from_audio_config(data), lambda: AdtsAac().convert(data))


def _opus(data: bytes) -> None:
    _first_error(lambda: track_from_opus_head(data), lambda: track_from_opus_head(b"OpusHead" + data))
    assert 120 <= packet_duration(data) <= 5760


def _flac(data: bytes) -> None:
    track_from_flac_header(data)


def _nal(data: bytes) -> None:
    _first_error(
        lambda: prefixed_nal_units(data),
        *(lambda size=size: with_long_nal_lengths(data, size) for size in (1, 2, 4)),
        lambda: AnnexB(AvcSets()).convert(data),
        lambda: AnnexB(HevcSets()).convert(data),
    )


def _child_records() -> list[bytes]:
    told = write_tracks([(Codec.H264, AVCC), (Codec.AAC, b"\x11\x88")])
    return [told + write_packet(1, 0, 3600, True, b"picture") + write_packet(2, 0, 0, False, b"sound") + b"\0\0\0\0\4"]


def _records(data: bytes) -> None:
    reader = RecordReader(1 << 20)
    for piece in _cut(data):
        for record in reader.feed(piece, _NOW_S):
            if isinstance(record, TracksFound):
                for codec, config in record.tracks:
                    track_of(codec, config, _WIDTH, _HEIGHT)


def _push_head(data: bytes) -> None:
    kind, _, head = data.partition(b"\0")
    container_of(kind.decode("latin-1"), head[:HEAD_BYTES])


@cache
def _folder() -> Path:
    """A small whole recording, in memory where the machine has such a disk."""
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="onrecord-fuzz-", dir=memory if os.access(memory, os.W_OK) else None))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return recorded(root, 1.5)


def _segments() -> list[bytes]:
    whole = (_folder() / "0000.mp4").read_bytes()
    size = fmp4.init_size(whole)
    return [whole[:size], whole[: size + 9000], whole[: size + 30000]]


def _fmp4(data: bytes) -> None:
    _first_error(lambda: fmp4.read_init(data), lambda: scan(data))
    infos = list(fmp4.walk(data))
    assert sum(info.size_bytes for info in infos) <= len(data)


def _manifests() -> list[bytes]:
    return [(_folder() / "manifest.jsonl").read_bytes()]


def _manifest(data: bytes) -> None:
    checked = check_chain(data, ())
    check_coverage(checked.segments, checked.final, Report())
    _first_error(*(lambda row=row: lines.parse(row + b"\n") for row in data.split(b"\n")))


def _verify(data: bytes) -> None:
    folder = _folder()
    name = "manifest.jsonl" if data[:1] == b"{" else "0000.mp4"
    good = (folder / name).read_bytes()
    try:
        (folder / name).write_bytes(data)
        report = verify(folder)
    finally:
        (folder / name).write_bytes(good)
    assert report.defects or data == good, "a changed recording is called whole"


_SETTINGS = [
    b"data: d\nrtmp:\n  port: 1935\n  host: 0.0.0.0\ningest:\n  second_publisher: refuse\n",
    b"live: {ticket_s: 60, max_viewers: 5}\nlog:\n  level: info\n# a comment\nrecord:\n  segment_s: 1e1\n",
]


def _settings(data: bytes) -> None:
    path = _folder().parents[3] / "settings.yaml"
    path.write_bytes(data)
    load(path, environment={})


@cache
def _container(form: str) -> bytes:
    return made(form, 6)


def _demuxed(form: str, data: bytes) -> None:
    """libav's reader in a process of its own, as it runs in the program; the parent's reader here.

    libav may die of it (that costs a child), what it told before may not harm the parent.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        with os.fdopen(writing, "wb") as out:
            demux(Clamped(BytesIO(data).read1), form, lambda record: _any(out.write(record)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        raw = told.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise AssertionError("an error that is not a record came out of the demuxer")
    _records(raw)
