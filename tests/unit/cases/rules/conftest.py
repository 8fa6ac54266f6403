"""The rules in force, read once; and a small set to break."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cases.rules.rules import RuleSet
from cases.rules.ruleset import load

PROCEDURE = """\
label: 小规则
negations: [不是, 没有]
but_not: [有没有]
groups:
  证件: [执法证, 工作证]
duties:
  - duty: certificate_shown
    zh: 出示执法证件
    en: Certificate shown
    law: 行政处罚法 第五十五条
    severity: critical
    steps: [inspection]
    within_s: 60
    before: [begun]
    ways:
      - "出示…{证件}"
moments:
  - moment: begun
    zh: 开始检查
    ways: [开始检查]
"""
CONDUCT = """\
conduct:
  - rule: threat
    finding: threat
    zh: 威胁
    en: Threat
    severity: high
    speaker: any
    ways: [你给我等着]
"""
STEPS = "stages:\n  - {kind: inspection, zh: 现场检查}\n"


@pytest.fixture(scope="session")
def rules() -> RuleSet:
    return load()


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A folder of rules; each text may be another than the small set's."""

    def made(procedure: str = PROCEDURE, conduct: str = CONDUCT, steps: str = STEPS) -> Path:
        for name, text in (("procedure/a.yaml", procedure), ("conduct/a.yaml", conduct), ("steps.yaml", steps)):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return made
