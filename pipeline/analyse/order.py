"""What a worker process is told when it begins: where its server is, what it may load. A line of JSON with secrets."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.analyse.source import Server
from pipeline.errors import WorkerFailed


@dataclass(frozen=True, slots=True)
class Order:
    """name: of the worker. redis_url: "": the board is on stdin and stdout. The rest are values of the settings."""

    name: str
    server_url: str
    token: str = field(repr=False)
    ca_file: str = ""
    data: str = ""
    registry: str = ""
    models_folder: str = ""
    accept_noncommercial: bool = False
    device: str = "auto"
    threads: int = 0
    language: str = "zh"
    batch_window_s: float = 0.05
    partial_every_s: float = 0.5
    keep_removed: bool = False
    lease_s: float = 3.0
    most_streams: int = 128
    most_tries: int = 5
    memory_bytes: int = 0
    redis_url: str = field(default="", repr=False)
    redis_prefix: str = "onrecord"
    log_level: str = "info"
    log_format: str = "auto"
    face_detector: str = ""
    face_detect_px: int = 640
    face_burst_s: float = 2.0

    @property
    def server(self) -> Server:
        return Server(self.server_url, self.token, Path(self.ca_file) if self.ca_file else None)

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, line: bytes) -> "Order":
        """Raises: WorkerFailed."""
        try:
            return cls(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise WorkerFailed("a worker's order makes no sense") from error
