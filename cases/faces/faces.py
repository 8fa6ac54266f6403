"""Faces as a server holds them: keys, who searches and who enrols outlive a database that goes away; the rest does not.

Knows no model: `Searcher` and `Enrolment` are given to it.
"""

from pathlib import Path
from typing import Final

import anyio

from cases.appender import Appender
from cases.faces.enrolling import Enrolling
from cases.faces.keeper import Keeper
from cases.faces.matching import Matching
from cases.faces.renewing import Renewing
from cases.faces.shapes import Enrolment, Searcher
from cases.faces.vault import Vault
from cases.store.engine import Store
from pipeline.clock import Clock
from pipeline.errors import StoreUnavailable
from pipeline.settings import FacesSettings

ALARM_SHARE: Final = 0.8
FOLDER: Final = "faces-keys"


def key_folder(settings: FacesSettings, data: Path) -> Path:
    return settings.key_folder or data / FOLDER


class Faces:
    """Made with the server; `run` runs with each open record."""

    def __init__(
        self, settings: FacesSettings, data: Path, clock: Clock, searcher: Searcher, enrolment: Enrolment
    ) -> None:
        self.settings = settings
        self.vault = Vault(key_folder(settings, data))
        self.enrolment = enrolment
        self._clock = clock
        self._searcher = searcher
        self._keeper: Keeper | None = None
        self._matching: Matching | None = None
        self._enrolling: Enrolling | None = None
        self._renewing: Renewing | None = None

    @property
    def alarm(self) -> int:
        """From so many persons on it is told: 80 % of the limit."""
        return int(self.settings.most_persons * ALARM_SHARE)

    @property
    def count(self) -> int:
        """Persons whose faces are stored; half a second old, 0 while the record is closed."""
        return 0 if self._keeper is None else self._keeper.count

    @property
    def matching(self) -> Matching:
        """Raises: StoreUnavailable."""
        if self._matching is None:
            raise StoreUnavailable("faces wait for the record, which is closed")
        return self._matching

    @property
    def keeper(self) -> Keeper:
        """Raises: StoreUnavailable."""
        if self._keeper is None:
            raise StoreUnavailable("faces wait for the record, which is closed")
        return self._keeper

    @property
    def enrolling(self) -> Enrolling:
        """Raises: StoreUnavailable."""
        if self._enrolling is None:
            raise StoreUnavailable("faces wait for the record, which is closed")
        return self._enrolling

    @property
    def renewing(self) -> Renewing:
        """Raises: StoreUnavailable."""
        if self._renewing is None:
            raise StoreUnavailable("faces wait for the record, which is closed")
        return self._renewing

    async def run(self, store: Store, appender: Appender) -> None:
        """Until cancelled. Nothing is held in the open while the record is closed. Raises: StoreUnavailable."""
        matching = Matching(store, appender, self.vault, self._searcher, self._clock)
        keeper = Keeper(store, appender, self.vault, matching, self._clock)
        await keeper.sweep()  # before anybody enrols: what is made now is no remnant
        self._matching, self._keeper = matching, keeper
        enrolling = Enrolling(store, appender, self.vault, matching, self.enrolment, self.settings.most_persons)
        self._enrolling, self._renewing = enrolling, Renewing(store, appender, self.vault, matching, enrolling)
        try:
            await keeper.run()
        finally:
            self._matching = self._keeper = self._enrolling = self._renewing = None
            with anyio.CancelScope(shield=True):
                await self._searcher.close()
