"""Settings: `configs/*.yaml` and the environment become one checked `Settings`; each part is handed only its section.

Order, the later wins: defaults here, the YAML file, environment names ONRECORD_SECTION__KEY (ONRECORD_DATA for `data`).
"""

import base64
import json
import os
from pathlib import Path
from string import Formatter
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from pipeline.errors import SettingsInvalid

MIB = 1024 * 1024
_PREFIX = "ONRECORD_"
_SECRET = ("relay.rules", "store.url", "webhooks.rules", "access.oidc_client_secret", "redis.url")
"""Keys whose values hold secrets: a mistake in them is told without them."""


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
    max_connections: int = Field(
        2000, ge=1, description="Connections at once; beyond them, the oldest that does not publish is closed."
    )
    has_plain_port: bool = Field(True, description="Whether rtmp.port is open; with RTMPS alone it may be shut.")
    tls_port: int | None = Field(
        None, ge=0, le=65535, description="TCP port for RTMPS, beside rtmp.port; null: no RTMPS; 0 takes a free one."
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file of the RTMPS certificate, those that signed it behind it."
    )
    tls_key: Path | None = Field(None, description="PEM file of its private key, without a password.")

    @model_validator(mode="after")
    def _is_reachable(self) -> "RtmpSettings":
        if len({self.tls_port is None, self.tls_certificate is None, self.tls_key is None}) > 1:
            raise ValueError("tls_port, tls_certificate and tls_key belong together: set all three or none")
        if not self.has_plain_port and self.tls_port is None:
            raise ValueError("no port is left: set tls_port, or has_plain_port to true")
        return self


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


