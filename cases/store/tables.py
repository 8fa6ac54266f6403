"""The tables. `seq` is the place of an event in the custody log: it counts from 0 and has no holes.

What stands in columns beside `entry` is for finding; `entry` is what happened, and what the log hashes.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

_Long = BigInteger().with_variant(Integer, "sqlite")

events = Table(
    "events",
    metadata,
    Column("seq", _Long, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("at_us", _Long, nullable=False),
    Column("ends_at_us", _Long),
    Column("learned_at_us", _Long, nullable=False),
    Column("stream_id", Text),
    Column("case_id", Text),
    Column("entry", Text, nullable=False),
)
Index("events_at", events.c.at_us, events.c.seq)
Index("events_stream", events.c.stream_id, events.c.at_us, events.c.seq)
Index("events_kind", events.c.kind, events.c.at_us, events.c.seq)

case_events = Table(
    "case_events",
    metadata,
    Column("case_id", Text, primary_key=True),
    Column("at_us", _Long, primary_key=True),
    Column("seq", _Long, ForeignKey("events.seq"), primary_key=True),
    sqlite_with_rowid=False,
)
"""What a case shows, in the order of its timeline: a page is one range of the key."""
Index("case_events_seq", case_events.c.seq)

tiles = Table(
    "tiles",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("place", _Long, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)
"""Hashes of the log's trees, 256 a row; see cases/custody/merkle.py."""

inbox = Table(
    "inbox",
    metadata,
    Column("name", Text, primary_key=True),
    Column("file", _Long, nullable=False),
    Column("offset", _Long, nullable=False),
)
"""How far the facts of the media side are taken; see pipeline/outbox.py."""

units = Table(
    "units", metadata, Column("unit_id", Text, primary_key=True), Column("name", Text, nullable=False, unique=True)
)

