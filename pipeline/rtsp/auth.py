"""Signing in to a server: Basic and Digest, for RTSP and HTTP alike.

Source: RFC 7616 3.4 (Digest), RFC 7617 (Basic), RFC 2617 3.2 (Digest without qop, as most cameras have it).
"""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

_PARAMETER = re.compile(r'([A-Za-z0-9-]+)\s*=\s*(?:"((?:[^"\\]|\\.){0,1024})"|([^\s,"]{1,1024}))')
_SCHEME = re.compile(r"(?:^|,|\n)\s*(Basic|Digest)\s+", re.IGNORECASE)
_HASHES: dict[str, Callable[[bytes], str]] = {
    "sha-256": lambda data: hashlib.sha256(data).hexdigest(),
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}
_MAX_CHALLENGE = 4096


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks for. algorithm: "basic", "sha-256" or "md5"."""

    algorithm: str
    realm: str
    nonce: str = ""
    opaque: str = ""
    has_qop: bool = False
    is_stale: bool = False


def read_challenge(header: str) -> Challenge | None:
    """The strongest of the challenges in WWW-Authenticate; None where none is known. SHA-256 over MD5 over Basic."""
    found: list[Challenge] = []
    header = header[:_MAX_CHALLENGE]
    marks = list(_SCHEME.finditer(header))
    for index, mark in enumerate(marks):
        end = marks[index + 1].start() if index + 1 < len(marks) else len(header)
        values = {
            name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else bare
            for name, quoted, bare in _PARAMETER.findall(header[mark.end() : end])
        }
        if any(not sign.isprintable() for value in values.values() for sign in value):
            continue
        if mark[1].lower() == "basic":
            found.append(Challenge("basic", values.get("realm", "")))
            continue
        algorithm = values.get("algorithm", "MD5").lower()
        qops = [each.strip() for each in values.get("qop", "").split(",") if each.strip()]
        if algorithm not in _HASHES or "nonce" not in values or (qops and "auth" not in qops):
            continue
        is_stale = values.get("stale", "").lower() == "true"
        found.append(
            Challenge(
                algorithm, values.get("realm", ""), values["nonce"], values.get("opaque", ""), bool(qops), is_stale
            )
        )
    order = ["sha-256", "md5", "basic"]
    return min(found, key=lambda each: order.index(each.algorithm), default=None)


def answer(
    challenge: Challenge, user: str, password: str, method: str, target: str, count: int, client_nonce: str
) -> str:
    """The value of Authorization. count: how many requests used this nonce, from 1."""
    if challenge.algorithm == "basic":
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    digest = _HASHES[challenge.algorithm]
    secret = digest(f"{user}:{challenge.realm}:{password}".encode())
    action = digest(f"{method}:{target}".encode())
    named = {"username": user, "realm": challenge.realm, "nonce": challenge.nonce, "uri": target}
    words = [f'{name}="{_quoted(value)}"' for name, value in named.items()]
    if challenge.has_qop:
        proof = digest(f"{secret}:{challenge.nonce}:{count:08x}:{client_nonce}:auth:{action}".encode())
        words += ["qop=auth", f"nc={count:08x}", f'cnonce="{client_nonce}"']
    else:
        proof = digest(f"{secret}:{challenge.nonce}:{action}".encode())
    words.append(f'response="{proof}"')
    if challenge.algorithm != "md5":
        words.append("algorithm=SHA-256")
    if challenge.opaque:
        words.append(f'opaque="{_quoted(challenge.opaque)}"')
    return "Digest " + ", ".join(words)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
