"""Files that were sent in: what each became."""

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Text

revision = "0005"
down_revision = "0004"

_Long = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "uploads",
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
    op.create_index("uploads_sha256", "uploads", ["sha256"])
    op.create_index("uploads_unit", "uploads", ["unit"])
    op.create_index("uploads_case", "uploads", ["case_id"])
