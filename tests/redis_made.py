"""A real redis-server for tests: on a free port of this machine, with a password, ended by its process."""

import contextlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


class RedisServer:
    """It keeps nothing on disk, but for `stop(is_kept=True)`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.password = secrets.token_hex(16)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://:{self.password}@127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        options = (
            f"--port {self.port} --bind 127.0.0.1 --dir {self._folder} --requirepass {self.password} --save".split()
        )
        self._process = subprocess.Popen(["redis-server", *options, ""], stdout=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 20
        while b"+PONG" not in self._said("PING"):
            assert time.monotonic() < deadline_s, "redis-server does not come up"
            time.sleep(0.02)

    def stop(self, *, is_kept: bool = False) -> None:
        """is_kept: the next start finds what was there; else it is empty."""
        if self._process is None:
            return
        self._said("SHUTDOWN SAVE" if is_kept else "SHUTDOWN NOSAVE")
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if not is_kept:
            (self._folder / "dump.rdb").unlink(missing_ok=True)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def wait_until_up_s(self, up_s: int) -> None:
        """Until it has run this long by its own count: leases do not end before."""
        while int(self._said("INFO server").split(b"uptime_in_seconds:")[1].split(b"\r")[0]) < up_s:
            time.sleep(0.05)

    def _said(self, command: str) -> bytes:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 2) as line:
            line.sendall(f"AUTH {self.password}\r\n{command}\r\n".encode())
            line.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: line.recv(65536), b""))
        return b""


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A running server. Skips where Redis is not installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("not installed: redis-server (make system)")
    with tempfile.TemporaryDirectory(prefix="redis") as folder:
        server = RedisServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()
