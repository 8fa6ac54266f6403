"""`onrecord bench analysis`: what noticing costs and how often it errs, on made material; on this machine, with this build.

Each part runs by itself, one after the other, and says its own method. `integrity` is the worst of its kinds.
"""

import os
from collections.abc import Callable, Mapping
from typing import Final

from api.bench import (
    analysis_judgement,
    analysis_pictures,
    analysis_pictures_cost,
    analysis_rules,
    analysis_sounds,
    procedure,
)
from api.bench.analysis_sounds import Scale

_INTEGRITY: Final = ("sound_missing", "sound_clipped", "sound_cut")


def run() -> dict[str, object]:
    """The report. Raises: SettingsInvalid, RulesInvalid: bounds, voices or rules do not hold."""
    load_began = os.getloadavg()[0]
    pictures, sounds = analysis_pictures.run(jobs=os.cpu_count() or 1), analysis_sounds.run(Scale())
    rules, cost = analysis_rules.run(), analysis_pictures_cost.run()
    kinds = _kinds(pictures) | {name: each for name, each in _kinds(sounds).items() if name in _INTEGRITY}
    claimed = [each for name, each in kinds.items() if name != "upside_down"]
    return {
        "streams_per_core": cost["streams_per_core"],
        "sound_core_share_per_stream": sounds["sound_core_share_per_stream"],
        "integrity": {
            "recall": _worst(min, claimed, "recall"),
            "false_alarms_per_hour": _worst(max, claimed, "false_alarms_per_hour"),
            "delay_s_p95": _worst(max, claimed, "delay_s_p95"),
            "kinds": kinds,
        },
        "rule_us_per_utterance": rules["rule_us_per_utterance"],
        "sound": {name: each for name, each in _kinds(sounds).items() if name not in _INTEGRITY},
        "pictures": {**cost, **{name: each for name, each in pictures.items() if name != "kinds"}},
        "rules": rules,
        "judgement": analysis_judgement.run(),
        "procedure": procedure.run(),
        "method": {
            "method": "made pictures and sounds, really encoded and decoded; scripted dialogues; docs/evaluation.md",
            "load_began": round(load_began, 1), "load_ended": round(os.getloadavg()[0], 1),
        },
    }  # fmt: skip


def _kinds(report: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    found = report["kinds"]
    assert isinstance(found, dict)  # noqa: S101 - the parts of this bench say so
    return found


def _worst(worst: Callable[[list[float]], float], kinds: list[Mapping[str, object]], name: str) -> float:
    return worst([float(str(each[name])) for each in kinds])
