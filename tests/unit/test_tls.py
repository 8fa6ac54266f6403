"""A pair of certificate and key: read again when it changes, kept when what comes is broken."""

import ssl
import time
from pathlib import Path

import pytest

from pipeline.errors import CertificateUnusable
from pipeline.tls import Certificate, load
from tests.certificates import Authority, Pair

AUTHORITY = Authority()


def served(certificate: Certificate, trust: ssl.SSLContext | None = None) -> bytes:
    """The certificate a client gets that names no host, as PEM; a handshake in memory."""
    trust = trust or AUTHORITY.trust()
    trust.check_hostname = False
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(to_client, to_server)
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    der = client.getpeercert(binary_form=True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der).encode()


def made(folder: Path, pair: Pair) -> Certificate:
    return Certificate("web", *pair.write(folder))


def test_a_new_pair_is_served_once_it_has_settled(tmp_path: Path) -> None:
    first, second = AUTHORITY.pair(days=10), AUTHORITY.pair(days=90)
    certificate = made(tmp_path, first)
    assert served(certificate) == first.certificate
    second.write(tmp_path)
    certificate.refresh()
    assert served(certificate) == first.certificate, "it may still be half written"
    certificate.refresh()
    assert served(certificate) == second.certificate
    assert (certificate.reloads, certificate.is_behind) == (1, False)
    assert certificate.expires_at - time.time() == pytest.approx(90 * 86400, abs=60)
    certificate.refresh()
    assert certificate.reloads == 1


@pytest.mark.parametrize("kind", ["no pair", "no PEM", "gone", "locked", "empty"])
def test_a_broken_pair_leaves_the_old_one_serving_until_a_good_one_comes(tmp_path: Path, kind: str) -> None:
    first, other = AUTHORITY.pair(), AUTHORITY.pair()
    certificate = made(tmp_path, first)
    match kind:
        case "no pair":
            Pair(other.certificate, AUTHORITY.pair().key).write(tmp_path)
        case "no PEM":
            Pair(b"nonsense", other.key).write(tmp_path)
        case "gone":
            certificate.key.unlink()
        case "locked":
            AUTHORITY.pair(password=b"secret").write(tmp_path)
        case _:
            Pair(b"", b"").write(tmp_path)
    for _ in range(3):
        certificate.refresh()
    assert served(certificate) == first.certificate
    assert (certificate.reloads, certificate.is_behind) == (0, True)
    other.write(tmp_path)
    for _ in range(2):
        certificate.refresh()
    assert served(certificate) == other.certificate
    assert (certificate.reloads, certificate.is_behind) == (1, False)


def test_a_pair_that_is_broken_from_the_start_is_an_error_with_both_names(tmp_path: Path) -> None:
    paths = Pair(AUTHORITY.pair().certificate, AUTHORITY.pair().key).write(tmp_path)
    with pytest.raises(CertificateUnusable, match=r"cert\.pem.*key\.pem.*no pair"):
        load(*paths)
    with pytest.raises(CertificateUnusable, match="check names and owner"):
        load(tmp_path / "nowhere.pem", paths[1])


def test_nothing_older_than_tls_1_2_is_spoken(tmp_path: Path) -> None:
    old = AUTHORITY.trust()
    with pytest.warns(DeprecationWarning, match="TLSv1 is"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        served(made(tmp_path, AUTHORITY.pair()), old)
