"""How many files and sockets this process may have open, and whether few are left. Knows no door.

Some are kept back, so that whoever crowds the doors never keeps the recorder from opening its next file: doors turn
away whom `is_scarce` names, and `Spare` holds a few by force, since an event loop accepts a whole queue at once.
Source: getrlimit(2), RLIMIT_NOFILE; POSIX gives the lowest free number, so a high one says that few are left.
"""

import errno
import os
import resource
import threading

_SHARE_KEPT = 4  # a quarter: a stream is a socket and, at a change of files, up to four of them
_LEAST_KEPT = 32


def raise_limit() -> int:
    """Let this process have as many as the system allows it; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def is_scarce(descriptor: int) -> bool:
    """Whether a connection with this number takes one of those that are kept back."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return descriptor >= limit - max(_LEAST_KEPT, limit // _SHARE_KEPT)


class Spare:
    """Descriptors held open on nothing, and given up where an `open` finds none left. Safe to use from many threads.

    What was given up is taken again at the next `open` that finds room. They stay with the process to its end.
    """

    def __init__(self, count: int = _LEAST_KEPT) -> None:
        self._count = count
        self._held: list[int] = []
        self._lock = threading.Lock()
        self._fill()

    def open(self, path: str | os.PathLike[str], flags: int, mode: int = 0o777) -> int:
        """As `os.open`, which has none left only after `count` files were opened so. Raises: OSError."""
        with self._lock:
            self._fill()
            while True:
                try:
                    return os.open(path, flags, mode)
                except OSError as error:
                    if error.errno != errno.EMFILE or not self._held:
                        raise
                    os.close(self._held.pop())

    def close(self) -> None:
        """Give all up for good."""
        with self._lock:
            self._count = 0
            while self._held:
                os.close(self._held.pop())

    def _fill(self) -> None:
        while len(self._held) < self._count:
            try:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            except OSError:
                return
