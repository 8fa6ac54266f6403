"""What the routes share: the running media side, the record, who may come in, and the tickets that are out."""

from dataclasses import dataclass

from api.http_door import Crowd
from api.tickets import Tickets
from cases.access import Access
from cases.casework.kinds import StepKinds
from cases.record import Record
from pipeline.app import Runtime


@dataclass(frozen=True, slots=True)
class Doors:
    """Handed to the application once, at start."""

    runtime: Runtime
    access: Access
    tickets: Tickets
    crowd: Crowd
    record: Record
    step_kinds: StepKinds
