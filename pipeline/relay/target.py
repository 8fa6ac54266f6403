"""Where a rule sends one stream: its URL template, filled in. The key never shows in a repr."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from urllib.parse import quote, urlsplit

from pipeline.hub import Stream
from pipeline.media import Device
from pipeline.settings import RelayRule

_PORTS = {"rtmp": 1935, "rtmps": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """One server and the key to publish with. key: with its query."""

    host: str
    port: int
    is_tls: bool
    application: str
    key: str = field(repr=False)

    @property
    def tc_url(self) -> str:
        scheme = "rtmps" if self.is_tls else "rtmp"
        return f"{scheme}://{self.host}:{self.port}/{self.application}"


def matches(rule: RelayRule, device: Device) -> bool:
    """Whether the rule is for this device, by its id or its name."""
    return fnmatchcase(device.device_id, rule.match) or fnmatchcase(device.name, rule.match)


def target_of(rule: RelayRule, stream: Stream) -> Target:
    """The template is known to be whole: the settings checked it."""
    words = {
        "device_id": stream.device.device_id,
        "device_name": stream.device.name,
        "stream_id": stream.stream_id,
    }
    filled = rule.url.get_secret_value().format(**{name: quote(word, safe="") for name, word in words.items()})
    parts = urlsplit(filled)
    application, _, key = parts.path.strip("/").rpartition("/")
    query = f"?{parts.query}" if parts.query else ""
    port = parts.port or _PORTS[parts.scheme]
    return Target(parts.hostname or "", port, parts.scheme == "rtmps", application, key + query)
