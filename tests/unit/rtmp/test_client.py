"""What we write as a publisher is what our own reader takes; refusals and pings are heeded."""

import pytest

from pipeline.errors import ProtocolError, PublishRefused
from pipeline.ingest.rtmp.flv import FlvReader
from pipeline.media import AUDIO_TRACK, VIDEO_TRACK, Track
from pipeline.rtmp import amf0, chunks, tags
from pipeline.rtmp.client import ClientSession, ClientStage
from pipeline.rtmp.handshake import ServerHandshake
from tests.made import AUDIO, VIDEO
from tests.unit.codecs import records


def greeted() -> ClientSession:
    client, server = ClientSession(bytes(1528)), ServerHandshake(bytes(1528))
    reply = client.feed(server.feed(client.opening)[0])
    server.feed(reply)
    assert client.stage is ClientStage.GREETED
    return client


def said(name: str, transaction: float, *values: amf0.Value) -> bytes:
    return message(chunks.COMMAND_AMF0, amf0.write(name, transaction, *values))


def message(type_id: int, payload: bytes) -> bytes:
    return chunks.whole_message(
        chunk_stream=3, type_id=type_id, stream_id=0, timestamp_ms=0, payload=payload, chunk_size=128
    )


def test_a_server_that_gives_another_stream_number_is_published_to_with_that() -> None:
    client = greeted()
    client.connect("app", "rtmp://host/app")
    client.feed(said("_result", 1.0, None, {"level": "status"}))
    client.publish("key")
    asked = client.feed(said("_result", 4.0, None, 7.0))
    assert asked[8:12] == (7).to_bytes(4, "little")
    client.feed(said("onStatus", 0.0, None, {"level": "status", "code": "NetStream.Publish.Start"}))
    assert client.stage is ClientStage.PUBLISHING
    assert client.message(chunks.VIDEO, b"x")[8:12] == (7).to_bytes(4, "little")


def test_a_refusal_is_raised_with_its_words_and_keeps_its_code() -> None:
    client = greeted()
    client.connect("app", "rtmp://host/app")
    with pytest.raises(PublishRefused, match="full"):
        client.feed(
            said(
                "_error", 1.0, None, {"level": "error", "code": "NetConnection.Connect.Rejected", "description": "full"}
            )
        )
    assert client.refusal_code == "NetConnection.Connect.Rejected"


def test_a_server_without_a_stream_number_is_a_protocol_error() -> None:
    client = greeted()
    client.connect("app", "rtmp://host/app")
    client.feed(said("_result", 1.0, None, {}))
    client.publish("key")
    with pytest.raises(ProtocolError, match="stream number"):
        client.feed(said("_result", 4.0, None, None))


def test_a_ping_is_answered_with_its_own_time() -> None:
    client = greeted()
    pong = client.feed(message(chunks.USER_CONTROL, b"\0\6\0\0\1\2"))
    assert pong.endswith(b"\0\7\0\0\1\2")


OPUS = Track(
    AUDIO_TRACK, "audio", "opus", bytes.fromhex("00010138000 0bb80000000".replace(" ", "")), 48000, rate_hz=48000,
    channels=1, frame_duration=960,
)  # fmt: skip


@pytest.mark.parametrize("code", ["avc1", "hvc1"])
def test_pictures_come_back_out_of_our_own_reader_as_they_were(code: str) -> None:
    config = VIDEO.config if code == "avc1" else records.HVCC_720P
    reader = FlvReader(4096, 2304)
    reader.video(0, tag := tags.video_configuration(code, config), 0, len(tag), 0.0)
    assert reader.tracks[0].config == config
    data = b"\0\0\0\x03\x65\x01\x02" if code == "avc1" else b"\0\0\0\x03\x26\x01\x02"
    for is_key, composition_ms in ((True, 0), (False, 80), (False, -40)):
        tag = tags.video_frame(code, data, is_key=is_key, composition_ms=composition_ms)
        packet = reader.video(1000, tag, 0, len(tag), 0.0)
        assert packet is not None
        assert (packet.track_id, packet.is_key, packet.data) == (VIDEO_TRACK, is_key, data)
        assert packet.pts - packet.dts == composition_ms * 90


def test_sounds_come_back_out_of_our_own_reader_as_they_were() -> None:
    flac = Track(AUDIO_TRACK, "audio", "flac", records_flac(), 8000, rate_hz=8000, channels=1, frame_duration=1024)
    for track in (AUDIO, OPUS, flac):
        code, data = tags.four_cc(track.codec), b"\x08a sound frame"
        reader = FlvReader(4096, 2304)
        reader.audio(0, tag := tags.audio_configuration(code, track.config), 0, len(tag), 0.0)
        tag = tags.audio_frame(code, data)
        packet = reader.audio(0, tag, 0, len(tag), 0.0)
        assert packet is not None
        assert packet.data == data
        assert reader.tracks[0].config == track.config


def records_flac() -> bytes:
    from pipeline.codecs.flac import streaminfo

    return streaminfo(8000, 1, 1024)
