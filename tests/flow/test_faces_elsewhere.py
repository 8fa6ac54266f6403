"""Faces with a worker that knows the board of Redis alone: vectors and pictures go to the server, never to Redis."""

import base64
import contextlib
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from tests.flow.test_faces import FACES, head_of, likest, photo, site, vector_of
from tests.redis_made import RedisServer, redis_server
from tests.serving import environment, until
from tests.tools import needs

pytestmark = [pytest.mark.slow, needs("ffmpeg")]


@dataclass
class Monitor:
    """All that anybody says to Redis, as it says it (MONITOR), with its escapes undone."""

    said: bytearray = field(default_factory=bytearray)

    def read(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while raw := line.recv(65536):
                self.said += raw

    @property
    def plain(self) -> bytes:
        return re.sub(rb"\\x([0-9a-f]{2})|\\(.)", _unescaped, bytes(self.said))


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return bytes.fromhex(found[1].decode())
    return {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}.get(found[2], found[2])


@contextlib.contextmanager
def monitored(board: RedisServer) -> Iterator[Monitor]:
    monitor = Monitor()
    with socket.create_connection(("127.0.0.1", board.port)) as line:
        line.sendall(f"AUTH {board.password}\r\nMONITOR\r\n".encode())
        thread = threading.Thread(target=monitor.read, args=(line,))
        thread.start()
        yield monitor
        line.shutdown(socket.SHUT_RDWR)
        thread.join()


def kept(board: RedisServer) -> bytes:
    """Every key and value that Redis holds now."""
    client = redis.Redis.from_url(board.url)
    ways = {"string": ("GET",), "hash": ("HGETALL",), "list": ("LRANGE", 0, -1), "set": ("SMEMBERS",),
            "zset": ("ZRANGE", 0, -1), "stream": ("XRANGE", "-", "+")}  # fmt: skip
    found = []
    for key in client.scan_iter():
        kind = client.execute_command("TYPE", key)  # type: ignore[no-untyped-call]  # redis-py has no types for it
        name, *more = ways[kind.decode() if isinstance(kind, bytes) else kind]
        value = client.execute_command(name, key, *more)  # type: ignore[no-untyped-call]  # as above
        found += [key, *_bytes(value)]
    client.close()
    return b"\n".join(found)


def _bytes(value: object) -> list[bytes]:
    if isinstance(value, bytes):
        return [value]
    if isinstance(value, dict):
        return [each for pair in value.items() for part in pair for each in _bytes(part)]
    return [each for part in value for each in _bytes(part)] if isinstance(value, list | tuple | set) else []


def test_no_vector_and_no_picture_of_a_face_ever_reaches_redis(tmp_path: Path) -> None:
    with redis_server() as board, site(
        tmp_path, ONRECORD_REDIS__URL=board.url, ONRECORD_ANALYSE__WORKERS="0"
    ) as at, monitored(board) as monitor:  # fmt: skip
        at.switch_on()
        person_id = at.enrol(at.gallery(), photo("obama-1"), photo("obama-2"))
        until(lambda: at.stage()["is_on"] is True, "the stage is on", 30)
        with at.server.access() as access:
            token = at.server.keep(access.create_token("service", "worker"))
        worker = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "serve", "--role", "worker"],
            env=environment(
                tmp_path / "worker", **FACES, ONRECORD_MODELS__FOLDER=at.server.settings["ONRECORD_MODELS__FOLDER"],
                ONRECORD_REDIS__URL=board.url, ONRECORD_ANALYSE__TOKEN=token,
                ONRECORD_ANALYSE__SERVER_URL=f"http://127.0.0.1:{at.server.port}",
            ),
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        held = b""
        try:
            at.film(head_of(tmp_path, "obama-3"))
            until(lambda: bool(at.told("FaceSuggested")), "a suggestion", 90)
            held = kept(board)
            at.stop()
            until(lambda: at.server.ask("/api/v1/analysis").tree()["streams"] == {}, "the stream is over", 60)
            held += kept(board)
        finally:
            worker.terminate()
            _, said = worker.communicate(timeout=20)
        assert at.told("FaceSuggested")[0]["person_id"] == person_id
        wanted = vector_of("obama-3")
        assert b"faces" in held, "its work went over the board"
        assert b"faces" in monitor.plain
        for name, raw in (("keys and values", held), ("MONITOR", monitor.plain), ("the worker's log", said.encode())):
            assert likest(raw, wanted) < 0.4, name
            assert b"\xff\xd8\xff" not in raw, name
            assert base64.b64encode(b"\xff\xd8\xff") not in raw, name
            assert person_id.encode() not in raw, name
        client = redis.Redis.from_url(board.url)
        for value in (wanted.tobytes(), base64.b64encode(wanted.tobytes())):
            client.set("canary", value)
            assert likest(kept(board), wanted) > 0.9, "this would have found it"
        client.close()
        until(lambda: monitor.plain.count(b"canary") >= 2, "MONITOR told of it")
        assert likest(monitor.plain[-6000:], wanted) > 0.9, "and so would this"
