"""Judgement as this server runs it: what it needs of the media side, and who sits before the screens."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from api.doors import Doors
from cases.judgement.heard import Source
from cases.judgement.judging import Judging
from cases.judgement.stream_judge import CLOCK_OFF, CLOCK_RULE
from models.signal.bounds import load
from pipeline.analyse.signal_label import FOLDER, adopted_folder
from pipeline.analyse.subjects import Recorded
from pipeline.app import Runtime
from pipeline.errors import SettingsInvalid, StoreUnavailable
from pipeline.events import FindingRaised

OWNER = "judgement"
_TEXT = "text"


class LiveSide:
    """The desk of analysis, as judgement sees it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def behind_s(self) -> Mapping[str, float]:
        return self._runtime.desk.behind_s()

    def raised(self, event: FindingRaised, show_s: float | None) -> None:
        self._runtime.desk.open_findings.raised(event, OWNER, show_s)

    def gone(self, stream_id: str, finding_id: str) -> None:
        self._runtime.desk.open_findings.gone(stream_id, finding_id)

    def read_text(self, source: Source, start_s: float, end_s: float, duty: str) -> None:
        """Nothing where no model reads text."""
        recorded = Recorded(source.recording_id, source.stream_id, source.begin_s, end_s)
        self._runtime.desk.ask(recorded, _TEXT, start_s, end_s, duty)


def seats(runtime: Runtime) -> int:
    """How many persons watch live now, however many streams each."""
    persons = {right_id for right_id, _, is_person in runtime.live.watched() if is_person}
    return len(persons | {right_id for right_id, _ in runtime.hls.watched()})


def judging_of(doors: Doors) -> Judging:
    """Raises: StoreUnavailable: this server judges nothing."""
    judging = doors.record.judging
    if judging is None:
        raise StoreUnavailable("nothing is judged here: the server was made without rules")
    return judging


@dataclass(frozen=True, slots=True)
class SignalRule:
    """What a watch over pictures or sound tells. law: a law and an article, or empty."""

    rule: str
    finding: str
    zh: str
    en: str
    severity: str
    law: str


def signal_rules(data: Path) -> list[SignalRule]:
    """Those in force, as their files say. Called in a thread. Raises: SettingsInvalid."""
    adopted = adopted_folder(data)
    folder = adopted if adopted.is_dir() else FOLDER
    found = [SignalRule(CLOCK_RULE, CLOCK_OFF, "设备时钟不准", "The device's clock is off", "medium", "")]
    for path in sorted(folder.glob("*.yaml")):
        try:
            kinds = yaml.safe_load(path.read_text(encoding="utf-8"))["kinds"]
            wanted = {finding: frozenset(kind["bounds"]) for finding, kind in kinds.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
            raise SettingsInvalid(f"{path}: {type(error).__name__}; the workers say what is wrong with it") from error
        bounds = load(path, wanted)
        found += [
            SignalRule(bounds.rule(name), name, kind.zh, kind.en, kind.severity, kind.law)
            for name, kind in bounds.kinds.items()
        ]
    return found
