"""What speech models are measured on: a folder of sound files with what is said in them. Loads no model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av.error

from models.base import RATE_HZ, Samples
from models.speech.sounds import sound_file, table
from pipeline.errors import SettingsInvalid

VOICES: Final = Path(__file__).resolve().parents[2] / "pipeline" / "simulate" / "voices"
"""The set that comes with the project: synthetic voices, twelve sentences and a scene of two."""
_TABLE: Final = "transcripts.tsv"


@dataclass(frozen=True, slots=True)
class Told:
    """One file: its sound, and what a person says is said in it."""

    file: str
    samples: Samples
    text: str


def read_set(folder: Path) -> list[Told]:
    """Every file of the folder's transcripts.tsv: tab-separated, with a head; the columns file and text are read.

    Raises: SettingsInvalid: the table or a file is not there, or is not what it should be.
    """
    try:
        lines = table(folder / _TABLE)
    except (OSError, ValueError) as error:
        raise SettingsInvalid(
            f"{folder / _TABLE} cannot be read; it is a table in UTF-8 with tabs, file and text in its head, and as many "
            f"columns in each line ({type(error).__name__})"
        ) from error
    if not lines or not {"file", "text"} <= lines[0].keys():
        raise SettingsInvalid(f"{folder / _TABLE} has no line, or its head does not name file and text")
    return [Told(line["file"], _sound(folder, line["file"]), line["text"]) for line in lines]


def script() -> list[dict[str, str]]:
    """The lines of the project's scene: start, end, speaker, text."""
    return table(VOICES / "scene.tsv")


def script_text(until_s: float = 1e9) -> str:
    """Of the lines that end before this second."""
    return "".join(line["text"] for line in script() if float(line["end"]) < until_s)


def scene(until_s: float = 1e9) -> Samples:
    """The scene up to this second, 16 kHz."""
    return sound_file(VOICES / "scene.flac")[: round(until_s * RATE_HZ)]


def _sound(folder: Path, name: str) -> Samples:
    try:
        return sound_file(folder / name)
    except (OSError, ValueError, IndexError, av.error.FFmpegError) as error:
        raise SettingsInvalid(f"{folder / name} holds no sound that can be read ({type(error).__name__})") from error
