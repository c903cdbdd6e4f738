"""Three roles and one extension: all that a superuser is ever needed for.

The owner migrates; the writer inserts; the reader only reads. What each may do to a
table is granted by the migrations, which run as the owner. `docker/` does the same for
a server of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

OWNER = "reconcile_owner"
WRITER = "reconcile_writer"
READER = "reconcile_reader"
ROLES = (OWNER, WRITER, READER)
DATABASE = "reconcile"

Connection = psycopg.Connection[Any]


def prepare(server_dsn: str, database_dsn: str) -> None:
    """Make roles, database and extension, each where it is missing.

    Args:
        server_dsn: the superuser in any database.
        database_dsn: the superuser in the archive's database.
    """
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        make_roles(connection, {})
        make_database(connection, DATABASE)
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        make_extension(connection)


def make_roles(connection: Connection, passwords: Mapping[str, str]) -> None:
    """Make the three roles where they are missing, with their passwords, if any."""
    known = connection.execute("select rolname from pg_roles").fetchall()
    for role in ROLES:
        if (role,) not in known:
            connection.execute(_statement("create role {} login", role))
        if role in passwords:
            change = sql.SQL("alter role {} password {}").format(
                sql.Identifier(role), sql.Literal(passwords[role])
            )
            connection.execute(change)
    read_only = "alter role {} set default_transaction_read_only = on"
    connection.execute(_statement(read_only, READER))


def make_database(connection: Connection, name: str) -> None:
    """Make the owner's database where it is missing."""
    found = connection.execute("select 1 from pg_database where datname = %s", [name])
    if found.fetchone() is None:
        connection.execute(_statement("create database {} owner {}", name, OWNER))


def make_extension(connection: Connection) -> None:
    """GiST over plain types: one owner of an ID at any time is an exclusion constraint."""
    connection.execute("create extension if not exists btree_gist")


def _statement(template: str, *names: str) -> sql.Composed:
    # The templates are constants of this module; only names go in, quoted.
    return sql.SQL(template).format(*map(sql.Identifier, names))
