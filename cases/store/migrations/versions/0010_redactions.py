"""Copies of clips with faces hidden, and their drafts."""

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Integer, Text

revision = "0010"
down_revision = "0009"

_Long = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "redactions",
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
    op.create_index("redactions_clip", "redactions", ["clip_id", "asked_us"])
    op.create_index("redactions_sha256", "redactions", ["sha256"])
    op.create_index("redactions_state", "redactions", ["state", "asked_us"])
