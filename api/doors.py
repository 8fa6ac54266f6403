"""What the routes share: the running media side, the record, who may come in, and the tickets that are out."""

from dataclasses import dataclass

from api.directory import Directory
from api.faces import FaceModels
from api.http_door import Crowd
from api.live_rights import LiveRights
from api.playbacks import Playbacks
from api.redacting import Redactions
from api.stills import Stills
from api.tickets import Tickets
from cases.access import Access
from cases.access.passwords import Passwords
from cases.casework.kinds import StepKinds
from cases.faces.faces import Faces
from cases.record import Record
from cases.uploads.desk import Uploads
from pipeline.analyse.children import WorkerChildren
from pipeline.app import Runtime
from pipeline.record.playback import Playback


@dataclass(frozen=True, slots=True)
class Doors:
    """Handed to the application once, at start."""

    runtime: Runtime
    access: Access
    tickets: Tickets
    crowd: Crowd
    record: Record
    step_kinds: StepKinds
    live_rights: LiveRights
    passwords: Passwords
    playback: Playback
    playbacks: Playbacks
    uploads: Uploads
    stills: Stills
    directory: Directory
    redactions: Redactions
    faces: Faces
    face_models: FaceModels
    workers: WorkerChildren | None
    """Those that this server runs; None: others do the work, or nothing is analysed."""
