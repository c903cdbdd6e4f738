"""What is in the tables of a registry, as COPY writes it, by nothing but the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

#: Of a table, what is numbered on and cannot be found by its text; and its sequence.
NUMBERED = {"coercion_event": ("position", "coercion_event_position")}
#: A column of bytes that is called so is the SHA-256 of something.
DIGEST = "digest"

Connection = psycopg.Connection[tuple[Any, ...]]
#: Rows by their primary key; a row has its columns in the table's order.
Rows = dict[str, str]

TABLES = """\
select c.relname from pg_class c where c.relkind = 'r'
    and c.relnamespace = 'public'::regnamespace order by c.relname"""
COLUMNS = """\
select a.attname, format_type(a.atttypid, null), coalesce(a.attnum = any (i.indkey), false)
    from pg_attribute a left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
    where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped
    and a.attgenerated = '' order by a.attnum"""


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of a table.

    Attributes:
        columns: all that are copied, in the table's order.
        key: those of the primary key.
        digests: which of `columns` are digests.
        identified: whether one UUID is the key.
    """

    columns: list[str]
    key: list[str]
    digests: list[int]
    identified: bool


def shapes(connection: Connection) -> dict[str, Shape]:
    """Of every table."""
    tables = [str(row[0]) for row in connection.execute(TABLES)]
    return {table: _shape(connection, table) for table in tables}


def _shape(connection: Connection, table: str) -> Shape:
    numbered, _ = NUMBERED.get(table, ("", ""))
    found = [c for c in connection.execute(COLUMNS, [table]) if c[0] != numbered]
    key = [(name, kind) for name, kind, in_key in found if in_key]
    return Shape(
        [name for name, _, _ in found],
        [name for name, _ in key],
        [at for at, each in enumerate(found) if each[:2] == (DIGEST, "bytea")],
        [kind for _, kind in key] == ["uuid"],
    )


def rows(connection: Connection, table: str, shape: Shape) -> Rows:
    """All rows of a table."""
    query = sql.SQL("copy (select {} from {}) to stdout").format(
        listed([*shape.key, *shape.columns]), sql.Identifier(table)
    )
    with connection.cursor().copy(query) as copy:
        lines = b"".join(map(bytes, copy)).decode().splitlines()
    found: Rows = {}
    for line in lines:
        fields = line.split("\t")
        width = len(shape.key)
        found["\t".join(fields[:width])] = "\t".join(fields[width:])
    return found


def listed(columns: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def last(connection: Connection, sequence: str) -> int:
    """The last number of a sequence."""
    query = sql.SQL("select last_value from {}").format(sql.Identifier(sequence))
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
