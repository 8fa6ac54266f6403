"""Who may publish and who may come in: devices, accounts, tokens, sessions and links, in one small SQLite file."""

from cases.access.access import Access, DeviceRecord
from cases.access.principal import ROLES, Principal

__all__ = ["ROLES", "Access", "DeviceRecord", "Principal"]
