"""What was erased of the history, by whom and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, select

from reconcile.db.erasing import erased_event
from reconcile.db.erasing import erasure as table
from reconcile.db.views import Page, Where, decode_cursor, page, uuid_of

_r, _x = table.c, erased_event.c


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure; `events` is of how many events."""

    id: UUID
    reason: str
    actor: str
    recorded_at: datetime
    happening: UUID
    events: int


def erasures(connection: Connection, where: Where, *, event: str = "") -> Page[Erasure]:
    """A page of them, the first one first; `event`: by which its values were erased."""
    query = _select()
    if event:
        query = query.where(_r.id.in_(_by_event(uuid_of(event))))
    if where.cursor:
        query = query.where(_r.id > decode_cursor(where.cursor, UUID))
    rows = connection.execute(query.limit(where.limit + 1)).all()
    shown, following = page(rows, where.limit, "id")
    return Page(tuple(map(_erasure, shown)), following)


def of_event(connection: Connection, event_id: UUID) -> Erasure | None:
    """By which an event's values were erased; None: they were not."""
    query = _select().where(_r.id.in_(_by_event(event_id)))
    row = connection.execute(query).first()
    return None if row is None else _erasure(row)


def _by_event(event_id: UUID | None) -> Select[Any]:
    return select(_x.erasure_id).where(_x.event_id == event_id)


def _select() -> Select[Any]:
    count = select(func.count()).where(_x.erasure_id == _r.id).scalar_subquery()
    return select(table, count.label("events")).order_by(_r.id)


def _erasure(row: Row[Any]) -> Erasure:
    told = (row.reason, row.actor, row.recorded_at, row.happening_id, row.events)
    return Erasure(row.id, *told)
