"""Suggestions: a match is one until two persons, each alone and blind to the other's answer, say the same.

What somebody said is in the log as a hash (commitment) until it is decided, and in words then: nobody can change his
answer to fit another's, and nobody reads it before. A rejection counts against the model and its bound.
Source: 个人信息保护法 art. 24: nothing follows from the match alone.
"""

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import anyio.to_thread
from sqlalchemy import ColumnElement, case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.casework import values
from cases.casework.actor import Actor
from cases.casework.rows import all_of
from cases.faces import galleries
from cases.faces.galleries import ROSTER, of_reached_case, the_gallery
from cases.faces.people import the_person
from cases.faces.rows import MOST_REASON, SUGGESTIONS, Opinion, Suggestion
from cases.faces.shapes import Judged, Probe
from cases.faces.vault import Vault
from cases.facts import Fact, JsonValue, parse_entry
from cases.reach import Within
from cases.store.tables import (
    events,
    face_opinions,
    face_suggestions,
    face_templates,
    recordings,
    withheld,
)
from pipeline.errors import StateConflict, ThingUnknown, ValueRefused
from pipeline.ids import derived_event_id

VERDICTS = ("same", "different", "cannot_tell")
AGREE = 2
_BEFORE_S, _AFTER_S = 2.0, 3.0  # of the best look, as the clip that is shown


@dataclass(frozen=True, slots=True)
class Target:
    """What may be searched for in a stream now, and why. step_id: the running step that lets the roster be searched."""

    gallery_id: str
    gallery_kind: str
    case_id: str
    step_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Counted:
    """Of one model and bound: how many suggestions, and what two persons said of them."""

    model: str
    threshold: float
    suggested: int
    confirmed: int
    rejected: int


def id_of(probe: Probe, target: Target, person_id: str) -> str:
    """The same for the same person in the same track; of the roster, in the same step."""
    raw = hashlib.sha256("\x1f".join((*search_of(probe, target), person_id)).encode()).hexdigest()
    return f"fsug_{raw[:24]}"


def search_of(probe: Probe, target: Target) -> tuple[str, ...]:
    """What is one search in the log: a track and a gallery for a case; the roster answers each step apart.

    A track by its number and its begin: a worker that begins anew counts from one again.
    """
    step = [str(target.step_id)] if target.gallery_kind == ROSTER else []
    track = (probe.work_id, str(probe.track), f"{probe.start_s:.3f}")
    return probe.stream_id, probe.recording_id, *track, target.gallery_id, target.case_id, *step


def shot_name(suggestion_id: str) -> str:
    """What its picture is sealed as."""
    return f"shot {suggestion_id}"


async def suggest(
    connection: AsyncConnection, actor: Actor, vault: Vault, probe: Probe, target: Target, judged: Judged
) -> tuple[str, Sequence[Fact]]:
    """Its id. A better picture of the same track takes the place of the one before, and tells nothing.

    Not once somebody gave an opinion: all must have judged the same picture.

    Raises: ThingUnknown: the gallery or the person is gone meanwhile. StateConflict: the gallery is closed.
    """
    gallery = await the_gallery(connection, target.gallery_id)
    person = await the_person(connection, judged.person_id)
    if not gallery.is_in_force(actor.now_us) or person.state != "enrolled":
        raise StateConflict("the gallery was closed meanwhile")
    suggestion_id = id_of(probe, target, person.person_id)
    known = select(face_suggestions.c.state).where(face_suggestions.c.suggestion_id == suggestion_id)
    before = (await connection.execute(known)).scalar()
    is_judged = before is not None and (before != "open" or bool(await opinions_of(connection, suggestion_id)))
    sealed = None
    if probe.shot and not is_judged:
        sealed = await anyio.to_thread.run_sync(
            vault.seal, gallery.gallery_id, person.person_id, shot_name(suggestion_id), probe.shot
        )
    if before is not None:
        if sealed is not None:
            same = face_suggestions.c.suggestion_id == suggestion_id
            await connection.execute(update(face_suggestions).where(same).values(sealed_shot=sealed))
        return suggestion_id, ()
    at_us = await moment_of(connection, probe, actor.now_us)
    body: dict[str, JsonValue] = {
        "suggestion_id": suggestion_id, "gallery_id": gallery.gallery_id, "gallery_kind": gallery.kind,
        "person_id": person.person_id, "name": person.name, "officer_id": person.officer_id,
        "step_id": target.step_id, "template_id": judged.template_id, "recording_id": probe.recording_id,
        "track": probe.track,
        "start_s": round(probe.start_s, 3), "at_s": round(probe.at_s, 3), "end_s": round(probe.at_s, 3),
        "similarity": round(judged.similarity, 4), "second": round(judged.second, 4),
        "threshold": round(judged.bound.similarity, 4), "fmr": judged.bound.fmr, "one_in": judged.bound.one_in,
        "basis": judged.bound.basis, "model": probe.model, "detector": probe.detector, "looks": probe.looks,
        "media": {
            "recording_id": probe.recording_id, "start_s": round(max(0.0, probe.at_s - _BEFORE_S), 3),
            "end_s": round(probe.at_s + _AFTER_S, 3),
        },
    }  # fmt: skip
    fact = Fact(
        event_id=derived_event_id("FaceSuggested", suggestion_id), kind="FaceSuggested", at_us=at_us,
        stream_id=probe.stream_id, case_id=target.case_id, body=body,
    )  # fmt: skip
    await connection.execute(
        insert(face_suggestions).values(
            suggestion_id=suggestion_id, event_id=fact.event_id, case_id=target.case_id, step_id=target.step_id,
            gallery_id=gallery.gallery_id, gallery_kind=gallery.kind, person_id=person.person_id,
            stream_id=probe.stream_id, recording_id=probe.recording_id, at_us=at_us, model=probe.model,
            threshold=round(judged.bound.similarity, 4), state="open", sealed_shot=sealed,
        )
    )  # fmt: skip
    return suggestion_id, (fact,)


