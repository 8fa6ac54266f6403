"""The tables of cases, people and recordings against the facts they follow from: both are read, neither is believed.

Sealed faces are not compared: what opens with their person's key and id is what was sealed (cases/faces/vault.py).
Bound: about a kilobyte for each case, step, item, link, recording, officer, binding, task, finding and face.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TypeAlias

from sqlalchemy import ColumnElement, Label, Select, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.facts import Fact, JsonValue
from cases.store.tables import (
    approvals,
    attach_rules,
    bindings,
    cases,
    clips,
    decisions,
    face_galleries,
    face_opinions,
    face_persons,
    face_suggestions,
    face_switches,
    face_templates,
    findings,
    items,
    links,
    members,
    officers,
    recordings,
    redactions,
    steps,
    tasks,
    units,
    uploads,
    withheld,
)
from pipeline.errors import EvidenceError
from pipeline.record.defect import Defect


def _key(first: ColumnElement[str], second: ColumnElement[str]) -> Label[str]:
    """One name of a row that has two."""
    return (first + " " + second).label("key")


_Row: TypeAlias = dict[str, JsonValue]
_TOLD = 20  # of one kind of what is wrong with timelines
_TABLES: dict[str, Select[tuple[object, ...]]] = {
    "cases": select(cases),
    "steps": select(steps),
    "items": select(items),
    "links": select(links),
    "attach_rules": select(attach_rules),
    "officers": select(
        officers.c.officer_id, officers.c.name, officers.c.certificate_number, units.c.name.label("unit")
    ).join_from(officers, units),
    "bindings": select(bindings),
    "tasks": select(tasks),
    "recordings": select(recordings),
    "approvals": select(approvals),
    "members": select(_key(members.c.case_id, members.c.who), members),
    "decisions": select(_key(decisions.c.approval_id, decisions.c.by), decisions),
    "withheld": select(_key(withheld.c.recording_id, withheld.c.officer_id), withheld),
    "uploads": select(uploads),
    "clips": select(clips),
    "redactions": select(
        redactions.c.redaction_id, redactions.c.clip_id, redactions.c.case_id, redactions.c.item_id,
        redactions.c.approval_id, redactions.c.title, redactions.c.purpose, redactions.c.of_sha256, redactions.c.sha256,
        redactions.c.size_bytes, redactions.c.detector, redactions.c.edits, redactions.c.plan_sha256,
        redactions.c.made_by, redactions.c.made_us,
    ).where(redactions.c.state == "made"),
    "findings": select(findings),
    "face_switches": select(face_switches),
    "face_galleries": select(face_galleries),
    "face_persons": select(face_persons),
    "face_templates": select(*(each for each in face_templates.c if not each.name.startswith("sealed_"))),
    "face_suggestions": select(*(each for each in face_suggestions.c if each.name != "sealed_shot")),
    "face_opinions": select(_key(face_opinions.c.suggestion_id, face_opinions.c.by), face_opinions),
}  # fmt: skip


class Expected:
    """What the tables must hold, if the facts are true. Facts are taken in the order of the log.

    recordings: what was told of each, by its id; one that only segments tell of has no device.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, _Row]] = {name: {} for name in _TABLES}
        self.streams: dict[str, str | None] = {}  # of recordings
        self._carried: dict[str, dict[str, _Row]] = {}  # bindings, by device
        self._of_stream: dict[str | None, list[_Row]] = {}  # recordings
        self._takers: dict[str, Callable[[Fact], None]] = {
            "CaseOpened": self._case_opened,
            "CaseChanged": self._case_changed,
            "StepStarted": self._step_started,
            "StepEnded": self._step_ended,
            "ItemAdded": self._item_added,
            "ItemWithdrawn": self._item_withdrawn,
            "RecordingAttached": self._attached,
            "RecordingDetached": self._detached,
            "AttachRuleSet": self._rule_set,
            "AttachRuleUndone": self._rule_undone,
            "OfficerAdded": self._officer_added,
            "OfficerBound": self._bound,
            "OfficerUnbound": self._unbound,
            "TaskStarted": self._task_started,
            "TaskEnded": self._task_ended,
            "RecordingStarted": self._recording_started,
            "SegmentClosed": self._segment_closed,
            "StreamEnded": self._stream_ended,
            "MemberAdded": self._member_added,
            "MemberRemoved": self._member_removed,
            "ApprovalAsked": self._approval_asked,
            "ApprovalDecided": self._approval_decided,
            "ApprovalWithdrawn": self._approval_withdrawn,
            "RecordingWithheld": self._withheld,
            "RecordingReleased": self._released,
            "UploadReceived": self._upload_received,
            "ClipMade": self._clip_made,
            "ClipBlurred": self._clip_blurred,
            "FindingRaised": self._finding_raised,
            "FindingEnded": self._finding_ended,
            "FindingReviewed": self._finding_reviewed,
            "FaceSwitchAsked": self._switch_asked,
            "FaceSwitchApproved": self._switch_approved,
            "FaceSwitchedOff": self._switched_off,
            "GalleryOpened": self._gallery_opened,
            "GalleryClosed": self._gallery_closed,
            "PersonProposed": self._person_proposed,
            "PersonEnrolled": self._person_enrolled,
            "PersonRefused": self._person_refused,
            "PersonDeleted": self._person_deleted,
            "TemplateRenewed": self._template_renewed,
            "FaceSuggested": self._face_suggested,
            "FaceOpinionGiven": self._opinion_given,
            "FaceConfirmed": self._face_decided,
            "FaceRejected": self._face_decided,
        }

    def take(self, fact: Fact) -> None:
        """Raises: EvidenceError: the fact lacks what its kind says, or changes what no fact made."""
        taker = self._takers.get(fact.kind)
        if taker is None:
            return
        try:
            taker(fact)
        except (KeyError, TypeError, AttributeError) as error:
            raise EvidenceError(f"a {fact.kind} without what such a fact says") from error

    def _add(self, table: str, row: _Row) -> None:
        self.rows[table].setdefault(str(next(iter(row.values()))), row)

    def _case_opened(self, fact: Fact) -> None:
        body = fact.body
        self._add("cases", {
            "case_id": fact.case_id, "number": body["number"], "kind": body["case_kind"], "class": body["class"],
            "state": "open", "title": body["title"], "party": body["party"], "opened_us": fact.at_us,
            "closed_us": None, "version": 1, "unit": body.get("unit", ""),
        })  # fmt: skip

    def _case_changed(self, fact: Fact) -> None:
        row, changed = self.rows["cases"][str(fact.case_id)], fact.body["changed"]
        if not isinstance(changed, dict):
            raise TypeError("changed")
        for name, change in changed.items():
            if not isinstance(change, dict) or name not in row:
                raise TypeError("changed")
            row[name] = change["to"]
            if name == "state":
                row["closed_us"] = fact.at_us if change["to"] == "closed" else None
        row["version"] = fact.body["version"]

    def _step_started(self, fact: Fact) -> None:
        self._add("steps", {
            "step_id": fact.body["step_id"], "case_id": fact.case_id, "kind": fact.body["step_kind"],
            "started_us": fact.at_us, "ended_us": None,
        })  # fmt: skip

    def _step_ended(self, fact: Fact) -> None:
        self.rows["steps"][str(fact.body["step_id"])]["ended_us"] = fact.at_us

    def _item_added(self, fact: Fact) -> None:
        body = fact.body
        self._add("items", {
            "item_id": body["item_id"], "case_id": fact.case_id, "step_id": body["step_id"], "kind": body["item_kind"],
            "title": body["title"], "sha256": body["sha256"], "size_bytes": body["size_bytes"],
            "shelf_mark": body["shelf_mark"], "added_us": fact.at_us, "withdrawn_us": None,
        })  # fmt: skip

    def _item_withdrawn(self, fact: Fact) -> None:
        self.rows["items"][str(fact.body["item_id"])]["withdrawn_us"] = fact.at_us

    def _attached(self, fact: Fact) -> None:
        body = fact.body
        self._add("links", {
            "link_id": body["link_id"], "case_id": fact.case_id, "step_id": body["step_id"],
            "recording_id": body["recording_id"], "stream_id": body["of_stream"], "how": body["how"],
            "made_by": fact.by, "made_us": fact.at_us, "undone_by": None, "undone_us": None,
            "rule_id": body.get("rule_id"),
        })  # fmt: skip

    def _detached(self, fact: Fact) -> None:
        self.rows["links"][str(fact.body["link_id"])].update(undone_by=fact.by, undone_us=fact.at_us)

    def _rule_set(self, fact: Fact) -> None:
        names = ("step_id", "device_id", "device_name", "unit", "from_us", "until_us", "place")
        self._add("attach_rules", {
            "rule_id": fact.body["rule_id"], "case_id": fact.case_id, **{name: fact.body[name] for name in names},
            "made_by": fact.by, "made_us": fact.at_us, "undone_by": None, "undone_us": None,
        })  # fmt: skip

    def _rule_undone(self, fact: Fact) -> None:
        self.rows["attach_rules"][str(fact.body["rule_id"])].update(undone_by=fact.by, undone_us=fact.at_us)

    def _officer_added(self, fact: Fact) -> None:
        names = ("officer_id", "name", "certificate_number", "unit")
        self._add("officers", {name: fact.body[name] for name in names})

    def _bound(self, fact: Fact) -> None:
        row: _Row = {
            "binding_id": fact.body["binding_id"], "device_id": fact.body["device_id"],
            "officer_id": fact.body["officer_id"], "from_us": fact.at_us, "until_us": None,
        }  # fmt: skip
        self._add("bindings", row)
        self._carried.setdefault(str(row["device_id"]), {})[str(row["binding_id"])] = row

    def _unbound(self, fact: Fact) -> None:
        self.rows["bindings"][str(fact.body["binding_id"])]["until_us"] = fact.at_us

    def _task_started(self, fact: Fact) -> None:
        self._add("tasks", {
            "task_id": fact.body["task_id"], "officer_id": fact.body["officer_id"], "case_id": fact.case_id,
            "step_id": fact.body["step_id"], "from_us": fact.at_us, "until_us": None,
        })  # fmt: skip

    def _task_ended(self, fact: Fact) -> None:
        self.rows["tasks"][str(fact.body["task_id"])]["until_us"] = fact.at_us

    def _member_added(self, fact: Fact) -> None:
        key = f"{fact.case_id} {fact.body['who']}"
        self.rows["members"][key] = {
            "key": key, "case_id": fact.case_id, "who": fact.body["who"], "name": fact.body["name"],
            "added_us": fact.at_us,
        }  # fmt: skip

    def _member_removed(self, fact: Fact) -> None:
        del self.rows["members"][f"{fact.case_id} {fact.body['who']}"]

    def _approval_asked(self, fact: Fact) -> None:
        body = fact.body
        self._add("approvals", {
            "approval_id": body["approval_id"], "what": body["what"], "case_id": fact.case_id,
            "recording_id": body["recording_id"], "start_ms": body["start_ms"], "end_ms": body["end_ms"],
            "purpose": body["purpose"], "asked_by": fact.by, "asked_name": body["by_name"], "asked_us": fact.at_us,
            "needed": body["needed"], "state": "asked", "expires_us": None, "unit": body["unit"],
        })  # fmt: skip

    def _approval_decided(self, fact: Fact) -> None:
        body = fact.body
        key = f"{body['approval_id']} {fact.by}"
        self._add("decisions", {
            "key": key, "approval_id": body["approval_id"], "by": fact.by, "verdict": body["verdict"],
            "reason": body["reason"], "at_us": fact.at_us,
        })  # fmt: skip
        row = self.rows["approvals"][str(body["approval_id"])]
        row.update(state=body["state"], expires_us=body["expires_us"])

    def _approval_withdrawn(self, fact: Fact) -> None:
        self.rows["approvals"][str(fact.body["approval_id"])]["state"] = "withdrawn"

    def _withheld(self, fact: Fact) -> None:
        key = f"{fact.body['recording_id']} {fact.body['officer_id']}"
        self.rows["withheld"][key] = {
            "key": key, "recording_id": fact.body["recording_id"], "officer_id": fact.body["officer_id"],
            "since_us": fact.at_us,
        }  # fmt: skip

    def _released(self, fact: Fact) -> None:
        del self.rows["withheld"][f"{fact.body['recording_id']} {fact.body['officer_id']}"]

    def _upload_received(self, fact: Fact) -> None:
        body = fact.body
        media = body.get("media")
        self._add("uploads", {
            "upload_id": body["upload_id"], "case_id": fact.case_id, "device_id": body["device_id"],
            "item_id": body["item_id"], "recording_id": media["recording_id"] if isinstance(media, dict) else None,
            "sha256": body["sha256"], "size_bytes": body["size_bytes"], "type": body["type"], "name": body["name"],
            "unit": body["unit"], "sent_by": fact.by, "received_us": fact.at_us,
        })  # fmt: skip

    def _clip_made(self, fact: Fact) -> None:
        body = fact.body
        media = body["media"]
        if not isinstance(media, dict):
            raise TypeError("media")
        self._add("clips", {
            "clip_id": body["clip_id"], "case_id": fact.case_id, "item_id": body["item_id"],
            "recording_id": media["recording_id"], "approval_id": body["approval_id"], "sha256": body["sha256"],
            "size_bytes": body["size_bytes"], "start_ms": body["start_ms"], "end_ms": body["end_ms"],
            "cut_from_ms": body["cut_from_ms"], "cut_until_ms": body["cut_until_ms"], "made_by": fact.by,
            "made_us": fact.at_us,
        })  # fmt: skip

    def _clip_blurred(self, fact: Fact) -> None:
        """The clip it was made of is one that the log tells of, byte for byte."""
        body = fact.body
        if self.rows["clips"][str(body["clip_id"])]["sha256"] != body["of_clip"]:
            raise TypeError("of_clip")
        names = ("sha256", "size_bytes", "detector", "edits", "plan_sha256")
        self._add("redactions", {
            "redaction_id": body["redaction_id"], "clip_id": body["clip_id"], "case_id": fact.case_id,
            "item_id": body["item_id"], "approval_id": body["approval_id"], "title": body["title"],
            "purpose": body["why"], "of_sha256": body["of_clip"], **{name: body[name] for name in names},
            "made_by": fact.by, "made_us": fact.at_us,
        })  # fmt: skip

    def _finding_raised(self, fact: Fact) -> None:
        names = ("finding", "group", "severity", "confidence", "rule", "recording_id", "clip_start_s", "clip_end_s")
        self._add("findings", {
            "finding_id": fact.body["finding_id"], "event_id": fact.event_id, "stream_id": fact.stream_id,
            **{name: fact.body[name] for name in names}, "raised_us": fact.at_us, "ended_us": None, "end_reason": "",
            "state": "new", "reason": "", "reviewed_by": "", "reviewed_name": "", "reviewed_us": None,
        })  # fmt: skip

    def _finding_ended(self, fact: Fact) -> None:
        """The first end counts; one of a finding that nobody told of counts nowhere, as in the table."""
        row = self.rows["findings"].get(str(fact.body["finding_id"]))
        if row is not None and row["ended_us"] is None:
            row.update(ended_us=fact.at_us, end_reason=fact.body["reason"])

    def _finding_reviewed(self, fact: Fact) -> None:
        self.rows["findings"][str(fact.body["finding_id"])].update(
            state=fact.body["verdict"], reason=fact.body["reason"], reviewed_by=fact.by,
            reviewed_name=fact.body["by_name"], reviewed_us=fact.at_us,
        )  # fmt: skip

    def _switch_asked(self, fact: Fact) -> None:
        names = ("switch_id", "legal_basis", "approver", "assessment_id", "reason", "expires_us")
        self._add("face_switches", {
            **{name: fact.body[name] for name in names}, "asked_by": fact.by, "asked_name": fact.body["by_name"],
            "asked_us": fact.at_us, "state": "asked", "approved_by": None, "approved_name": "", "approved_us": None,
            "ended_us": None, "end_reason": "",
        })  # fmt: skip

    def _switch_approved(self, fact: Fact) -> None:
        self.rows["face_switches"][str(fact.body["switch_id"])].update(
            state="on", approved_by=fact.by, approved_name=fact.body["by_name"], approved_us=fact.at_us
        )

    def _switched_off(self, fact: Fact) -> None:
        self.rows["face_switches"][str(fact.body["switch_id"])].update(
            state="off", ended_us=fact.at_us, end_reason=fact.body["how"]
        )

    def _gallery_opened(self, fact: Fact) -> None:
        names = ("switch_id", "legal_basis", "notice", "expires_us")
        self._add("face_galleries", {
            "gallery_id": fact.body["gallery_id"], "kind": fact.body["gallery_kind"], "case_id": fact.case_id,
            **{name: fact.body[name] for name in names}, "state": "open", "opened_by": fact.by,
            "opened_name": fact.body["by_name"], "opened_us": fact.at_us, "closed_us": None, "end_reason": "",
        })  # fmt: skip

    def _gallery_closed(self, fact: Fact) -> None:
        gallery_id = fact.body["gallery_id"]
        self.rows["face_galleries"][str(gallery_id)].update(
            state="closed", closed_us=fact.at_us, end_reason=fact.body["reason"]
        )
        self._forget_templates("gallery_id", gallery_id)
        for row in self.rows["face_persons"].values():
            if row["gallery_id"] == gallery_id and row["state"] in ("proposed", "enrolled"):
                row["state"] = "gone"
        self._withdraw_suggestions("gallery_id", gallery_id, fact.at_us)

    def _person_proposed(self, fact: Fact) -> None:
        body = fact.body
        if body["is_new"]:
            names = ("person_id", "gallery_id", "name", "party", "officer_id", "basis")
            self._add("face_persons", {
                **{name: body[name] for name in names}, "state": "proposed", "proposed_by": fact.by,
                "proposed_name": body["by_name"], "proposed_us": fact.at_us, "decided_by": None, "decided_name": "",
                "decided_us": None,
            })  # fmt: skip
        templates = body["templates"]
        for each in templates if isinstance(templates, list) else ():
            if not isinstance(each, dict):
                raise TypeError("templates")
            self._add("face_templates", {
                "template_id": each["template_id"], "person_id": body["person_id"], "gallery_id": body["gallery_id"],
                "model": each["model"], "state": "proposed", "added_by": fact.by, "added_us": fact.at_us,
                "quality": each["quality"],
            })  # fmt: skip

    def _person_enrolled(self, fact: Fact) -> None:
        self._person_decided(fact, "enrolled")
        for template_id in _ids(fact.body["template_ids"]):
            self.rows["face_templates"][template_id]["state"] = "enrolled"

    def _person_refused(self, fact: Fact) -> None:
        if fact.body["is_whole"]:
            self._person_decided(fact, "refused")
        for template_id in _ids(fact.body["template_ids"]):
            del self.rows["face_templates"][template_id]

    def _person_deleted(self, fact: Fact) -> None:
        self._person_decided(fact, "deleted")
        self._forget_templates("person_id", fact.body["person_id"])
        self._withdraw_suggestions("person_id", fact.body["person_id"], fact.at_us)

    def _template_renewed(self, fact: Fact) -> None:
        row = self.rows["face_templates"].pop(str(fact.body["of"]))
        self._add("face_templates", {
            **row, "template_id": fact.body["template_id"], "model": fact.body["model"],
        })  # fmt: skip

    def _person_decided(self, fact: Fact, state: str) -> None:
        self.rows["face_persons"][str(fact.body["person_id"])].update(
            state=state, decided_by=fact.by, decided_name=fact.body["by_name"], decided_us=fact.at_us
        )

    def _forget_templates(self, name: str, value: JsonValue) -> None:
        kept = {key: row for key, row in self.rows["face_templates"].items() if row[name] != value}
        self.rows["face_templates"] = kept

    def _withdraw_suggestions(self, name: str, value: JsonValue, at_us: int) -> None:
        for row in self.rows["face_suggestions"].values():
            if row[name] == value and row["state"] in ("open", "split"):
                row.update(state="withdrawn", decided_us=at_us)

    def _face_suggested(self, fact: Fact) -> None:
        names = ("step_id", "gallery_id", "gallery_kind", "person_id", "recording_id", "model", "threshold")
        self._add("face_suggestions", {
            "suggestion_id": fact.body["suggestion_id"], "event_id": fact.event_id, "case_id": fact.case_id,
            **{name: fact.body[name] for name in names}, "stream_id": fact.stream_id, "at_us": fact.at_us,
            "state": "open", "decided_us": None,
        })  # fmt: skip

    def _opinion_given(self, fact: Fact) -> None:
        """The verdict is hidden until it is decided; the commitment stands from the first."""
        suggestion_id = fact.body["suggestion_id"]
        key = f"{suggestion_id} {fact.by}"
        self._add("face_opinions", {
            "key": key, "suggestion_id": suggestion_id, "by": fact.by, "by_name": fact.body["by_name"],
            "commitment": fact.body["commitment"], "at_us": fact.at_us,
        })  # fmt: skip
        self.rows["face_suggestions"][str(suggestion_id)]["state"] = fact.body["state"]

    def _face_decided(self, fact: Fact) -> None:
        suggestion_id = str(fact.body["suggestion_id"])
        self.rows["face_suggestions"][suggestion_id].update(
            state="confirmed" if fact.kind == "FaceConfirmed" else "rejected", decided_us=fact.at_us
        )
        opinions = fact.body["opinions"]
        for each in opinions if isinstance(opinions, list) else ():
            if not isinstance(each, dict):
                raise TypeError("opinions")
            row = self.rows["face_opinions"][f"{suggestion_id} {each['by']}"]
            row.update({name: each[name] for name in ("verdict", "reason", "salt")})

    def _recording_started(self, fact: Fact) -> None:
        row: _Row = {
            "recording_id": fact.body["recording_id"], "stream_id": fact.stream_id, "device_id": fact.body["device_id"],
            "officer_id": self._carrier(str(fact.body["device_id"]), fact.at_us), "started_us": fact.at_us,
            "ended_us": None, "unit": fact.body.get("unit", ""),
        }  # fmt: skip
        self._add("recordings", row)
        self._of_stream.setdefault(fact.stream_id, []).append(row)
        self.streams[str(row["recording_id"])] = fact.stream_id

    def _segment_closed(self, fact: Fact) -> None:
        self.streams.setdefault(str(fact.body["recording_id"]), fact.stream_id)

    def _stream_ended(self, fact: Fact) -> None:
        for row in self._of_stream.get(fact.stream_id, ()):
            row["ended_us"] = fact.at_us

    def _carrier(self, device_id: str, at_us: int) -> JsonValue:
        """As `cases.casework.attaching.officer_of` answers it."""
        then = [row for row in self._carried.get(device_id, {}).values() if _is_then(row, at_us)]
        newest: Mapping[str, JsonValue] = max(then, key=_began_us, default={})
        return newest.get("officer_id")


