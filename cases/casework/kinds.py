"""Kinds of steps, as data: stages of the procedure and what is done in each."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import SettingsInvalid, ValueRefused

FILE = Path(__file__).resolve().parent.parent.parent / "configs" / "rules" / "steps.yaml"


class StepKind(BaseModel):
    """recording: whether sound and picture must be taken of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    zh: str
    en: str
    recording: Literal["full", "when_disputed", "recommended", "text"]


class _Stage(StepKind):
    sub_steps: tuple[StepKind, ...] = ()


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    stages: tuple[_Stage, ...]


@dataclass(frozen=True, slots=True)
class StepKinds:
    """stages: by the kind of every step and sub-step, the kind of its stage."""

    by_kind: dict[str, StepKind]
    stages: dict[str, str]

    def known(self, kind: str) -> str:
        """Raises: ValueRefused."""
        if kind not in self.by_kind:
            raise ValueRefused("kind", f"no such step; one of {', '.join(self.by_kind)}")
        return kind


@functools.cache
def load(path: Path = FILE) -> StepKinds:
    """Raises: SettingsInvalid: the file says what is wrong with it."""
    try:
        file = _File.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise SettingsInvalid(f"{path}: {error}") from error
    by_kind: dict[str, StepKind] = {}
    stages: dict[str, str] = {}
    for stage in file.stages:
        for each in (stage, *stage.sub_steps):
            if each.kind in by_kind:
                raise SettingsInvalid(f"{path}: {each.kind} stands there twice")
            by_kind[each.kind] = each
            stages[each.kind] = stage.kind
    return StepKinds(by_kind, stages)
