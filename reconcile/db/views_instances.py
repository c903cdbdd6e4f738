"""Single instances: what is given out of them today, and everything that ever came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, null, select

from reconcile.core.attributes import Change, from_listed
from reconcile.db import filed as f
from reconcile.db import history as h
from reconcile.db import removals
from reconcile.db import tables as t
from reconcile.db import unresolved as u
from reconcile.db.views import instances_named, series_named, studies_named, uuid_of
from reconcile.errors import NotFound

_i, _r = t.instance.c, t.receipt.c


@dataclass(frozen=True, slots=True)
class Live:
    """Assignments that an instance is given out with, and what its item tells of them.

    `event_id`: of an event that is about more than this instance.
    """

    assigns: tuple[Change, ...]
    coerced_at: datetime
    modifying_system: str
    source: str
    reason: str
    event_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """One arrival as it is kept: the name of its file is the digest, in hex.

    `segment` is the segment in which that file is a member, at `segment_offset`; empty:
    it stands for itself. `file_meta` is the meta information that an imported file
    brought, else empty.
    """

    receipt_id: UUID
    sop_instance_uid: str
    sop_class_uid: str
    digest: str
    length: int
    transfer_syntax_uid: str
    text_charset: str
    file_meta: bytes
    source: str
    received_at: datetime
    outcome: str
    current: bool
    hidden: bool
    segment: str
    segment_offset: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """One arrival as it is told; `digest` is SHA-256 of the data set, in hex."""

    id: UUID
    received_at: datetime
    source: str
    digest: str
    length: int
    transfer_syntax_uid: str
    outcome: str
    current: bool


@dataclass(frozen=True, slots=True)
class Holding:
    """What an instance is given out from: its receipt, and its live assignments."""

    kept: Kept
    live: tuple[Live, ...]


def holding(
    connection: Connection, sop_instance_uid: str, study_uid: str = "", series_uid: str = ""
) -> Holding:
    """What is given out of an instance; study and series by received or assigned UID.

    Raises:
        NotFound: there is none, not in this study and series, or it is held and hidden.
    """
    query = _arrivals().where(
        _i.receipt_id == _r.id,
        _i.hidden.is_(False),
        _i.id.in_(instances_named(sop_instance_uid)),
    )
    if series_uid:
        query = query.where(_i.series_id.in_(series_named(series_uid)))
    if study_uid:
        of_study = select(t.series.c.id).where(
            t.series.c.study_id.in_(studies_named(study_uid))
        )
        query = query.where(_i.series_id.in_(of_study))
    row = connection.execute(query.order_by(_i.uid_domain)).first()
    if row is None:
        absent = removals.absence(connection, sop_instance_uid)
        raise absent or NotFound("there is no such instance to be given out")
    return Holding(kept_of(row), _live(connection, row))


def holding_of(connection: Connection, receipt_id: UUID) -> Holding | None:
    """What is given out of an arrival; None where that is not this one, or nothing."""
    query = _arrivals().where(
        _r.id == receipt_id, _i.receipt_id == _r.id, _i.hidden.is_(False)
    )
    row = connection.execute(query).first()
    return None if row is None else Holding(kept_of(row), _live(connection, row))


def received(
    connection: Connection, sop_instance_uid: str, receipt: str = "", *, hidden: bool = True
) -> Kept:
    """An instance as it came: what is given out now, or the arrival that is named.

    Args:
        connection: a reader's.
        sop_instance_uid: of whatever UID domain.
        receipt: its id; empty: the one that is given out now.
        hidden: whether to give one that is held and hidden.

    Raises:
        NotFound: there is none.
    """
    query = _arrivals().where(_r.sop_instance_uid == sop_instance_uid)
    if receipt:
        query = query.where(_r.id == uuid_of(receipt))
    else:
        query = query.where(_i.receipt_id == _r.id)
    if not hidden:
        query = query.where(_i.hidden.is_(False))
    row = connection.execute(query.order_by(_i.uid_domain)).first()
    if row is None:
        raise NotFound("there is no such arrival of this instance")
    return kept_of(row)


def arrivals(connection: Connection, sop_instance_uid: str) -> tuple[Arrived, ...]:
    """Every arrival of an instance, the first one first.

    Raises:
        NotFound: there is none.
    """
    query = _arrivals().where(_r.sop_instance_uid == sop_instance_uid).order_by(_r.id)
    found = tuple(_arrived(row) for row in connection.execute(query))
    if not found:
        raise NotFound("there is no instance of this SOP Instance UID")
    return found


def is_known(connection: Connection, digest: str) -> bool:
    """Whether a data set with these bytes ever came, and was not deleted."""
    query = select(_r.id).where(_r.digest == bytes.fromhex(digest), ~removals.goes(_r.id))
    return connection.execute(query.limit(1)).first() is not None


def _arrivals() -> Select[Any]:
    """Receipts with their instance, whichever of them it now points to."""
    same = (_i.uid_domain == _r.uid_domain) & (_i.sop_instance_uid == _r.sop_instance_uid)
    columns = (
        t.receipt,
        _i.sop_class_uid,
        _i.hidden,
        _i.assignment_id,
        _i.coerced_at,
        _i.series_id,
        _i.stored_revision,
        _i.as_received,
        (_i.receipt_id == _r.id).label("current"),
    )
    return select(*columns).select_from(t.receipt).join(t.instance, same)


def kept_of(row: Row[Any]) -> Kept:
    """An arrival as its row tells it."""
    return Kept(
        row.id,
        row.sop_instance_uid,
        row.sop_class_uid,
        row.digest.hex(),
        row.length,
        row.transfer_syntax_uid,
        row.text_charset,
        row.file_meta,
        row.source,
        row.received_at,
        row.outcome,
        row.current,
        row.hidden,
        row.segment or "",
        row.segment_offset or 0,
    )


def _arrived(row: Row[Any]) -> Arrived:
    return Arrived(
        row.id,
        row.received_at,
        row.source,
        row.digest.hex(),
        row.length,
        row.transfer_syntax_uid,
        row.outcome,
        row.current,
    )


def _live(connection: Connection, row: Row[Any]) -> tuple[Live, ...]:
    """In the order in which they apply: of its storing, then of later happenings."""
    found: list[Live] = []
    if row.assignment_id is not None:
        query = select(t.assignment).where(t.assignment.c.id == row.assignment_id)
        found.append(live_of(connection.execute(query).one(), row.coerced_at))
    later = [*_later(connection, row.id), *_of_its_series(connection, row)]
    later.sort(key=lambda each: each.position)
    found.extend(live_of(late, late.coerced_at, late.event_id) for late in later)
    return tuple(found)


def _later(connection: Connection, receipt_id: UUID) -> Sequence[Row[Any]]:
    late, e = u.later_assignment.c, h.coercion_event.c
    query = (
        select(t.assignment, late.coerced_at, e.position, null().label("event_id"))
        .join(u.later_assignment, late.assignment_id == t.assignment.c.id)
        .join(h.coercion_event, e.id == late.event_id)
        .where(late.receipt_id == receipt_id, func.upper_inf(late.recorded))
        .order_by(e.position)
    )
    return connection.execute(query).all()


def _of_its_series(connection: Connection, row: Row[Any]) -> Sequence[Row[Any]]:
    """What was decided of its series since it was stored."""
    if row.series_id is None or row.as_received:
        return ()
    scope, e = f.series_assignment.c, h.coercion_event.c
    query = (
        select(t.assignment, scope.coerced_at, e.position, scope.event_id)
        .join(f.series_assignment, scope.assignment_id == t.assignment.c.id)
        .join(h.coercion_event, e.id == scope.event_id)
        .where(
            scope.series_id == row.series_id,
            scope.revision > row.stored_revision,
            func.upper_inf(scope.recorded),
        )
    )
    return connection.execute(query).all()


def live_of(row: Row[Any], coerced_at: datetime, event_id: UUID | None = None) -> Live:
    """An assignment as its row tells it."""
    assigns = tuple(from_listed(said) for said in row.assigns)
    told = (row.modifying_system, row.source, row.reason)
    return Live(assigns, coerced_at, *told, event_id)
