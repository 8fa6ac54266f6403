"""Signing the log: a head at least every minute in which it grew, on disk before it is in the database.

A head is signed only over a tree that begins with the one that was signed last; else nothing is signed any more, and
that is told. What an insider changed in the database between two heads is so kept from getting a signature of its own.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Appender
from cases.custody import checkpoint, proofs
from cases.custody.checkpoint import Head, SignedHead
from cases.custody.heads_file import FILE, HeadsFile
from cases.store.engine import Store
from cases.store.tables import heads
from pipeline.clock import Clock, rfc3339
from pipeline.errors import EvidenceError, StorageError
from pipeline.record.signing import Signer, read_public_keys

if TYPE_CHECKING:
    from cases.custody.witness import Witness

log = structlog.get_logger(__name__)

_AGAIN_S = 5.0  # after a disk that refused


class Heads:
    """`run` must run. signed: heads since the start. refusal: why nothing is signed any more; empty: it is.

    newest: what was signed last, also by an earlier start; None: nothing yet. witness_failures: heads not taken.
    """

    def __init__(
        self, store: Store, appender: Appender, signer: Signer, clock: Clock, data: Path, every_s: float,
        witnesses: "tuple[Witness, ...]" = (), *, sm3: bool = False,
    ) -> None:  # fmt: skip
        self.signed = 0
        self.refusal = ""
        self.witness_failures = 0
        self.newest: SignedHead | None = None
        self._store = store
        self._appender = appender
        self._signer = signer
        self._clock = clock
        self._keys = data / "keys"
        self._file = HeadsFile(data / "custody")
        self._every_s = every_s
        self._witnesses = witnesses
        self._sm3 = sm3
        self._turn = anyio.Lock()

    async def run(self) -> None:
        """Until cancelled, or for ever silent after a refusal. Raises: StoreUnavailable: call it again later."""
        try:
            await self.load()
            if self.newest is None:
                await self._appender.wait_beyond(-1)
            while True:  # at first also where nothing came: is the log still what was signed?
                try:
                    signed = await self.sign_now()
                except StorageError as error:
                    log.error("no head can be signed", reason=str(error))
                    await anyio.sleep(_AGAIN_S)
                    continue
                await anyio.sleep(self._every_s)
                await self._appender.wait_beyond(signed.head.size - 1)
        except EvidenceError as error:
            self.refusal = str(error)
            log.error("THE LOG IS IN DOUBT: no head is signed any more; see docs/custody.md", reason=str(error))

    async def load(self) -> None:
        """Find what was signed last. Raises: EvidenceError: disk and database tell different things."""
        on_disk = await anyio.to_thread.run_sync(self._file.read)
        async with self._store.reading() as connection:
            row = (await connection.execute(select(heads.c.note).order_by(heads.c.size.desc()).limit(1))).scalar()
        kept = None if row is None else checkpoint.parse(row)
        newest = on_disk[-1] if on_disk else None
        if kept is not None and kept not in on_disk:
            raise EvidenceError(f"the database holds a head of size {kept.head.size} that {FILE} lacks")
        if newest is not None:
            self._check_signature(newest)
            if kept is None or kept.head.size < newest.head.size:
                await self._keep(newest)
        self.newest = newest

    async def sign_now(self) -> SignedHead:
        """A head over all that is committed; the newest one where nothing came.

        Raises: EvidenceError: the log is not what was signed before. StorageError, StoreUnavailable: nothing is signed.
        """
        async with self._turn:
            return await self._sign()

    async def _sign(self) -> SignedHead:
        async with self._store.reading() as connection:
            head = await self._head(connection)
        if self.newest is not None and self.newest.head.size == head.size:
            return self.newest
        signed = checkpoint.sign(head, self._signer)
        await anyio.to_thread.run_sync(self._file.append, signed)
        self.newest = signed
        self.signed += 1
        for witness in self._witnesses:
            try:
                await anyio.to_thread.run_sync(witness.take, signed)
            except StorageError as error:
                self.witness_failures += 1
                log.error("a witness did not take a head", size=head.size, reason=str(error))
        await self._keep(signed)
        return signed

    async def _head(self, connection: AsyncConnection) -> Head:
        size = await self._store.size(connection)
        read = self._store.tile_reader(connection)
        root = await proofs.root(size, read)
        at = rfc3339(self._clock.utc_s())
        if self.newest is None:
            return Head(
                checkpoint.new_log_id(self._signer.public_key), size, root, at, await self._second(connection, size)
            )
        last = self.newest.head
        if size < last.size:
            raise EvidenceError(f"the log has {size} events; {last.size} were signed at {last.at}: it was rolled back")
        path = await proofs.consistency(last.size, size, read)
        if not proofs.is_consistent(last.size, last.root, size, root, path):
            raise EvidenceError(f"the log does not begin with the {last.size} events that were signed at {last.at}")
        return Head(last.log_id, size, root, at, await self._second(connection, size))

    async def _second(self, connection: AsyncConnection, size: int) -> bytes | None:
        return await proofs.root(size, self._store.tile_reader(connection, "sm3"), "sm3") if self._sm3 else None

    async def _keep(self, signed: SignedHead) -> None:
        async def write(connection: AsyncConnection) -> None:
            await connection.execute(insert(heads).values(size=signed.head.size, note=signed.note()))

        await self._appender.append([], after=write)

    def _check_signature(self, signed: SignedHead) -> None:
        known = [key for path in sorted(self._keys.glob("*.pub.pem")) for key in read_public_keys(path)]
        if not any(signed.is_signed_by(key) for key in known):
            raise EvidenceError(f"the head of size {signed.head.size} in {FILE} is signed by none of our keys")
