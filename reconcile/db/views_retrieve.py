"""Many instances to be given out: which, in a stable order, and what each is made from.

What names them is narrowed as a query is: by what was received, assigned, or has become
something else. A page is read in one transaction and goes on after the instance that
ended the one before it, so that nothing waits for a peer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    func,
    null,
    select,
    tuple_,
    union_all,
)

from reconcile.db import filed as f
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db import unresolved as u
from reconcile.db.views_found import Asked, found_by, links
from reconcile.db.views_instances import Holding, Live, kept_of, live_of

_i, _r, _s, _st = t.instance.c, t.receipt.c, t.series.c, t.study.c

#: Instances of one page: what is in memory for one retrieve.
PAGE = 100


@dataclass(frozen=True, slots=True)
class After:
    """A place in the order of instances."""

    series_id: UUID
    instance_id: UUID


@dataclass(frozen=True, slots=True)
class Given:
    """An instance to be given out.

    Attributes:
        study_uid: as it is given out, like `series_uid`.
        person_id: whose it is, surviving merges; None: it is held, or nobody's.
        as_received: it is given out as it came.
        unused: its study, where nobody was given of it before.
    """

    holding: Holding
    study_uid: str
    series_uid: str
    person_id: UUID | None
    as_received: bool
    unused: UUID | None


def kinds(
    connection: Connection, asked: Asked, sop_instance_uids: Collection[str] = ()
) -> dict[tuple[str, str], int]:
    """How many instances there are, by (SOP Class UID, stored Transfer Syntax UID)."""
    query = _wanted(asked, sop_instance_uids).subquery()
    counted = (
        select(_i.sop_class_uid, _r.transfer_syntax_uid, func.count().label("instances"))
        .select_from(query)
        .join(t.instance, _i.id == query.c.id)
        .join(t.receipt, _r.id == _i.receipt_id)
        .group_by(_i.sop_class_uid, _r.transfer_syntax_uid)
        .order_by(_i.sop_class_uid, _r.transfer_syntax_uid)
    )
    return {(row[0], row[1]): row[2] for row in connection.execute(counted)}


def page(
    connection: Connection,
    asked: Asked,
    after: After | None = None,
    *,
    sop_instance_uids: Collection[str] = (),
    sop_classes: Collection[str] = (),
) -> tuple[list[Given], After | None]:
    """Instances in the order of their series, and where to go on; None: at the end.

    Args:
        connection: a reader's.
        asked: what names them.
        after: where the page before this one ended.
        sop_instance_uids: only these; none: whatever there is.
        sop_classes: likewise.
    """
    wanted = _wanted(asked, sop_instance_uids)
    if sop_classes:
        wanted = wanted.where(_i.sop_class_uid.in_(list(sop_classes)))
    if after is not None:
        place = tuple_(_i.series_id, _i.id)
        # said twice: whole series are left out without looking at their instances
        wanted = wanted.where(
            _i.series_id >= after.series_id,
            place > tuple_(after.series_id, after.instance_id),
        )
    wanted = wanted.order_by(_i.series_id, _i.id).limit(PAGE)
    rows = connection.execute(_described(wanted)).all()
    live = _live(connection, rows)
    found = [_given(row, live[row.id]) for row in rows]
    last = rows[-1] if len(rows) == PAGE else None
    return found, After(last.series_id, last.instance_id) if last is not None else None


def of(connection: Connection, instance_ids: Collection[UUID]) -> dict[UUID, Given]:
    """Some instances, by their ids; those that are hidden are not among them."""
    wanted = select(_i.id).where(_i.id.in_(list(instance_ids)), ~_i.hidden)
    rows = connection.execute(_described(wanted)).all()
    live = _live(connection, rows)
    return {row.instance_id: _given(row, live[row.id]) for row in rows}


def _wanted(asked: Asked, sop_instance_uids: Collection[str]) -> Select[Any]:
    found = found_by(asked)
    assert found is not None or sop_instance_uids, "something is named"
    query = select(_i.id).where(~_i.hidden, _i.series_id.is_not(None))
    if found is not None:
        query = query.join(found, found.c.id == _i.series_id)
    if sop_instance_uids:
        query = query.where(_i.sop_instance_uid.in_(list(sop_instance_uids)))
    return query


def _described(wanted: Select[Any]) -> Select[Any]:
    """The rows of some instances; `id` is that of the receipt."""
    chosen = wanted.cte("wanted").prefix_with("MATERIALIZED", dialect="postgresql")
    person, link = t.person.alias("p"), t.identity_link.alias("l")
    current: ColumnElement[bool] = _r.id == _i.receipt_id
    return (
        select(
            t.receipt,
            _i.id.label("instance_id"),
            _i.sop_class_uid,
            _i.hidden,
            _i.assignment_id,
            _i.coerced_at,
            _i.series_id,
            _i.stored_revision,
            _i.as_received,
            current.label("current"),
            _s.series_instance_uid,
            _s.study_id,
            _st.study_instance_uid,
            _st.used_at,
            person.c.canonical_id,
        )
        .select_from(chosen)
        .join(t.instance, _i.id == chosen.c.id)
        .join(t.receipt, current)
        .join(t.series, _s.id == _i.series_id)
        .join(t.study, _st.id == _s.study_id)
        .outerjoin(link, links(link, t.series))
        .outerjoin(person, person.c.id == link.c.person_id)
        .order_by(_i.series_id, _i.id)
    )


def _given(row: Row[Any], live: tuple[Live, ...]) -> Given:
    return Given(
        Holding(kept_of(row), live),
        row.study_instance_uid,
        row.series_instance_uid,
        row.canonical_id,
        row.as_received,
        row.study_id if row.used_at is None else None,
    )


# -- What they are given out with --------------------------------------------------------


def _live(connection: Connection, rows: Sequence[Row[Any]]) -> dict[UUID, tuple[Live, ...]]:
    """By receipt, in the order in which it applies, for all of a page at once."""
    stored = _assignments(connection, {r.assignment_id for r in rows} - {None})
    later = _later(connection, rows)
    found: dict[UUID, tuple[Live, ...]] = {}
    for row in rows:
        first = stored.get(row.assignment_id)
        begun = [live_of(first, row.coerced_at)] if first is not None else []
        since = [
            live_of(each, each.coerced_at, each.event_id)
            for each in (*later.get(row.id, ()), *later.get(row.series_id, ()))
            if _applies(each, row)
        ]
        found[row.id] = (*begun, *since)
    return found


def _applies(later: Row[Any], row: Row[Any]) -> bool:
    if later.revision is None:
        return True
    return not row.as_received and bool(later.revision > row.stored_revision)


def _assignments(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Row[Any]]:
    if not ids:
        return {}
    query = select(t.assignment).where(t.assignment.c.id.in_(list(ids)))
    return {row.id: row for row in connection.execute(query)}


def _later(connection: Connection, rows: Sequence[Row[Any]]) -> dict[UUID, list[Row[Any]]]:
    """What was assigned since, by the receipt or the series that it is about."""
    if not rows:
        return {}
    late, scope = u.later_assignment.c, f.series_assignment.c
    e = h.coercion_event.c
    own = (
        select(
            late.receipt_id.label("about"),
            late.assignment_id.label("given_id"),
            late.coerced_at,
            e.position,
            null().label("event_id"),
            null().label("revision"),
        )
        .join(h.coercion_event, e.id == late.event_id)
        .where(late.receipt_id.in_([r.id for r in rows]), func.upper_inf(late.recorded))
    )
    series = (
        select(
            scope.series_id,
            scope.assignment_id,
            scope.coerced_at,
            e.position,
            scope.event_id,
            scope.revision,
        )
        .join(h.coercion_event, e.id == scope.event_id)
        .where(
            scope.series_id.in_({r.series_id for r in rows}),
            func.upper_inf(scope.recorded),
        )
    )
    both = union_all(own, series).subquery("both")
    query = (
        select(t.assignment, *both.c)
        .join(both, both.c.given_id == t.assignment.c.id)
        .order_by(both.c.position)
    )
    found: dict[UUID, list[Row[Any]]] = {}
    for row in connection.execute(query):
        found.setdefault(row.about, []).append(row)
    return found