async def give_opinion(
    connection: AsyncConnection, actor: Actor, vault: Vault, suggestion_id: str, verdict: str, reason: str
) -> tuple[Suggestion, Sequence[Fact]]:
    """Said once by each. Two that agree decide; where two differ, a third does. A rejected picture's key is destroyed.

    Raises: ThingUnknown, ValueRefused, StorageError. StateConflict: it is decided, or one said it already.
    """
    found = await the_suggestion(connection, suggestion_id)
    if verdict not in VERDICTS:
        raise ValueRefused("verdict", f"it is one of {', '.join(VERDICTS)}")
    why = values.paragraph("reason", reason, MOST_REASON)
    if found.state not in ("open", "split"):
        raise StateConflict(f"it is {found.state} already")
    before = await opinions_of(connection, suggestion_id)
    if actor.by in {each.by for each in before}:
        raise StateConflict("you said it already; the other answer must be another person's")
    salt = secrets.token_hex(16)
    hidden = commitment(suggestion_id, actor.by, verdict, why, salt)
    mine = Opinion(suggestion_id, actor.by, actor.name, verdict, why, salt, hidden, actor.now_us)
    await connection.execute(insert(face_opinions).values({name: getattr(mine, name) for name in mine.__slots__}))
    given = [*before, mine]
    state = _state(given)
    decided_us = actor.now_us if state in ("confirmed", "rejected") else None
    same = face_suggestions.c.suggestion_id == suggestion_id
    await connection.execute(update(face_suggestions).where(same).values(state=state, decided_us=decided_us))
    if state == "rejected":  # what was kept is the face of a stranger
        await anyio.to_thread.run_sync(vault.shred_one, found.gallery_id, found.person_id, suggestion_id)
        await galleries.forget(connection, face_templates.c.template_id == "", same)
    body: dict[str, JsonValue] = {
        "suggestion_id": suggestion_id, "commitment": mine.commitment, "given": len(given), "state": state,
    }  # fmt: skip
    told = [_fact("FaceOpinionGiven", actor, found, (suggestion_id, actor.by), body)]
    if decided_us is not None:
        told.append(await _decided(connection, actor, found, given, state))
    return await the_suggestion(connection, suggestion_id), told


async def the_suggestion(
    connection: AsyncConnection, suggestion_id: str, reached: ColumnElement[bool] | None = None
) -> Suggestion:
    """Raises: ThingUnknown: there is none, or it is out of reach; nobody learns which."""
    asked = SUGGESTIONS.where(face_suggestions.c.suggestion_id == suggestion_id)
    found = await all_of(connection, Suggestion, asked if reached is None else asked.where(reached))
    if not found:
        raise ThingUnknown("no such suggestion")
    return found[0]


