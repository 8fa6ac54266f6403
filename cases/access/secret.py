"""Secrets that nobody chose: 160 random bits, so that a plain SHA-256 of them cannot be reversed."""

import base64
import hashlib
import secrets


def new_secret() -> str:
    return base64.b32hexencode(secrets.token_bytes(20)).decode().lower()


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()  # a stranger's bytes are no error
