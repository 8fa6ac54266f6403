"""Faces as this server runs them: what they are made of, which models there are, and the words of the page."""

from dataclasses import dataclass
from typing import Final, Literal

from api.analysis import registry_of
from api.face_enrol import FaceEnrolment
from api.face_search import FaceSearcher, Wanted
from cases.faces.faces import Faces
from models.entries import Task
from models.registry import Registry
from pipeline.clock import Clock
from pipeline.errors import ModelError, SettingsInvalid
from pipeline.settings import Settings

LIMITS_ZH: Final = (
    "比对结果只是线索，两人各自独立确认前不作任何依据；手持照片、面具等冒用（呈现攻击）识别不出；"
    "画面模糊、侧脸、遮挡时可能漏认或误认。不输出情绪、年龄、性别、种族。"
)
LIMITS_EN: Final = (
    "A match is a suggestion and no basis for anything until two people confirm it, each alone. A photo held up or a "
    "mask (a presentation attack) is not recognised as such. Blurred, turned or covered faces are missed or mistaken. "
    "No emotion, age, sex or race is ever told."
)
NOTICE_ZH: Final = "人脸比对启用期间，应当以显著方式告知被拍摄人；告知内容见各人脸库。"
NOTICE_EN: Final = "While faces are matched, the filmed must be told in a plain way; each gallery says in which words."
_MODELS_S: Final = 5.0
CALIBRATIONS: Final = "faces/calibrations"
"""In the data folder: what `onrecord bench faces` measured of models on this bureau's pictures; no face is in it."""


@dataclass(frozen=True, slots=True)
class FaceModel:
    """label: name@version; empty: none is chosen. why: it cannot be used; empty: it can."""

    task: Literal["detector", "embedder"]
    label: str
    license: str
    note: str
    why: str


def faces_of(settings: Settings, clock: Clock) -> tuple[Faces, FaceSearcher]:
    """What the server keeps, and what it must close."""
    faces = settings.faces
    searcher = FaceSearcher(Wanted(faces.target_fmr, faces.margin, settings.data / CALIBRATIONS))
    return Faces(faces, settings.data, clock, searcher, FaceEnrolment(settings)), searcher


class FaceModels:
    """Which models there are, some seconds old: their files are large, and looked at in a thread."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._seen: tuple[float, list[FaceModel]] | None = None

    def look(self) -> list[FaceModel]:
        """Raises: SettingsInvalid."""
        now_s = self._clock.monotonic_s()
        if self._seen is None or now_s - self._seen[0] > _MODELS_S:
            self._seen = now_s, models_of(self._settings)
        return self._seen[1]


def models_of(settings: Settings) -> list[FaceModel]:
    """The detector and the embedder as they would be used now. Called in a thread. Raises: SettingsInvalid."""
    registry = registry_of(settings)
    return [
        _model(registry, "detector", Task.FACE_DETECTION, settings.faces.detector),
        _model(registry, "embedder", Task.FACE_EMBEDDING, settings.faces.embedder),
    ]


def _model(registry: Registry, task: Literal["detector", "embedder"], kind: Task, name: str) -> FaceModel:
    try:
        entry = registry.choose(kind, name)
    except ModelError as error:
        return FaceModel(task, "", "", "", str(error))
    try:
        registry.ready(entry.name)
        why = ""
    except (ModelError, SettingsInvalid) as error:
        why = str(error)
    return FaceModel(task, f"{entry.name}@{entry.version}", entry.licence, entry.licence_note, why)