def _ids(value: JsonValue) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("ids")
    return [str(each) for each in value]


def _began_us(row: Mapping[str, JsonValue]) -> int:
    began = row["from_us"]
    return began if isinstance(began, int) else 0


def _is_then(row: Mapping[str, JsonValue], at_us: int) -> bool:
    until = row["until_us"]
    return _began_us(row) <= at_us and (not isinstance(until, int) or until > at_us)


async def of_rows(connection: AsyncConnection, expected: Expected) -> AsyncIterator[Defect]:
    """Rows that say something else than the facts, that no fact made, that are gone."""
    for table, asked in _TABLES.items():
        wanted, seen = expected.rows[table], set()
        for row in (await connection.execute(asked)).mappings():
            key = str(next(iter(row.values())))
            seen.add(key)
            if key not in wanted:
                yield Defect(f"database/{table}", "row_added", f"{key}: no event tells of it")
                continue
            differing = [name for name, value in wanted[key].items() if row[name] != value]
            if differing:
                detail = f"{key}: {', '.join(differing)} is not what the events say"
                yield Defect(f"database/{table}", "row_differs", detail)
        for key in sorted(wanted.keys() - seen):
            yield Defect(f"database/{table}", "row_missing", f"{key}: events tell of it")
    known = {str(row["unit"]) for row in expected.rows["officers"].values()}
    for (name,) in await connection.execute(select(units.c.name).order_by(units.c.unit_id)):
        if name not in known:
            yield Defect("database/units", "row_added", "a unit that no event tells of")


