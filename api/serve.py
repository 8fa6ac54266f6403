"""The server process: media side and web server on one event loop, started together and stopped cleanly."""

import asyncio
import contextlib
import errno
import fcntl
import functools
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import structlog
import uvicorn

from api.analysis import Orders, Watch, faces_wanted, hot_words_of, stages_of
from api.app import served
from api.directory import Directory
from api.doors import Doors
from api.faces import FaceModels, faces_of
from api.http_door import SWEEP_S, Crowd, http_door
from api.judgement import LiveSide
from api.live_rights import LiveRights
from api.playbacks import Playbacks
from api.redacting import Redactions
from api.stills import Stills
from api.tickets import Tickets
from api.upload_recorder import UploadRecorder
from api.webhooks import Webhooks
from cases.access import Access
from cases.access.passwords import PROFILES, Passwords
from cases.access.throttle import Limit
from cases.access.tokens import Demands
from cases.casework import kinds
from cases.judgement.judging import Judging
from cases.judgement.rulebook import Rulebook
from cases.record import Record
from cases.uploads.desk import Uploads
from cases.uploads.parts import Parts
from cases.uploads.taking import Taking
from pipeline.analyse.children import WorkerChildren
from pipeline.analyse.local_board import LocalBoard
from pipeline.app import Runtime
from pipeline.clock import SystemClock
from pipeline.descriptors import Spare, raise_limit
from pipeline.errors import AddressInUse, StorageError, StoreUnavailable
from pipeline.record.disk import SystemDisk
from pipeline.record.playback import Playback
from pipeline.settings import AccessSettings, ApiSettings, Settings
from pipeline.supervise import Mistake, supervise
from pipeline.tls import Certificate

log = structlog.get_logger(__name__)