def reached_suggestions(within: Within) -> ColumnElement[bool]:
    """Of `face_suggestions`: those of cases within reach, but of recordings that are withheld from this person."""
    found = of_reached_case(within, face_suggestions.c.case_id)
    if not within.principal.officer_id:
        return found
    barred = (
        select(withheld.c.recording_id)
        .where(
            withheld.c.recording_id == face_suggestions.c.recording_id,
            withheld.c.officer_id == within.principal.officer_id,
        )
        .exists()
    )
    return found & ~barred


async def opinions_of(connection: AsyncConnection, suggestion_id: str) -> list[Opinion]:
    asked = select(face_opinions).where(face_opinions.c.suggestion_id == suggestion_id)
    return await all_of(connection, Opinion, asked.order_by(face_opinions.c.at_us, face_opinions.c.by))


def shown_to(by: str, found: Suggestion, given: Sequence[Opinion]) -> list[Opinion]:
    """Blind: one's own, and those of others once it is decided."""
    return [each for each in given if each.by == by or found.state in ("confirmed", "rejected")]


async def facts_of(connection: AsyncConnection, found: Sequence[Suggestion]) -> dict[str, Fact]:
    """The FaceSuggested of each, by the suggestion's id."""
    of = {each.event_id: each.suggestion_id for each in found}
    asked = select(events.c.event_id, events.c.entry).where(events.c.event_id.in_(list(of)))
    return {of[row[0]]: parse_entry(row[1].encode())[0] for row in await connection.execute(asked)}


async def record(connection: AsyncConnection) -> list[Counted]:
    """Every model and bound that suggested something."""
    asked = (
        select(
            face_suggestions.c.model, face_suggestions.c.threshold, func.count(),
            *(func.sum(case((face_suggestions.c.state == state, 1), else_=0)) for state in ("confirmed", "rejected")),
        )
        .group_by(face_suggestions.c.model, face_suggestions.c.threshold)
        .order_by(face_suggestions.c.model, face_suggestions.c.threshold)
    )  # fmt: skip
    return [Counted(str(row[0]), float(row[1]), *map(int, row[2:])) for row in await connection.execute(asked)]


def commitment(suggestion_id: str, by: str, verdict: str, reason: str, salt: str) -> str:
    """SHA-256, hex; with the salt nobody can try out what was said."""
    return hashlib.sha256("\x1f".join((suggestion_id, by, verdict, reason, salt)).encode()).hexdigest()


def _state(given: Sequence[Opinion]) -> str:
    said = Counter(each.verdict for each in given)
    if said["same"] >= AGREE:
        return "confirmed"
    if said["different"] >= AGREE:
        return "rejected"
    return "split" if said["same"] and said["different"] else "open"


async def _decided(
    connection: AsyncConnection, actor: Actor, found: Suggestion, given: Sequence[Opinion], state: str
) -> Fact:
    suggested = (await facts_of(connection, [found]))[found.suggestion_id]
    body: dict[str, JsonValue] = {
        "suggestion_id": found.suggestion_id, "gallery_id": found.gallery_id, "gallery_kind": found.gallery_kind,
        "person_id": found.person_id, "name": suggested.body.get("name"), "model": found.model,
        "threshold": found.threshold, "media": suggested.body.get("media"),
        "opinions": [
            {"by": each.by, "by_name": each.by_name, "verdict": each.verdict, "reason": each.reason, "salt": each.salt}
            for each in given
        ],
    }  # fmt: skip
    kind = "FaceConfirmed" if state == "confirmed" else "FaceRejected"
    return _fact(kind, actor, found, (found.suggestion_id,), body)


def _fact(kind: str, actor: Actor, found: Suggestion, ids: Sequence[str], body: dict[str, JsonValue]) -> Fact:
    return Fact(
        event_id=derived_event_id(kind, *ids), kind=kind, at_us=actor.now_us, stream_id=found.stream_id,
        case_id=found.case_id, by=actor.by, body={**body, "by_name": actor.name},
    )  # fmt: skip


async def moment_of(connection: AsyncConnection, probe: Probe, now_us: int) -> int:
    """When its best look was filmed."""
    asked = select(recordings.c.started_us).where(recordings.c.recording_id == probe.recording_id)
    began: int | None = (await connection.execute(asked)).scalar()
    return now_us if began is None else min(now_us, began + round(probe.at_s * 1e6))
