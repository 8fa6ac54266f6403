"""Frames: what a standard parser reads is what was framed."""

import json

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from pipeline.live.frames import binary_frame, text_frame
from tests.unit.live.wire import frames


@given(st.lists(st.sampled_from([0, 1, 125, 126, 127, 65535, 65536, 70000]), max_size=4))
def test_frames_of_every_length_are_read_by_the_websockets_library(sizes: list[int]) -> None:
    data = b"".join(binary_frame(bytes([number]) * size) for number, size in enumerate(sizes))
    read = frames(data)
    assert [(each.opcode, each.fin, len(each.data)) for each in read] == [(Opcode.BINARY, True, size) for size in sizes]
    assert all(set(each.data) <= {number} for number, each in enumerate(read))


def test_texts_are_json_in_utf_8() -> None:
    (frame,) = frames(text_frame({"type": "tracks", "name": "执鉴", "n": 1.5}))
    assert frame.opcode is Opcode.TEXT
    assert json.loads(bytes(frame.data)) == {"type": "tracks", "name": "执鉴", "n": 1.5}


def test_frames_are_not_masked_so_that_all_viewers_share_their_bytes() -> None:
    assert binary_frame(b"abc") == b"\x82\x03abc"
    assert text_frame({}) == b"\x81\x02{}"
