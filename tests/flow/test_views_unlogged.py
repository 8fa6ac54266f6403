"""Where views cannot be logged, nobody sees anything: the disk of the outbox is full, and then has room again."""

import http.client
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flow.test_faults_read_only import mounted
from tests.serving import Server, allow, onrecord, until
from tests.tools import needs

pytestmark = [pytest.mark.slow, needs("ffmpeg")]


def upgrade(server: Server, stream_id: str) -> int:
    """The answer to a WebSocket that wants the stream."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(
        "GET", f"/live/{stream_id}/ws",
        headers={"Authorization": f"Bearer {server.token}", "Connection": "Upgrade", "Upgrade": "websocket",
                 "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw=="},
    )  # fmt: skip
    status = connection.getresponse().status
    connection.close()
    return status


def test_no_view_begins_and_no_copy_is_handed_out_while_it_could_not_be_logged(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10", "-t", "6", "-c:v", "libx264",
         "-g", "10", str(clip)], check=True, timeout=60,
    )  # fmt: skip
    outbox = tmp_path / "data" / "outbox"
    with mounted(outbox, "size=1m"), Server(tmp_path / "data") as server:
        key = server.add_device("cam")
        done = onrecord(server.data, "ingest", str(clip), "--device", "cam", "--json")
        assert done.returncode == 0, done.stderr
        recording_id = json.loads(done.stdout)["items"][0]["recording_id"]
        path = f"/api/v1/recordings/{recording_id}"
        until(lambda: server.ask(path).status == 200, "the recording in the store")
        allow(server, {"what": "play", "recording_id": recording_id, "start_s": 0, "end_s": 5})
        server.publish(key, "160x120")
        stream_id = server.live_id("cam")
        asked: dict[str, Callable[[], int]] = {
            "media": lambda: server.ask(f"{path}/media?start=0&end=5").status,
            "still": lambda: server.ask(f"{path}/still.jpg?at=1").status,
            "snapshot": lambda: server.ask(f"/live/{stream_id}/snapshot.jpg").status,
            "socket": lambda: upgrade(server, stream_id),
        }
        until(lambda: asked["snapshot"]() == 200, "a picture")
        assert {name: ask() for name, ask in asked.items()} == {
            "media": 200, "still": 200, "snapshot": 200, "socket": 101,
        }  # fmt: skip
        filler = outbox / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

        def is_full() -> bool:
            upgrade(server, stream_id)  # a view is some hundred bytes, and the last page of the file has room for many
            return server.metric("onrecord_outbox_failed ") == 1

        until(is_full, "the outbox is full", 60)
        assert {name: ask() for name, ask in asked.items()} == dict.fromkeys(asked, 503)
        assert server.ask("/api/v1/streams").status == 200, "what is no picture goes on"
        filler.unlink()
        until(lambda: server.metric("onrecord_outbox_failed ") == 0, "room again", 60)
        assert {name: ask() for name, ask in asked.items()} == {
            "media": 200, "still": 200, "snapshot": 200, "socket": 101,
        }  # fmt: skip
