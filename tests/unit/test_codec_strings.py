"""Codec strings: the examples of the standards, and read back from a file they are the same."""

import pytest

from pipeline import fmp4
from pipeline.codec_strings import codec_string
from pipeline.codecs.aac import track_from_audio_config
from pipeline.codecs.av1 import track_from_av1c
from pipeline.codecs.flac import track_from_flac_header
from pipeline.codecs.g711 import FlacFromG711
from pipeline.codecs.h264 import track_from_avcc
from pipeline.codecs.h265 import track_from_hvcc
from pipeline.codecs.opus import track_from_opus_head
from pipeline.errors import BoxMalformed, CodecUnsupported
from pipeline.media import Track
from tests.unit.codecs.records import AV1C_720P, HVCC_720P, HVCC_TWO_LAYERS_444, OPUS_HEAD_MONO, STREAMINFO_48K
from tests.unit.rtmp.tape import AVCC

SIZE = {"max_width": 4096, "max_height": 2304}
TRACKS = [
    track_from_avcc(AVCC, **SIZE),
    track_from_hvcc(HVCC_720P, **SIZE),
    track_from_hvcc(HVCC_TWO_LAYERS_444, **SIZE),
    track_from_av1c(AV1C_720P, **SIZE),
    track_from_audio_config(b"\x11\x90"),
    track_from_audio_config(bytes.fromhex("131056e598")),
    track_from_audio_config(bytes.fromhex("eb098800")),
    track_from_opus_head(OPUS_HEAD_MONO),
    track_from_flac_header(STREAMINFO_48K),
    FlacFromG711("pcm_mulaw", 2).track,
]


@pytest.mark.parametrize(
    ("entry", "config", "string"),
    [
        ("hvc1", "01016000000090000000000078" + "00" * 10, "hvc1.1.6.L120.90"),
        ("hvc1", "010160000000b0000000000" + "05d" + "00" * 10, "hvc1.1.6.L93.B0"),
        ("hvc1", "01a22000000000000000000099" + "00" * 10, "hvc1.B2.4.H153"),
        ("av01", "81040c00", "av01.0.04M.08"),
        ("av01", "812dcc00", "av01.1.13H.10"),
        ("av01", "81041c00", "av01.0.04M.08.1.110.01.01.01.0"),
        ("mp4a", "1190", "mp4a.40.2"),
        ("mp4a", "131056e598", "mp4a.40.5"),
    ],
)
def test_the_strings_are_those_of_the_standards(entry: str, config: str, string: str) -> None:
    assert codec_string(entry, bytes.fromhex(config)) == string


@pytest.mark.parametrize("track", TRACKS, ids=lambda track: track.codec)
def test_a_track_of_every_codec_is_read_back_from_its_init_segment(track: Track) -> None:
    init = fmp4.init_segment((track,))
    [found] = fmp4.read_init(init)
    assert (found.codec, found.config, found.timescale) == (track.codec, track.config, track.timescale)
    assert (found.width, found.height, found.channels) == (track.width, track.height, track.channels)
    assert fmp4.init_segment((found,)) == init


@pytest.mark.parametrize("track", TRACKS, ids=lambda track: track.codec)
def test_fuzz_a_changed_init_segment_is_read_or_malformed(track: Track) -> None:
    init = fmp4.init_segment((track,))
    for at in range(len(init)):
        for value in (0, 0xFF, init[at] ^ 1):
            changed = init[:at] + bytes([value]) + init[at + 1 :]
            try:
                fmp4.read_init(changed)
            except BoxMalformed:
                continue


def test_an_unknown_entry_or_a_short_record_is_refused() -> None:
    for entry, config in (("vp09", b""), ("hvc1", b"\1"), ("avc1", b""), ("av01", b"\x81"), ("mp4a", b"")):
        with pytest.raises(CodecUnsupported):
            codec_string(entry, config)
