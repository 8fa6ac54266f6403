"""How many files and sockets this process may have open, and whether few are left. Knows no door.

Some are kept back, so that whoever crowds the doors never keeps the recorder from opening its next file.
Source: getrlimit(2), RLIMIT_NOFILE; POSIX gives the lowest free number, so a high one says that few are left.
"""

import resource

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
