"""TLS for the doors: a certificate and its key, read again when their files change. Knows no door and no protocol."""

import ssl
from pathlib import Path
from typing import TypeAlias

import structlog
from cryptography import x509

from pipeline.clock import rfc3339
from pipeline.errors import CertificateUnusable

log = structlog.get_logger(__name__)

_Print: TypeAlias = tuple[tuple[int, int, int] | None, ...]  # inode, size and change time of each file; None: not there


class Certificate:
    """One pair of files and the context that every server of a door is given.

    Connections keep what they began with; a new pair holds from the next handshake on, and a broken one never does.
    """

    def __init__(self, door: str, certificate: Path, key: Path) -> None:
        """door: what it is called in logs and metrics.

        Raises: CertificateUnusable.
        """
        self.door = door
        self.certificate = certificate
        self.key = key
        self.reloads = 0
        self.is_behind = False
        """Whether the files hold something that cannot be served."""
        self._judged = self._seen = self._print()
        self._serving, self.expires_at = load(certificate, key)
        self.context, _ = load(certificate, key)
        self.context.sni_callback = self._choose  # called in every handshake, also where the client names no host

    def refresh(self) -> None:
        """Serve what the files hold now, once they stay as they are between two calls. Called every few seconds."""
        found = self._print()
        is_settled, self._seen = found == self._seen, found
        if not is_settled or found == self._judged:  # two files are not replaced in one moment
            return
        self._judged = found
        try:
            self._serving, self.expires_at = load(self.certificate, self.key)
        except CertificateUnusable as error:
            self.is_behind = True
            log.error(
                "a new certificate cannot be used, the one before is served on",
                door=self.door,
                reason=str(error),
                remedy="put a certificate and its key in place; they are read without a restart",
            )
            return
        self.is_behind = False
        self.reloads += 1
        log.info("certificate reloaded", door=self.door, expires_at=rfc3339(self.expires_at))

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, *_: object) -> None:
        connection.context = self._serving

    def _print(self) -> _Print:
        return tuple(_print_of(path) for path in (self.certificate, self.key))


def load(certificate: Path, key: Path) -> tuple[ssl.SSLContext, float]:
    """A context that serves this pair, and when the certificate expires, UTC seconds.

    Raises: CertificateUnusable.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password="")  # a locked key is refused, not asked for
        leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except ssl.SSLError as error:
        raise CertificateUnusable(
            f"{certificate} and {key} are no pair of a PEM certificate and its key without a password ({error.reason})"
        ) from error
    except (OSError, ValueError) as error:
        raise CertificateUnusable(f"{certificate} or {key} cannot be read ({error}); check names and owner") from error
    return context, leaf.not_valid_after_utc.timestamp()


def _print_of(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
