"""Times of what is pulled: decode order without delay, picture and sound on the sender's one clock."""

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.codecs.h264 import read_avcc
from pipeline.errors import CodecUnsupported, ProtocolError
from pipeline.ingest.pull.lanes import DecodeOrder, Lane, PictureLane, TelephoneLane, align, lane_of
from pipeline.media import Packet
from pipeline.rtsp.rtp import RtpPacket, SenderReport
from pipeline.rtsp.sdp import Media
from tests.made import AVCC

STEP = 3600


def shown(groups: int) -> list[int]:
    """Presentation times in decode order of I P B B groups."""
    times = [0]
    for group in range(groups):
        times += [(group * 3 + at) * STEP for at in (3, 1, 2)]
    return times


def test_pictures_in_order_are_decoded_when_they_are_shown() -> None:
    order = DecodeOrder(0, STEP)
    assert [order.feed(at * STEP) for at in range(5)] == [at * STEP for at in range(5)]


@pytest.mark.parametrize("depth", [1, 2])
def test_with_b_frames_decode_times_grow_evenly_and_lie_before_the_picture(depth: int) -> None:
    order = DecodeOrder(depth, STEP)
    pairs = [(order.feed(pts), pts) for pts in shown(20)]
    assert all(dts <= pts for dts, pts in pairs)
    assert {after[0] - before[0] for before, after in pairwise(pairs)} == {STEP}


def test_a_stream_that_says_no_depth_is_given_what_it_needs() -> None:
    order = DecodeOrder(0, STEP)
    pairs = [(order.feed(pts), pts) for pts in shown(20)]
    assert all(after[0] > before[0] for before, after in pairwise(pairs))
    assert all(dts <= pts for dts, pts in pairs[6:])


@given(st.lists(st.integers(0, 1 << 40), max_size=60), st.integers(0, 4))
def test_decode_times_grow_unless_the_source_counts_anew(times: list[int], depth: int) -> None:
    order = DecodeOrder(depth, STEP)
    last = highest = None
    for pts in times:
        dts = order.feed(pts)
        if last is not None and highest is not None and abs(pts - highest) <= 10 * 90_000:
            assert dts > last
            highest = max(highest, pts)
        else:
            highest = pts
        last = dts


def picture_lane() -> PictureLane:
    lane = PictureLane(Media("video", 96, "H264", 90_000, 1, ""), 0.0, 4096, 2304, 100_000)
    read = read_avcc(AVCC)
    for nal in (*read.sps, *read.pps):
        feed(lane, nal, 0xFFFFF000, 0.0, marked=False)
    return lane


def feed(lane: Lane, payload: bytes, timestamp: int, since_s: float, *, marked: bool = True) -> list[Packet]:
    packet = RtpPacket(lane.media.payload_type, marked, 0, timestamp & 0xFFFFFFFF, 7, payload)
    return lane.feed(packet, False, 0.0, since_s)


def test_sound_that_comes_late_goes_where_its_senders_reports_put_it() -> None:
    """The sound arrives 0.7 s after the picture of the same moment; its clock begins at another random number."""
    picture = picture_lane()
    sound = TelephoneLane(Media("audio", 8, "PCMA", 8000, 1, ""), 0.0)
    [first] = feed(picture, b"\x65key", 0xFFFFF000, 0.0)
    [heard] = feed(sound, b"\xd5" * 320, 5_000, 0.7)
    assert heard.pts / 8000 == pytest.approx(0.7)
    picture.report(SenderReport(7, 1000.0, 0xFFFFF000))
    sound.report(SenderReport(7, 1000.0, 5_000))
    align([picture, sound])
    [later] = feed(picture, b"\x41p", 0xFFFFF000 + 90_000, 1.0)
    [after] = feed(sound, b"\xd5" * 320, 5_000 + 8_000, 1.7)
    assert later.pts - first.pts == 90_000
    assert abs(after.pts / 8000 - later.pts / 90_000) < 0.001


def test_a_report_that_is_absurd_moves_nothing() -> None:
    picture, sound = picture_lane(), TelephoneLane(Media("audio", 8, "PCMA", 8000, 1, ""), 0.0)
    feed(picture, b"\x65key", 0xFFFFF000, 0.0)
    feed(sound, b"\xd5" * 320, 5_000, 0.1)
    picture.report(SenderReport(7, 1000.0, 0xFFFFF000))
    sound.report(SenderReport(7, 99_000.0, 5_000))
    align([picture, sound])
    assert sound.offset / 90_000 == pytest.approx(0.1)


def test_rtp_info_says_where_a_lane_begins() -> None:
    sound = TelephoneLane(Media("audio", 0, "PCMU", 8000, 1, ""), 0.0)
    sound.start_at(4_200)
    [heard] = feed(sound, b"\xff" * 320, 5_000, 3.0)
    assert heard.pts == 800


def test_nothing_is_told_before_a_key_frame() -> None:
    lane = picture_lane()
    assert feed(lane, b"\x41p", 0xFFFFF000, 0.0) == []
    assert [each.is_key for each in feed(lane, b"\x65k", 0, 0.1)] == [True]


FORM = {"sizelength": "13", "indexlength": "3", "indexdeltalength": "3", "config": "1188"}


@settings(max_examples=300)
@given(st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 1 << 33), st.booleans()), max_size=8))
def test_garbage_in_any_lane_costs_an_error_of_ours_and_nothing_else(payloads: list[tuple[bytes, int, bool]]) -> None:
    for kind, encoding in [("video", "H264"), ("video", "H265"), ("audio", "MPEG4-GENERIC"), ("audio", "OPUS")]:
        lane = lane_of(Media(kind, 96, encoding, 90_000, 1, "", FORM), 0.0, 4096, 2304, 100_000)
        assert lane is not None
        for payload, timestamp, marked in payloads:
            with contextlib.suppress(ProtocolError, CodecUnsupported):
                feed(lane, payload, timestamp, 0.0, marked=marked)