officers = Table(
    "officers",
    metadata,
    Column("officer_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("certificate_number", Text, nullable=False, unique=True),
    Column("unit_id", Text, ForeignKey("units.unit_id"), nullable=False),
)

bindings = Table(
    "bindings",
    metadata,
    Column("binding_id", Text, primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("officer_id", Text, ForeignKey("officers.officer_id"), nullable=False),
    Column("from_us", _Long, nullable=False),
    Column("until_us", _Long),
)
"""Which officer carried a device when; one at a time."""
Index("bindings_device", bindings.c.device_id, bindings.c.from_us)

recordings = Table(
    "recordings",
    metadata,
    Column("recording_id", Text, primary_key=True),
    Column("stream_id", Text, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("officer_id", Text, ForeignKey("officers.officer_id")),
    Column("started_us", _Long, nullable=False),
    Column("ended_us", _Long),
    Column("unit", Text, nullable=False, server_default=""),
)
"""Follows from RecordingStarted and StreamEnded; the folder's day is that of `started_us`."""
Index("recordings_stream", recordings.c.stream_id)
Index("recordings_started", recordings.c.started_us, recordings.c.recording_id)

cases = Table(
    "cases",
    metadata,
    Column("case_id", Text, primary_key=True),
    Column("number", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("class", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("party", Text, nullable=False),
    Column("opened_us", _Long, nullable=False),
    Column("closed_us", _Long),
    Column("version", Integer, nullable=False),
    Column("unit", Text, nullable=False, server_default=""),
)

steps = Table(
    "steps",
    metadata,
    Column("step_id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("started_us", _Long, nullable=False),
    Column("ended_us", _Long),
)
Index("steps_case", steps.c.case_id, steps.c.started_us)

items = Table(
    "items",
    metadata,
    Column("item_id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("step_id", Text, ForeignKey("steps.step_id")),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("sha256", Text),
    Column("size_bytes", _Long),
    Column("shelf_mark", Text),
    Column("added_us", _Long, nullable=False),
    Column("withdrawn_us", _Long),
)
Index("items_case", items.c.case_id, items.c.added_us)

links = Table(
    "links",
    metadata,
    Column("link_id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("step_id", Text, ForeignKey("steps.step_id")),
    Column("recording_id", Text, ForeignKey("recordings.recording_id"), nullable=False),
    Column("stream_id", Text, nullable=False),
    Column("how", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_us", _Long, nullable=False),
    Column("undone_by", Text),
    Column("undone_us", _Long),
    Column("rule_id", Text),
)
"""Recordings of cases. One that was undone stays as a row. rule_id: of `attach_rules`, where a rule attached it."""
Index("links_case", links.c.case_id, links.c.made_us)
Index("links_stream", links.c.stream_id)

attach_rules = Table(
    "attach_rules",
    metadata,
    Column("rule_id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("step_id", Text, ForeignKey("steps.step_id")),
    Column("device_id", Text, nullable=False),
    Column("device_name", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("from_us", _Long, nullable=False),
    Column("until_us", _Long, nullable=False),
    Column("place", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_us", _Long, nullable=False),
    Column("undone_by", Text),
    Column("undone_us", _Long),
)
"""What a device records in a time belongs to a case. One that was undone stays as a row. unit: the device's, then."""
Index("attach_rules_device", attach_rules.c.device_id, attach_rules.c.from_us)
Index("attach_rules_case", attach_rules.c.case_id, attach_rules.c.made_us)

tasks = Table(
    "tasks",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("officer_id", Text, ForeignKey("officers.officer_id"), nullable=False),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("step_id", Text, ForeignKey("steps.step_id")),
    Column("from_us", _Long, nullable=False),
    Column("until_us", _Long),
)
"""What an officer is at; what his devices record meanwhile belongs to the case. One at a time."""
Index("tasks_officer", tasks.c.officer_id, tasks.c.from_us)

members = Table(
    "members",
    metadata,
    Column("case_id", Text, ForeignKey("cases.case_id"), primary_key=True),
    Column("who", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("added_us", _Long, nullable=False),
)
"""Who works on a case. who: an account, or a token without one."""
Index("members_who", members.c.who)

approvals = Table(
    "approvals",
    metadata,
    Column("approval_id", Text, primary_key=True),
    Column("what", Text, nullable=False),
    Column("case_id", Text, ForeignKey("cases.case_id")),
    Column("recording_id", Text, ForeignKey("recordings.recording_id")),
    Column("start_ms", _Long, nullable=False),
    Column("end_ms", _Long, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_name", Text, nullable=False),
    Column("asked_us", _Long, nullable=False),
    Column("needed", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("expires_us", _Long),
    Column("unit", Text, nullable=False),
)
"""What somebody asked to view or copy, and what came of it. unit: whose archivists and commanders decide."""
Index("approvals_asked", approvals.c.asked_us, approvals.c.approval_id)
Index("approvals_of", approvals.c.asked_by, approvals.c.recording_id)

decisions = Table(
    "decisions",
    metadata,
    Column("approval_id", Text, ForeignKey("approvals.approval_id"), primary_key=True),
    Column("by", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_us", _Long, nullable=False),
)

withheld = Table(
    "withheld",
    metadata,
    Column("recording_id", Text, ForeignKey("recordings.recording_id"), primary_key=True),
    Column("officer_id", Text, ForeignKey("officers.officer_id"), primary_key=True),
    Column("since_us", _Long, nullable=False),
)
"""Officers under complaint, locked out of what was filmed."""

uploads = Table(
    "uploads",
    metadata,
    Column("upload_id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("cases.case_id")),
    Column("device_id", Text, nullable=False),
    Column("item_id", Text, ForeignKey("items.item_id")),
    Column("recording_id", Text, ForeignKey("recordings.recording_id")),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", _Long, nullable=False),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("sent_by", Text, nullable=False),
    Column("received_us", _Long, nullable=False),
)
"""Files that were sent in and kept: `{data}/files/`, by their SHA-256. unit: whose quota they count in."""
Index("uploads_sha256", uploads.c.sha256)
Index("uploads_unit", uploads.c.unit)
Index("uploads_case", uploads.c.case_id)

clips = Table(
    "clips",
    metadata,
    Column("clip_id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("item_id", Text, ForeignKey("items.item_id"), nullable=False),
    Column("recording_id", Text, ForeignKey("recordings.recording_id"), nullable=False),
    Column("approval_id", Text, ForeignKey("approvals.approval_id"), nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", _Long, nullable=False),
    Column("start_ms", _Long, nullable=False),
    Column("end_ms", _Long, nullable=False),
    Column("cut_from_ms", _Long, nullable=False),
    Column("cut_until_ms", _Long, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_us", _Long, nullable=False),
)
"""Cut out of recordings and kept as files of cases. start_ms, end_ms: as asked for; cut_…: what the file shows."""
Index("clips_sha256", clips.c.sha256)
Index("clips_case", clips.c.case_id, clips.c.made_us)

findings = Table(
    "findings",
    metadata,
    Column("finding_id", Text, primary_key=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("finding", Text, nullable=False),
    Column("group", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("rule", Text, nullable=False),
    Column("stream_id", Text, nullable=False),
    Column("recording_id", Text, nullable=False),
    Column("clip_start_s", Double, nullable=False),
    Column("clip_end_s", Double, nullable=False),
    Column("raised_us", _Long, nullable=False),
    Column("ended_us", _Long),
    Column("end_reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reviewed_by", Text, nullable=False),
    Column("reviewed_name", Text, nullable=False),
    Column("reviewed_us", _Long),
)
"""What was noticed, as FindingRaised, FindingEnded and FindingReviewed say. event_id: of the first; it has the words.

state: new, confirmed, rejected or resolved; the last review's, with its reason.
"""
Index("findings_raised", findings.c.raised_us, findings.c.finding_id)
Index("findings_stream", findings.c.stream_id, findings.c.finding, findings.c.raised_us)
Index("findings_rule", findings.c.rule, findings.c.state)
Index("findings_ended", findings.c.ended_us)

face_switches = Table(
    "face_switches",
    metadata,
    Column("switch_id", Text, primary_key=True),
    Column("legal_basis", Text, nullable=False),
    Column("approver", Text, nullable=False),
    Column("assessment_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("expires_us", _Long, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_name", Text, nullable=False),
    Column("asked_us", _Long, nullable=False),
    Column("state", Text, nullable=False),
    Column("approved_by", Text),
    Column("approved_name", Text, nullable=False),
    Column("approved_us", _Long),
    Column("ended_us", _Long),
    Column("end_reason", Text, nullable=False),
    CheckConstraint("state IN ('asked', 'on', 'off')", name="face_switches_state"),
    CheckConstraint(
        "length(trim(legal_basis)) > 0 AND length(trim(approver)) > 0 AND length(trim(assessment_id)) > 0 "
        "AND length(trim(reason)) > 0",
        name="face_switches_told",
    ),
    CheckConstraint(
        "state <> 'on' OR (approved_by IS NOT NULL AND approved_by <> asked_by)", name="face_switches_two_persons"
    ),
)
"""Faces are matched while one of these is on: asked for by one person, approved by another. At most one is not off."""

face_galleries = Table(
    "face_galleries",
    metadata,
    Column("gallery_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("case_id", Text, ForeignKey("cases.case_id")),
    Column("switch_id", Text, ForeignKey("face_switches.switch_id"), nullable=False),
    Column("legal_basis", Text, nullable=False),
    Column("notice", Text, nullable=False),
    Column("expires_us", _Long, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_by", Text, nullable=False),
    Column("opened_name", Text, nullable=False),
    Column("opened_us", _Long, nullable=False),
    Column("closed_us", _Long),
    Column("end_reason", Text, nullable=False),
    CheckConstraint("kind IN ('roster', 'case')", name="face_galleries_kind"),
    CheckConstraint("(kind = 'case') = (case_id IS NOT NULL)", name="face_galleries_case"),
    CheckConstraint("length(trim(legal_basis)) > 0 AND length(trim(notice)) > 0", name="face_galleries_told"),
    CheckConstraint("state IN ('open', 'closed')", name="face_galleries_state"),
)
"""Whose faces may be searched for: officers, or the parties of one case. There is no other kind."""
Index("face_galleries_case", face_galleries.c.case_id)

face_persons = Table(
    "face_persons",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("gallery_id", Text, ForeignKey("face_galleries.gallery_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("party", Text, nullable=False),
    Column("officer_id", Text, ForeignKey("officers.officer_id")),
    Column("basis", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_name", Text, nullable=False),
    Column("proposed_us", _Long, nullable=False),
    Column("decided_by", Text),
    Column("decided_name", Text, nullable=False),
    Column("decided_us", _Long),
    CheckConstraint("state IN ('proposed', 'enrolled', 'refused', 'deleted', 'gone')", name="face_persons_state"),
    CheckConstraint("length(trim(basis)) > 0", name="face_persons_basis"),
)
"""Who is in a gallery, by name; what they look like is in `face_templates`, sealed. gone: the gallery was closed."""
Index("face_persons_gallery", face_persons.c.gallery_id)

face_templates = Table(
    "face_templates",
    metadata,
    Column("template_id", Text, primary_key=True),
    Column("person_id", Text, ForeignKey("face_persons.person_id"), nullable=False),
    Column("gallery_id", Text, ForeignKey("face_galleries.gallery_id"), nullable=False),
    Column("model", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("added_us", _Long, nullable=False),
    Column("quality", Double, nullable=False),
    Column("sealed_vector", LargeBinary, nullable=False),
    Column("sealed_crop", LargeBinary, nullable=False),
    CheckConstraint("state IN ('proposed', 'enrolled')", name="face_templates_state"),
)
"""Sealed by cases/faces/vault.py with keys that are not in the database. Rows are deleted with person or gallery."""
Index("face_templates_person", face_templates.c.person_id)
Index("face_templates_gallery", face_templates.c.gallery_id, face_templates.c.state)

face_suggestions = Table(
    "face_suggestions",
    metadata,
    Column("suggestion_id", Text, primary_key=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("step_id", Text),
    Column("gallery_id", Text, ForeignKey("face_galleries.gallery_id"), nullable=False),
    Column("gallery_kind", Text, nullable=False),
    Column("person_id", Text, ForeignKey("face_persons.person_id"), nullable=False),
    Column("stream_id", Text, nullable=False),
    Column("recording_id", Text, nullable=False),
    Column("at_us", _Long, nullable=False),
    Column("model", Text, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("decided_us", _Long),
    Column("sealed_shot", LargeBinary),
    CheckConstraint("state IN ('open', 'split', 'confirmed', 'rejected', 'withdrawn')", name="face_suggestions_state"),
)
"""Matches, each a suggestion until two people say the same. sealed_shot: gone with the person's key, or a rejection."""
Index("face_suggestions_case", face_suggestions.c.case_id, face_suggestions.c.at_us)
Index("face_suggestions_at", face_suggestions.c.at_us, face_suggestions.c.suggestion_id)

face_opinions = Table(
    "face_opinions",
    metadata,
    Column("suggestion_id", Text, ForeignKey("face_suggestions.suggestion_id"), primary_key=True),
    Column("by", Text, primary_key=True),
    Column("by_name", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("salt", Text, nullable=False),
    Column("commitment", Text, nullable=False),
    Column("at_us", _Long, nullable=False),
    CheckConstraint("verdict IN ('same', 'different', 'cannot_tell')", name="face_opinions_verdict"),
)
"""What each said, blind to the others. The log holds a hash of it (commitment), and the words once it is decided."""

redactions = Table(
    "redactions",
    metadata,
    Column("redaction_id", Text, primary_key=True),
    Column("clip_id", Text, ForeignKey("clips.clip_id"), nullable=False),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("edits", Integer, nullable=False),
    Column("detector", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("length_ms", _Long, nullable=False),
    Column("found", Text, nullable=False),
    Column("marks", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_us", _Long, nullable=False),
    Column("title", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("of_sha256", Text, nullable=False),
    Column("made_by", Text),
    Column("made_name", Text, nullable=False),
    Column("made_us", _Long),
    Column("approval_id", Text, ForeignKey("approvals.approval_id")),
    Column("item_id", Text, ForeignKey("items.item_id")),
    Column("sha256", Text),
    Column("size_bytes", _Long),
    Column("plan_sha256", Text),
    CheckConstraint("state IN ('finding', 'draft', 'making', 'made')", name="redactions_state"),
)
"""Copies of clips with faces hidden, and their drafts. found, marks: JSON; what the detector saw, what people said.

Only what is `made` is a fact of the log. A draft is work on a table; nothing follows from it.
"""
Index("redactions_clip", redactions.c.clip_id, redactions.c.asked_us)
Index("redactions_sha256", redactions.c.sha256)
Index("redactions_state", redactions.c.state, redactions.c.asked_us)

followers = Table(
    "followers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("seq", _Long, nullable=False),
)
"""How far whoever follows the log has got: the place of the last event that is done; see cases/judgement/desk.py."""

heads = Table(
    "heads",
    metadata,
    Column("size", _Long, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)
"""Signed heads, as in `{data}/custody/heads.jsonl`; see cases/custody/heads.py."""
