"""Opens what finds faces, by its engine."""

from typing import Final

from models.entries import Engine
from models.face import scrfd, yunet
from models.face.base import FaceDetector
from models.face.entry import FaceEntry
from pipeline.errors import ModelFailed

DETECT_PX: Final = 640
"""Longest side of what is searched; the cost grows with its area, the smallest face that is found with its side."""


def opened_detector(
    entry: FaceEntry, threads: int = 1, detect_px: int = DETECT_PX, least_score: float | None = None
) -> FaceDetector:
    """The model, loaded and tried. least_score: 0..1; None: as the engine's module has it and explains.

    Raises: ModelMissing: the package or the file is not here. ModelFailed: it cannot be loaded, or finds no faces.
    """
    match entry.engine:
        case Engine.YUNET:
            return yunet.opened(entry, threads, detect_px, least_score)
        case Engine.SCRFD:
            return scrfd.opened(entry, threads, detect_px, least_score)
        case _:
            raise ModelFailed(f"{entry.name} finds no faces; 'onrecord models list' shows which models do")
