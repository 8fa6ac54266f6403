"""The policy: how far each role reaches, from configs/rules/permissions.yaml; and the rules on single things.

Knows no route and no database: what a rule needs to know is given to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import yaml

from cases.access.principal import ROLES, Principal
from pipeline.errors import SettingsInvalid

TABLE = Path(__file__).resolve().parent.parent / "configs" / "rules" / "permissions.yaml"


class Reach(StrEnum):
    """How far a permission reaches; the table says it in words."""

    BUREAU = "bureau"
    UNIT = "unit"
    OWN = "own"
    ASSIGNED = "assigned"
    APPROVED = "approved"


@dataclass(frozen=True, slots=True)
class Permission:
    name: str
    zh: str
    en: str
    roles: Mapping[str, Reach]


@cache
def table() -> Mapping[str, Permission]:
    """Raises: SettingsInvalid: the table cannot be read, or names a role or a reach that does not exist."""
    try:
        tree = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
        found = {
            name: Permission(
                name, row["zh"], row["en"], {role: Reach(reach) for role, reach in row["roles"].items()}
            )
            for name, row in tree.items()
        }  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise SettingsInvalid(f"{TABLE}: {error}") from error
    for each in found.values():
        if strange := each.roles.keys() - set(ROLES):
            raise SettingsInvalid(f"{TABLE}: {each.name}: no such role: {', '.join(sorted(strange))}")
    return found


def reach_of(principal: Principal, permission: str) -> Reach | None:
    """How far `permission` reaches for this one; None: not at all. KeyError: no such permission."""
    reach = table()[permission].roles.get(principal.role)
    return None if principal.scopes and permission not in principal.scopes else reach
