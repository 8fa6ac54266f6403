"""What was noticed and what people said of it; how far whoever follows the log has got."""

from alembic import op
from sqlalchemy import BigInteger, Column, Double, Integer, Text

revision = "0008"
down_revision = "0007"

_Long = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "findings",
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
    op.create_index("findings_raised", "findings", ["raised_us", "finding_id"])
    op.create_index("findings_stream", "findings", ["stream_id", "finding", "raised_us"])
    op.create_index("findings_rule", "findings", ["rule", "state"])
    op.create_index("findings_ended", "findings", ["ended_us"])
    op.create_table(
        "followers",
        Column("name", Text, primary_key=True),
        Column("seq", _Long, nullable=False),
    )
