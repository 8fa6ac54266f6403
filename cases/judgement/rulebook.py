"""The rules as files that a lawyer edits while the server runs: a good set counts from then on, a bad one never."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import structlog

from cases.judgement.book import Book
from cases.rules.laws import FOLDER as LAWS
from cases.rules.ruleset import FOLDER, load
from pipeline.errors import RulesInvalid

log = structlog.get_logger(__name__)

_LOOK_S: Final = 3.0


class Rulebook:
    """current: the rules in force; None: none ever held. refusal: why the files that lie there now are not in force."""

    def __init__(
        self, folder: Path = FOLDER, laws: Path = LAWS, read: Callable[[Path, Path], Book] | None = None
    ) -> None:
        """read: makes a book of the files; it raises RulesInvalid."""
        self.current: Book | None = None
        self.refusal = ""
        self._folder = folder
        self._laws = laws
        self._read = read or _read
        self._seen = b""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await anyio.sleep(_LOOK_S)

    async def look(self) -> None:
        """Takes what changed on the disk. What is wrong with it is logged, mistake by mistake."""
        seen, book, refusal = await anyio.to_thread.run_sync(self._look)
        if seen == self._seen:
            return
        self._seen, self.refusal = seen, refusal
        if book is None:
            for line in refusal.splitlines():
                log.error("rules are refused; those before stay in force", mistake=line)
        elif self.current is None or book.version != self.current.version:
            log.info("rules are in force", version=book.version)
            self.current = book

    def _look(self) -> tuple[bytes, Book | None, str]:
        seen = self._fingerprint()
        if seen == self._seen:
            return seen, None, ""
        try:
            return seen, self._read(self._folder, self._laws), ""
        except RulesInvalid as error:
            return seen, None, str(error)

    def _fingerprint(self) -> bytes:
        """Of names, sizes and times: cheap, and changes with every save."""
        found = hashlib.sha256()
        for path in sorted([*self._folder.rglob("*.yaml"), *self._laws.glob("*")]):
            try:
                stat = path.stat()
            except OSError:
                continue  # gone since it was listed: the next look sees the folder without it
            found.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        return found.digest()


def _read(folder: Path, laws: Path) -> Book:
    return Book.of(load(folder, laws))
