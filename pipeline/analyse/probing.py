"""What a worker asks of its server about faces: whether a stream is to be looked at, and who a track may be.

A worker holds no gallery. It sends a track's template over its own connection, never over the board, whose memory may
lie on a disk; nothing that is sent or answered is logged here. Calls block, and run in a thread.
"""

import base64
import json
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Final, Literal, Protocol, TypeAlias, get_args
from urllib.parse import urlencode, urlsplit

from pipeline.analyse.source import Server
from pipeline.errors import SourceError

_TIMEOUT_S: Final = 2.0
"""A look in a gallery of 100,000 takes 10 ms; a server that is silent for longer is no reason to go on looking."""
_MOST_ANSWER_BYTES: Final = 65_536

Answer: TypeAlias = Literal["suggested", "near", "unknown", "nothing_to_search"]


@dataclass(frozen=True, slots=True)
class Probe:
    """A track as far as it was seen. start_s, at_s: on the stream's axis. looks: how many its template is made of.

    model, detector: labels. quality: of the best shot, 0..1. vector: float32, little-endian. shot: the best shot's crop
    as JPEG; empty: the one that the server kept, with a suggestion, is still the best.
    """

    stream_id: str
    recording_id: str
    work_id: str
    track: int
    is_first: bool
    start_s: float
    at_s: float
    looks: int
    model: str
    detector: str
    quality: float
    vector: bytes = field(repr=False)
    shot: bytes = field(default=b"", repr=False)

    def tree(self) -> dict[str, object]:
        """As the route `POST /api/v1/faces/probes` takes it."""
        return {
            "stream_id": self.stream_id, "recording_id": self.recording_id, "work_id": self.work_id,
            "track": self.track, "first": self.is_first, "start_s": round(self.start_s, 3),
            "at_s": round(self.at_s, 3), "looks": self.looks, "model": self.model, "detector": self.detector,
            "quality": round(self.quality, 4), "vector": base64.b64encode(self.vector).decode(),
            "shot": base64.b64encode(self.shot).decode(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Watched:
    """Whether anything is to be searched in a stream. revision: another one where that changed."""

    is_watched: bool
    revision: int = 0


class Asked(Protocol):
    """The server, as the stage `faces` needs it. Each call blocks. Raises: SourceError: no answer that can be used."""

    def watching(self, stream_id: str, model: str) -> Watched:
        """model: the embedder's label."""
        ...

    def probe(self, probe: Probe) -> Answer: ...

    def close(self) -> None:
        """From any thread; a call that waits fails."""
        ...


class Prober:
    """One connection that is kept, and begun anew where it broke. Not thread-safe: one thread at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: HTTPConnection | None = None

    def watching(self, stream_id: str, model: str) -> Watched:
        """Raises: SourceError."""
        asked = urlencode({"stream_id": stream_id, "model": model})
        tree = self._ask("GET", f"/api/v1/faces/watching?{asked}", b"")
        is_watched, revision = tree.get("watching"), tree.get("revision")
        if type(is_watched) is not bool or type(revision) is not int:
            raise SourceError("whether faces are looked for was answered with something else")
        return Watched(is_watched, revision)

    def probe(self, probe: Probe) -> Answer:
        """Raises: SourceError: the server did not take it; it is not to be sent again."""
        answer = self._ask("POST", "/api/v1/faces/probes", json.dumps(probe.tree()).encode()).get("answer")
        for known in get_args(Answer):
            if answer == known:
                found: Answer = known
                return found
        raise SourceError("a probe was answered with something else")

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):
                connection.close()

    def _ask(self, method: str, path: str, body: bytes) -> dict[str, object]:
        """Raises: SourceError."""
        headers = {"Authorization": f"Bearer {self._server.token}"}
        if body:
            headers["Content-Type"] = "application/json"
        try:
            try:
                answer = self._sent(method, path, body, headers)
            except ConnectionError:  # one that was kept, and closed meanwhile
                self.close()
                answer = self._sent(method, path, body, headers)
            raw = answer.read(_MOST_ANSWER_BYTES)
            if answer.will_close or not answer.isclosed():  # it is longer than anything of ours
                self.close()
            tree = json.loads(raw) if answer.status == 200 else None
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise SourceError(f"the server did not answer about faces: {type(error).__name__}") from error
        if not isinstance(tree, dict):
            raise SourceError(f"the server refused what was asked about faces: {answer.status}")
        return tree

    def _sent(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> HTTPResponse:
        """Raises: OSError, HTTPException."""
        connection = self._connection or self._connected()
        connection.request(method, path, body or None, headers)
        return connection.getresponse()

    def _connected(self) -> HTTPConnection:
        parts, context = urlsplit(self._server.url), self._server.trust()
        host, port = parts.hostname or "", parts.port
        self._connection = (
            HTTPConnection(host, port, timeout=_TIMEOUT_S)
            if context is None
            else HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
        )
        return self._connection
