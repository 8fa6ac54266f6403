"""`onrecord bench analysis`: what noticing costs and how often it errs, on made material; on this machine, with this build.

Each part runs by itself, one after the other, and says its own method. `integrity` is the worst
of the kinds that are seen, `integrity_of_sound` of those that are heard.
"""

import os
from collections.abc import Mapping
from typing import Final

from api.bench import (
    analysis_pictures,
    analysis_pictures_cost,
    analysis_rules,
    analysis_sounds,
    procedure,
    rejudge,
)
from api.bench.analysis_sounds import Scale

_INTEGRITY: Final = ("sound_missing", "sound_clipped", "sound_cut")
_HOURS: Final = 32.0
"""Of footage without fault: fewer cannot show 0.1 false alarms an hour."""
_UNCLAIMED: Final = ("upside_down",)
"""Misses its target; docs/evaluation.md."""


def run() -> dict[str, object]:
    """The report. Raises: SettingsInvalid, RulesInvalid: bounds, voices or rules do not hold."""
    load_began = os.getloadavg()[0]
    pictures, sounds = analysis_pictures.run(_HOURS, jobs=os.cpu_count() or 1), analysis_sounds.run(Scale())
    rules, cost = analysis_rules.run(), analysis_pictures_cost.run()
    of_sound = {name: each for name, each in _kinds(sounds).items() if name in _INTEGRITY}
    return {
        "streams_per_core": cost["streams_per_core"],
        "sound_core_share_per_stream": sounds["sound_core_share_per_stream"],
        "integrity": _worst(_kinds(pictures)),
        "integrity_of_sound": _worst(of_sound),
        "rule_us_per_utterance": rules["rule_us_per_utterance"],
        "sound": {name: each for name, each in _kinds(sounds).items() if name not in _INTEGRITY},
        "pictures": {**cost, **{name: each for name, each in pictures.items() if name != "kinds"}},
        "rules": rules,
        "rejudge": rejudge.run(),
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


def _worst(kinds: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """The worst of each figure over all kinds but the one that claims nothing; and the kinds."""
    claimed = [each for name, each in kinds.items() if name not in _UNCLAIMED]

    def of(name: str) -> list[float]:
        return [float(str(each[name])) for each in claimed]

    return {
        "recall": min(of("recall")), "false_alarms_per_hour": max(of("false_alarms_per_hour")),
        "delay_s_p95": max(of("delay_s_p95")), "kinds": kinds,
    }  # fmt: skip
