"""Key frames as cameras send them become brightness; nonsense becomes nothing, and the decoder goes on."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.analyse.pictures import GroupDecoder, KeyFrameDecoder
from pipeline.analyse.units import Unit
from pipeline.errors import CodecUnsupported
from pipeline.media import VIDEO_TRACK, Track
from tests.made import AUDIO


def shade(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """A picture that says its number: brightness, and a bright left half."""
    picture = np.full((height, width), 40 + 10 * number, np.uint8)
    picture[:, : width // 2] = 200
    return picture


def encoded(
    codec: str = "libx264", width: int = 320, height: int = 180, pictures: int = 6, layout: str = "yuv420p"
) -> tuple[Track, list[Unit]]:
    """A group of two pictures each: the second ones are no key frames."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as box:
        stream = box.add_stream(codec, rate=2)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, layout
        fast = {"preset": "ultrafast", "tune": "zerolatency", "g": "2"}
        quiet = {"x265-params": "log-level=none:pools=1:keyint=2:min-keyint=2:bframes=0"}
        stream.options = {**fast, **(quiet if codec == "libx265" else {})}
        for number in range(pictures):
            frame = av.VideoFrame.from_ndarray(shade(number, width, height), format="gray").reformat(format=layout)
            frame.pts, frame.time_base = number, Fraction(1, 2)
            box.mux(stream.encode(frame))
        box.mux(stream.encode(None))
    with av.open(io.BytesIO(out.getvalue()), "r") as file:
        video = file.streams.video[0]
        track = Track(
            VIDEO_TRACK, "video", "avc1.42c01e" if codec == "libx264" else "hvc1.1.6.L93.B0",
            bytes(video.codec_context.extradata or b""), 90_000, width=width, height=height,
        )  # fmt: skip
        units = [
            Unit(VIDEO_TRACK, float(each.pts * each.time_base), 0.5, each.is_keyframe, bytes(each))
            for each in file.demux(video)
            if each.size and each.pts is not None and each.time_base is not None
        ]
    return track, units


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_each_key_frame_is_decoded_alone_and_the_others_are_not_needed(codec: str) -> None:
    track, units = encoded(codec)
    decoder = KeyFrameDecoder(track)
    keys = [unit for unit in units if unit.is_key]
    assert len(keys) == 3
    darks = []
    for unit in keys:
        luma = decoder.luma(unit)
        assert luma is not None
        assert luma.shape == (180, 320)
        assert luma.dtype == np.uint8
        dark, bright = float(luma[:, 200:].mean()), float(luma[:, :120].mean())
        assert bright - dark > 50
        darks.append(dark)
    assert darks == sorted(darks)
    assert decoder.broken == 0


def test_ten_bits_are_cut_to_eight() -> None:
    track, units = encoded("libx265", layout="yuv420p10le")
    luma = KeyFrameDecoder(track).luma(units[0])
    assert luma is not None
    assert luma.shape == (180, 320)
    assert 30 < float(luma[:, 200:].mean()) < 70


@pytest.mark.parametrize(("width", "height"), [(16, 16), (180, 320), (3840, 2160)])
def test_pictures_of_any_shape(width: int, height: int) -> None:
    track, units = encoded(width=width, height=height, pictures=1)
    luma = KeyFrameDecoder(track).luma(units[0])
    assert luma is not None
    assert luma.shape == (height, width)


def test_nonsense_is_nothing_and_the_next_key_frame_is_decoded() -> None:
    track, units = encoded()
    decoder = KeyFrameDecoder(track)
    broken = Unit(VIDEO_TRACK, 0.0, 0.5, True, bytes(range(256)) * 4)
    assert decoder.luma(broken) is None
    assert decoder.luma(Unit(VIDEO_TRACK, 0.0, 0.5, True, b"")) is None
    assert decoder.broken == 2
    assert decoder.luma(units[0]) is not None


def test_colour_has_blue_green_and_red() -> None:
    track, units = encoded()
    picture = KeyFrameDecoder(track).colour(units[0])
    assert picture is not None
    assert picture.shape == (180, 320, 3)


def test_sound_is_no_picture() -> None:
    with pytest.raises(CodecUnsupported):
        KeyFrameDecoder(AUDIO)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_all_pictures_of_a_group_are_decoded_with_their_moments(codec: str) -> None:
    track, units = encoded(codec)
    decoder = GroupDecoder(track, 10.0)
    found = [moment for unit in units for moment in decoder.feed(unit)] + decoder.finish()
    assert [moment.pts_s for moment in found] == [unit.pts_s for unit in units]
    darks = [float(moment.picture[:, 200:].mean()) for moment in found]
    assert darks == sorted(darks)
    assert found[0].picture.shape == (180, 320, 3)


def test_of_a_group_no_more_pictures_are_given_than_asked_for_and_none_before() -> None:
    track, units = encoded(pictures=12)
    decoder = GroupDecoder(track, 1.0, from_s=2.0)
    found = [moment for unit in units for moment in decoder.feed(unit)] + decoder.finish()
    assert [moment.pts_s for moment in found] == [2.0, 3.0, 4.0, 5.0]


def test_a_group_without_its_key_frame_gives_nothing_and_the_next_one_is_decoded() -> None:
    track, units = encoded()
    decoder = GroupDecoder(track, 10.0)
    assert decoder.feed(units[1]) == []
    spoiled = Unit(VIDEO_TRACK, units[2].pts_s, 0.5, True, b"\0\0\0\x04\xff\xff\xff\xff")
    assert decoder.feed(spoiled) == []
    later = [moment for unit in units[4:] for moment in decoder.feed(unit)] + decoder.finish()
    assert [moment.pts_s for moment in later] == [2.0, 2.5]
