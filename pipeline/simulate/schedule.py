"""Who the simulated devices are and which faults they have when: `configs/demo.yaml`, checked. Plays nothing."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

import yaml
from pydantic import Field, ValidationError, model_validator

from pipeline.errors import SettingsInvalid
from pipeline.settings import Section


class Fault(StrEnum):
    """What can be planned for a device."""

    DROPPED = "dropped"
    """The connection is cut without a goodbye; the device comes back."""
    COVERED = "covered"
    """Something lies on the lens: nearly black."""
    FROZEN = "frozen"
    """The camera sends the same picture again and again, its burnt-in clock stands."""
    SILENT = "silent"
    """The microphone gives digital silence."""


class SceneName(StrEnum):
    """What a device sees; drawn in scenes.py."""

    MARKET = "market"
    SHOP = "shop"
    KITCHEN = "kitchen"
    NIGHT = "night"


@dataclass(frozen=True, slots=True)
class Due:
    """A planned fault with its moment: seconds after the first pictures."""

    at_s: float
    device: str
    fault: Fault
    for_s: float


class SimulatedCase(Section):
    """One case of the demo, and the step that runs in it."""

    number: str = Field(min_length=1)
    title: str = Field(min_length=1)
    kind: str = Field(min_length=1)
    class_: str = Field(alias="class")
    party: str = ""
    step: str


class SimulatedDevice(Section):
    """One device of the demo. certificate: of its officer. case: the number of the case he is at; empty: none."""

    name: str = Field(min_length=1)
    officer: str = ""
    certificate: str = ""
    case: str = ""
    unit: str = ""
    scene: SceneName
    says: tuple[str, ...] = Field(min_length=1)
    """Names of files in voices/, said one after the other, for ever."""


class PlannedFault(Section):
    """One line of the plan."""

    at_s: float = Field(ge=0)
    device: str
    fault: Fault
    for_s: float = Field(gt=0)


class PlannedStep(Section):
    """The step of a case that runs ends at this moment, and this one begins; once."""

    at_s: float = Field(ge=0)
    case: str
    step: str


class Schedule(Section):
    """The devices, and the faults of one cycle; the cycle begins again every `repeat_s`. steps: come once."""

    devices: tuple[SimulatedDevice, ...] = Field(min_length=1)
    cases: tuple[SimulatedCase, ...] = ()
    steps: tuple[PlannedStep, ...] = ()
    repeat_s: float = Field(gt=0)
    faults: tuple[PlannedFault, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [device.name for device in self.devices]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"devices: the name {twice[0]!r} stands twice; give each device its own")
        numbers = [case.number for case in self.cases]
        for place, device in enumerate(self.devices):
            if device.case and (device.case not in numbers or not device.certificate):
                raise ValueError(
                    f"devices.{place}.case: {device.case!r} is none of the cases, or there is no certificate"
                )
        for number, step in enumerate(self.steps):
            if step.case not in numbers:
                raise ValueError(f"steps.{number}.case: {step.case!r} is none of the cases")
        for number, fault in enumerate(self.faults):
            if fault.device not in names:
                raise ValueError(f"faults.{number}.device: {fault.device!r} is none of the devices")
            if fault.for_s > self.repeat_s:
                raise ValueError(f"faults.{number}.for_s: {fault.for_s} s is longer than repeat_s, {self.repeat_s} s")
        self._check_overlap()
        return self

    def _check_overlap(self) -> None:
        for device in self.devices:
            own = sorted((fault.at_s, fault.for_s) for fault in self.faults if fault.device == device.name)
            if not own:
                continue
            following = [at_s for at_s, _ in own[1:]] + [own[0][0] + self.repeat_s]
            for (at_s, for_s), next_s in zip(own, following, strict=True):
                if at_s + for_s > next_s:
                    raise ValueError(
                        f"faults: two faults of {device.name!r} overlap, at {at_s} s and {next_s} s; move one"
                    )

    def cycle(self, number: int) -> list[Due]:
        """The faults of cycle `number` (0 is the first), in the order of their moments."""
        base_s = number * self.repeat_s
        dues = [Due(fault.at_s + base_s, fault.device, fault.fault, fault.for_s) for fault in self.faults]
        return sorted(dues, key=lambda due: due.at_s)


def load_schedule(path: Path) -> Schedule:
    """The schedule in the YAML file `path`.

    Raises: SettingsInvalid: with every mistake, each with file, key and value.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise SettingsInvalid(f"{path}: not valid YAML: {error}") from error
    try:
        return Schedule.model_validate(tree)
    except ValidationError as error:
        raise SettingsInvalid("\n".join(_explain(path, error))) from error


def _explain(path: Path, error: ValidationError) -> list[str]:
    lines = []
    for mistake in error.errors():
        key = ".".join(map(str, mistake["loc"]))
        if mistake["type"] == "value_error":
            lines.append(f"{path}: {mistake['msg'].removeprefix('Value error, ')}")
        elif mistake["type"] == "extra_forbidden":
            lines.append(f"{path}: {key}: no such key")
        else:
            lines.append(f"{path}: {key or 'the file'}: {mistake['msg']} (got {mistake['input']!r})")
    return lines
