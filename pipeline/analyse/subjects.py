"""What the desk knows of streams, recordings and stages, and what it needs from the rest. Protocols and data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.analyse.coverage import Span


class Followed(Protocol):
    """A live stream, as far as the desk needs it."""

    @property
    def stream_id(self) -> str: ...
    @property
    def started_at(self) -> float: ...
    @property
    def position_s(self) -> float: ...
    @property
    def has_sound(self) -> bool: ...
    @property
    def is_over(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording that is over. holes: where it has no media, and nothing can be heard."""

    recording_id: str
    stream_id: str
    started_at: float
    length_s: float
    holes: tuple[Span, ...] = ()


class Archive(Protocol):
    """The recordings on the disk. Called in a thread."""

    def ended_since(self, since_s: float) -> Sequence[Recorded]:
        """Those that changed at `since_s` (UTC) or later and are over. Raises: StorageError."""
        ...


class Outlet(Protocol):
    """Where facts are brought onto the medium."""

    @property
    def is_failed(self) -> bool: ...

    async def flush(self, *, is_whole: bool = True) -> None: ...


@dataclass(slots=True)
class Stage:
    """One stage as it is now. why: a plain sentence where it is off. model: name in the registry; "": it needs none.

    needs_sound: a stream without sound is none of its business. is_asked: it looks only at what it is asked to.
    is_chosen: of live streams it looks only at those that `Desk.wanted` names, while it names them; at recordings only
    where it is asked to, or missed something then.
    """

    name: str
    is_on: bool
    why: str = ""
    model: str = ""
    label: str = ""
    is_demo: bool = False
    needs_sound: bool = True
    is_asked: bool = False
    is_chosen: bool = False
