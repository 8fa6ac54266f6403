"""The relay against a second server of ours and against Debian's ffmpeg; targets that are dead, slow, or come back."""

import asyncio
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import fmp4
from pipeline.record import lines
from pipeline.record.lines import SegmentLine
from pipeline.simulate.replay import prepare_loop, replay
from pipeline.simulate.synthetic import synthetic_stream
from tests.certificates import Authority
from tests.serving import Server, onrecord, until
from tests.tools import needs

SECRET = "s3cret-key-of-the-platform"
UNITS = r"onrecord_relay_packets_total"
LOST = r"onrecord_relay_lost_packets_total"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def relaying(folder: Path, url: str, **more: str) -> Server:
    settings = {
        "ONRECORD_RELAY__RULES": json.dumps([{"match": "copied*", "url": url}]),
        "ONRECORD_RELAY__RETRY_FIRST_S": "0.2",
        "ONRECORD_RELAY__RETRY_MOST_S": "0.4",
        **more,
    }
    return Server(folder / "sender", settings)


def send(server: Server, key: str, seconds: float, bits_per_s: int = 1_000_000) -> int:
    """Synthetic media at its own pace, ended with a goodbye; how many access units."""
    loop = prepare_loop(synthetic_stream(bits_per_s))
    return asyncio.run(replay("127.0.0.1", server.rtmp_port, [key], loop, seconds)).sent_access_units


def samples(server: Server) -> list[bytes]:
    """The media bytes of every access unit on disk, in order."""
    found = []
    for folder in server.recordings():
        for raw in (folder / "manifest.jsonl").read_bytes().splitlines(keepends=True):
            line = lines.parse(raw)
            if isinstance(line, SegmentLine):
                data = (folder / line.file).read_bytes()
                for info in fmp4.walk(data, fmp4.init_size(data)):
                    start = info.offset + fmp4.HEAD_BYTES
                    found.append(data[start : start + info.sample_size])
    return found


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "receiver") as made:
        yield made


def test_a_second_server_gets_every_access_unit_byte_for_byte_and_only_of_streams_a_rule_names(
    tmp_path: Path, receiver: Server
) -> None:
    key = receiver.add_device("platform")
    with relaying(tmp_path, f"rtmp://127.0.0.1:{receiver.rtmp_port}/live/{key}?from={{device_id}}") as sender:
        copied, other = sender.add_device("copied 1"), sender.add_device("other")
        sent = send(sender, copied, 2.5)
        send(sender, other, 0.5)
        until(lambda: sender.metric(r"onrecord_relay_streams") == 0, "the relay is done")
        until(lambda: receiver.streams()[0]["state"] == "ended", "the goodbye was passed on")
        assert sender.metric(UNITS) == sent
        assert sender.metric(LOST) == 0
        assert sender.metric(r"onrecord_record_lost_seconds_total") == 0
        page = sender.ask("/metrics", token="").body.decode()
        sender.stop()
        receiver.stop()
        assert key not in page
        assert key not in sender.log
    assert len(receiver.recordings()) == 1
    theirs, ours = samples(receiver), samples(sender)
    assert len(theirs) == sent
    assert sorted(theirs) == sorted(ours[:sent])


def test_rtmps_is_used_with_a_certificate_that_holds_and_never_with_another(tmp_path: Path) -> None:
    authority = Authority()
    certificate, key_file = authority.pair().write(tmp_path)
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority.pem)
    doors = {"TLS_PORT": "0", "TLS_CERTIFICATE": str(certificate), "TLS_KEY": str(key_file)}
    with Server(tmp_path / "receiver", {f"ONRECORD_RTMP__{name}": value for name, value in doors.items()}) as receiver:
        url = f"rtmps://127.0.0.1:{receiver.rtmps_port}/live/{receiver.add_device('platform')}"
        with relaying(tmp_path, url) as sender:
            send(sender, sender.add_device("copied 1"), 1.0)
            until(lambda: sender.metric(r"onrecord_relay_streams") == 0, "the relay is done")
            assert sender.metric(UNITS) == 0
            assert "the certificate does not hold" in sender.log
            assert receiver.streams() == []
            sender.stop()
        with relaying(tmp_path, url, ONRECORD_RELAY__CA_FILE=str(ca_file)) as sender:
            sent = send(sender, sender.add_device("copied 2"), 1.0)
            until(lambda: sender.metric(r"onrecord_relay_streams") == 0, "the relay is done")
            assert sender.metric(UNITS) == sent
            sender.stop()


