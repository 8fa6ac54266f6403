"""Where a camera is pulled from: its URL, checked for form and never shown whole. Resolves nothing, opens nothing."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pipeline.errors import SourceRefused
from pipeline.media import Device

_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_MAX_URL = 2048


class Transport(StrEnum):
    """How RTP comes: inside the RTSP connection, or beside it."""

    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True, slots=True)
class SourceUrl:
    """A URL taken apart. `str()` of it and its repr say neither user, password nor query.

    target: path and query as they go on the wire.
    """

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def is_tls(self) -> bool:
        return self.scheme in ("rtsps", "https")

    @property
    def is_playlist(self) -> bool:
        """Whether it is pulled by HLS."""
        return self.scheme in ("http", "https")

    @property
    def origin(self) -> tuple[str, str, int]:
        """Whom a password meant for this URL may be told (RFC 6454 4)."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """host[:port]."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def wire(self) -> str:
        """The URL for the request line: no user and no password."""
        return f"{self.scheme}://{self.authority}{self.target}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{'/…' if self.target.strip('/') else '/'}"


@dataclass(frozen=True, slots=True)
class Source:
    """A device and where it is pulled from."""

    device: Device
    url: SourceUrl
    transport: Transport = Transport.TCP


def parse_source(text: str) -> SourceUrl:
    """Raises: SourceRefused: not a URL that may be pulled; the message repeats nothing of it but its scheme."""
    remedy = "use rtsp://, rtsps://, http:// or https:// and a host"
    if len(text) > _MAX_URL or any(not "!" <= sign <= "~" for sign in text) or "\\" in text:
        raise SourceRefused("the URL holds blanks, control signs, backslashes or more than ASCII, or is too long")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise SourceRefused(f"the URL cannot be read; {remedy}") from error
    if parts.scheme not in _PORTS:
        raise SourceRefused(f"URLs of scheme {parts.scheme[:16]!r} are not pulled; {remedy}")
    host = (parts.hostname or "").rstrip(".")
    if not host or not parts.netloc or any(sign in host for sign in "%,|#?@/"):
        raise SourceRefused(f"the URL names no host; {remedy}")
    if parts.fragment or parts.netloc.count("@") > 1 or port == 0:
        raise SourceRefused("the URL holds a fragment, a second '@' or port 0; write '@' in a password as %40")
    user, password = _credentials(parts)
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (f"?{parts.query}" if parts.query else "")
    return SourceUrl(parts.scheme, host, port or _PORTS[parts.scheme], target, user, password)


def _credentials(parts: SplitResult) -> tuple[str, str]:
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if any(ord(sign) < 32 or sign in '"\x7f' for sign in user + password) or ":" in user:
        raise SourceRefused("the user or password in the URL holds a control sign, a quote, or a ':' in the user")
    return user, password
