"""The access file as the program uses it: devices, tokens, accounts and units behind one door."""

from pathlib import Path

from cases.access.accounts import Accounts
from cases.access.devices import DeviceRecord, Devices
from cases.access.file import AccessFile
from cases.access.tokens import Tokens
from cases.access.units import Units
from pipeline.clock import Clock, SystemClock
from pipeline.errors import AccessDenied

__all__ = ["Access", "DeviceRecord"]


class Access(Devices, Tokens):
    """Every method is one short transaction; safe from several processes at once.

    Raises: StorageError: the file cannot be opened or written.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.file = AccessFile(path, clock)
        Devices.__init__(self, self.file)
        Tokens.__init__(self, self.file)
        self.units = Units(self.file)
        self.accounts = Accounts(self.file, self)

    def _second_refusal(self, account_id: str, second: str) -> AccessDenied | None:
        return self.accounts.second_refusal(account_id, second)

    @classmethod
    def of(cls, data: Path, clock: Clock | None = None) -> "Access":
        """The access file of a data folder; made when absent. clock: None: this machine's."""
        return cls(data / "access.sqlite", clock or SystemClock())

    def close(self) -> None:
        self.file.close()
