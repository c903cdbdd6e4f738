"""What was given out of an instance at a time: the changes that were live then.

Rows of changes are closed and never deleted, so it is asked of their ranges. A time is
that of the database when a row was written; a transaction shows all of its rows at once,
a moment after the first of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, null, select

from reconcile.db import filed as f
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db import unresolved as u
from reconcile.db.views import (
    Page,
    Where,
    decode_cursor,
    instances_named,
    page,
    studies_named,
)
from reconcile.db.views_instances import Holding, Live, kept_of, live_of
from reconcile.errors import NotFound

_i, _r, _g = t.instance.c, t.receipt.c, h.happening.c
_e, _late, _scope = h.coercion_event.c, u.later_assignment.c, f.series_assignment.c


def holding_at(
    connection: Connection, sop_instance_uid: str, when: datetime, *, hidden: bool = True
) -> Holding:
    """What an instance was given out from at a time.

    Whether it was held and hidden then is not kept: it is answered as it would have been
    given out. `hidden`: whether to tell of one that is hidden now.

    Raises:
        NotFound: there was none.
    """
    query = _arrivals().where(_i.id.in_(instances_named(sop_instance_uid)))
    if not hidden:
        query = query.where(_i.hidden.is_(False))
    rows = connection.execute(
        query.where(_r.received_at <= when).order_by(_i.uid_domain, _r.id)
    ).all()
    if not rows:
        raise NotFound("there was no such instance at this time")
    of_one = [row for row in rows if row.instance_id == rows[0].instance_id]
    since = _current_since(connection, rows[0].instance_happening_id)
    current = [row for row in of_one if row.current and since <= when]
    if current:
        return Holding(kept_of(current[0]), _live(connection, current[0], when))
    return _retired(connection, of_one, when)


def instances_of(connection: Connection, uid: str, where: Where) -> Page[str]:
    """SOP Instance UIDs of a study, by received or assigned UID; also of hidden ones."""
    studies = studies_named(uid)
    query = (
        select(_i.sop_instance_uid)
        .join(t.series, t.series.c.id == _i.series_id)
        .where(t.series.c.study_id.in_(studies))
    )
    if where.cursor:
        query = query.where(_i.sop_instance_uid > decode_cursor(where.cursor, str))
    query = query.order_by(_i.sop_instance_uid).limit(where.limit + 1)
    rows, following = page(connection.execute(query).all(), where.limit, "sop_instance_uid")
    return Page(tuple(row.sop_instance_uid for row in rows), following)


def _arrivals() -> Select[Any]:
    same = (_i.uid_domain == _r.uid_domain) & (_i.sop_instance_uid == _r.sop_instance_uid)
    return (
        select(
            t.receipt,
            _i.id.label("instance_id"),
            _i.happening_id.label("instance_happening_id"),
            _i.sop_class_uid,
            _i.hidden,
            _i.assignment_id,
            _i.coerced_at,
            _i.series_id,
            _i.stored_revision,
            _i.as_received,
            (_i.receipt_id == _r.id).label("current"),
        )
        .select_from(t.receipt)
        .join(t.instance, same)
    )


def _current_since(connection: Connection, happening_id: UUID) -> datetime:
    """When the arrival that is current took its place."""
    query = select(_g.recorded_at).where(_g.id == happening_id)
    found: datetime = connection.execute(query).scalar_one()
    return found


def _retired(connection: Connection, rows: list[Row[Any]], when: datetime) -> Holding:
    """Another arrival was current: what it was given out with is kept as its own."""
    for row in rows:
        found = tuple(_folded(connection.execute(_of_arrival(row.id, when)).all()))
        if found:
            return Holding(kept_of(row), found)
    stored = [row for row in rows if row.outcome not in _NEVER_CURRENT]
    return Holding(kept_of((stored or rows)[0]), ())


_NEVER_CURRENT = ("already-stored", "DUPLICATE-DIFFERS", "refused")


def _live(connection: Connection, row: Row[Any], when: datetime) -> tuple[Live, ...]:
    found: list[Live] = []
    if row.assignment_id is not None:
        query = select(t.assignment).where(t.assignment.c.id == row.assignment_id)
        found.append(live_of(connection.execute(query).one(), row.coerced_at))
    rows = list(connection.execute(_of_arrival(row.id, when)).all())
    if row.series_id is not None and not _was_as_received(connection, row, when):
        rows += connection.execute(_of_series(row, when)).all()
    return (*found, *_folded(rows))


def _folded(rows: Any) -> Iterator[Live]:
    for row in sorted(rows, key=lambda each: each.position):
        yield live_of(row, row.coerced_at, row.event_id)


def _of_arrival(receipt_id: UUID, when: datetime) -> Select[Any]:
    return (
        select(t.assignment, _late.coerced_at, _e.position, null().label("event_id"))
        .join(u.later_assignment, _late.assignment_id == t.assignment.c.id)
        .join(h.coercion_event, _e.id == _late.event_id)
        .where(_late.receipt_id == receipt_id, _held(_late.recorded, when))
    )


def _of_series(row: Row[Any], when: datetime) -> Select[Any]:
    return (
        select(t.assignment, _scope.coerced_at, _e.position, _scope.event_id)
        .join(f.series_assignment, _scope.assignment_id == t.assignment.c.id)
        .join(h.coercion_event, _e.id == _scope.event_id)
        .where(
            _scope.series_id == row.series_id,
            _scope.revision > row.stored_revision,
            _held(_scope.recorded, when),
        )
    )


def _was_as_received(connection: Connection, row: Row[Any], when: datetime) -> bool:
    """Whether nothing that was decided of its series applied to it."""
    query = select(_g.recorded_at).where(_g.undoes == row.instance_happening_id)
    undone = connection.execute(query).scalar()
    if undone is None:
        return bool(row.as_received)
    if row.as_received or undone > when:
        return bool(undone <= when)
    filing = f.series_filing.c
    held = (
        select(filing.held)
        .where(filing.series_id == row.series_id, _held(filing.recorded, when))
        .order_by(filing.place.desc())
    )
    return connection.execute(held.limit(1)).scalar() == "UNDONE"


def _held(recorded: ColumnElement[Any], when: datetime) -> ColumnElement[bool]:
    return recorded.op("@>", is_comparison=True)(when)
