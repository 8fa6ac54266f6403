"""Faces: the switch, galleries, persons, sealed templates, suggestions, and what people said of them."""

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Double, ForeignKey, Integer, LargeBinary, Text

revision = "0009"
down_revision = "0008"

_Long = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "face_switches",
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
    op.create_table(
        "face_galleries",
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
    op.create_index("face_galleries_case", "face_galleries", ["case_id"])
    op.create_table(
        "face_persons",
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
    op.create_index("face_persons_gallery", "face_persons", ["gallery_id"])
    op.create_table(
        "face_templates",
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
    op.create_index("face_templates_person", "face_templates", ["person_id"])
    op.create_index("face_templates_gallery", "face_templates", ["gallery_id", "state"])
    op.create_table(
        "face_suggestions",
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
        CheckConstraint(
            "state IN ('open', 'split', 'confirmed', 'rejected', 'withdrawn')", name="face_suggestions_state"
        ),
    )
    op.create_index("face_suggestions_case", "face_suggestions", ["case_id", "at_us"])
    op.create_index("face_suggestions_at", "face_suggestions", ["at_us", "suggestion_id"])
    op.create_table(
        "face_opinions",
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
