"""`onrecord serve --role worker`: a worker on its own, for a server that hands its work out over Redis."""

import os
import socket

from api.analysis import order_of
from pipeline.errors import SettingsInvalid
from pipeline.settings import Settings
from pipeline.worker import limit, work_over_redis


async def work(settings: Settings) -> None:
    """Until SIGTERM. Raises: SettingsInvalid: a setting is missing."""
    analyse = settings.analyse
    wanted = {
        "redis.url": settings.redis.url.get_secret_value(), "analyse.server_url": analyse.server_url,
        "analyse.token": analyse.token.get_secret_value(),
    }  # fmt: skip
    if missing := [name for name, value in wanted.items() if not value]:
        raise SettingsInvalid(f"a worker on its own needs {', '.join(missing)}; see docs/configuration.md")
    name = f"{socket.gethostname()}-{os.getpid()}"
    limit(analyse.worker_memory_bytes)
    await work_over_redis(
        order_of(settings, name, analyse.server_url, analyse.token.get_secret_value(), analyse.ca_file)
    )
