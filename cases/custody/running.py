"""Whether a server has the data folder. Alone, for commands that shall start small."""

import fcntl
from pathlib import Path


def is_server_running(data: Path) -> bool:
    """Whether a server holds the folder."""
    try:
        with (data / "server.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
