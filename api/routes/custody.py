"""The log under the record, for whoever does not trust this server: heads and proofs (RFC 6962, 2.1)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api.asking import record_of
from api.permissions import Asker, require
from api.schemas.record import ConsistencyOut, HeadOut, ProofOut, head_out
from cases.custody.prove import consistency_of, proof_of
from cases.reach import reached_event
from pipeline.errors import ThingUnknown

router = APIRouter(prefix="/api/v1")


@router.get("/log/head")
async def read_head(request: Request, _: Annotated[Asker, Depends(require("log.read"))]) -> HeadOut:
    """What was signed last. Keep it elsewhere: nobody can change what came before without being found by it."""
    signed = record_of(request).heads.newest
    if signed is None:
        raise ThingUnknown("no head was signed yet")
    return head_out(signed)


@router.get("/log/consistency")
async def read_consistency(
    request: Request,
    _: Annotated[Asker, Depends(require("log.read"))],
    from_: Annotated[int, Query(alias="from", ge=1, le=1 << 53)],
    to: Annotated[int, Query(ge=1, le=1 << 53)],
) -> ConsistencyOut:
    """That the log of `to` events begins with the log of `from`; check it with the two heads' roots."""
    path = await consistency_of(record_of(request).store, from_, to)
    return ConsistencyOut(from_size=from_, to_size=to, path=[each.hex() for each in path])


@router.get("/events/{event_id}/proof")
async def read_proof(
    request: Request, asker: Annotated[Asker, Depends(require("cases.read"))], event_id: str
) -> ProofOut:
    """The event as it is hashed, and its way to the newest signed head; without a head it is not signed yet."""
    record = record_of(request)
    async with record.store.reading() as connection:
        await reached_event(connection, asker.within, event_id)
    proof = await proof_of(record.store, record.heads.newest, event_id)
    return ProofOut(
        event_id=event_id,
        seq=proof.seq,
        entry=proof.entry.decode(),
        leaf_hash=proof.leaf.hex(),
        head=None if proof.signed is None else head_out(proof.signed),
        path=[each.hex() for each in proof.path],
    )
