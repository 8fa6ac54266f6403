"""What flows between matching, enrolment and whoever holds the models. Vectors are bytes: float32, little-endian."""

import array
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from pipeline.errors import ValueRefused

AnswerKind: TypeAlias = Literal["suggested", "near", "unknown", "nothing_to_search"]
LEAST_SIZE, MOST_SIZE = 32, 4096  # numbers of a vector
_UNIT = 1e-3  # how far a length may be from one: as the search has it (models/face/search.py), or it could not be held


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a worker saw of one track. Held in memory for the question, and then forgotten.

    track: its number within the work. first: the track was not asked about before. start_s, at_s: on the recording's
    axis, when the track began and its best look. looks: pictures that the vector is made of. model: the embedder's
    label, name@version. quality: 0..1. vector: float32 of unit length. shot: JPEG of the best look; empty: as before.
    """

    stream_id: str
    recording_id: str
    work_id: str
    track: int
    first: bool
    start_s: float
    at_s: float
    looks: int
    model: str
    detector: str
    quality: float
    vector: bytes = field(repr=False)
    shot: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """answer: of the nearest gallery. until: why matching is over for this stream; empty: it goes on."""

    answer: AnswerKind
    until: str = ""


@dataclass(frozen=True, slots=True)
class Watching:
    """Whether faces of a stream are searched now. revision: changes with what is searched. why: empty, or why not."""

    watching: bool
    revision: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """One template in the open, on its way to a searcher."""

    person_id: str
    template_id: str
    vector: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bound:
    """From which similarity on a gallery suggests. fmr: of one stranger against one search of this gallery.

    one_in: about one of so many strangers would look as alike. basis: measured, fitted, or stated by the model's maker:
    then nothing at hand says how often, and both are None.
    """

    similarity: float
    fmr: float | None
    one_in: int | None
    basis: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What a search says. person_id, template_id: the nearest, empty where nothing is held.

    second: similarity of the nearest other person; -1 where there is none.
    """

    decision: Literal["suggested", "near", "unknown"]
    person_id: str
    template_id: str
    similarity: float
    second: float
    bound: Bound


class Searcher(Protocol):
    """Where templates lie in the open: in memory, and nowhere else. set_id: a gallery and a model."""

    async def load(self, set_id: str, templates: Sequence[Held]) -> None:
        """These, in place of what it held. Raises: ValueRefused: vectors of different sizes. WorkerFailed."""
        ...

    async def add(self, set_id: str, templates: Sequence[Held]) -> None:
        """These too. Raises: as `load`."""
        ...

    async def remove(self, set_id: str, person_id: str) -> None:
        """Overwritten and gone. Raises: WorkerFailed."""
        ...

    async def drop(self, set_id: str) -> None:
        """All of the set. Raises: WorkerFailed."""
        ...

    async def close(self) -> None:
        """Nothing is held any more."""
        ...

    async def search(self, set_id: str, vector: bytes, looks: int = 2, quality: float = 1.0) -> Judged:
        """looks, quality: of what was seen; few or poor looks suggest nobody.

        Raises: ValueRefused: not finite, or of another size than what is held. WorkerFailed: nothing is held now."""
        ...


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One face of one picture or film. crop: JPEG, aligned. vector: float32. quality: 0..1. faults: none, or minor."""

    crop: bytes = field(repr=False)
    vector: bytes = field(repr=False)
    quality: float
    model: str
    detector: str


@dataclass(frozen=True, slots=True)
class Refused:
    """reason: a code, such as no_face, several_faces, blurred. detail: in words; holds nothing personal."""

    reason: str
    detail: str


class Enrolment(Protocol):
    """Makes a face of what was sent, in a process that is thrown away."""

    async def enrol(self, kind: str, data: bytes) -> Enrolled | Refused:
        """kind: picture, video, or crop (an aligned face that was kept). Raises: ModelError, WorkerFailed."""
        ...


def checked(vector: bytes) -> bytes:
    """Raises: ValueRefused: it is no vector of unit length; says nothing of what is in it."""
    numbers = numbers_of(vector)
    if not LEAST_SIZE <= len(numbers) <= MOST_SIZE:
        raise ValueRefused("vector", f"it has {len(numbers)} numbers; {LEAST_SIZE} to {MOST_SIZE} are taken")
    if not all(map(math.isfinite, numbers)):
        raise ValueRefused("vector", "it holds what is no number; the model that made it does not work here")
    if abs(math.sqrt(sum(each * each for each in numbers)) - 1.0) > _UNIT:
        raise ValueRefused("vector", "it is not of unit length")
    return vector


def likeness(one: bytes, other: bytes) -> float:
    """The dot product, -1..1. Raises: ValueRefused: they are of different sizes."""
    first, second = numbers_of(one), numbers_of(other)
    if len(first) != len(second):
        raise ValueRefused("vector", f"it has {len(first)} numbers where {len(second)} are held; enrol them again")
    return sum(a * b for a, b in zip(first, second, strict=True))


def numbers_of(vector: bytes) -> "array.array[float]":
    """Raises: ValueRefused: its bytes are no float32."""
    if len(vector) % 4:
        raise ValueRefused("vector", "its bytes are no numbers of 32 bits")
    found = array.array("f", vector)
    if sys.byteorder == "big":
        found.byteswap()
    return found
