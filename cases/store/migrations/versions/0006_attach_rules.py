"""Rules by which recordings of a device in a time belong to a case; links name the rule that made them."""

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Text

revision = "0006"
down_revision = "0005"

_Long = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "attach_rules",
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
    op.create_index("attach_rules_device", "attach_rules", ["device_id", "from_us"])
    op.create_index("attach_rules_case", "attach_rules", ["case_id", "made_us"])
    op.add_column("links", Column("rule_id", Text))
