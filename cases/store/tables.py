"""The tables. `seq` is the place of an event in the custody log: it counts from 0 and has no holes.

What stands in columns beside `entry` is for finding; `entry` is what happened, and what the log hashes.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()

_Long = BigInteger().with_variant(Integer, "sqlite")

events = Table(
    "events",
    metadata,
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
Index("events_at", events.c.at_us, events.c.seq)
Index("events_stream", events.c.stream_id, events.c.at_us, events.c.seq)
Index("events_kind", events.c.kind, events.c.at_us, events.c.seq)

case_events = Table(
    "case_events",
    metadata,
    Column("case_id", Text, primary_key=True),
    Column("at_us", _Long, primary_key=True),
    Column("seq", _Long, ForeignKey("events.seq"), primary_key=True),
    sqlite_with_rowid=False,
)
"""What a case shows, in the order of its timeline: a page is one range of the key."""

tiles = Table(
    "tiles",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("place", _Long, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)
"""Hashes of the log's trees, 256 a row; see cases/custody/merkle.py."""