_RIGHTS_EVERY_S = 1.0
_FIRST = "admin"
_WEB_STOP_S = 1
_RECORD_OPENS_S = 2.0
_RECORD_PAUSE_S = 60.0
_GC_THRESHOLDS = (50_000, 20, 50)  # media makes no cycles, so looking for them 20 times a second buys nothing


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is up: where it listens, and what it is made of."""

    doors: Doors
    url: str
    rtmp_port: int
    rtmps_port: int | None


Beside: TypeAlias = Callable[[Running], Coroutine[Any, Any, None]]


async def serve(settings: Settings, beside: Beside | None = None, seconds: float | None = None) -> None:
    """Run until SIGTERM, SIGINT or `seconds`; then close every segment and return.

    beside: runs while the server is up, and is cancelled with it.
    Raises: AddressInUse, StorageError, SettingsInvalid, CertificateUnusable, SchemaOutdated: it cannot start.
    """
    clock = SystemClock()
    raise_limit()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # keys, words and faces are in its memory, and a dump is a file
    with (
        contextlib.closing(Access.of(settings.data, clock)) as access,
        contextlib.closing(Spare()) as spare,
        _alone(settings.data),
        _listen(settings.api) as listener,
        anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals,
    ):
        stages = stages_of(settings)
        runtime = Runtime(settings, access, clock, access, SystemDisk(open_file=spare.open), stages)
        orders = Orders(settings, access, _own_url(settings.api, listener))
        workers = _workers(settings, runtime, orders)
        crowd = Crowd(settings.api, clock)
        judging = Judging(Rulebook(), clock, LiveSide(runtime))
        faces, searcher = faces_of(settings, clock)
        record = Record(settings.store, settings.data, runtime.outbox, clock, access.file, judging, faces)
        if stages:
            runtime.desk.hot_words = functools.partial(hot_words_of, record, settings.speech.language)
            runtime.desk.wanted = functools.partial(faces_wanted, faces)
        _demand(access, settings.access)
        parts = Parts(settings.data / "uploads")
        uploads = Uploads(parts, settings.upload, clock, settings.record.min_free_bytes)
        recorder, playback = UploadRecorder(settings, access), Playback()
        webhooks = Webhooks(settings.webhooks, settings.data, record, clock)
        taking = Taking(settings.data, uploads, parts, record, clock, recorder.record)
        doors = Doors(
            runtime, access, Tickets(settings.live.ticket_s, clock), crowd, record, kinds.load(),
            LiveRights(access.units), Passwords(2 * (os.cpu_count() or 1)), playback, Playbacks(clock, runtime.tell),
            uploads, Stills(playback), Directory(settings.access, settings.api.public_url, clock),
            Redactions(settings, record, clock), faces, FaceModels(settings, clock), workers,
        )  # fmt: skip
        await record.prepare()
        await uploads.load()
        certificate = runtime.certificates.get("web")
        application, socket_kind = served(doors)
        server = _WebServer(
            uvicorn.Config(
                application,
                http=http_door(crowd),
                ws=socket_kind,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_WEB_STOP_S,
            ),
            certificate,
            settings.api.tls_handshake_timeout_s,
        )
        await runtime.start()
        gc.freeze()  # what start-up made stays: the collector need not look at it again
        gc.set_threshold(*_GC_THRESHOLDS)
        async with anyio.create_task_group() as keeping:
            keeping.start_soon(supervise, record.run, _tell_mistake, _RECORD_PAUSE_S)
            keeping.start_soon(supervise, uploads.run, _tell_mistake, _RECORD_PAUSE_S)
            keeping.start_soon(supervise, taking.run, _tell_mistake, _RECORD_PAUSE_S)
            keeping.start_soon(supervise, webhooks.run, _tell_mistake, _RECORD_PAUSE_S)
            keeping.start_soon(supervise, doors.redactions.run, _tell_mistake, _RECORD_PAUSE_S)
            try:
                with anyio.move_on_after(_RECORD_OPENS_S):  # a database that is away keeps nobody out
                    await record.wait_settled()
                if beside is None:
                    _invite(access, settings, _url(settings.api, listener))
                running = Running(doors, _url(settings.api, listener), runtime.rtmp.port, runtime.rtmp.tls_port)
                log.info("ready", url=running.url, rtmp_port=running.rtmp_port, rtmps_port=running.rtmps_port)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(runtime.run)
                    tasks.start_soon(_watch_rights, doors)
                    tasks.start_soon(_watch_crowd, crowd, doors.playbacks)
                    if workers is not None:
                        tasks.start_soon(supervise, workers.run, _tell_mistake, _RECORD_PAUSE_S)
                    if stages:
                        tasks.start_soon(
                            supervise, Watch(settings, runtime, workers, record).run, _tell_mistake, _RECORD_PAUSE_S
                        )
                    if beside is not None:
                        tasks.start_soon(beside, running)
                    tasks.start_soon(server.serve, [listener])
                    with anyio.move_on_after(seconds):
                        await anext(signals)
                        log.info("stopping", reason="signal")
                    tasks.cancel_scope.cancel()
            finally:  # also when a part broke: recordings are closed all the same; another signal cannot cut this short
                with anyio.CancelScope(shield=True):
                    doors.playbacks.close()
                    await doors.stills.close()
                    await searcher.close()
                    await runtime.close()
                    orders.close()
                    await record.drain()
                keeping.cancel_scope.cancel()
        log.info("stopped")


def _invite(access: Access, settings: Settings, url: str) -> None:
    """While nobody has a password: one link to set up the first account, in a file that only its owner reads."""
    path = settings.data / "setup-link.txt"
    accounts = access.accounts.all()
    if any(each.has_password for each in accounts):
        path.unlink(missing_ok=True)
        return
    known = [each for each in accounts if each.login == _FIRST]
    first = known[0] if known else access.accounts.add(_FIRST, "系统管理员", "system_admin")
    link = f"{url}/#code={access.accounts.link(first.account_id, settings.access.link_s)}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{link}\n")
    log.info("no account is set up yet; open the link in this file", file=str(path))


def _demand(access: Access, settings: AccessSettings) -> None:
    profile = PROFILES[settings.profile]
    access.demands = Demands(settings.second_factor == "all", profile.change_s, settings.idle_s)
    access.accounts.throttle.limit = Limit(settings.lock_after, settings.lock_s)


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Hold the data folder: recovery by a second server would cut what the first one is writing."""
    path = data / "server.lock"
    try:
        with path.open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError as error:
        raise StorageError(f"{data}: another onrecord server uses this folder; stop it or set ONRECORD_DATA") from error


