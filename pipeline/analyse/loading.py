"""Models as a worker has them: from the registry, checked before each is loaded. Its calls run in a thread."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import structlog

from models.base import Transcriber
from models.entries import Engine, Entry, Task
from models.face.detectors import opened_detector
from models.face.embedders import opened_embedder
from models.face.entry import FaceEntry
from models.registry import Ready, Registry
from models.speech import calibrate
from models.speech.entry import SpeechEntry
from models.text import rapid
from models.text.base import TextReader
from models.text.rapid import TextEntry
from pipeline.analyse.calibrations import Calibrations
from pipeline.analyse.face_shots import FaceShots
from pipeline.analyse.order import Order
from pipeline.analyse.recogniser import Loaded
from pipeline.errors import ModelError, ModelFailed

log = structlog.get_logger(__name__)

_DETECTOR: Final = "silero-vad"


class Models:
    """Of one worker. Calls are made one at a time or for different models."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._readers: dict[str, TextReader] = {}
        self._faces: dict[str, FaceShots] = {}
        self._calibrations = Calibrations(Path(order.data) / "analysis" / "calibrations.json")

    def entry(self, name: str) -> SpeechEntry:
        """The model of this name; the voice detector is checked too, where it is listed.

        Raises: ModelError: one is not here, or not verified.
        """
        registry = self._registry()
        if any(each.name == _DETECTOR for each in registry.entries):
            registry.ready(_DETECTOR)
        return _speech_entry(registry.ready(name))

    def load(self, name: str) -> Loaded:
        """Raises: ModelError: it is not here, not verified, or cannot be loaded."""
        registry = self._registry()
        ready = registry.ready(name)
        transcriber, most_together = self._transcriber(ready)
        smaller: Transcriber | None = None
        if ready.entry.smaller:
            with suppress(ModelError):  # it is not here: the step of the ladder is passed over
                smaller, _ = self._transcriber(registry.ready(ready.entry.smaller))
        log.info("model loaded", model=transcriber.abilities.label, together=most_together)
        return Loaded(transcriber, most_together, smaller)

    def reader(self, name: str) -> TextReader:
        """What reads text in pictures, loaded once. Raises: ModelError."""
        if (known := self._readers.get(name)) is None:
            ready = self._registry().ready(name)
            entry = ready.entry
            text = TextEntry(ready.folder, entry.name, entry.version, entry.languages)
            known = self._readers[name] = rapid.opened(text, self._order.threads or 1)
            log.info("model loaded", model=known.abilities.label)
        return known

    def faces(self, name: str) -> FaceShots:
        """What finds and compares faces, loaded once; anew where the models changed. name: of the embedder.

        Raises: ModelError.
        """
        registry, order = self._registry(), self._order
        embedder = FaceEntry.of(registry.ready(name))
        chosen = registry.choose(Task.FACE_DETECTION, order.face_detector)
        detector = FaceEntry.of(registry.ready(chosen.name))
        key = f"{detector.label} {embedder.label}"
        if (known := self._faces.get(key)) is None:
            threads = order.threads or 1
            known = self._faces[key] = FaceShots(
                opened_detector(detector, threads, order.face_detect_px), opened_embedder(embedder, threads)
            )
            log.info("model loaded", model=embedder.label, detector=detector.label)
        return known

    def _registry(self) -> Registry:
        order = self._order
        return Registry.open(
            Path(order.data),
            Path(order.registry) if order.registry else None,
            Path(order.models_folder) if order.models_folder else None,
            accepts_noncommercial=order.accept_noncommercial,
        )

    def _transcriber(self, ready: Ready) -> tuple[Transcriber, int]:
        """Raises: ModelMissing, ModelFailed."""
        entry = _speech_entry(ready)
        match ready.entry.engine:
            case Engine.FASTER_WHISPER:
                return self._whisper(entry)
            case Engine.SENSE_VOICE | Engine.PARAFORMER:
                from models.speech import sherpa

                kind: Literal["sense_voice", "paraformer"] = (
                    "sense_voice" if ready.entry.engine is Engine.SENSE_VOICE else "paraformer"
                )
                return sherpa.opened(entry, kind, threads=self._order.threads or 1), 1
            case _:
                raise ModelFailed(f"{ready.entry.name} hears no speech")

    def _whisper(self, entry: SpeechEntry) -> tuple[Transcriber, int]:
        """As it runs fastest here: measured at the first time, and kept. Raises: ModelMissing, ModelFailed."""
        device: Literal["auto", "cpu", "cuda"] = "auto"
        if self._order.device in ("cpu", "cuda"):
            device = "cuda" if self._order.device == "cuda" else "cpu"
        key = f"{entry.name}@{entry.version} {device} {self._order.threads} {len(os.sched_getaffinity(0))}"
        known = self._calibrations.of(key)
        whisper = calibrate.opened(entry, device, self._order.threads, known)
        if known is None:
            self._calibrations.keep(key, whisper.calibration)
        return whisper, whisper.calibration.most_together


def _speech_entry(ready: Ready) -> SpeechEntry:
    entry: Entry = ready.entry
    return SpeechEntry(
        ready.folder, entry.name, entry.version, entry.languages, entry.longest_s, entry.feature_cut,
        entry.hot_words, entry.is_demo,
    )  # fmt: skip
