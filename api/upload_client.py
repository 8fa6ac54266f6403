"""`onrecord upload`: sends files to a server by tus 1.0, as a dock does. Goes on where it stopped; keeps nothing.

What was begun and not finished is found at the server by the file's SHA-256, so that a dock may be switched off.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

from pipeline.errors import AccessDenied, OnRecordError, SettingsInvalid, WorkerFailed

_CHUNK = 8 << 20
_TIMEOUT_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_ASK_EVERY_S = 0.3
_OVER = frozenset(("taken", "duplicate", "refused"))
_LATER = frozenset((408, 409, 423, 429, 460, 500, 502, 503, 504))

Progress: TypeAlias = Callable[[Path, int, int], None]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one file. state: "taken", "duplicate", "refused"; "" with an error: it did not arrive."""

    file: str
    upload_id: str = ""
    state: str = ""
    reason: str = ""
    item_id: str | None = None
    recording_id: str | None = None
    sha256: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Message
    body: bytes


class _Refused(OnRecordError):
    """Raised when the server says no, and would say so again."""


class _Away(OnRecordError):
    """Raised when the server does not answer, or cannot now."""

    retryable = True


class Client:
    """One server."""

    def __init__(self, server: str, token: str, ca: Path | None, give_up_s: float) -> None:
        """Raises: SettingsInvalid. AccessDenied: no token."""
        parts = urlsplit(server)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsInvalid("--server must be the web address of a server, such as https://HOST:8000")
        if not token:
            raise AccessDenied("no token: set ONRECORD_TOKEN or give --token-file; 'onrecord token create' makes one")
        self._parts = parts
        self._token = token
        self._give_up_s = give_up_s
        trusted = None if ca is None else str(ca)
        self._tls = ssl.create_default_context(cafile=trusted) if parts.scheme == "https" else None

    def send(self, path: Path, case: str, device: str, captured: str, progress: Progress) -> Sent:
        """Until the server has taken or refused the file, or nothing moved for `give_up_s`. Does not raise."""
        try:
            sha256, size = _digest(path)
            written_s = path.stat().st_mtime
            if not captured and written_s >= 0:
                captured = datetime.fromtimestamp(written_s, UTC).isoformat()
            about = {"filename": path.name, "sha256": sha256, "captured_at": captured, "case": case, "device": device}
            return self._sent(path, size, {name: text for name, text in about.items() if text}, progress)
        except OSError as error:
            return Sent(str(path), error=f"it cannot be read ({error.strerror})")
        except OnRecordError as error:
            return Sent(str(path), error=str(error))

    def _sent(self, path: Path, size: int, about: Mapping[str, str], progress: Progress) -> Sent:
        moved_s, pause_s, upload_id, at = time.monotonic(), _FIRST_PAUSE_S, "", -1
        while True:
            try:
                upload_id = upload_id or self._found(about, size) or self._begun(about, size)
                tree = self._tree("GET", f"/api/v1/uploads/{upload_id}")
                if tree["state"] in _OVER:
                    return Sent(
                        str(path), upload_id, tree["state"], tree["reason"], tree["item_id"], tree["recording_id"],
                        tree["sha256"],
                    )  # fmt: skip
                if tree["state"] == "open":
                    reached = self._send_from(path, upload_id, int(tree["offset"]), size)
                    progress(path, reached, size)
                else:
                    reached = size
                    time.sleep(_ASK_EVERY_S)
                if reached != at or tree["state"] == "taking":
                    at, moved_s, pause_s = reached, time.monotonic(), _FIRST_PAUSE_S
            except _Away as error:
                if time.monotonic() - moved_s > self._give_up_s:
                    raise WorkerFailed(f"given up after {self._give_up_s:g} s without progress: {error}") from error
                time.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads docks, hides nothing
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _found(self, about: Mapping[str, str], size: int) -> str:
        """An upload of the same words that was begun and is not over."""
        wanted = _metadata(about)
        listed = self._tree("GET", f"/api/v1/uploads?limit=500&sha256={quote(about['sha256'])}")
        for each in listed["items"]:
            if each["state"] == "open" and each["size_bytes"] == size:
                answer = self._ask("HEAD", f"/api/v1/uploads/{each['upload_id']}")
                if answer.headers.get("Upload-Metadata") == wanted:
                    return str(each["upload_id"])
        return ""

    def _begun(self, about: Mapping[str, str], size: int) -> str:
        answer = self._ask(
            "POST", "/api/v1/uploads", headers={"Upload-Length": str(size), "Upload-Metadata": _metadata(about)}
        )
        return str(answer.headers["Location"]).rpartition("/")[2]

    def _send_from(self, path: Path, upload_id: str, at: int, size: int) -> int:
        """Send one chunk; where the next one begins."""
        with path.open("rb") as file:
            file.seek(at)
            data = file.read(min(_CHUNK, size - at))
        if not data:
            raise _Refused("the file became shorter while it was sent")
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        answer = self._ask(
            "PATCH", f"/api/v1/uploads/{upload_id}", data,
            {"Upload-Offset": str(at), "Upload-Checksum": f"sha256 {checksum}",
             "Content-Type": "application/offset+octet-stream"},
        )  # fmt: skip
        return int(answer.headers["Upload-Offset"])

    def _tree(self, method: str, path: str) -> dict[str, Any]:
        """JSON of the API; its shapes are in api/schemas/uploads.py."""
        tree: dict[str, Any] = json.loads(self._ask(method, path).body)
        return tree

    def _ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> _Answer:
        """Raises: _Away, _Refused."""
        host, port = self._parts.hostname or "", self._parts.port
        connection = (
            http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
            if self._tls is None
            else http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=self._tls)
        )
        sent = {"Authorization": f"Bearer {self._token}", "Tus-Resumable": "1.0.0", **(headers or {})}
        with contextlib.closing(connection):
            try:
                connection.request(method, self._parts.path.rstrip("/") + path, body, sent)
                answer = connection.getresponse()
                read = _Answer(answer.status, answer.headers, answer.read())
            except ssl.SSLCertVerificationError as error:
                raise _Refused(
                    f"the server's certificate is not trusted ({error.verify_message}); give --ca"
                ) from error
            except (OSError, http.client.HTTPException) as error:
                raise _Away(f"{host}: {error}") from error
        if read.status < 400:
            return read
        why = f"the server said {read.status}: {_detail(read.body)}"
        is_over = method == "POST" and read.status == 409  # the case is closed; of a PATCH, another offset is next
        raise _Away(why) if read.status in _LATER and not is_over else _Refused(why)


def _digest(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _metadata(about: Mapping[str, str]) -> str:
    return ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in about.items())


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return "no reason was given"
