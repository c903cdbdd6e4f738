"""What came lately, a little at a time: series with what became of them, and messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Connection, Select, select

from reconcile.db import tables as t
from reconcile.db.database import Database
from reconcile.db.ids import first_since

_PAGE = 200
_s, _m = t.series.c, t.message.c


@dataclass(frozen=True, slots=True)
class Came:
    """A series that came; `held`: the code that holds it now, or empty."""

    id: UUID
    study_instance_uid: str
    series_instance_uid: str
    held: str


def series_since(database: Database, since: datetime) -> Iterator[Came]:
    """Series of which the first instance came since, the oldest first."""
    query = select(
        _s.id, t.study.c.study_instance_uid, _s.series_instance_uid, _s.held
    ).join(t.study, t.study.c.id == _s.study_id)
    for row in _each(database, query, _s.id, since):
        yield Came(row.id, row.study_instance_uid, row.series_instance_uid, row.held or "")


def messages_since(database: Database, since: datetime) -> Iterator[UUID]:
    """Ids of the messages that came since, the oldest first."""
    for row in _each(database, select(_m.id), _m.id, since):
        yield row.id


def _each(
    database: Database, query: Select[Any], key: Column[Any], since: datetime
) -> Iterator[Any]:
    """Rows by page; no connection is held between them."""
    last, newest = first_since(since), None
    while True:
        with database.read_only() as connection:
            newest = newest or _newest(connection, key)
            if newest is None:
                return
            page = query.where(key > last, key <= newest).order_by(key).limit(_PAGE)
            rows = connection.execute(page).all()
        yield from rows
        if len(rows) < _PAGE:
            return
        last = rows[-1].id


def _newest(connection: Connection, key: Column[Any]) -> UUID | None:
    return connection.execute(select(key).order_by(key.desc()).limit(1)).scalar()
