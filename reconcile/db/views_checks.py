"""What `doctor` and the readiness probe look at: whether the rows agree with each other."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Subquery,
    func,
    literal,
    select,
    text,
    tuple_,
)

from reconcile.core.attributes import (
    INSTANCE_COERCION_DATETIME,
    SPECIFIC_CHARACTER_SET,
    Assign,
    from_listed,
    same,
)
from reconcile.dataset.keywords import tag_of
from reconcile.db import filed as f
from reconcile.db import history as h
from reconcile.db import removals
from reconcile.db import tables as t
from reconcile.db import unresolved as u
from reconcile.db.events import is_of_current

_BATCH = 1000
#: What giving out sets of its own accord: it follows from a coercion, nobody assigns it.
#: Signatures that a change breaks, and what they were made with, go as well.
_FOLLOWS = frozenset(
    {SPECIFIC_CHARACTER_SET, INSTANCE_COERCION_DATETIME, "4FFE0001", "FFFAFFFA"}
)
_COUNTED = {
    "persons": t.person,
    "studies": t.study,
    "series": t.series,
    "instances": t.instance,
    "receipts": t.receipt,
    "orders": t.imaging_order,
    "messages": t.message,
    "coercion_events": h.coercion_event,
}


@dataclass(frozen=True, slots=True)
class OpenItems:
    """Open items of one kind and code."""

    kind: str
    code: str
    count: int
    oldest: datetime


def reachable(connection: Connection) -> bool:
    """Whether the server answers."""
    return bool(connection.execute(select(1)).scalar_one() == 1)


def others_are_connected(connection: Connection) -> bool:
    """Whether anybody else uses this database now."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    return bool(connection.execute(query).scalar_one())


def open_items(connection: Connection) -> tuple[OpenItems, ...]:
    """What waits for a person or wants one's eye, by code."""
    hold = t.hold.c
    query = (
        select(hold.kind, hold.code, func.count(), func.min(hold.opened_at))
        .where(hold.state == "open")
        .group_by(hold.kind, hold.code)
        .order_by(hold.kind, hold.code)
    )
    return tuple(OpenItems(*row) for row in connection.execute(query))


def counts(connection: Connection) -> dict[str, int]:
    """Rows of the larger tables, counted."""
    return {
        name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for name, table in _COUNTED.items()
    }


def estimates(connection: Connection) -> dict[str, int]:
    """The same as PostgreSQL last estimated them: costs nothing, may be stale."""
    query = text(
        "SELECT relname, greatest(reltuples, 0)::bigint FROM pg_class"
        " WHERE oid = ANY (CAST(:names AS regclass[]))"
    )
    names = {table.name: name for name, table in _COUNTED.items()}
    rows = connection.execute(query, {"names": list(names)})
    return {names[table]: int(count) for table, count in rows}


def locations(connection: Connection) -> Iterator[tuple[str, int, str, int]]:
    """(digest, length, segment, offset in it) where receipts say that bytes are, once.

    Without what is gone on purpose, or is about to be.
    """
    r = t.receipt.c
    where = r.digest, func.coalesce(r.segment, ""), func.coalesce(r.segment_offset, 0)
    last: tuple[Any, ...] = (b"", "", -1)
    while True:
        query = (
            select(*where, r.length)
            .distinct()
            .where(~removals.goes(r.id))
            .where(r.digest >= last[0], tuple_(*where) > tuple_(*map(literal, last)))
            .order_by(*where)
            .limit(_BATCH)
        )
        found = connection.execute(query).all()
        yield from ((digest.hex(), n, s, at) for digest, s, at, n in found)
        if len(found) < _BATCH:
            return
        last = tuple(found[-1])[:3]


def unknown_digests(connection: Connection, digests: Collection[str]) -> set[str]:
    """Those that no receipt names."""
    wanted = [bytes.fromhex(digest) for digest in digests]
    query = select(t.receipt.c.digest).where(t.receipt.c.digest.in_(wanted))
    return set(digests) - {found.hex() for found in connection.execute(query).scalars()}


def stale_canonical(connection: Connection) -> tuple[UUID, ...]:
    """Persons whose cached survivor is not the one that the merge edges lead to."""
    query = text(
        "WITH RECURSIVE up(start, id, depth) AS ("
        " SELECT id, id, 0 FROM person"
        " UNION ALL"
        " SELECT up.start, e.survivor_id, depth + 1 FROM up"
        " JOIN merge_edge e ON e.subsumed_id = up.id AND upper_inf(e.recorded)"
        " WHERE depth < 1000)"
        " SELECT p.id FROM person p"
        " JOIN (SELECT DISTINCT ON (start) start, id FROM up ORDER BY start, depth DESC) r"
        " ON r.start = p.id WHERE r.id <> p.canonical_id ORDER BY p.id"
    )
    return tuple(connection.execute(query).scalars())


def state_not_fold(connection: Connection) -> Iterator[tuple[str, str]]:
    """(SOP or Series Instance UID, what) where live assignments and history differ."""
    for rows in (_stored(connection), _later(connection)):
        for row in rows:
            for what in _contradictions(row):
                yield row.sop_instance_uid, what
    for row in _of_series(connection):
        for what in _contradictions(row):
            yield row.series_instance_uid, what


