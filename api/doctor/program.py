"""The program itself: Python, packages as locked, pages, certificates."""

import re
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from api.app import WEB_DIST
from api.doctor.finding import Finding, cannot_tell, error, ok, warning
from pipeline.errors import CertificateUnusable
from pipeline.settings import Settings
from pipeline.tls import load

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
_OLDEST = (3, 11)
_NOT_OURS = {"pip", "setuptools", "wheel"}  # they install; nothing of them runs
_SOON_DAYS = 21
_DAY_S = 86400.0


def python() -> Finding:
    found = f"Python {sys.version.split()[0]}"
    if sys.version_info < _OLDEST:
        return error("python", found, "3.11 or newer is needed", "install Python 3.11 and run 'make setup'")
    return ok("python", found)


def packages(lock: Path = LOCK) -> Finding:
    """Whether what is installed has the locked versions; what the lock names and is not here is for developers."""
    try:
        pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE))
    except OSError:
        return cannot_tell("packages", f"{lock} is not there: installed without the sources")
    wrong, count = [], 0
    for name, version in pinned.items():
        if name in _NOT_OURS:
            continue
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        count += 1
        if installed != version:
            wrong.append(f"{name} {installed}, locked {version}")
    if wrong:
        return warning("packages", "; ".join(wrong), "tests hold for the locked versions only", "run 'make setup'")
    return ok("packages", f"{count} as locked")


def web_pages() -> Finding:
    if (WEB_DIST / "index.html").is_file():
        return ok("web pages", f"built in {WEB_DIST}")
    return warning("web pages", "not built", "people see a line of text in place of the wall", "run 'make web'")


def certificates(settings: Settings) -> Iterator[Finding]:
    """A finding a door."""
    api, rtmp = settings.api, settings.rtmp
    is_behind_proxy = api.public_url.startswith("https://")
    yield _certificate("api", api.tls_certificate, api.tls_key, is_needed=not (is_behind_proxy or _is_here(api.host)))
    yield _certificate("rtmp", rtmp.tls_certificate, rtmp.tls_key, is_needed=not _is_here(rtmp.host))


def _certificate(section: str, certificate: Path | None, key: Path | None, *, is_needed: bool) -> Finding:
    check = f"{section} certificate"
    if certificate is None or key is None:
        if not is_needed:
            return ok(check, "none, and none is needed")
        return warning(
            check,
            "none",
            "keys, tokens and pictures can be read on the way",
            f"set {section}.tls_certificate and {section}.tls_key; docs/operations.md#tls",
        )
    try:
        _, expires_at = load(certificate, key)
        mode = key.stat().st_mode
    except (CertificateUnusable, OSError) as refusal:
        return error(check, str(refusal), "the server does not start with it", "put a pair in place")
    days = (expires_at - time.time()) / _DAY_S
    found = f"{certificate}, {days:.0f} days left"
    if days < 0:
        return error(check, f"{certificate} expired {-days:.0f} days ago", "clients refuse it", "renew it")
    if days < _SOON_DAYS:
        return warning(check, found, "clients refuse an expired one", "renew it; it is read without a restart")
    if mode & 0o007:
        return warning(
            check,
            f"{key} is open to everyone (mode {mode & 0o777:o})",
            "who reads it can pose as the server",
            f"chmod 640 {key}",
        )
    return ok(check, found)


def _is_here(host: str) -> bool:
    return host in ("127.0.0.1", "::1", "localhost")
