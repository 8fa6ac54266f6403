"""Whose cases and recordings are; who works on a case; approvals to view and copy; who is locked out of a recording."""

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Text

revision = "0004"
down_revision = "0003"

_Long = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.add_column("cases", Column("unit", Text, nullable=False, server_default=""))
    op.add_column("recordings", Column("unit", Text, nullable=False, server_default=""))
    op.create_table(
        "members",
        Column("case_id", Text, ForeignKey("cases.case_id"), primary_key=True),
        Column("who", Text, primary_key=True),
        Column("name", Text, nullable=False),
        Column("added_us", _Long, nullable=False),
    )
    op.create_index("members_who", "members", ["who"])
    op.create_table(
        "approvals",
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
    op.create_index("approvals_asked", "approvals", ["asked_us", "approval_id"])
    op.create_index("approvals_of", "approvals", ["asked_by", "recording_id"])
    op.create_table(
        "decisions",
        Column("approval_id", Text, ForeignKey("approvals.approval_id"), primary_key=True),
        Column("by", Text, primary_key=True),
        Column("verdict", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("at_us", _Long, nullable=False),
    )
    op.create_table(
        "withheld",
        Column("recording_id", Text, ForeignKey("recordings.recording_id"), primary_key=True),
        Column("officer_id", Text, ForeignKey("officers.officer_id"), primary_key=True),
        Column("since_us", _Long, nullable=False),
    )
