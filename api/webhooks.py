"""Events to other programs by HTTP: in the order of the log, each at least once, signed, tried again for ever.

How far a rule got stands in `{data}/webhooks/{name}`, and is written after the receiver took it; a new rule begins with
what happens from then on. Source: Standard Webhooks 1.0 (`webhook-id`, `webhook-timestamp`, `webhook-signature`).
"""

import base64
import hashlib
import hmac
import json
import os
import random
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import requests
import structlog

from api.schemas.record import event_out
from cases.record import Record
from cases.tail import Tail, Told
from pipeline.clock import Clock
from pipeline.errors import StoreUnavailable, WorkerFailed
from pipeline.record.disk import mapped
from pipeline.settings import WebhookRule, WebhookSettings, webhook_key

log = structlog.get_logger(__name__)

_PLAIN = ("event_id", "seq", "kind", "at", "ends_at", "learned_at", "stream_id", "case_id", "by", "media")
_WAIT_S = 5.0
_FIRST_PAUSE_S = 1.0
_CLOSED_S = 2.0


class Webhooks:
    """`run` until cancelled."""

    def __init__(self, settings: WebhookSettings, data: Path, record: Record, clock: Clock) -> None:
        self._settings = settings
        self._folder = data / "webhooks"
        self._record = record
        self._clock = clock

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            for rule in self._settings.rules:
                tasks.start_soon(self._serve, rule)

    async def _serve(self, rule: WebhookRule) -> None:
        """A receiver that is away holds up its own rule and no other."""
        while True:
            tail = (await self._record.wait_open()).tail
            try:
                await self._follow(rule, tail)
            except StoreUnavailable:
                await anyio.sleep(_CLOSED_S)  # told by the record itself

    async def _follow(self, rule: WebhookRule, tail: Tail) -> None:
        """Raises: StoreUnavailable, StorageError."""
        place = await anyio.to_thread.run_sync(self._place, rule.name)
        if place is None or place > tail.last:
            place = tail.last
            await anyio.to_thread.run_sync(self._keep, rule.name, place)
        while True:
            self._record.open  # noqa: B018 - raises where this tail is of a record that was closed
            batch = await tail.after(place, _WAIT_S)
            for told in batch:
                if told.stored.fact.kind in rule.kinds:
                    await self._send(rule, told)
                    await anyio.to_thread.run_sync(self._keep, rule.name, told.stored.seq)
                place = told.stored.seq
            if batch:
                await anyio.to_thread.run_sync(self._keep, rule.name, place)

    async def _send(self, rule: WebhookRule, told: Told) -> None:
        """Until the receiver takes it."""
        body, event_id = _body(rule, told), told.stored.fact.event_id
        pause_s, tries = _FIRST_PAUSE_S, 0
        while True:
            try:
                await anyio.to_thread.run_sync(partial(self._post, rule, event_id, body), abandon_on_cancel=True)
            except WorkerFailed as error:
                tries += 1
                if tries == 1 or pause_s >= self._settings.retry_most_s:
                    log.error("a receiver does not take events", webhook=rule.name, to=rule.server, reason=str(error))
                await anyio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads tries, hides nothing
                pause_s = min(2 * pause_s, self._settings.retry_most_s)
                continue
            if tries:
                log.info("a receiver takes events again", webhook=rule.name, to=rule.server, tries=tries + 1)
            return

    def _post(self, rule: WebhookRule, event_id: str, body: bytes) -> None:
        """Raises: WorkerFailed."""
        stamp = str(int(self._clock.utc_s()))
        headers = {
            "Content-Type": "application/json", "webhook-id": event_id, "webhook-timestamp": stamp,
            "webhook-signature": signature(webhook_key(rule.secret), event_id, stamp, body),
        }  # fmt: skip
        trust = True if self._settings.ca_file is None else str(self._settings.ca_file)
        try:
            with requests.post(
                rule.url.get_secret_value(), body, headers=headers, timeout=self._settings.timeout_s, verify=trust,
                allow_redirects=False, stream=True,
            ) as answer:  # fmt: skip
                if not 200 <= answer.status_code < 300:
                    raise WorkerFailed(f"it answered {answer.status_code}")
        except requests.RequestException as error:
            raise WorkerFailed(type(error).__name__) from error  # its words may hold the URL

    def _place(self, name: str) -> int | None:
        path = self._folder / name
        with mapped(path):
            text = path.read_text(encoding="ascii").strip() if path.exists() else ""
        return int(text) if text.lstrip("-").isdigit() else None

    def _keep(self, name: str, place: int) -> None:
        path = self._folder / name
        with mapped(path):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            fresh = path.with_name(f"{name}.new")
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{place}\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(path)


def signature(key: bytes, event_id: str, stamp: str, body: bytes) -> str:
    """As the receiver makes it: over id, time of sending and body, so that neither can be exchanged."""
    signed = f"{event_id}.{stamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _body(rule: WebhookRule, told: Told) -> bytes:
    event = event_out(told.stored)
    data = event if rule.is_whole else {name: event[name] for name in _PLAIN}
    tree = {"type": event["kind"], "timestamp": event["at"], "data": {**data, "case_ids": sorted(told.case_ids)}}
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
