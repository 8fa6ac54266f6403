"""The releases of the tables, by alembic. A migration, once released, is never edited.

alembic itself (11 MiB) is loaded by who migrates: who only reads asks for the release without it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent / "migrations"


def head() -> str:
    """The release that this program wants: its file's name begins with it."""
    return max(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*_*.py"))


def is_known(release: str) -> bool:
    from alembic.script import ScriptDirectory

    return any(each.revision == release for each in ScriptDirectory.from_config(_config()).walk_revisions())


def revision(connection: Connection) -> str:
    """The release of the database; empty for a new one."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found or ""


def upgrade(connection: Connection) -> None:
    """To be called in a transaction."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config