@needs("ffmpeg", "ffprobe")
def test_a_foreign_server_gets_every_access_unit(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "copy.flv"
    command = [
        "ffmpeg", "-loglevel", "error", "-listen", "1", "-i", f"rtmp://127.0.0.1:{port}/app/{SECRET}",
        "-c", "copy", "-y", str(file),
    ]  # fmt: skip
    with relaying(tmp_path, f"rtmp://127.0.0.1:{port}/app/{SECRET}") as sender:
        theirs = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            sent = send(sender, sender.add_device("copied 1"), 4.0)
            _, said = theirs.communicate(timeout=20)
        finally:
            theirs.kill()
            theirs.wait()
        assert sender.metric(UNITS) == sent
        sender.stop()
        assert SECRET not in sender.log
    probe = ["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets"]
    shown = subprocess.run([*probe, "-of", "json", str(file)], capture_output=True, text=True, timeout=20)
    streams = json.loads(shown.stdout)["streams"]
    assert {each["codec_name"] for each in streams} == {"h264", "aac"}, said
    assert sum(int(each["nb_read_packets"]) for each in streams) == sent


def test_a_dead_target_costs_the_record_nothing_and_is_found_when_it_comes_back(tmp_path: Path) -> None:
    receiver = Server(tmp_path / "receiver", {"ONRECORD_RTMP__PORT": str(free_port())})
    key = receiver.add_device("platform")
    url = f"rtmp://127.0.0.1:{receiver.settings['ONRECORD_RTMP__PORT']}/live/{key}"
    with relaying(tmp_path, url, ONRECORD_RELAY__BUFFER_S="1") as sender:
        camera = sender.add_device("copied 1")
        publisher = threading.Thread(target=send, args=(sender, camera, 12.0))
        publisher.start()
        until(lambda: sender.metric(r"onrecord_relay_failures_total") >= 2, "the target was tried again")
        until(lambda: sender.metric(r"onrecord_relay_gaps_total") >= 1, "the buffer ran over")
        with receiver:
            until(lambda: bool(receiver.streams()) and receiver.streams()[0]["state"] == "live", "it is back")
            publisher.join()
            until(lambda: sender.metric(r"onrecord_relay_streams") == 0, "the relay is done")
            packets, lost = sender.metric(UNITS), sender.metric(LOST)
            receiver.stop()
        taken = sender.metric(r"onrecord_stream_fragments_total")
        assert sender.metric(r"onrecord_record_lost_seconds_total") == 0
        sender.stop()
    assert lost > 0
    assert packets + lost == taken == len(samples(sender))
    assert len(samples(receiver)) == packets


def test_a_target_that_reads_nothing_holds_up_nobody_and_its_buffer_stays_bounded(tmp_path: Path) -> None:
    limit = 262_144
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greeted = threading.Thread(target=_greet_and_read_nothing, args=(listener,), daemon=True)
        greeted.start()
        more = {"ONRECORD_RELAY__BUFFER_BYTES": str(limit), "ONRECORD_RELAY__STALL_TIMEOUT_S": "2"}
        more["ONRECORD_RELAY__CONNECT_TIMEOUT_S"] = "1"
        with relaying(tmp_path, f"rtmp://127.0.0.1:{listener.getsockname()[1]}/app/{SECRET}", **more) as sender:
            camera = sender.add_device("copied 1")
            publisher = threading.Thread(target=send, args=(sender, camera, 7.0, 4_000_000))
            publisher.start()
            until(lambda: sender.metric(r"onrecord_relay_gaps_total") >= 1, "the buffer ran over")
            assert sender.metric(r"onrecord_relay_waiting_bytes") <= limit
            until(lambda: sender.metric(r"onrecord_relay_failures_total") >= 1, "it was cut off")
            publisher.join()
            until(lambda: sender.metric(r"onrecord_relay_streams") == 0, "the relay gave up with its stream")
            taken = sender.metric(r"onrecord_stream_fragments_total")
            assert sender.metric(UNITS) + sender.metric(LOST) == taken
            assert sender.metric(r"onrecord_record_lost_seconds_total") == 0
            sender.stop()
            assert SECRET not in sender.log
    assert len(samples(sender)) == taken
    (folder,) = sender.recordings()
    assert onrecord(sender.data, "verify", str(folder)).returncode == 0


def _greet_and_read_nothing(listener: socket.socket) -> None:
    """Says yes to the first publisher, and then takes nothing more."""
    from pipeline.rtmp import amf0, chunks
    from pipeline.rtmp.handshake import ServerHandshake

    wire, _ = listener.accept()
    handshake = ServerHandshake(bytes(1528))
    while not handshake.is_done:
        wire.sendall(handshake.feed(wire.recv(4096))[0])

    def say(name: str, transaction: float, *values: amf0.Value) -> None:
        wire.sendall(
            chunks.whole_message(
                chunk_stream=3, type_id=chunks.COMMAND_AMF0, stream_id=0, timestamp_ms=0,
                payload=amf0.write(name, transaction, *values), chunk_size=128,
            )
        )  # fmt: skip

    say("_result", 1.0, None, {"level": "status"})
    say("_result", 4.0, None, 1.0)
    say("onStatus", 0.0, None, {"level": "status", "code": "NetStream.Publish.Start"})
    listener.settimeout(30)
    try:
        listener.accept()  # the next try is answered by nobody; `wire` stays open until then
    except OSError:
        return
