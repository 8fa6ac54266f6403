"""Where we may connect to: a name is resolved once, each address checked, and the checked address is what is dialled.

Source: IANA special-purpose registries, as `ipaddress.is_global` holds them; OWASP SSRF prevention.
"""

import ipaddress
import socket
import ssl
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from pipeline.errors import SettingsInvalid, SourceError, SourceRefused
from pipeline.sources import SourceUrl

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Resolver(Protocol):
    """Names to addresses."""

    async def __call__(self, host: str) -> Sequence[str]:
        """Raises: OSError."""
        ...


async def system_resolver(host: str) -> Sequence[str]:
    """The resolver of this machine."""
    found = await anyio.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


class Addresses:
    """Who may be pulled. allowed: host names, addresses and networks that may be private."""

    def __init__(self, allowed: Sequence[str], resolve: Resolver = system_resolver) -> None:
        """Raises: SettingsInvalid: an entry of `allowed` with a '/' is no network."""
        self._resolve = resolve
        self._names: set[str] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for each in allowed:
            try:
                self._networks.append(ipaddress.ip_network(each, strict=False))
            except ValueError as error:
                if "/" in each:
                    raise SettingsInvalid(f"pull.allowed_hosts: {each!r} is no network; write 10.1.0.0/16") from error
                self._names.add(each.lower().rstrip("."))

    async def checked(self, url: SourceUrl) -> str:
        """The address to dial. Every address of the name must be allowed.

        Raises: SourceRefused: one is not. SourceError: there is none.
        """
        try:
            found = list(dict.fromkeys(await self._resolve(url.host)))
        except (OSError, UnicodeError) as error:
            raise SourceError(f"the name of {url} cannot be resolved; check it and the DNS of this machine") from error
        if not found:
            raise SourceError(f"the name of {url} has no address")
        if url.host not in self._names:
            for each in found:
                self._check(each, url)
        return found[0]

    def _check(self, text: str, url: SourceUrl) -> None:
        try:
            address = _plain(ipaddress.ip_address(text.partition("%")[0]))
        except ValueError as error:
            raise SourceRefused(f"the name of {url} resolves to something that is no address") from error
        if any(address in network for network in self._networks if network.version == address.version):
            return
        if not address.is_global or address.is_multicast or address.is_reserved:
            raise SourceRefused(
                f"{url} lies at an address that is private, local or reserved; "
                "add the host or its network to pull.allowed_hosts if it is meant"
            )

    async def dial(self, url: SourceUrl) -> tuple[ByteStream, str]:
        """A connection to the checked address, TLS verified against the name; and that address.

        Raises: SourceRefused, SourceError.
        """
        address = await self.checked(url)
        try:
            stream: ByteStream = await anyio.connect_tcp(address, url.port)
        except OSError as error:
            raise SourceError(f"{url} cannot be reached ({error.strerror or 'no answer'})") from error
        if not url.is_tls:
            return stream, address
        try:
            context = ssl.create_default_context()
            return await TLSStream.wrap(
                stream, hostname=url.host, ssl_context=context, standard_compatible=False
            ), address
        except (ssl.SSLError, OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(stream)
            reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else "the handshake failed"
            raise SourceError(f"TLS with {url}: {reason}") from error


def _plain(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address
