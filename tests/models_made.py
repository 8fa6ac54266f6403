"""Registries with small models made of random bytes, and a web server that serves them badly on purpose."""

import contextlib
import hashlib
import os
import random
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from models.entries import Task, load
from models.registry import FILE

FILES = {
    "model.bin": random.Random(1).randbytes(1_000_000),
    "config.json": b'{"made": "for tests"}',
    "vocabulary.json": random.Random(2).randbytes(30_000),
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def entry(name: str = "small-one", **more: object) -> dict[str, object]:
    """An entry as the YAML has it. Keys that are None are left out."""
    made: dict[str, object] = {
        "name": name,
        "task": "speech",
        "engine": "faster-whisper",
        "version": "1",
        "files": [{"path": path, "size_bytes": len(data), "sha256": sha256(data)} for path, data in FILES.items()],
        "hashes": "own",
        "licence": "MIT",
        "is_commercial": True,
        "languages": ["zh"],
        "longest_s": 30,
        "weaknesses": {"zh": "无", "en": "none"},
        **more,
    }
    return {key: value for key, value in made.items() if value is not None}


def unpinned(name: str = "small-one", **more: object) -> dict[str, object]:
    return entry(name, files=[{"path": path, "size_bytes": None, "sha256": None} for path in FILES], **more)


def registry_file(folder: Path, *entries: Mapping[str, object]) -> Path:
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump({"models": [dict(each) for each in entries]}, allow_unicode=True), encoding="utf-8")
    return path


def lay(folder: Path, files: Mapping[str, bytes] = FILES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for path, data in files.items():
        (folder / path).write_bytes(data)
    return folder


@dataclass
class FileServer:
    """breaks_at: bytes of the whole file after which the connection is cut, one after the other; then no more.
    stalls: what would break stays open, silent, until let_go. asked: (path, Range, If-Range) of every request.
    """

    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    has_ranges: bool = True
    has_length: bool = True
    etag: str = '"first"'
    breaks_at: list[int] = field(default_factory=list)
    says: list[int] = field(default_factory=list)
    """Status codes to answer with first."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    stalls: bool = False
    is_off_by: int = 0
    """Bytes by which a range begins later than was asked for."""
    let_go: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/files/"

    @contextlib.contextmanager
    def running(self) -> Iterator["FileServer"]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name, wanted = request.path.rpartition("/")[2], request.headers.get("Range", "")
        if_range = request.headers.get("If-Range", "")
        self.asked.append((name, wanted, if_range))
        if request.path.startswith("/moved/"):
            request.send_response(302)
            request.send_header("Location", f"/files/{name}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        data = self.files.get(name)
        if self.says or data is None:
            request.send_response(self.says.pop(0) if self.says else 404)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        found = re.fullmatch(r"bytes=(\d+)-", wanted)
        at = int(found[1]) + self.is_off_by if found and self.has_ranges and if_range in ("", self.etag) else 0
        if at >= len(data):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(data)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if at else 200)
        if at:
            request.send_header("Content-Range", f"bytes {at}-{len(data) - 1}/{len(data)}")
        if self.has_length:
            request.send_header("Content-Length", str(len(data) - at))
        request.send_header("ETag", self.etag)
        request.end_headers()
        end = len(data)
        if self.breaks_at and self.breaks_at[0] < len(data) and at < self.breaks_at[0]:
            end = self.breaks_at.pop(0)
        request.wfile.write(data[at:end])
        if end < len(data) and self.stalls:
            request.wfile.flush()
            self.let_go.wait(30)
        request.close_connection = True


def faces_in(folder: Path, *names: str) -> Path:
    """The face models of $ONRECORD_MODELS/face laid into a models folder as the registry wants them; skips aloud.

    names: of configs/models.yaml; none: all of which the file is there. scrfd-2.5g and mobilefacenet are loaded with
    models.accept_noncommercial only.
    """
    place = Path(os.environ.get("ONRECORD_MODELS", "")) / "face"
    if not os.environ.get("ONRECORD_MODELS") or not place.is_dir():
        pytest.skip("weights of face models are not there: set $ONRECORD_MODELS")
    faces = [each for each in load(FILE) if each.task in (Task.FACE_DETECTION, Task.FACE_EMBEDDING)]
    for each in faces:
        path = place / each.files[0].path
        if each.name in names or (not names and path.is_file()):
            (folder / each.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / each.name / path.name)
    return folder
