"""`onrecord simulate` and `onrecord load` against a real server: what they say is what the server counted."""

import json
import subprocess
import sys
from pathlib import Path

from tests.serving import Server, onrecord, until


def test_what_simulated_devices_say_they_sent_is_what_the_server_took(server: Server, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("".join(f"{server.add_device(f'camera {number}')}\n" for number in range(3)), encoding="utf-8")
    faults = (
        "--loss",
        "0.2",
        "--jitter-ms",
        "100",
        "--codec",
        "h265",
        "--gop",
        "20",
        "--fps",
        "10",
        "--bitrate",
        "200000",
    )
    said = onrecord(
        server.data, "simulate", "--server", f"127.0.0.1:{server.rtmp_port}", "--keys", str(keys), "--seconds", "5",
        "--json", *faults,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    tree = json.loads(said.stdout)
    units = tree["access_units"]
    assert units["due"] == units["sent"] + units["skipped"] + units["away"] + units["uncertain"]
    assert 0 < units["skipped"] < 3 * 5 * 10
    assert units["away"] == units["uncertain"] == 0
    assert server.metric("onrecord_stream_fragments_total") == units["sent"]
    assert tree["own_cost"]["cpu_s"] > 0
    assert {str(stream["state"]) for stream in server.streams()} == {"ended"}


def test_devices_made_in_a_data_folder_lose_their_keys_and_viewers_see_their_pictures(server: Server) -> None:
    command = [
        sys.executable,
        "-m",
        "api.cli",
        "simulate",
        "--server",
        f"127.0.0.1:{server.rtmp_port}",
        "--seconds",
        "9",
    ]
    command += [
        "--data",
        str(server.data),
        "--devices",
        "2",
        "--fps",
        "10",
        "--gop",
        "10",
        "--bitrate",
        "200000",
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as devices:
        until(lambda: sum(each["last_keyframe_at"] is not None for each in server.streams()) == 2, "both are live")
        watched = onrecord(
            server.data, "load", "--viewers", "6", "--server", f"http://127.0.0.1:{server.port}", "--seconds", "2",
            "--json", ONRECORD_TOKEN=server.token,
        )  # fmt: skip
        assert devices.wait(30) == 0
    assert watched.returncode == 0, watched.stderr
    tree = json.loads(watched.stdout)
    assert (tree["opened"], tree["refused"], tree["lost"], tree["gaps"]) == (6, 0, 0, 0)
    assert tree["pictures_per_s"] > 0
    assert tree["latency_ms"]["p50"] is not None
    listed = json.loads(onrecord(server.data, "device", "list", "--json").stdout)["items"]
    assert [row["name"] for row in listed if row["revoked_at"] is None] == []


def test_a_key_that_nobody_knows_fails_aloud_and_is_not_repeated(server: Server) -> None:
    url = f"rtmp://127.0.0.1:{server.rtmp_port}/live/wr0ng-key"
    said = onrecord(server.data, "simulate", url, "--seconds", "1", "--gop", "10", "--fps", "10", "--bitrate", "200000")
    assert said.returncode == 1
    assert "not known" in said.stdout
    assert "wr0ng-key" not in said.stdout + said.stderr
