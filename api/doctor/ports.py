"""The ports: free, held by our own server, or by somebody else. Asks the kernel's tables, opens no connection."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from api.doctor.finding import Finding, cannot_tell, error, ok
from pipeline.settings import Settings

_LISTENING = "0A"  # TCP_LISTEN, include/net/tcp_states.h


def ports(settings: Settings) -> Iterator[Finding]:
    """A finding for each port that the settings open."""
    api, rtmp = settings.api, settings.rtmp
    server = server_pid(settings.data)
    yield _port("api.port", api.host, api.port, server)
    if rtmp.has_plain_port:
        yield _port("rtmp.port", rtmp.host, rtmp.port, server)
    if rtmp.tls_port is not None:
        yield _port("rtmp.tls_port", rtmp.host, rtmp.tls_port, server)


def _port(name: str, host: str, port: int, server: int | None) -> Finding:
    check = f"port {port} ({name})"
    if port == 0:
        return ok(f"port ({name})", "any free one is taken")
    try:
        socket.create_server((host, port)).close()
    except OSError as refusal:
        if refusal.errno != errno.EADDRINUSE:
            return error(check, f"{host}: {refusal.strerror}", "the server does not start", f"set {name} and its host")
    else:
        return ok(check, "free")
    if server is None:
        return error(check, "taken by another program", "the server does not start", f"'ss -ltnp' names it; set {name}")
    try:
        is_ours = bool(_listening(port) & _sockets(server))
    except OSError:
        return cannot_tell(check, f"taken; whose it is, only the user of process {server} sees", "run as that user")
    if is_ours:
        return ok(check, f"held by our own server, process {server}")
    return error(check, "taken by another program", "the server does not start", f"'ss -ltnp' names it; set {name}")


def server_pid(data: Path) -> int | None:
    """The server that runs over this data folder: who holds its lock. Source: proc_locks(5)."""
    try:
        inode = (data / "server.lock").stat().st_ino
        rows = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    except OSError:
        return None
    held = (int(row[4]) for row in rows if row[1] == "FLOCK" and row[5].rpartition(":")[2] == str(inode))
    return next(held, None)


def _listening(port: int) -> set[str]:
    """Inodes of the sockets that listen on `port`. Source: Documentation/networking/proc_net_tcp.rst."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                    found.add(columns[9])
    return found


def _sockets(pid: int) -> set[str]:
    """Inodes of the sockets a process holds. Raises: OSError: it is another user's."""
    links = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            links.add(os.readlink(descriptor))
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}
