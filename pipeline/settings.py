"""Settings: `configs/*.yaml` and the environment become one checked `Settings`; each part is handed only its section.

Order, the later wins: defaults here, the YAML file, environment names ONRECORD_SECTION__KEY (ONRECORD_DATA for `data`).
"""

import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import SettingsInvalid

MIB = 1024 * 1024
_PREFIX = "ONRECORD_"


class Section(BaseModel):
    """A section of the settings: unknown keys are mistakes, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RtmpSettings(Section):
    """The RTMP door."""

    host: str = Field("0.0.0.0", description="Address to listen on.")
    port: int = Field(1935, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    chunk_size_bytes: int = Field(
        65536,
        ge=128,
        le=1_048_576,
        description="Chunk size we announce. Small chunks cost CPU; most encoders adopt ours.",
    )
    max_message_bytes: int = Field(4 * MIB, ge=65536, le=16 * MIB, description="Largest message a publisher may send.")
    handshake_timeout_s: float = Field(5.0, gt=0, description="From connect to the end of the handshake.")
    publish_timeout_s: float = Field(10.0, gt=0, description="From the handshake to the publish command.")
    silence_timeout_s: float = Field(10.0, gt=0, description="A publisher that sends nothing this long is closed.")
    max_connections: int = Field(2000, ge=1, description="Connections at once; more are closed at once.")


class PushSettings(Section):
    """The HTTP door for publishers, and the child processes that take their containers apart."""

    silence_timeout_s: float = Field(
        10.0, gt=0, description="A publisher whose body brings no picture and no sound this long is closed."
    )
    max_publishers: int = Field(200, ge=1, description="Publishers by HTTP at once, a child process each.")
    max_access_unit_bytes: int = Field(
        4 * MIB, ge=65536, le=16 * MIB, description="Largest picture or sound frame a publisher may send."
    )
    child_memory_bytes: int = Field(512 * MIB, ge=128 * MIB, description="Address space of a child process.")
    child_cpu_share: float = Field(
        0.25, gt=0, le=1, description="CPU of a child, seconds a second of media; what uses more is killed."
    )


class IngestSettings(Section):
    """What holds for every publisher."""

    resume_window_s: float = Field(
        15.0, ge=0, description="A publisher that comes back within this is the same stream."
    )
    second_publisher: Literal["refuse", "take_over"] = Field(
        "refuse", description="What happens to a second publisher with the key of a living stream."
    )
    stale_after_s: float = Field(3.0, gt=0, description="A publisher silent this long never blocks its own return.")
    wrong_keys_per_minute: int = Field(10, ge=1, description="Wrong keys an address may try before it is rate-limited.")
    max_width: int = Field(4096, ge=16, description="Widest picture accepted, pixels.")
    max_height: int = Field(2304, ge=16, description="Highest picture accepted, pixels.")


class HubSettings(Section):
    """The buffers between one publisher and many readers."""

    gop_cache_s: float = Field(12.0, gt=0, description="Longest group of pictures kept for new viewers.")
    gop_cache_bytes: int = Field(6 * MIB, ge=65536, description="Largest group of pictures kept for new viewers.")


class RecordSettings(Section):
    """The recorder."""

    segment_s: float = Field(10.0, gt=0, description="A segment is closed at the first key frame after this.")
    segment_max_bytes: int = Field(64 * MIB, ge=65536, description="Closed at this size even without a key frame.")
    sync_interval_s: float = Field(0.5, gt=0, le=1.0, description="fdatasync at most this far apart.")
    hold_s: float = Field(30.0, gt=0, description="Media kept in memory while the disk refuses.")
    hold_bytes: int = Field(32 * MIB, ge=65536, description="Most memory a stream may hold while the disk refuses.")
    min_free_bytes: int = Field(256 * MIB, ge=0, description="Free space below which an alarm is raised.")


class LiveSettings(Section):
    """The feeds for viewers."""

    viewer_buffer_s: float = Field(3.0, gt=0, description="Media a slow viewer may fall behind before it jumps.")
    viewer_buffer_bytes: int = Field(
        2 * MIB, ge=65536, description="Bytes a slow viewer may fall behind before it jumps."
    )
    cut_off_s: float = Field(10.0, gt=0, description="A viewer that takes nothing this long is closed.")
    ticket_s: float = Field(60.0, gt=0, description="A ticket must be used within this.")
    max_viewers: int = Field(5000, ge=1, description="Viewers at once.")
    snapshot_min_interval_s: float = Field(0.5, gt=0, description="A stream's snapshot is decoded at most this often.")
    decode_timeout_s: float = Field(5.0, gt=0, description="A decode that takes longer is killed.")


class ApiSettings(Section):
    """The door for people."""

    host: str = Field("0.0.0.0", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    sign_in_link_s: float = Field(3600.0, gt=0, description="A one-time sign-in link must be used within this.")
    session_s: float = Field(43200.0, gt=0, description="A browser session lasts this long.")
    public_url: str = Field("", description="Address people type, where it is not http://HOST:PORT.")


class LogSettings(Section):
    """The log on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line written.")
    format: Literal["auto", "console", "json"] = Field("auto", description="auto: console on a terminal, JSON else.")