def _stored(connection: Connection) -> Iterator[Row[Any]]:
    """Instances with the assignment of their storing, and the event that tells of it."""
    i, e, late = t.instance.c, h.coercion_event.c, u.later_assignment.c
    undoing = h.happening.alias("undoing")
    told_later = select(late.id).where(
        late.event_id == e.id,
        late.receipt_id == i.receipt_id,
        func.upper_inf(late.recorded),
    )
    told_later = told_later.correlate(t.instance, h.coercion_event)
    newest = (
        select(e.id, e.attributes, e.recorded_at, h.coercion_value.c.body)
        .outerjoin(h.coercion_value, h.coercion_value.c.event_id == e.id)
        .outerjoin(undoing, undoing.c.undoes == e.happening_id)
        .where(e.instance_id == i.id, is_of_current(), undoing.c.id.is_(None))
        .where(~told_later.exists())
        .order_by(e.position.desc())
        .limit(1)
        .lateral("newest")
    )
    query = (
        select(
            i.id, i.sop_instance_uid, i.coerced_at, t.assignment.c.assigns, *_told(newest)
        )
        .outerjoin(t.assignment, t.assignment.c.id == i.assignment_id)
        .outerjoin(newest, text("true"))
    )
    return _in_batches(connection, query, i.id)


def _later(connection: Connection) -> Iterator[Row[Any]]:
    """What instances are given out with since their storing, each with its event."""
    i, late = t.instance.c, u.later_assignment.c
    standing = _standing()
    of_it = (standing.c.id == late.event_id) & (standing.c.receipt_id == late.receipt_id)
    query = (
        select(late.id, i.sop_instance_uid, late.coerced_at, t.assignment.c.assigns)
        .add_columns(*_told(standing, "personal"))
        .select_from(u.later_assignment)
        .join(t.instance, i.receipt_id == late.receipt_id)
        .join(t.assignment, t.assignment.c.id == late.assignment_id)
        .outerjoin(standing, of_it)
        .where(func.upper_inf(late.recorded))
    )
    return _in_batches(connection, query, late.id)


def _of_series(connection: Connection) -> Iterator[Row[Any]]:
    """What series are given out with since their storing, each with its event."""
    scope, s = f.series_assignment.c, t.series.c
    standing = _standing()
    of_it = (standing.c.id == scope.event_id) & (standing.c.revision == scope.revision)
    query = (
        select(scope.id, s.series_instance_uid, scope.coerced_at, t.assignment.c.assigns)
        .add_columns(*_told(standing, "personal"))
        .select_from(f.series_assignment)
        .join(t.series, s.id == scope.series_id)
        .join(t.assignment, t.assignment.c.id == scope.assignment_id)
        .outerjoin(standing, of_it)
        .where(func.upper_inf(scope.recorded))
    )
    return _in_batches(connection, query, scope.id)


def _standing() -> Subquery:
    """Events that nobody has taken back, with their values."""
    e, undoing = h.coercion_event.c, h.happening.alias("undoing")
    return (
        select(h.coercion_event, h.coercion_value.c.body.label("personal"))
        .outerjoin(h.coercion_value, h.coercion_value.c.event_id == e.id)
        .outerjoin(undoing, undoing.c.undoes == e.happening_id)
        .where(undoing.c.id.is_(None))
        .subquery("standing")
    )


def _told(event: FromClause, body: str = "body") -> tuple[ColumnElement[Any], ...]:
    e = event.c
    return e.id.label("event_id"), e.attributes, e.recorded_at, e[body].label("body")


def _in_batches(
    connection: Connection, query: Select[Any], key: ColumnElement[UUID]
) -> Iterator[Row[Any]]:
    """All rows of a query in constant memory; `key` is its column `id`."""
    last: UUID | None = None
    while True:
        asked = query if last is None else query.where(key > last)
        rows = connection.execute(asked.order_by(key).limit(_BATCH)).all()
        yield from rows
        if len(rows) < _BATCH:
            return
        last = rows[-1].id


def _contradictions(row: Row[Any]) -> Iterator[str]:
    if row.assigns is None and row.event_id is None:
        return
    if row.event_id is None:
        yield "is given out changed, and no event says so"
    elif row.assigns is None:
        yield "has an event that stands, and is given out as it came"
    else:
        yield from _differences(row)


def _differences(row: Row[Any]) -> Iterator[str]:
    if row.coerced_at != row.recorded_at:
        yield "Instance Coercion DateTime is not the event's time"
    changes = [from_listed(said) for said in row.assigns]
    assigns = {each.tag: each.element for each in changes if isinstance(each, Assign)}
    by_value = len(assigns) < len(changes)
    new: Mapping[str, Any] | None = (
        json.loads(row.body)["new_attributes"] if row.body is not None else None
    )
    for keyword in row.attributes:
        tag = tag_of(keyword) or keyword
        if tag in _FOLLOWS or (by_value and tag not in assigns):
            continue
        if tag not in assigns:
            yield f"{keyword} is in the event and not among the live assignments"
        elif new is not None and not same(assigns[tag], new.get(tag)):
            yield f"{keyword} is given out otherwise than the event says"


def history_is_guarded(connection: Connection) -> bool:
    """Whether this role may only add to the history (grants beside the triggers)."""
    may = func.has_table_privilege("coercion_event", "UPDATE")
    return not connection.execute(select(may)).scalar()
