"""Clips that were cut out of recordings."""

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Text

revision = "0007"
down_revision = "0006"

_Long = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "clips",
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
    op.create_index("clips_sha256", "clips", ["sha256"])
    op.create_index("clips_case", "clips", ["case_id", "made_us"])
