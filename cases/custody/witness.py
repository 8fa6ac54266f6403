"""Where copies of heads go, so that nobody can write another history here: a folder, a server, a time-stamp authority.

One head that is kept where the attacker cannot change it is enough for all that came before it.
"""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from cases.custody.checkpoint import SignedHead
from pipeline.errors import EvidenceError, StorageError

_TIMEOUT_S = 10.0
_MOST_BYTES = 1 << 18  # of an answer
_STAMPS = "stamps"


class Witness(Protocol):
    """Somewhere outside of this database that keeps a copy of every head. Called in a thread."""

    def take(self, signed: SignedHead) -> None:
        """Raises: StorageError: not now; the next head is brought all the same."""
        ...


@dataclass(frozen=True, slots=True)
class FolderWitness:
    """A folder, best on another machine or write-once medium: one file a head, named by its size."""

    folder: Path

    def take(self, signed: SignedHead) -> None:
        _keep(self.folder / f"{signed.head.size:012d}.head", signed.note().encode())


@dataclass(frozen=True, slots=True)
class HttpWitness:
    """A server that is sent each head by POST, as text, and answers 2xx. token: its bearer; empty: none."""

    url: str
    token: str = ""

    def take(self, signed: SignedHead) -> None:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        _post(self.url, signed.note().encode(), headers)


class StampWitness:
    """A time-stamp authority (RFC 3161): what it answers is checked, and kept as `{data}/custody/stamps/{size}.tsr`.

    every_s: authorities bill and limit; a head is stamped no oftener. roots: of the authority's certificates; without
    any, an answer is kept if it stamps this head, whoever signed it.
    """

    def __init__(
        self, url: str, custody: Path, roots: Sequence[x509.Certificate], every_s: float, now_s: Callable[[], float]
    ) -> None:
        self._url = url
        self._folder = custody / _STAMPS
        self._roots = roots
        self._every_s = every_s
        self._now_s = now_s
        self._last_s = float("-inf")

    def take(self, signed: SignedHead) -> None:
        if self._now_s() - self._last_s < self._every_s:
            return
        note = signed.note().encode()
        request = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA256).build()
        raw = _post(self._url, request.as_bytes(), {"Content-Type": "application/timestamp-query"})
        try:
            check_stamp(raw, note, self._roots, request.nonce)
        except EvidenceError as error:
            raise StorageError(f"{_host(self._url)} answered with a stamp that is none: {error}") from error
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        except OSError as error:
            raise StorageError(f"{self._folder} cannot be made ({error.strerror})") from error
        _keep(self._folder / f"{signed.head.size:012d}.tsr", raw)
        self._last_s = self._now_s()


def stamps(custody: Path) -> Iterator[tuple[Path, int]]:
    """The stamps that are kept, and the size of the head that each is of."""
    for path in sorted((custody / _STAMPS).glob("*.tsr")):
        yield path, int(path.stem) if path.stem.isdigit() else -1


def check_stamp(raw: bytes, note: bytes, roots: Sequence[x509.Certificate], nonce: int | None = None) -> None:
    """That `raw` (a DER TimeStampResp) stamps `note`; with roots, that a certificate of theirs signed it.

    Raises: EvidenceError.
    """
    try:
        response = decode_timestamp_response(raw)
        _check_imprint(response, note, nonce)
    except ValueError as error:
        raise EvidenceError(f"it cannot be read ({error})") from error
    refusals = []
    for root in roots:
        try:
            VerifierBuilder().add_root_certificate(root).build().verify_message(response, note)
        except (VerificationError, ValueError) as error:
            refusals.append(str(error))
        else:
            return
    if refusals:
        raise EvidenceError(f"no known authority signed it ({refusals[0]})")


def read_roots(path: Path | None) -> list[x509.Certificate]:
    """Raises: EvidenceError: it holds no certificate."""
    if path is None:
        return []
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{path}: no certificate can be read ({error})") from error


def _check_imprint(response: TimeStampResponse, note: bytes, nonce: int | None) -> None:
    """Raises: EvidenceError, ValueError."""
    if response.status not in (0, 1):
        raise EvidenceError(f"the authority refused (status {response.status})")
    if response.tst_info.message_imprint.message != hashlib.sha256(note).digest():
        raise EvidenceError("it stamps something else")
    if nonce is not None and response.tst_info.nonce != nonce:
        raise EvidenceError("it answers another request")


def _post(url: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Raises: StorageError; it names the host alone, for a URL may hold a secret."""
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - settings allow http(s) alone
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            raw: bytes = answer.read(_MOST_BYTES)
    except urllib.error.HTTPError as error:
        raise StorageError(f"{_host(url)} answered {error.code}") from error
    except (OSError, ValueError) as error:
        raise StorageError(f"{_host(url)} cannot be reached ({type(error).__name__})") from error
    return raw


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]


def _keep(path: Path, raw: bytes) -> None:
    """On the medium, whole or not at all. Raises: StorageError."""
    fresh = path.with_suffix(".new")
    try:
        with fresh.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror})") from error
