"""The way to PostgreSQL: engines by role, one transaction a step, bounded retry.

A step may run twice: it changes nothing but the registry, and works on copies of what
it was given. What the database cannot do now becomes ServiceUnavailable, which every
door turns into "try again later".
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple, TypeVar, cast

import psycopg
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    create_engine,
    text,
)
from sqlalchemy import Row as _Row
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from reconcile.db.ids import lock_key
from reconcile.db.prepared import Prepared
from reconcile.errors import DataTypeError, ServiceUnavailable

__all__ = ["Connection", "Database", "Row", "TryAgain", "inserted", "lock"]

Row = _Row[Any]
T = TypeVar("T")
Step = Callable[[Connection], T]

log = logging.getLogger(__name__)

# Two transactions met: serialization failure, deadlock, or both made the same row.
RETRIED = frozenset({"40001", "40P01", "23P01", "23505"})
ATTEMPTS_MAX = 8

# Class 54, a limit of the server: what came does not fit, and will not next time.
TOO_LONG = "54"

# A store that waits longer than this for a lock is refused, so that its sender retries.
LOCK_TIMEOUT_MS = 15_000
STATEMENT_TIMEOUT_MS = 60_000
IDLE_IN_TRANSACTION_MS = 60_000

#: Threads of one process that record groups.
GROUPS_AT_ONCE = 2


class DatabaseFault(Exception):
    """What the database said that it should never say; without the values it quoted."""


class GroupFailed(Exception):
    """A group of instances was not recorded; each of it is to be tried by itself."""


class TryAgain(Exception):
    """Raised by a step that met the outcome of another: run it again from the start."""


class Database:
    """PostgreSQL as the archive uses it: a writer, and a reader for questions."""

    def __init__(self, writer_url: str, reader_url: str = "", *, pool_size: int = 10):
        self.writer = _engine(writer_url, pool_size, read_only=False)
        self.reader = _engine(reader_url or writer_url, pool_size, read_only=True)
        self.groups = _engine(writer_url, GROUPS_AT_ONCE, read_only=False, alone=True)

    def run(self, step: Step[T]) -> T:
        """Run `step` in one transaction; again where it met another one's.

        Raises:
            ServiceUnavailable: the server is away, or stays busy.
            DataTypeError: a value is too long for a key; trying again does not help.
        """
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                with self.writer.begin() as connection:
                    return step(connection)
            except TryAgain:
                log.debug("step=retry attempt=%d", attempt)
            except (DBAPIError, psycopg.Error) as error:
                _raise_unless_retried(error)
            except PoolTimeout as error:
                raise ServiceUnavailable("no database connection is free") from error
            time.sleep(random.uniform(0, 0.005 * 2**attempt))
        raise ServiceUnavailable("the registry stays busy")

    @contextmanager
    def read_only(self) -> Iterator[Connection]:
        """A connection for questions: one snapshot for all that is asked of it.

        Raises:
            ServiceUnavailable: the server is away.
        """
        try:
            with self.reader.connect() as connection, connection.begin():
                yield connection
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise ServiceUnavailable("the database cannot be reached") from error

    @contextmanager
    def group(self) -> Iterator[psycopg.Connection[Any]]:
        """The driver's own connection, for `groups`: each statement is a transaction.

        Nothing is run again: whoever fails in a group tries each of it by itself. It is
        not asked whether the connection is still there; it is made anew if it is not.

        Raises:
            GroupFailed: whatever happened; nothing was committed, or nobody knows.
        """
        try:
            pooled = self.groups.raw_connection()
        except (psycopg.Error, PoolTimeout) as error:
            raise GroupFailed(type(error).__name__) from None
        try:
            yield cast("psycopg.Connection[Any]", pooled.driver_connection)
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError):
                pooled.invalidate()
                self.groups.dispose()  # what took this connection took its siblings
            raise GroupFailed(type(error).__name__) from None
        except BaseException:
            pooled.invalidate()  # what was sent must not be committed
            raise
        finally:
            pooled.close()

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """A writer's connection of one's own, for as long as the context: what it takes
        for its session it keeps. Each transaction of it sees one snapshot.

        Raises:
            ServiceUnavailable: the server is away.
            DatabaseFault: a step of it failed.
        """
        try:
            with self.writer.connect() as connection:
                connection.execution_options(isolation_level="REPEATABLE READ")
                connection.detach()
                yield connection
        except (DBAPIError, psycopg.Error) as error:
            _raise_unless_retried(error)
            raise ServiceUnavailable("the registry was busy") from None
        except PoolTimeout as error:
            raise ServiceUnavailable("no database connection is free") from error

    def close(self) -> None:
        """Give back all connections."""
        for engine in (self.writer, self.reader, self.groups):
            engine.dispose()


class Rehearsal(Database):
    """A database in which steps are taken inside a transaction that is taken back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, step: Step[T]) -> T:
        """Run `step` once, after what was run before.

        Raises:
            ServiceUnavailable: it met another one's, or the server is away.
        """
        try:
            with self._connection.begin_nested():
                return step(self._connection)
        except (TryAgain, OperationalError) as error:
            raise ServiceUnavailable("the registry is busy") from error

    @contextmanager
    def read_only(self) -> Iterator[Connection]:
        """What the steps so far have made of it."""
        yield self._connection