async def _watch_rights(doors: Doors) -> None:
    """Close the views of whoever lost the right to watch that stream."""
    live, hls = doors.runtime.live, doors.runtime.hls
    while True:
        await anyio.sleep(_RIGHTS_EVERY_S)
        with contextlib.suppress(StorageError):  # told below, as soon as it matters
            doors.access.notice()
        with contextlib.suppress(StoreUnavailable):  # told by the record itself; what was known last holds
            await doors.live_rights.refresh(doors.record, doors.runtime.streams())
        for right_id, stream_id, is_person in live.watched() | {(*each, True) for each in hls.watched()}:
            permission = "streams.watch" if is_person else "analysis.work"
            stream = doors.runtime.stream(stream_id)
            try:
                principal = doors.access.named(right_id)
            except StorageError as error:
                log.error("rights cannot be read; views go on", reason=str(error))
                break
            if principal is None:
                doors.tickets.revoke(right_id)
            if principal is None or stream is None or not doors.live_rights.may(principal, permission, stream):
                live.cut_off_from(right_id, stream_id)
                hls.cut_off_from(right_id, stream_id)


def _tell_mistake(mistake: Mistake) -> None:
    log.error("a part of the record broke; it is begun anew", kind=mistake.kind, at=mistake.at)


async def _watch_crowd(crowd: Crowd, playbacks: Playbacks) -> None:
    while True:
        await anyio.sleep(SWEEP_S)
        crowd.sweep()
        playbacks.sweep()


@contextlib.contextmanager
def _listen(settings: ApiSettings) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((settings.host, settings.port), backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(
                f"port {settings.port} is taken by another program; stop it or set ONRECORD_API__PORT"
            ) from error
        raise AddressInUse(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}); "
            "set ONRECORD_API__HOST and ONRECORD_API__PORT"
        ) from error
    with listener:
        yield listener


def _workers(settings: Settings, runtime: Runtime, orders: Orders) -> WorkerChildren | None:
    """None: nothing is analysed, or others do it."""
    stages, analyse = runtime.desk.stages, settings.analyse
    if not analyse.workers or not stages or not isinstance(runtime.board, LocalBoard):
        return None
    return WorkerChildren(
        analyse.workers,
        analyse.lease_s,
        runtime.board,
        orders.line,
        lambda: any(each.is_on for each in stages.values()),
        runtime.clock,
    )


def _own_url(settings: ApiSettings, listener: socket.socket) -> str:
    """As a process of this machine reaches us."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host
    scheme = "http" if settings.tls_certificate is None else "https"
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def _url(settings: ApiSettings, listener: socket.socket) -> str:
    if settings.public_url:
        return settings.public_url.rstrip("/")
    return _own_url(settings, listener)


class _WebServer(uvicorn.Server):
    """uvicorn without its own signal handlers: stopping is ours, so that segments are closed first.

    With a certificate it takes TLS only, and closes who does not finish the handshake in time; uvicorn has no limit.
    """

    def __init__(self, config: uvicorn.Config, certificate: Certificate | None, handshake_s: float) -> None:
        super().__init__(config)
        self._certificate = certificate
        self._handshake_s = handshake_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._certificate is None:
            await super().startup(sockets)
            return
        await super().startup([])
        config, loop = self.config, asyncio.get_running_loop()
        for sock in sockets or []:
            server = await loop.create_server(
                functools.partial(  # type: ignore[call-arg]  # uvicorn types its own class as any protocol's
                    config.http_protocol_class, config, self.server_state, self.lifespan.state
                ),
                sock=sock,
                ssl=self._certificate.context,
                ssl_handshake_timeout=self._handshake_s,
                ssl_shutdown_timeout=_WEB_STOP_S,
                backlog=config.backlog,
            )
            self.servers.append(server)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
