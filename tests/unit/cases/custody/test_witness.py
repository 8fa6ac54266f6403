"""Witnesses outside: a server that takes heads, and a real time-stamp authority (openssl's)."""

import dataclasses
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pydantic import ValidationError

from cases.custody import checkpoint
from cases.custody.checkpoint import Head, SignedHead
from cases.custody.witness import HttpWitness, StampWitness, check_stamp, read_roots, stamps
from pipeline.errors import EvidenceError, StorageError
from pipeline.record.signing import Signer
from pipeline.settings import StoreSettings
from tests.tools import needs
from tests.unit.cases.custody.test_check import made, named


@dataclasses.dataclass
class Outside:
    """What a server got, and what it answers next; None: it asks `authority`."""

    status: int = 200
    answer: bytes = b""
    authority: Path | None = None
    got: list[tuple[dict[str, str], bytes]] = dataclasses.field(default_factory=list)


@contextmanager
def serving(outside: Outside) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            outside.got.append((dict(self.headers), body))
            answer = outside.answer if outside.authority is None else stamped(outside.authority, body)
            self.send_response(outside.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/x"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def stamped(folder: Path, query: bytes) -> bytes:
    (folder / "query.tsq").write_bytes(query)
    words = ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-out", "reply.tsr"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=30)
    return (folder / "reply.tsr").read_bytes()


def authority(folder: Path) -> Path:
    """An authority's folder: `root.pem`, and what openssl wants."""
    folder.mkdir()
    now = datetime.now(UTC)
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in ("root", "authority")]

    def certificate(number: int) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[number])
            .issuer_name(names[0])
            .public_key(keys[number].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=number == 0, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(keys[number].public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False)
        )
        if number:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(keys[0], SHA256())

    (folder / "root.pem").write_bytes(certificate(0).public_bytes(Encoding.PEM))
    (folder / "tsa.pem").write_bytes(certificate(1).public_bytes(Encoding.PEM))
    (folder / "tsa.key").write_bytes(
        keys[1].private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(
        "[tsa]\ndefault_tsa = one\n[one]\ndir = .\nserial = serial\ncrypto_device = builtin\nsigner_cert = tsa.pem\n"
        "signer_key = tsa.key\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256, sha512\n"
        "certs = tsa.pem\ness_cert_id_chain = no\ness_cert_id_alg = sha256\n"
    )
    return folder


def head(folder: Path, size: int = 42) -> SignedHead:
    return checkpoint.sign(
        Head("0123456789abcdef", size, bytes(32), "2026-11-24T06:00:00.000Z"), Signer.load(folder / "keys")
    )


def test_a_server_gets_the_head_and_its_refusals_name_the_host_and_no_secret(tmp_path: Path) -> None:
    outside = Outside()
    with serving(outside) as url:
        HttpWitness(url, "t0ken").take(head(tmp_path))
        ((headers, body),) = outside.got
        assert checkpoint.parse(body.decode()) == head(tmp_path)
        assert headers["Authorization"] == "Bearer t0ken"
        outside.status = 507
        with pytest.raises(StorageError, match="answered 507") as refused:
            HttpWitness(f"{url}?key=secret").take(head(tmp_path))
        assert "secret" not in str(refused.value)
    with pytest.raises(StorageError, match="cannot be reached"):
        HttpWitness(url).take(head(tmp_path))


@needs("openssl")
def test_an_authority_stamps_heads_no_oftener_than_asked_and_what_it_says_is_checked(tmp_path: Path) -> None:
    outside = Outside(authority=authority(tmp_path / "tsa"))
    roots = read_roots(tmp_path / "tsa" / "root.pem")
    now_s = 0.0
    with serving(outside) as url:
        witness = StampWitness(url, tmp_path, roots, 3600, lambda: now_s)
        witness.take(head(tmp_path, 42))
        witness.take(head(tmp_path, 43))
        now_s = 3600.0
        witness.take(head(tmp_path, 44))
        assert [size for _, size in stamps(tmp_path)] == [42, 44]
        raw = next(path for path, _ in stamps(tmp_path)).read_bytes()
        other = read_roots(authority(tmp_path / "other") / "root.pem")
        check_stamp(raw, head(tmp_path, 42).note().encode(), [*other, *roots])
        with pytest.raises(EvidenceError, match="something else"):
            check_stamp(raw, head(tmp_path, 43).note().encode(), roots)
        with pytest.raises(EvidenceError, match="no known authority"):
            check_stamp(raw, head(tmp_path, 42).note().encode(), other)
        now_s = 7200.0
        strict = StampWitness(url, tmp_path, other, 3600, lambda: now_s)
        with pytest.raises(StorageError, match="no known authority"):
            strict.take(head(tmp_path, 45))
        outside.authority, outside.answer = None, raw  # the stamp of another request
        with pytest.raises(StorageError, match="stamps something else"):
            witness.take(head(tmp_path, 46))
        with pytest.raises(StorageError, match="another request"):
            witness.take(head(tmp_path, 42))
        outside.answer = b"no stamp"
        with pytest.raises(StorageError, match="cannot be read"):
            witness.take(head(tmp_path, 46))
    assert [size for _, size in stamps(tmp_path)] == [42, 44]


@needs("openssl")
def test_a_stamp_in_the_record_is_checked_by_verify_and_by_openssl(tmp_path: Path) -> None:
    where = StoreSettings(stamp_roots=tmp_path / "tsa" / "root.pem")
    outside = Outside(authority=authority(tmp_path / "tsa"))
    data = tmp_path / "data"
    data.mkdir()
    signed = made(where, data)[-1]
    with serving(outside) as url:
        StampWitness(url, data / "custody", read_roots(where.stamp_roots), 60, lambda: 0.0).take(signed)
    assert named(where, data) == set()
    ((path, _),) = stamps(data / "custody")
    (tmp_path / "note").write_text(signed.note(), encoding="utf-8")
    words = ["openssl", "ts", "-verify", "-data", "note", "-in", str(path), "-CAfile", "tsa/root.pem"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert "Verification: OK" in done.stdout, done.stderr
    shutil.copy(path, path.with_name("000000000005.tsr"))
    assert named(where, data) == {"stamp_differs"}
    path.with_name("000000000005.tsr").unlink()
    raw = bytearray(path.read_bytes())
    raw[-40] ^= 1
    path.write_bytes(raw)
    assert named(where, data) == {"stamp_differs"}


@pytest.mark.parametrize("field", ["witness_url", "stamp_url"])
def test_an_address_that_is_none_is_refused_without_telling_it(field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        StoreSettings.model_validate({field: "ftp://user:secret@host"})
    (error,) = refused.value.errors(include_input=False)
    assert "the scheme must be http or https" in error["msg"]
    assert "secret" not in str(error)
