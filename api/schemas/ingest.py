"""The shapes of the ingest routes."""

from pydantic import BaseModel, Field


class PushOut(BaseModel):
    stream_id: str
    seconds: float = Field(description="Media taken from this body, by its own time stamps.")
    packets: int
