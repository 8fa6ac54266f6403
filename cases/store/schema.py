"""The releases of the tables, by alembic. A migration, once released, is never edited."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_FOLDER = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config


@cache
def head() -> str:
    """The release that this program wants."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def is_known(release: str) -> bool:
    return any(each.revision == release for each in ScriptDirectory.from_config(_config()).walk_revisions())


def revision(connection: Connection) -> str:
    """The release of the database; empty for a new one."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def upgrade(connection: Connection) -> None:
    """To be called in a transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
