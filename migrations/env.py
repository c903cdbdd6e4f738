"""How revisions are run: one transaction each, one runner at a time, never waiting long.

A migration that cannot have its lock gives up, instead of queueing before every store
of the archive until somebody else lets go.
"""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text

from reconcile.db.schema import metadata

LOCK_TIMEOUT_MS = 5_000
STATEMENT_TIMEOUT_MS = 15 * 60_000
# Two archives that start at once: the second waits for the first's migrations.
TURN_TIMEOUT_MS = 120_000
TURN = 0x7265636F6E63  # key of the advisory lock


def database_url() -> str:
    """As given by `reconcile.db.migrate`, else by whoever runs alembic."""
    given = context.config.attributes.get("url")
    named = context.get_x_argument(as_dictionary=True).get("url")
    url = given or named or os.environ.get("RECONCILE_DATABASE_OWNER_URL")
    if not url:
        raise SystemExit("which database? alembic -x url=postgresql+psycopg://...")
    return str(url)


def wait_for_turn(connection: Connection) -> None:
    """Hold the lock until the connection closes."""
    for limit in ("lock_timeout", "statement_timeout"):
        connection.execute(text(f"set local {limit} = {TURN_TIMEOUT_MS}"))
    connection.execute(text("select pg_advisory_lock(:key)"), {"key": TURN})
    connection.commit()


def run_offline() -> None:
    context.configure(
        url=database_url(),
        target_metadata=metadata,
        literal_binds=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    limits = (
        f"-c lock_timeout={LOCK_TIMEOUT_MS} -c statement_timeout={STATEMENT_TIMEOUT_MS}"
    )
    engine = create_engine(
        database_url(),
        poolclass=pool.NullPool,
        hide_parameters=True,
        connect_args={"options": limits, "application_name": "reconcile-migrate"},
    )
    with engine.connect() as connection:
        wait_for_turn(connection)
        context.configure(
            connection=connection,
            target_metadata=metadata,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
