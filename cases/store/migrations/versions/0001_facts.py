"""Facts, their log, what a case shows, and the index of words."""

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, Text

revision = "0001"
down_revision = None

_Long = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "events",
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
    op.create_index("events_at", "events", ["at_us", "seq"])
    op.create_index("events_stream", "events", ["stream_id", "at_us", "seq"])
    op.create_index("events_kind", "events", ["kind", "at_us", "seq"])
    op.create_table(
        "case_events",
        Column("case_id", Text, primary_key=True),
        Column("at_us", _Long, primary_key=True, autoincrement=False),
        Column("seq", _Long, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tiles",
        Column("hash", Text, primary_key=True),
        Column("level", Integer, primary_key=True, autoincrement=False),
        Column("place", _Long, primary_key=True, autoincrement=False),
        Column("hashes", LargeBinary, nullable=False),
    )
    op.create_table(
        "inbox",
        Column("name", Text, primary_key=True),
        Column("file", _Long, nullable=False),
        Column("offset", _Long, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE texts USING fts5(tokens, content='', tokenize='unicode61 remove_diacritics 0')"
        )
    else:
        op.execute("CREATE TABLE texts (seq BIGINT PRIMARY KEY REFERENCES events (seq), tokens TSVECTOR NOT NULL)")
        op.execute("CREATE INDEX texts_tokens ON texts USING GIN (tokens)")
