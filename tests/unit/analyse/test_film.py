"""A film that somebody sent is read from its own bytes: it names no file and no address that is then opened for it."""

import io
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.analyse import film
from pipeline.analyse.enrol_order import Refused


def film_of(container: str, codec: str = "libx264", pictures: int = 5) -> bytes:
    sink = io.BytesIO()
    with av.open(sink, "w", format=container) as out:
        stream = out.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 128, 128, "yuv420p"
        for number in range(pictures):
            picture = np.full((128, 128, 3), 40 * number, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        out.mux(stream.encode(None))
    return sink.getvalue()


@pytest.mark.parametrize(
    ("container", "codec"), [("mp4", "libx264"), ("matroska", "libx264"), ("avi", "mpeg4"), ("mpegts", "libx264")]
)
def test_a_film_is_read_whatever_container_phones_and_cameras_write(container: str, codec: str) -> None:
    found = film.read(film_of(container, codec))
    assert not isinstance(found, Refused)
    assert len(found) == 5


@pytest.mark.parametrize(
    "listed",
    [
        "ffconcat version 1.0\nfile 'recordings/another.mp4'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nrecordings/another.mp4\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    ],
)
def test_a_list_of_other_files_opens_none_of_them(listed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or whoever enrols could look into recordings that nobody approved for him."""
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "another.mp4").write_bytes(film_of("mp4"))
    monkeypatch.chdir(tmp_path)
    assert isinstance(film.read(listed.encode()), Refused)
