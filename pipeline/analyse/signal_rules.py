"""The bounds of the stage `signal`, and watches that judge by them. In workers only: watches bring NumPy."""

import sys
from dataclasses import dataclass
from pathlib import Path

from models.signal.bounds import Bounds, Kind, load
from models.signal.flow_watch import FlowWatch
from models.signal.picture_watch import PictureWatch
from models.signal.sound_watch import SoundWatch
from pipeline.analyse.signal_label import FOLDER, signal_label
from pipeline.errors import SettingsInvalid

_BY_DECODER = {"undecodable": frozenset[str]()}


@dataclass(frozen=True, slots=True)
class SignalRules:
    """label: name@version of both files together."""

    pictures: Bounds
    sounds: Bounds
    label: str

    @classmethod
    def load(cls, folder: Path = FOLDER) -> "SignalRules":
        """Raises: SettingsInvalid: with every mistake of a file, each with its line."""
        wanted = {**PictureWatch.WANTED, **FlowWatch.WANTED, **_BY_DECODER}
        pictures = load(folder / "pictures.yaml", wanted)
        sounds = load(folder / "sounds.yaml", SoundWatch.WANTED)
        return cls(pictures, sounds, signal_label(folder))

    def of(self, finding: str) -> tuple[Kind, str]:
        """The kind, and the rule that judges it. KeyError: no such finding."""
        bounds = self.pictures if finding in self.pictures.kinds else self.sounds
        return bounds.kinds[finding], bounds.rule(finding)

    def watches(self) -> tuple[PictureWatch, FlowWatch, SoundWatch]:
        """New ones, for one stream."""
        return PictureWatch(self.pictures), FlowWatch(self.pictures), SoundWatch(self.sounds)


def main() -> int:
    """Check a folder, for `adopt`: mistakes on stderr, exit 1."""
    try:
        SignalRules.load(Path(sys.argv[1]))
    except SettingsInvalid as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
