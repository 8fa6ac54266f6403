"""One id is enough to follow a stream through the log: it starts, breaks, comes back and ends."""

import json

from tests.serving import Server, onrecord, until
from tests.tools import needs

pytestmark = needs("ffmpeg")


def test_a_streams_life_stands_in_the_log_under_its_id(server: Server) -> None:
    key = server.add_device("one")
    other = server.publish(server.add_device("two"))
    publisher = server.publish(key)
    stream_id = server.live_id("one")
    server.live_id("two")
    publisher.kill()
    publisher.wait()
    until(lambda: "stream interrupted" in server.log, "the loss is told")
    server.publish(key)
    until(lambda: "stream resumed" in server.log, "the return is told")
    device_id = str((server.stream_of("one") or {})["device_id"])
    assert onrecord(server.data, "device", "revoke", device_id).returncode == 0
    until(lambda: "stream ended" in server.log, "the end is told")
    other.kill()
    lines = [json.loads(line) for line in server.log.splitlines() if stream_id in line]
    life = [line["event"] for line in lines if line["event"].startswith("stream ")]
    assert life == ["stream started", "stream interrupted", "stream resumed", "stream ended"]
    assert "rtmp closed" in {line["event"] for line in lines}
    assert {line["stream_id"] for line in lines} == {stream_id}
    assert {line["device_id"] for line in lines} == {device_id}
    assert lines[-1]["reason"] == "key revoked"
    assert all("reason" in line for line in lines if line["event"] == "stream interrupted")
    assert [secret for secret in server.secrets if secret in server.log] == []
