"""HTTP/1.1 GET with limits on head, body and time: no redirect, no compression, no second resolution of a name.

Source: RFC 9110 14.1.2 and 15.3.7 (byte ranges), RFC 9112 6.3 (how long a body is).
"""

import secrets
from collections.abc import AsyncIterator

import anyio
import httptools
from anyio.abc import ByteStream

from pipeline.errors import LimitExceeded, ProtocolError, SourceDenied, SourceError
from pipeline.ingest.addresses import Addresses
from pipeline.rtsp import auth
from pipeline.sources import SourceUrl

_MAX_HEAD_BYTES = 16 * 1024
_MAX_HEADERS = 64
_RECEIVE_BYTES = 64 * 1024
_BROKEN = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)  # also of TLS


class ResponseReader:
    """One response: bytes in, its status and body out. Bound: a head of 16 KiB, a body of `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self.headers: dict[str, str] = {}
        self.has_head = self.is_whole = False
        self.status = 0
        self._max_bytes = max_bytes
        self._head_bytes = self._body_bytes = self._header_count = self._begun = 0
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    @property
    def may_go_on(self) -> bool:
        """Whether the connection serves another request."""
        return self.is_whole and self._begun == 1 and self._parser.should_keep_alive()

    def feed(self, data: bytes) -> bytes:
        """What of the body came with it.

        Raises: ProtocolError, LimitExceeded.
        """
        for at in range(0, len(data), _MAX_HEAD_BYTES):
            self._feed(data[at : at + _MAX_HEAD_BYTES])
        found, self._body = b"".join(self._body), []
        return found

    def end(self) -> None:
        """The peer closed. Raises: ProtocolError: in the middle."""
        has_length = "content-length" in self.headers or "transfer-encoding" in self.headers
        if not self.is_whole and (not self.has_head or has_length):
            raise ProtocolError("the server closed in the middle of an answer")
        self.is_whole = True

    def _feed(self, data: bytes) -> None:
        if not self.has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise ProtocolError("the server's answer is no HTTP") from error
        if self._header_count > _MAX_HEADERS or (not self.has_head and self._head_bytes >= _MAX_HEAD_BYTES):
            raise LimitExceeded(f"an HTTP head of more than {_MAX_HEADERS} headers or {_MAX_HEAD_BYTES} bytes")
        if self._begun > 1:
            raise ProtocolError("the server gives answers nobody asked for")
        if self._body_bytes > self._max_bytes:
            raise LimitExceeded(f"an HTTP body of more than {self._max_bytes} bytes")

    def on_message_begin(self) -> None:
        self._begun += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_count += 1
        if self._header_count <= _MAX_HEADERS:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.has_head = True
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes <= self._max_bytes:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self.is_whole = True


class Fetcher:
    """GETs of one source, one at a time, over one connection that is kept while the next goes to the same place."""

    def __init__(self, source: SourceUrl, addresses: Addresses, limit_s: float, is_basic_allowed: bool) -> None:
        """limit_s: for connecting and the head, and for each silence in a body."""
        self._source = source
        self._addresses = addresses
        self._limit_s = limit_s
        self._is_basic_allowed = is_basic_allowed
        self._challenge: auth.Challenge | None = None
        self._nonce_uses = 0
        self._stream: ByteStream | None = None
        self._origin: tuple[str, str, int] | None = None

    async def aclose(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(stream)

    async def get(self, url: SourceUrl, max_bytes: int, span: tuple[int, int] | None = None) -> AsyncIterator[bytes]:
        """The body as it comes. span: the first byte and how many.

        Raises: SourceError, SourceRefused, SourceDenied, ProtocolError, LimitExceeded.
        """
        reader, first = await self._answer(url, max_bytes, span)
        if reader.status == 401 and url.origin == self._source.origin:
            self._take_challenge(url, reader)
            await self.aclose()
            reader, first = await self._answer(url, max_bytes, span)
        self._check(url, reader, span)
        size = len(first)
        if first:
            yield first
        while not reader.is_whole:
            data = await self._receive(url, reader)
            size += len(data)
            if data:
                yield data
        if span is not None and size != span[1]:
            raise ProtocolError(f"{url} gives {size} bytes where {span[1]} were asked for")
        if not reader.may_go_on:
            await self.aclose()

    async def _answer(
        self, url: SourceUrl, max_bytes: int, span: tuple[int, int] | None
    ) -> tuple[ResponseReader, bytes]:
        """The head, and what of the body came with it. A kept connection that is stale is made anew once."""
        is_kept = self._stream is not None and self._origin == url.origin
        reader = ResponseReader(max_bytes)
        try:
            with anyio.fail_after(self._limit_s):
                try:
                    return reader, await self._ask(url, reader, span)
                except (SourceError, ProtocolError):
                    if not is_kept or reader.has_head:
                        raise
                await self.aclose()
                reader = ResponseReader(max_bytes)
                return reader, await self._ask(url, reader, span)
        except TimeoutError as error:
            raise SourceError(f"{url} gives no answer within pull.connect_timeout_s") from error

    async def _ask(self, url: SourceUrl, reader: ResponseReader, span: tuple[int, int] | None) -> bytes:
        if self._stream is None or self._origin != url.origin:
            await self.aclose()
            self._stream, _ = await self._addresses.dial(url)
            self._origin = url.origin
        try:
            await self._stream.send(self._request(url, span))
        except _BROKEN as error:
            raise SourceError(f"{url} closed the connection") from error
        data = b""
        while not reader.has_head:
            data = await self._receive(url, reader)
        return data

    def _request(self, url: SourceUrl, span: tuple[int, int] | None) -> bytes:
        lines = [
            f"GET {url.target} HTTP/1.1",
            f"Host: {url.authority}",
            "User-Agent: OnRecord",
            "Accept-Encoding: identity",
        ]
        if span is not None:
            lines.append(f"Range: bytes={span[0]}-{span[0] + span[1] - 1}")
        if self._challenge is not None and url.origin == self._source.origin:
            self._nonce_uses += 1
            user, password = self._source.user, self._source.password
            count, nonce = self._nonce_uses, secrets.token_hex(8)
            proof = auth.answer(self._challenge, user, password, "GET", url.target, count, nonce)
            lines.append(f"Authorization: {proof}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii", "replace")

    async def _receive(self, url: SourceUrl, reader: ResponseReader) -> bytes:
        assert self._stream is not None  # noqa: S101 - set before anybody asks
        try:
            with anyio.fail_after(self._limit_s):
                return reader.feed(await self._stream.receive(_RECEIVE_BYTES))
        except anyio.EndOfStream:
            reader.end()
            return b""
        except TimeoutError as error:
            raise SourceError(f"{url} falls silent for pull.connect_timeout_s") from error
        except _BROKEN as error:
            raise SourceError(f"{url} closed the connection") from error

    def _check(self, url: SourceUrl, reader: ResponseReader, span: tuple[int, int] | None) -> None:
        status = reader.status
        if 300 <= status < 400:
            raise SourceError(f"{url} redirects ({status}); enter the address it is really at")
        if status in (401, 403):
            raise SourceDenied(f"{url} refuses the user and password ({status})")
        if status != (200 if span is None else 206):
            raise SourceError(f"{url} answers with {status}")
        if reader.headers.get("content-encoding", "identity").lower() != "identity":
            raise ProtocolError(f"{url} answers with a compressed body, which was not asked for")

    def _take_challenge(self, url: SourceUrl, reader: ResponseReader) -> None:
        challenge = auth.read_challenge(reader.headers.get("www-authenticate", ""))
        if challenge is None or not self._source.user:
            raise SourceDenied(f"{url} asks for a user and password; put them into the URL")
        if self._challenge is not None and not challenge.is_stale:
            raise SourceDenied(f"{url} refuses the user and password (401)")
        if challenge.algorithm == "basic" and not (url.is_tls or self._is_basic_allowed):
            raise SourceDenied(
                f"{url} asks for the password in clear; use https or Digest, or set pull.allow_basic_without_tls"
            )
        self._challenge, self._nonce_uses = challenge, 0
