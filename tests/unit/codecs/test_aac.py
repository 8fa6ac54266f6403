"""The AudioSpecificConfig: rates, channels and frames, and what is refused by name."""

import pytest

from pipeline.codecs.aac import track_from_audio_config
from pipeline.errors import CodecUnsupported


@pytest.mark.parametrize(
    ("config", "codec", "timescale", "rate_hz", "channels", "frame"),
    [
        ("1190", "mp4a.40.2", 48000, 48000, 2, 1024),
        ("1188", "mp4a.40.2", 48000, 48000, 1, 1024),
        ("118856e500", "mp4a.40.2", 48000, 48000, 1, 1024),  # ffmpeg: a late extension that says "no SBR"
        ("1408", "mp4a.40.2", 16000, 16000, 1, 1024),
        ("1194", "mp4a.40.2", 48000, 48000, 2, 960),
        ("2b118800", "mp4a.40.5", 24000, 48000, 2, 1024),  # HE-AAC, SBR said explicitly
        ("131056e598", "mp4a.40.5", 24000, 48000, 2, 1024),  # HE-AAC, SBR said behind the core's record
        ("eb098800", "mp4a.40.29", 24000, 48000, 2, 1024),  # HE-AAC v2: mono core, heard in stereo
        ("1780221810", "mp4a.40.2", 17456, 17456, 2, 1024),  # a rate by its number
    ],
)
def test_audio_configurations_give_rate_channels_and_frame(
    config: str, codec: str, timescale: int, rate_hz: int, channels: int, frame: int
) -> None:
    track = track_from_audio_config(bytes.fromhex(config))
    assert (track.codec, track.timescale, track.rate_hz, track.channels) == (codec, timescale, rate_hz, channels)
    assert (track.frame_duration, track.config.hex()) == (frame, config)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("", "ends early"),
        ("11", "ends early"),
        ("0990", "AAC Main"),
        ("f8e85000", "AAC ELD"),
        ("1690", "sampling rate"),
        ("1180", "channel configuration 0"),
    ],
)
def test_other_audio_is_refused_by_name(config: str, words: str) -> None:
    with pytest.raises(CodecUnsupported, match=words):
        track_from_audio_config(bytes.fromhex(config))
