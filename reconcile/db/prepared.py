"""Statements that run for every instance that is decided: said once, as SQL, for all time.

A statement is built from the tables like any other, and compiled when it is first run;
from then on the driver is given its text. Building it anew costs five times as much as
running it. Lists are given as arrays (`= ANY`), so that the text is always the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple, cast

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Table,
    Text,
    any_,
    bindparam,
    collate,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.dialects.postgresql.psycopg import dialect
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.sql.elements import ClauseElement

Process = Callable[[Any], Any]
Result = psycopg.Cursor[Any]

_DIALECT = cast("Dialect", cast(Any, dialect)())


class _Compiled(NamedTuple):
    """The text of a statement; values it brings itself, and how given ones are passed."""

    text: str
    own: Mapping[str, Any]
    processes: Mapping[str, Process]


class Prepared:
    """A statement with parameters by name (`bindparam`).

    Args:
        statement: built when it is first needed, since tables may be defined later.
    """

    def __init__(self, statement: Callable[[], ClauseElement]) -> None:
        self._statement = statement

    def __call__(self, connection: Connection, **values: Any) -> Result:
        """Run it; rows are named tuples.

        Raises:
            psycopg.Error: as the driver tells it; `Database.run` knows what to do.
        """
        compiled = self._compiled
        for name, process in compiled.processes.items():
            values[name] = process(values[name])
        driver = driver_of(connection)
        cursor = driver.cursor(row_factory=namedtuple_row)
        return cursor.execute(compiled.text.encode(), {**compiled.own, **values})

    def first(self, connection: Connection, **values: Any) -> Any:
        """Its first row; None: there is none."""
        return self(connection, **values).fetchone()

    @cached_property
    def _compiled(self) -> _Compiled:
        compiled = self._statement().compile(dialect=_DIALECT)
        processes: dict[str, Process] = getattr(compiled, "_bind_processors", {})
        own = {
            name: processes[name](value) if name in processes else value
            for name, value in compiled.params.items()
            if not _is_given(compiled, name)
        }
        given = {n: p for n, p in processes.items() if n not in own}
        return _Compiled(str(compiled), own, given)


def _is_given(compiled: Any, name: str) -> bool:
    """Whether a parameter is ours to give: one that was made by `bindparam(NAME)`."""
    return bool(compiled.binds[name].required)


def pairs(first: str, second: str) -> FromClause:
    """Two array parameters of one length, as rows with columns of these names."""
    texts = ARRAY(Text())
    arrays = func.unnest(bindparam(first, type_=texts), bindparam(second, type_=texts))
    rows = arrays.table_valued(first, second).render_derived()
    columns = (collate(rows.c[name], "C").label(name) for name in (first, second))
    return select(*columns).subquery()


def driver_of(connection: Connection) -> psycopg.Connection[Any]:
    """The driver's connection of one in a transaction."""
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)


def new_row(table: Table, columns: str, **own: Any) -> Insert:
    """A new row of a table; a parameter for each of some columns, separated by blanks.

    `own` are values that are always the same.
    """
    given: dict[str, Any] = {name: bindparam(name) for name in columns.split()}
    return insert(table).values(**given, **own)


def new_unless_there(
    table: Table, columns: str, *returned: Column[Any], **own: Any
) -> ReturningInsert[Any]:
    """As `new_row`; nothing is returned where a constraint says that it is there."""
    return new_row(table, columns, **own).on_conflict_do_nothing().returning(*returned)


def is_in(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether a column is one of the values of an array parameter."""
    return column == any_(bindparam(name, type_=ARRAY(column.type)))
