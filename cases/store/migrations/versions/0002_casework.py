"""Officers and their devices, recordings, cases and what belongs to them."""

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Text

revision = "0002"
down_revision = "0001"

_Long = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "units",
        Column("unit_id", Text, primary_key=True),
        Column("name", Text, nullable=False, unique=True),
    )
    op.create_table(
        "officers",
        Column("officer_id", Text, primary_key=True),
        Column("name", Text, nullable=False),
        Column("certificate_number", Text, nullable=False, unique=True),
        Column("unit_id", Text, ForeignKey("units.unit_id"), nullable=False),
    )
    op.create_table(
        "bindings",
        Column("binding_id", Text, primary_key=True),
        Column("device_id", Text, nullable=False),
        Column("officer_id", Text, ForeignKey("officers.officer_id"), nullable=False),
        Column("from_us", _Long, nullable=False),
        Column("until_us", _Long),
    )
    op.create_index("bindings_device", "bindings", ["device_id", "from_us"])
    op.create_table(
        "recordings",
        Column("recording_id", Text, primary_key=True),
        Column("stream_id", Text, nullable=False),
        Column("device_id", Text, nullable=False),
        Column("officer_id", Text, ForeignKey("officers.officer_id")),
        Column("started_us", _Long, nullable=False),
        Column("ended_us", _Long),
    )
    op.create_index("recordings_stream", "recordings", ["stream_id"])
    op.create_index("recordings_started", "recordings", ["started_us", "recording_id"])
    op.create_table(
        "cases",
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
    )
    op.create_table(
        "steps",
        Column("step_id", Text, primary_key=True),
        Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
        Column("kind", Text, nullable=False),
        Column("started_us", _Long, nullable=False),
        Column("ended_us", _Long),
    )
    op.create_index("steps_case", "steps", ["case_id", "started_us"])
    op.create_table(
        "items",
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
    op.create_index("items_case", "items", ["case_id", "added_us"])
    op.create_table(
        "links",
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
    )
    op.create_index("links_case", "links", ["case_id", "made_us"])
    op.create_index("links_stream", "links", ["stream_id"])
    op.create_table(
        "tasks",
        Column("task_id", Text, primary_key=True),
        Column("officer_id", Text, ForeignKey("officers.officer_id"), nullable=False),
        Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
        Column("step_id", Text, ForeignKey("steps.step_id")),
        Column("from_us", _Long, nullable=False),
        Column("until_us", _Long),
    )
    op.create_index("tasks_officer", "tasks", ["officer_id", "from_us"])
    op.create_index("case_events_seq", "case_events", ["seq"])
