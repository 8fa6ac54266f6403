"""The command lines of docs/publishing.md, as they stand there, against a real server."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import Server
from tests.tools import needs

pytestmark = needs("ffmpeg", "gst-launch-1.0")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "publishing.md"
HARDWARE = ("/dev/video0", "rtsp://")  # a webcam or a camera, which no test has


def recipes() -> list[str]:
    """Each command of the page's code blocks that publishes with programs alone."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [
        line
        for line in lines
        if line.startswith(("ffmpeg ", "gst-launch-1.0 "))
        and "STREAM_KEY" in line
        and not any(w in line for w in HARDWARE)
    ]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clip") / "FILE.mp4"
    made = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-f", "lavfi", "-i", "sine=frequency=440"]
    coded = ["-t", "20", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    subprocess.run(["ffmpeg", "-v", "error", *made, *coded, str(file)], check=True, timeout=60)
    return file


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("recipes") / "data") as made:
        yield made


def test_the_page_has_recipes_for_both_programs_and_both_doors() -> None:
    found = recipes()
    assert sum(line.startswith("ffmpeg ") for line in found) >= 5
    assert any(line.startswith("gst-launch-1.0 ") for line in found)
    assert any("http://HOST:8000/ingest/" in line for line in found)
    assert any("rtmp://HOST:1935/live/" in line for line in found)


@pytest.mark.parametrize("recipe", recipes())
def test_a_recipe_makes_a_live_stream(server: Server, clip: Path, recipe: str) -> None:
    name = f"recipe {recipes().index(recipe)}"
    line = recipe.replace("STREAM_KEY", server.add_device(name)).replace("FILE.mp4", str(clip))
    line = line.replace("HOST:1935", f"127.0.0.1:{server.rtmp_port}").replace("HOST:8000", f"127.0.0.1:{server.port}")
    words = shlex.split(line)
    assert shutil.which(words[0])
    run = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        server.live_id(name)
        stream = server.stream_of(name) or {}
        assert stream["video"] is not None
    finally:
        run.kill()
        run.wait()
