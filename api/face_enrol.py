"""Enrolment as this server runs it: the models that are chosen now, verified, and a child for each picture."""

from pathlib import Path

import anyio.to_thread

from api.analysis import registry_of
from cases.faces import shapes
from models.entries import Task
from models.face.entry import FaceEntry
from pipeline.analyse.enrol_order import MOST_BYTES, EnrolOrder, Kind, Refused
from pipeline.analyse.enrolment import Enrolment
from pipeline.errors import ValueRefused
from pipeline.record.playback import Playback
from pipeline.settings import Settings

MOST_MOMENT_S = 30.0
"""Of a recording: who is enrolled from it looks into the camera for a second or two."""
_KINDS: dict[str, Kind] = {"picture": "picture", "video": "video", "crop": "crop"}


class FaceEnrolment:
    """A cases.faces.shapes.Enrolment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._enrolment = Enrolment()

    async def enrol(self, kind: str, data: bytes) -> shapes.Enrolled | shapes.Refused:
        """kind: picture, video, or crop (an aligned face that was kept).

        Raises: ModelError: there is no detector or embedder, or it cannot be used. WorkerFailed. ValueRefused: no such
        kind. SettingsInvalid: the registry does not hold.
        """
        if kind not in _KINDS:
            raise ValueRefused("kind", "it is none of picture, video and crop")
        order = await anyio.to_thread.run_sync(self._order, _KINDS[kind], len(data))
        found = await self._enrolment.enrol(order, data)
        if isinstance(found, Refused):
            return shapes.Refused(found.reason, found.detail)
        return shapes.Enrolled(found.crop, found.vector, found.quality, found.model, found.detector)

    def _order(self, kind: Kind, size_bytes: int) -> EnrolOrder:
        """Raises: ModelError, SettingsInvalid."""
        faces = self._settings.faces
        detector, embedder = face_models(self._settings)
        return EnrolOrder(kind, size_bytes, detector, embedder, faces.detect_px)


def face_models(settings: Settings) -> tuple[FaceEntry, FaceEntry]:
    """The detector and the embedder that are used now, their files checked. Runs in a thread.

    Raises: ModelError: one is not here, not verified, or its licence is not accepted. SettingsInvalid.
    """
    registry, faces = registry_of(settings), settings.faces
    detector = registry.choose(Task.FACE_DETECTION, faces.detector)
    embedder = registry.choose(Task.FACE_EMBEDDING, faces.embedder)
    return FaceEntry.of(registry.ready(detector.name)), FaceEntry.of(registry.ready(embedder.name))


def moment_of(playback: Playback, folder: Path, start_s: float, end_s: float) -> bytes:
    """The recorded media of a moment, as a file. Runs in a thread.

    It begins on the key frame at or before `start_s`. Raises: ThingUnknown, StateConflict, EvidenceError, StorageError:
    as Playback. ValueRefused: the moment.
    """
    if not start_s < end_s <= start_s + MOST_MOMENT_S:
        raise ValueRefused("end_s", f"it must lie behind start_s, by {MOST_MOMENT_S:.0f} s at most")
    span = playback.span(folder, start_s, end_s, 0.0)
    if span.size_bytes > MOST_BYTES["video"]:
        raise ValueRefused("end_s", f"the moment has {span.size_bytes} bytes; choose a shorter one")
    return b"".join(data for data, _, _ in playback.media(folder, span, 0, span.size_bytes - 1))
