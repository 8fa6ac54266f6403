"""Signed heads of the log."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, Text

revision = "0003"
down_revision = "0002"

_Long = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "heads",
        Column("size", _Long, primary_key=True, autoincrement=False),
        Column("note", Text, nullable=False),
    )