class PullSettings(Section):
    """Cameras that are pulled by RTSP or HLS."""

    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts, addresses and networks (10.1.0.0/16) that may be pulled although they are private; "
        "in the environment with commas between them.",
    )
    max_sources: int = Field(200, ge=1, description="Sources pulled at once; more are not begun and are told.")
    connect_timeout_s: float = Field(10.0, gt=0, description="From resolving a name to the answer of each request.")
    silence_timeout_s: float = Field(10.0, gt=0, description="A source that gives no media this long is begun anew.")
    retry_max_s: float = Field(30.0, ge=1, description="Longest pause between two attempts; each is drawn by chance.")
    denied_retry_s: float = Field(
        60.0, gt=0, description="Pause after a wrong user or password, so that a camera locks nobody out."
    )
    allow_basic_without_tls: bool = Field(
        False, description="Whether a password may be sent to a source in clear (HTTP Basic without TLS)."
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


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


class UploadSettings(Section):
    """Files that docks, phones and people send in."""

    max_bytes: int = Field(64 * 1024 * MIB, ge=1, description="Largest file that is taken.")
    unit_quota_bytes: int = Field(
        0, ge=0, description="What a unit may send in altogether, what is on its way included; 0: no end."
    )
    max_open: int = Field(500, ge=1, description="Uploads on their way at once, of everybody together.")
    expires_s: float = Field(
        7 * 86_400.0, gt=0, description="What is not whole by then is deleted; what was refused stays as long."
    )
    silence_timeout_s: float = Field(30.0, gt=0, description="A request that brings no byte this long is closed.")
    late_s: float = Field(
        86_400.0, gt=0, description="What arrives later than this after it was recorded is told as late."
    )


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


class RelayRule(Section):
    """Which streams go to which server."""

    match: str = Field("*", description="Device id or name; * and ? stand for anything.")
    url: SecretStr

    @field_validator("url")
    @classmethod
    def _is_publishable(cls, url: SecretStr) -> SecretStr:
        """Raises: ValueError: says what is wrong without the URL, which holds a key."""
        text = url.get_secret_value()
        try:
            words = {name for _, name, spec, turn in Formatter().parse(text) if name is not None or spec or turn}
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise ValueError("not a URL; braces stand for {device_id}, {device_name}, {stream_id} only") from error
        if parts.scheme not in ("rtmp", "rtmps"):
            raise ValueError("the scheme must be rtmp or rtmps")
        if words - {"device_id", "device_name", "stream_id"}:
            raise ValueError("braces stand for {device_id}, {device_name} or {stream_id} only")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a name or password before the host is not used; put the secret into the key or its query")
        if not parts.hostname or port == 0 or len(parts.path.strip("/").split("/")) < 2 or "{" in parts.netloc:
            raise ValueError("the form is rtmp://HOST[:PORT]/APP/KEY")
        return url

    @field_serializer("url", when_used="json")
    def _masked(self, _: SecretStr) -> str:
        return f"{self.server}/***"

    @property
    def server(self) -> str:
        """The URL up to its host and port: what may be shown."""
        parts = urlsplit(self.url.get_secret_value())
        return f"{parts.scheme}://{parts.netloc}"


class RelaySettings(Section):
    """Copies of streams to other RTMP servers."""

    rules: tuple[RelayRule, ...] = Field(
        (),
        description="A list of match and url; each that matches is followed. {device_id}, {device_name} and "
        "{stream_id} stand for the stream's. As an environment variable: the list as JSON.",
    )
    buffer_s: float = Field(10.0, gt=0, description="Media a slow or lost target may fall behind before it is skipped.")
    buffer_bytes: int = Field(8 * MIB, ge=65536, description="Bytes a target may fall behind before they are skipped.")
    connect_timeout_s: float = Field(
        10.0, gt=0, description="From the name's look-up to the connection, and on to publishing."
    )
    stall_timeout_s: float = Field(10.0, gt=0, description="A target that takes nothing this long is connected anew.")
    retry_first_s: float = Field(1.0, gt=0, description="Longest wait before the second try; doubles with each.")
    retry_most_s: float = Field(60.0, gt=0, description="Longest wait between two tries, for ever.")
    ca_file: Path | None = Field(
        None, description="PEM file of who signs the targets' certificates; null: the system's."
    )

    @field_validator("rules", mode="before")
    @classmethod
    def _from_json(cls, rules: object) -> object:
        """The environment holds texts."""
        if not isinstance(rules, str):
            return rules
        try:
            return json.loads(rules)
        except ValueError as error:
            raise ValueError('not JSON; write [{"match": "*", "url": "rtmp://…"}]') from error


class WebhookRule(Section):
    """Where events of some kinds are sent."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$", description="Remembers how far it got, over restarts.")
    url: SecretStr
    secret: SecretStr = Field(description="whsec_ and at least 24 random bytes in Base64; the receiver has it too.")
    kinds: tuple[str, ...] = Field(min_length=1, description="Kinds of events, such as FindingRaised.")
    is_whole: bool = Field(False, description="Whether texts, names and all else go too, or ids and times alone.")

    @field_validator("url")
    @classmethod
    def _is_web(cls, url: SecretStr) -> SecretStr:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the form is https://HOST[:PORT]/PATH")
        return url

    @field_validator("secret")
    @classmethod
    def _is_strong(cls, secret: SecretStr) -> SecretStr:
        if len(webhook_key(secret)) < 24:
            raise ValueError("write whsec_ and at least 24 random bytes in Base64")
        return secret

    @field_serializer("url", when_used="json")
    def _masked(self, _: SecretStr) -> str:
        return f"{self.server}/***"

    @property
    def server(self) -> str:
        """The URL up to its host and port: what may be shown."""
        parts = urlsplit(self.url.get_secret_value())
        return f"{parts.scheme}://{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def webhook_key(secret: SecretStr) -> bytes:
    """The bytes of a secret as Standard Webhooks writes it; none where it is no such secret."""
    prefix, _, text = secret.get_secret_value().partition("_")
    try:
        return base64.b64decode(text, validate=True) if prefix == "whsec" else b""
    except ValueError:
        return b""


class WebhookSettings(Section):
    """Events to other programs, as they are committed."""

    rules: tuple[WebhookRule, ...] = Field(
        (),
        description="A list of name, url, secret, kinds and is_whole. As an environment variable: the list as JSON.",
    )
    timeout_s: float = Field(10.0, gt=0, description="A receiver that does not answer within this is asked again.")
    retry_most_s: float = Field(900.0, gt=0, description="Longest wait between two tries, for ever.")
    ca_file: Path | None = Field(
        None, description="PEM file of who signs the receivers' certificates; null: the system's."
    )

    @field_validator("rules", mode="before")
    @classmethod
    def _from_json(cls, rules: object) -> object:
        """The environment holds texts."""
        if not isinstance(rules, str):
            return rules
        try:
            return json.loads(rules)
        except ValueError as error:
            raise ValueError('not JSON; write [{"name": "…", "url": "https://…", …}]') from error

    @model_validator(mode="after")
    def _named_apart(self) -> "WebhookSettings":
        if len({each.name for each in self.rules}) < len(self.rules):
            raise ValueError("two rules have one name")
        return self


class StoreSettings(Section):
    """The database of the record: facts, their log, cases."""

    url: SecretStr = Field(
        SecretStr(""),
        description="postgresql://USER:PASSWORD@HOST/DATABASE; empty: SQLite in the data folder.",
    )
    head_every_s: float = Field(60.0, ge=1, le=3600, description="While facts come, their log is signed this often.")
    witness_folder: Path | None = Field(
        None, description="A folder outside of this machine's disk that gets a copy of every signed head."
    )
    witness_url: SecretStr = Field(
        SecretStr(""), description="http(s) address that every signed head is sent to by POST, as text; empty: none."
    )
    witness_token: SecretStr = Field(SecretStr(""), description="Bearer token for it.")
    stamp_url: SecretStr = Field(
        SecretStr(""), description="A time-stamp authority (RFC 3161, http or https) that stamps heads; empty: none."
    )
    stamp_roots: Path | None = Field(None, description="PEM file with the roots of the authority's certificates.")
    stamp_every_s: float = Field(3600.0, ge=60, description="A head is stamped no oftener than this.")
    sm3: bool = Field(False, description="Keep a second tree of the log with SM3 (GB/T 32905) beside SHA-256.")

    @field_validator("url")
    @classmethod
    def _is_known(cls, url: SecretStr) -> SecretStr:
        """Raises: ValueError: says what is wrong without the URL, which may hold a password."""
        text = url.get_secret_value()
        if text and urlsplit(text).scheme not in ("postgresql", "sqlite"):
            raise ValueError("the scheme must be postgresql (or sqlite:///FILE)")
        return url

    @field_validator("witness_url", "stamp_url")
    @classmethod
    def _is_http(cls, url: SecretStr) -> SecretStr:
        """Raises: ValueError: without the URL, which may hold a secret."""
        text = url.get_secret_value()
        if text and (urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname):
            raise ValueError("the scheme must be http or https, with a host")
        return url


class ApiSettings(Section):
    """The door for people."""

    host: str = Field("0.0.0.0", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    sign_in_link_s: float = Field(3600.0, gt=0, description="A one-time sign-in link must be used within this.")
    session_s: float = Field(43200.0, gt=0, description="A browser session lasts this long.")
    public_url: str = Field("", description="Address people type, where it is not http://HOST:PORT.")
    tls_certificate: Path | None = Field(
        None,
        description="PEM file of the certificate, those that signed it behind it; with it the port takes HTTPS only.",
    )
    tls_key: Path | None = Field(None, description="PEM file of its private key, without a password.")
    tls_handshake_timeout_s: float = Field(5.0, gt=0, description="From connect to the end of the TLS handshake.")
    max_connections: int = Field(
        10_000, ge=1, description="HTTP connections at once; beyond them, the one waited for longest is closed."
    )
    request_timeout_s: float = Field(
        10.0, gt=0, description="From the first byte of a request, or from connect, to its last; not of a push."
    )
    write_timeout_s: float = Field(10.0, gt=0, description="Who takes under 16 KiB of an answer in this is closed.")
    max_body_bytes: int = Field(MIB, ge=4096, description="Largest body of a request that is not a push.")

    @model_validator(mode="after")
    def _is_pair(self) -> "ApiSettings":
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: set both or none")
        return self


class AccessSettings(Section):
    """Accounts of people."""

    profile: Literal["dengbao-l3", "asvs"] = Field(
        "dengbao-l3",
        description="What passwords must be: GB/T 22239 level 3 (10 signs of 3 kinds, new every 90 days) or OWASP ASVS "
        "(15 signs, no forced change).",
    )
    second_factor: Literal["all", "offered"] = Field(
        "all", description="all: every account with a password needs a code of an authenticator too."
    )
    lock_after: int = Field(
        5, ge=3, le=100, description="Wrong passwords, after which strangers' browsers must wait; known ones go on."
    )
    lock_s: float = Field(900.0, gt=0, description="How long they wait, and how long a wrong password counts.")
    idle_s: float = Field(3600.0, gt=0, description="A browser session that asks for nothing this long is over.")
    link_s: float = Field(86400.0, gt=0, description="A link to set up an account must be used within this.")
    oidc_issuer: str = Field(
        "",
        description="A directory (OpenID Connect) by which people may sign in too; needs api.public_url. Empty: none.",
    )
    oidc_client_id: str = Field("", description="What the directory calls this server.")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="The secret of that client.")
    oidc_claim: str = Field("preferred_username", description="The claim that is the login of an account here.")
    oidc_ca: Path | None = Field(None, description="PEM of the authority that signed the directory's certificate.")

    @model_validator(mode="after")
    def _directory(self) -> "AccessSettings":
        parts = urlsplit(self.oidc_issuer)
        if self.oidc_issuer and parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError("oidc_issuer must begin with https://")
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("oidc_issuer needs oidc_client_id")
        return self


class RedisSettings(Section):
    """Where work is handed out to workers on several machines."""

    url: SecretStr = Field(
        SecretStr(""), description="redis:// or rediss:// with its password; empty: workers of this machine only."
    )
    prefix: str = Field("onrecord", pattern=r"^[a-z0-9_-]{1,40}$", description="First word of every key.")


class AnalyseSettings(Section):
    """Analysis workers: what they do, and how many of them this server runs."""

    stages: tuple[Literal["speech", "signal", "text", "faces"], ...] = Field(
        ("speech", "signal", "text", "faces"),
        description="What is looked for: words; faults of picture and sound; text in pictures, where a rule asks; "
        "faces, while two persons have switched them on. In the environment with commas between; empty: nothing.",
    )
    workers: int = Field(
        1, ge=0, le=64, description="Worker processes that this server starts; 0: others do the work (redis.url)."
    )
    lease_s: float = Field(
        3.0, gt=0.5, le=60, description="A worker that says nothing this long loses its streams to another."
    )
    most_streams: int = Field(128, ge=1, description="Works that a worker takes at once: a stage of a stream each.")
    most_tries: int = Field(5, ge=1, description="A span that broke this many workers is laid aside.")
    catch_up_s: float = Field(
        86400.0, ge=0, description="At start, recordings this young are looked through for what nobody analysed."
    )
    worker_memory_bytes: int = Field(
        8192 * MIB, ge=1024 * MIB, description="Address space of a worker process, its models in it."
    )
    server_url: str = Field(
        "", description="For `serve --role worker`: http(s)://HOST:PORT of the server whose streams are followed."
    )
    token: SecretStr = Field(
        SecretStr(""), description="For `serve --role worker`: a token of the role service (`onrecord token create`)."
    )
    ca_file: Path | None = Field(
        None, description="For `serve --role worker`: PEM of the authority that signed the server's certificate."
    )

    @field_validator("stages", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


class SpeechSettings(Section):
    """What is said, as words."""

    model: str = Field(
        "",
        description="Name in configs/models.yaml; empty: the first that is here, never the demonstration model.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: the GPU where there is one.")
    threads: int = Field(0, ge=0, le=64, description="CPU threads of the model; 0: as measured when it is loaded.")
    language: str = Field("zh", pattern=r"^(|zh|en)$", description="What is spoken; empty: the model finds out.")
    batch_window_s: float = Field(
        0.05, ge=0, le=1, description="Utterances wait this long for others to share a batch."
    )
    partial_every_s: float = Field(0.5, ge=0.2, le=5, description="How often words are shown while somebody speaks.")
    keep_removed: bool = Field(
        False, description="Whether text that was held to be invented by the model is kept, in the data folder."
    )


class FacesSettings(Section):
    """Faces: off until two persons switch them on for a while (docs/faces.md)."""

    most_persons: int = Field(
        100_000, ge=1, le=100_000, description="Persons whose faces may be stored; told at 80 %, refused beyond."
    )
    target_fmr: float = Field(
        1e-4, ge=1e-7, le=1e-2, description="Share of strangers who may look alike in one search of a gallery."
    )
    margin: float = Field(
        0.05, ge=0, le=0.5, description="By how much the best must be nearer than the second best to be suggested."
    )
    key_folder: Path | None = Field(
        None, description="Where keys of templates lie, in no backup; null: faces-keys/ in the data folder."
    )
    detector: str = Field("", description="Name in configs/models.yaml; empty: the first that is here.")
    embedder: str = Field("", description="Name in configs/models.yaml; empty: the first that is here.")
    burst_s: float = Field(2.0, ge=0, le=30, description="At full rate so long, when a face is near the bound.")
    detect_px: int = Field(960, ge=160, le=1920, description="Long side of the picture that faces are looked for in.")
    max_switch_days: int = Field(365, ge=1, le=365, description="The longest that faces are switched on at once.")


class ModelsSettings(Section):
    """AI models: the registry and where their files lie."""

    registry: Path | None = Field(None, description="Another list of models than configs/models.yaml.")
    folder: Path | None = Field(
        None, description="Where pulled and imported models lie; null: models/ in the data folder."
    )
    accept_noncommercial: bool = Field(
        False, description="Whether models may be loaded whose licence forbids commercial use."
    )


class LogSettings(Section):
    """The log on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line written.")
    format: Literal["auto", "console", "json"] = Field("auto", description="auto: console on a terminal, JSON else.")


class Settings(Section):
    """Everything that can be set."""

    data: Path = Field(Path("data"), description="The data folder: recordings, keys, the small database.")
    rtmp: RtmpSettings = RtmpSettings()
    push: PushSettings = PushSettings()
    pull: PullSettings = PullSettings()
    ingest: IngestSettings = IngestSettings()
    hub: HubSettings = HubSettings()
    record: RecordSettings = RecordSettings()
    upload: UploadSettings = UploadSettings()
    live: LiveSettings = LiveSettings()
    relay: RelaySettings = RelaySettings()
    store: StoreSettings = StoreSettings()
    webhooks: WebhookSettings = WebhookSettings()
    api: ApiSettings = ApiSettings()
    access: AccessSettings = AccessSettings()
    redis: RedisSettings = RedisSettings()
    analyse: AnalyseSettings = AnalyseSettings()
    speech: SpeechSettings = SpeechSettings()
    faces: FacesSettings = FacesSettings()
    models: ModelsSettings = ModelsSettings()
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
        whole = next((place for place in origins if key.startswith(f"{place}.")), key)  # a list given as JSON
        origin = origins.get(key) or origins.get(whole) or (str(path) if path else "defaults")
        if mistake["type"] == "extra_forbidden":
            lines.append(f"{origin}: {key}: no such setting; 'onrecord config show' lists all")
        else:
            got = "" if key.startswith(_SECRET) else f" (got {mistake['input']!r})"
            lines.append(f"{origin}: {key}: {mistake['msg']}{got}")
    return "\n".join(lines)
