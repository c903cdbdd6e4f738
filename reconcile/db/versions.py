"""Versions of one instance: arrivals of other content under one SOP Instance UID.

One of them is current; another takes its place when a person says so. How each was given
out stays known: closed rows of `later_assignment` hold it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, insert, select, text, update

from reconcile.core.attributes import from_listed
from reconcile.db import history as h
from reconcile.db import removals, views_instances
from reconcile.db import tables as t
from reconcile.db import unresolved as u
from reconcile.db.ids import uuid7
from reconcile.db.stored import Receipt
from reconcile.db.views_instances import Holding, Kept, Live
from reconcile.errors import NotFound

#: An arrival is compared with this many: a peer that never sends the same twice must not
#: make each of its images dearer than the one before.
VERSIONS_MAX = 8

_i, _r, _late = t.instance.c, t.receipt.c, u.later_assignment.c


@dataclass(frozen=True, slots=True)
class Version:
    """One version with all that it is or was given out with, in order."""

    holding: Holding
    current: bool


# -- What there is ------------------------------------------------------------------


def versions(
    connection: Connection, uid_domain: str, sop_instance_uid: str
) -> tuple[Version, ...]:
    """The current version of an instance, then the newest others; the same content once."""
    current = (_i.receipt_id == _r.id).label("current")
    query = (
        select(_r.id, current)
        .join(
            t.instance,
            (_i.uid_domain == _r.uid_domain) & (_i.sop_instance_uid == _r.sop_instance_uid),
        )
        .where(
            _r.sop_instance_uid == sop_instance_uid,
            _r.uid_domain == uid_domain,
            current | (_r.outcome != "already-stored"),
            ~removals.goes(_r.id),
        )
        .order_by(current.desc(), _r.id.desc())
        .limit(VERSIONS_MAX)
    )
    rows = connection.execute(query).all()
    return tuple(_version(connection, sop_instance_uid, row) for row in rows)


def _version(connection: Connection, sop_instance_uid: str, row: Row[Any]) -> Version:
    found = views_instances.holding_of(connection, row.id)
    if found is not None:
        return Version(found, row.current)
    kept = views_instances.received(connection, sop_instance_uid, str(row.id))
    return Version(Holding(kept, _lives(connection, row.id)), row.current)


def _lives(connection: Connection, receipt_id: UUID) -> tuple[Live, ...]:
    """What an arrival was given out with until another took its place."""
    query = (
        select(t.assignment, _late.coerced_at)
        .join(u.later_assignment, _late.assignment_id == t.assignment.c.id)
        .join(h.coercion_event, h.coercion_event.c.id == _late.event_id)
        .where(_late.receipt_id == receipt_id)
        .order_by(h.coercion_event.c.position)
    )
    return tuple(
        Live(
            tuple(from_listed(said) for said in row.assigns),
            row.coerced_at,
            row.modifying_system,
            row.source,
            row.reason,
        )
        for row in connection.execute(query)
    )


def arrival(connection: Connection, receipt_id: UUID) -> tuple[str, Kept]:
    """(UID domain, an arrival as it is kept).

    Raises:
        NotFound: there is none of this id.
    """
    query = select(_r.uid_domain, _r.sop_instance_uid).where(_r.id == receipt_id)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound("there is no arrival of this id")
    return row[0], views_instances.received(connection, row[1], str(receipt_id))


# -- Another takes its place --------------------------------------------------------


def replace_instance(
    connection: Connection,
    *,
    receipt: Receipt,
    receipt_id: UUID,
    sop_class_uid: str,
    series_id: UUID | None,
    revision: int,
    hidden: bool,
    assignment_id: UUID | None,
    coerced_at: datetime | None,
    happening_id: UUID,
    as_received: bool = False,
) -> UUID:
    """Let an instance be given out from another of its arrivals.

    The arguments are those of `stored.keep_instance`.
    """
    query = select(t.instance).where(
        _i.uid_domain == receipt.uid_domain,
        _i.sop_instance_uid == receipt.sop_instance_uid,
    )
    row = connection.execute(query.with_for_update()).one()
    _retire(connection, row)
    connection.execute(
        update(t.instance)
        .where(_i.id == row.id)
        .values(
            sop_class_uid=sop_class_uid,
            series_id=series_id,
            receipt_id=receipt_id,
            stored_revision=revision,
            hidden=hidden,
            assignment_id=assignment_id,
            coerced_at=coerced_at,
            happening_id=happening_id,
            as_received=as_received,
        )
    )
    return UUID(str(row.id))


def _retire(connection: Connection, row: Row[Any]) -> None:
    """Keep how the version was given out that is current until now."""
    now = func.clock_timestamp()
    live = (_late.receipt_id == row.receipt_id) & func.upper_inf(_late.recorded)
    until = func.tstzrange(func.lower(_late.recorded), now)
    connection.execute(update(u.later_assignment).where(live).values(recorded=until))
    connection.execute(_AS_ITS_SERIES, {"receipt": row.receipt_id})
    told = _of_its_storing(connection, row)
    if row.assignment_id is not None and told:
        connection.execute(
            insert(u.later_assignment).values(
                id=uuid7(),
                receipt_id=row.receipt_id,
                event_id=told[0],
                assignment_id=row.assignment_id,
                coerced_at=row.coerced_at,
                recorded=func.tstzrange(func.least(row.stored_at, now), now),
                happening_id=row.happening_id,
            )
        )


# What its series was given since it was stored, as of this arrival and ended.
_AS_ITS_SERIES = text("""
INSERT INTO later_assignment (
    id, receipt_id, event_id, assignment_id, coerced_at, recorded, happening_id)
SELECT gen_random_uuid(), i.receipt_id, s.event_id, s.assignment_id, s.coerced_at,
    tstzrange(lower(s.recorded), clock_timestamp()), s.happening_id
FROM instance i JOIN series_assignment s ON s.series_id = i.series_id
WHERE i.receipt_id = :receipt AND NOT i.as_received
AND s.revision > i.stored_revision AND upper_inf(s.recorded)
""")


def _of_its_storing(connection: Connection, row: Row[Any]) -> Sequence[UUID]:
    """The event of the happening that made the current version what it is."""
    e = h.coercion_event.c
    query = select(e.id).where(e.instance_id == row.id, e.happening_id == row.happening_id)
    return connection.execute(query.order_by(e.position)).scalars().all()
