"""Facts on their way to the store: a few files between the media process and whoever keeps the record.

`{data}/outbox/NNNNNNNN.jsonl`, one fact a line. A fact is told once its line is on the medium; the order of the lines
is the order of telling. The reader deletes a file when all of it is in the store. A fact told twice is one fact: its
id follows from what it says. Knows no store.
"""

from pipeline.outbox.files import Place
from pipeline.outbox.line import decode, encode
from pipeline.outbox.reader import LookBack, OutboxReader, look_back
from pipeline.outbox.writer import Outbox

__all__ = ["LookBack", "Outbox", "OutboxReader", "Place", "decode", "encode", "look_back"]