async def of_timelines(connection: AsyncConnection) -> AsyncIterator[Defect]:
    """What cases show, against the events and links that say what they must show."""
    for asked, defect, detail in _TIMELINES:
        for case_id, seq in await connection.execute(asked, {"most": _TOLD}):
            yield Defect("database/case_events", defect, f"{case_id}, event {seq}: {detail}")


_TIMELINES = (
    (
        text(
            "SELECT shown.case_id, shown.seq FROM case_events shown LEFT JOIN events told ON told.seq = shown.seq "
            "WHERE told.seq IS NULL OR told.at_us <> shown.at_us OR NOT ("
            "  (told.case_id IS NOT NULL AND told.case_id = shown.case_id) OR (told.case_id IS NULL AND EXISTS ("
            "    SELECT 1 FROM links WHERE links.case_id = shown.case_id AND links.stream_id = told.stream_id"
            "    AND links.undone_us IS NULL))) LIMIT :most"
        ),
        "row_added", "the case shows what is not its own, or at another time",
    ),
    (
        text(
            "SELECT told.case_id, told.seq FROM events told WHERE told.case_id IS NOT NULL AND NOT EXISTS ("
            "  SELECT 1 FROM case_events shown WHERE shown.case_id = told.case_id"
            "  AND shown.at_us = told.at_us AND shown.seq = told.seq) LIMIT :most"
        ),
        "row_missing", "the case does not show it",
    ),
    (
        text(
            "SELECT DISTINCT links.case_id, told.seq FROM links JOIN events told ON told.stream_id = links.stream_id "
            "WHERE links.undone_us IS NULL AND told.case_id IS NULL AND NOT EXISTS ("
            "  SELECT 1 FROM case_events shown WHERE shown.case_id = links.case_id"
            "  AND shown.at_us = told.at_us AND shown.seq = told.seq) LIMIT :most"
        ),
        "row_missing", "the case does not show it",
    ),
)  # fmt: skip