class Settings(Section):
    """Everything that can be set."""

    data: Path = Field(Path("data"), description="The data folder: recordings, keys, the small database.")
    rtmp: RtmpSettings = RtmpSettings()
    push: PushSettings = PushSettings()
    ingest: IngestSettings = IngestSettings()
    hub: HubSettings = HubSettings()
    record: RecordSettings = RecordSettings()
    live: LiveSettings = LiveSettings()
    api: ApiSettings = ApiSettings()
    log: LogSettings = LogSettings()


def load(path: Path | None, environment: dict[str, str] | None = None) -> Settings:
    """The settings from `path` (a YAML file; none: defaults) and the environment.

    Raises: SettingsInvalid: with every mistake at once, each with its file or variable, key, value and remedy.
    """
    environment = dict(os.environ) if environment is None else environment
    tree = _read_yaml(path) if path is not None else {}
    origins: dict[str, str] = {}
    for name, value in environment.items():
        place = _place_of(name)
        if place is None:
            continue
        origins[".".join(place)] = name
        node = tree
        for part in place[:-1]:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                break  # a mistake in the file, told as such
            node = child
        else:
            node[place[-1]] = value
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsInvalid(_explain(error, path, origins)) from error


def _place_of(name: str) -> list[str] | None:
    """The key path an environment name sets, or None if it is not one of ours."""
    if name == "ONRECORD_DATA":
        return ["data"]
    if not name.startswith(_PREFIX):
        return None
    if "__" not in name:  # ONRECORD_RTMP_PORT is a slip of ONRECORD_RTMP__PORT and is told as unknown, not passed over
        section = name[len(_PREFIX) :].lower().partition("_")
        return [name[len(_PREFIX) :].lower()] if section[1] and section[0] in Settings.model_fields else None
    return [part.lower() for part in name[len(_PREFIX) :].split("__")]


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path}: cannot be read ({error}); name an existing YAML file with --config") from error
    except (yaml.YAMLError, ValueError) as error:  # a date such as 2026-99-99 is a ValueError
        raise SettingsInvalid(f"{path}: not valid YAML: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsInvalid(f"{path}: the file must be a mapping of sections, such as 'rtmp:'")
    return {key: value for key, value in tree.items() if value is not None}  # None: all lines of it are commented out


def _explain(error: ValidationError, path: Path | None, origins: dict[str, str]) -> str:
    lines = []
    for mistake in error.errors():
        key = ".".join(map(str, mistake["loc"]))
        origin = origins.get(key) or (str(path) if path else "defaults")
        if mistake["type"] == "extra_forbidden":
            lines.append(f"{origin}: {key}: no such setting; 'onrecord config show' lists all")
        else:
            lines.append(f"{origin}: {key}: {mistake['msg']} (got {mistake['input']!r})")
    return "\n".join(lines)