class _TakenBack(Exception):
    """Leaves a transaction that is not to be committed."""


def rehearse(database: Database, act: Callable[[Database], T]) -> T:
    """What `act` comes to, without anything of it being kept.

    Raises:
        ServiceUnavailable: the server is away, or stays busy.
    """
    found: list[T] = []

    def attempt(connection: Connection) -> None:
        found[:] = [act(Rehearsal(connection))]
        raise _TakenBack

    with suppress(_TakenBack):
        database.run(attempt)
    return found[0]


def inserted(connection: Connection, statement: Insert, key: ColumnElement[Any]) -> bool:
    """Insert unless a constraint says that the row is there; whether it was not."""
    made = statement.on_conflict_do_nothing().returning(key)
    return connection.execute(made).first() is not None


class Lock(NamedTuple):
    """An advisory lock on a name.

    Whoever decides on what is named holds it shared; whoever changes it, exclusively.
    """

    name: tuple[str, ...]
    shared: bool


def lock(connection: Connection, names: Sequence[tuple[str, ...]], *, shared: bool) -> None:
    """Take advisory locks until the end of the transaction, in sorted order."""
    lock_each(connection, [Lock(name, shared) for name in names])


def lock_each(connection: Connection, locks: Iterable[Lock]) -> None:
    """Take advisory locks until the end of the transaction, in sorted order."""
    wanted: dict[int, bool] = {}
    for name, shared in locks:
        number = lock_key(*name)
        wanted[number] = shared and wanted.get(number, True)
    if wanted:
        numbers = sorted(wanted)
        _TAKE(connection, numbers=numbers, shared=[wanted[n] for n in numbers])


# One after the other, in the order of the arrays.
_TAKE = Prepared(
    lambda: text("""
SELECT CASE WHEN shared THEN pg_advisory_xact_lock_shared(n)
    ELSE pg_advisory_xact_lock(n) END
FROM unnest(CAST(:numbers AS bigint[]), CAST(:shared AS boolean[])) AS u (n, shared)
""")
)


def _engine(url: str, pool_size: int, *, read_only: bool, alone: bool = False) -> Engine:
    """An engine; `alone`: each statement is a transaction, and nobody asks before."""
    options = {
        "lock_timeout": LOCK_TIMEOUT_MS,
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_MS,
        "default_transaction_read_only": "on" if read_only else "off",
        # Our statements are always the same, and planning one anew costs as much as it.
        "plan_cache_mode": "force_generic_plan",
        # Compiling a plan takes longer than any of our questions.
        "jit": "off",
        "timezone": "UTC",
    }
    if not read_only:
        # What decides and records asks by key. A plan that was made while a table was
        # small would read all of it for ever.
        options |= dict.fromkeys(
            ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"), "off"
        )
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=not alone,
        pool_reset_on_return=None if alone else "rollback",
        isolation_level=_isolation(read_only=read_only, alone=alone),
        hide_parameters=True,
        connect_args={
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            "connect_timeout": 10,
            # `Prepared` tells the server of statements itself: the driver forgets all that
            # are told when a transaction is rolled back.
            "prepare_threshold": 0 if alone else None,
            "application_name": "reconcile",
        },
    )


def _isolation(
    *, read_only: bool, alone: bool
) -> Literal["AUTOCOMMIT", "REPEATABLE READ", "READ COMMITTED"]:
    if alone:
        return "AUTOCOMMIT"
    return "REPEATABLE READ" if read_only else "READ COMMITTED"


def _raise_unless_retried(error: DBAPIError | psycopg.Error) -> None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlstate", None)
    if code in RETRIED:
        log.debug("sqlstate=%s step=retry", code)
        return
    if code is not None and code.startswith(TOO_LONG):
        raise DataTypeError("a value is longer than the registry keeps") from _safe(cause)
    ours = isinstance(cause, psycopg.DataError)  # a value that no column can hold
    away = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
    if away or (code is None and not ours):
        raise ServiceUnavailable("the database cannot be reached") from _safe(cause)
    raise _safe(cause) from None


def _safe(cause: BaseException | None) -> Exception:
    """An error without its detail, which may quote values."""
    return DatabaseFault(f"{type(cause).__name__} {getattr(cause, 'sqlstate', '')}")
