"""The schema, by numbered revisions: up, down, and whether it is where it should be.

Runs as the owner. A checkout has the revisions beside the package, an installed package
within itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, pool
from sqlalchemy.exc import OperationalError

from reconcile.db.schema import metadata
from reconcile.errors import ServiceUnavailable

_PACKAGE = Path(__file__).parents[1]


def upgrade(owner_url: str, revision: str = "head") -> None:
    """Bring the schema up to `revision`.

    Raises:
        ServiceUnavailable: the server is away, or somebody holds a lock for too long.
    """
    _run(command.upgrade, owner_url, revision)


def downgrade(owner_url: str, revision: str) -> None:
    """Bring the schema back to `revision`; "base" empties it.

    Raises:
        ServiceUnavailable: the server is away, or somebody holds a lock for too long.
    """
    _run(command.downgrade, owner_url, revision)


def check(owner_url: str) -> list[str]:
    """What keeps the database from being at the head and equal to the tables, in words.

    Raises:
        ServiceUnavailable: the server is away.
    """
    script = ScriptDirectory.from_config(_config(owner_url))
    engine = create_engine(owner_url, poolclass=pool.NullPool)
    try:
        with engine.connect() as connection:
            return _findings(connection, script)
    except OperationalError as error:
        raise ServiceUnavailable("the database cannot be reached") from error


def _findings(connection: Connection, script: ScriptDirectory) -> list[str]:
    context = MigrationContext.configure(connection)
    current, head = context.get_current_revision(), script.get_current_head()
    if current != head:
        return [f"the schema is at {current or 'nothing'}, the program needs {head}"]
    return [
        f"differs from the tables: {each}" for each in compare_metadata(context, metadata)
    ]


def _run(step: Callable[[Config, str], None], owner_url: str, revision: str) -> None:
    try:
        step(_config(owner_url), revision)
    except OperationalError as error:
        raise ServiceUnavailable(
            "the database cannot be migrated now: it is away, or a lock is held"
        ) from error


def _config(owner_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_revisions()).replace("%", "%%"))
    # As an attribute: a URL may hold what an ini file takes for interpolation.
    config.attributes["url"] = owner_url
    return config


def _revisions() -> Path:
    installed = _PACKAGE / "_migrations"
    return installed if installed.is_dir() else _PACKAGE.parent / "migrations"
