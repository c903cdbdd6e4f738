"""Statements that run for every instance that is decided: said once, as SQL, for all time.

A statement is built from the tables like any other, and compiled when it is first run.
Then each connection is told its text once, and only values from there on: building it
anew, or going through the layers above the driver, costs several times as much as
running it. Lists are given as arrays (`= ANY`), so that the text is always the same.
"""

from __future__ import annotations

import itertools
from collections import namedtuple
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

import psycopg
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer
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
Driver = psycopg.Connection[Any]

_DIALECT = cast("Dialect", cast(Any, dialect)(paramstyle="numeric_dollar"))
_IDLE = pq.TransactionStatus.IDLE
_DONE = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
_numbers = itertools.count(1)


class _Compiled(NamedTuple):
    """A statement's text, its parameters in order, and how given values are passed."""

    text: str
    names: tuple[str, ...]
    own: Mapping[str, Any]
    processes: Mapping[str, Process]


class Prepared:
    """A statement with parameters by name (`bindparam`).

    Args:
        statement: built when it is first needed, since tables may be defined later.
    """

    def __init__(self, statement: Callable[[], ClauseElement]) -> None:
        self._statement = statement
        self._name = f"reconcile_{next(_numbers)}".encode()
        self._told: WeakKeyDictionary[Driver, bool] = WeakKeyDictionary()
        self._row: Callable[[Any], Any] | None = None

    def __call__(self, connection: Connection, **values: Any) -> list[Any]:
        """Run it; its rows, as named tuples.

        Raises:
            psycopg.Error: as the server tells it; `Database.run` knows what to do.
        """
        compiled, driver = self._compiled, driver_of(connection)
        for name, process in compiled.processes.items():
            values[name] = process(values[name])
        given = {**compiled.own, **values}
        server = driver.pgconn
        if server.transaction_status == _IDLE and not driver.autocommit:
            driver.execute("")  # begins a transaction as the driver does
        if driver not in self._told:
            _required(server.prepare(self._name, compiled.text.encode()))
            self._told[driver] = True
        passed = Transformer.from_context(driver)
        inputs = [given[name] for name in compiled.names]
        told: Any = passed.dump_sequence(inputs, [PyFormat.TEXT] * len(inputs))
        result = _required(server.exec_prepared(self._name, told))
        if not result.ntuples:
            return []
        passed.set_pgresult(result)
        return passed.load_rows(0, result.ntuples, self._row or self._row_of(result))

    def first(self, connection: Connection, **values: Any) -> Any:
        """Its first row; None: there is none."""
        rows = self(connection, **values)
        return rows[0] if rows else None

    def _row_of(self, result: pq.abc.PGresult) -> Callable[[Any], Any]:
        names = (result.fname(number) or b"" for number in range(result.nfields))
        made = namedtuple("Row", [name.decode() for name in names])  # type: ignore[misc]
        self._row = made._make
        return self._row

    @property
    def text(self) -> str:
        """As the server is told it, with $n for parameters."""
        return self._compiled.text

    @property
    def parameters(self) -> int:
        """How many there are."""
        return len(self._compiled.names)

    @cached_property
    def _compiled(self) -> _Compiled:
        compiled: Any = self._statement().compile(dialect=_DIALECT)
        processes: dict[str, Process] = getattr(compiled, "_bind_processors", {})
        own = {
            name: processes[name](value) if name in processes else value
            for name, value in compiled.params.items()
            if not _is_given(compiled, name)
        }
        given = {n: p for n, p in processes.items() if n not in own}
        names = tuple(dict.fromkeys(compiled.positiontup or ()))
        return _Compiled(str(compiled), names, own, given)


def _required(result: pq.abc.PGresult) -> pq.abc.PGresult:
    """A result that is no error.

    Raises:
        psycopg.Error: by the server's code, without what it quoted.
    """
    if result.status in _DONE:
        return result
    code = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    try:
        raised: type[psycopg.Error] = psycopg.errors.lookup(code)
    except KeyError:  # the connection was lost, or the server is newer
        raised = psycopg.OperationalError
    raise raised(f"the server said {code or 'nothing'}")


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
