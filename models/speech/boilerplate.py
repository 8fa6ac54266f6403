"""Sentences that speech models are known to invent, from configs/rules/asr_boilerplate.yaml. Plain patterns."""

import re
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from models.speech.cer import normalised
from pipeline.errors import SettingsInvalid

FILE: Final = Path(__file__).resolve().parents[2] / "configs" / "rules" / "asr_boilerplate.yaml"
_STAR: Final = ".{0,24}"


@cache
def boilerplate(path: Path = FILE) -> re.Pattern[str]:
    """Matches a whole sentence, normalised as for error rates, that nobody said.

    Raises: SettingsInvalid: the file is not a list of sentences a language.
    """
    try:
        tree = yaml.safe_load(path.read_text("utf-8"))
        sentences = [sentence for language, lines in tree.items() if language != "version" for sentence in lines]
        patterns = [_STAR.join(re.escape(normalised(part)) for part in sentence.split("*")) for sentence in sentences]
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise SettingsInvalid(f"{path.name} is not lists of sentences by language: {error}") from error
    if any(len(pattern) < 2 or pattern == _STAR for pattern in patterns):
        raise SettingsInvalid(f"{path.name} holds a sentence that would match anything")
    return re.compile("|".join(patterns))
