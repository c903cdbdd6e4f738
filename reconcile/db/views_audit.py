"""What was changed, when, why and by whom: coercion events as rows, and questions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Row,
    Select,
    and_,
    any_,
    func,
    literal,
    or_,
    select,
)

from reconcile.core.identity import PatientIdentifier
from reconcile.db import filed as f
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.orders import HAS_ACCESSION
from reconcile.db.views import (
    Page,
    Where,
    decode_cursor,
    instances_named,
    page,
    series_named,
    studies_named,
    uuid_of,
)
from reconcile.db.views_patients import persons_of
from reconcile.errors import NotFound

_e, _v, _h = h.coercion_event.c, h.coercion_value.c, h.happening.c
_undoing = h.happening.alias("undoing")


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which events; what is empty or None does not matter.

    Attributes:
        patient: the person who owns it today, through merges; all that person's events.
        study, series, instance: received or assigned UID.
        accession: of an order that the study is linked to.
        rule: of the happening, with or without its version ("identity"), or its rungs.
        attribute: keyword of an attribute that changed.
        since: inclusive.
        until: exclusive.
    """

    patient: PatientIdentifier | None = None
    study: str = ""
    series: str = ""
    instance: str = ""
    accession: str = ""
    cause: str = ""
    cause_id: str = ""
    reason: str = ""
    rule: str = ""
    source: str = ""
    attribute: str = ""
    actor: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One coercion event, as the outer face tells it.

    The personal values are None where they were erased; the event itself stays.
    """

    id: UUID
    number: int | None
    recorded_at: datetime
    happening: UUID
    position: int
    level: str
    cause: str
    cause_id: str
    rule: str
    rung: str
    reason: str
    actor: str
    source: str
    receipt: UUID | None
    sop_instance_uid: str | None
    series_instance_uid: str | None
    study_instance_uid: str | None
    received_study_instance_uid: str | None
    attributes: tuple[str, ...]
    patient: Mapping[str, str] | None
    original_attributes: Mapping[str, Any] | None
    new_attributes: Mapping[str, Any] | None
    absent: tuple[str, ...]
    varies: tuple[str, ...]
    undone_by: UUID | None
    undoes: UUID | None


def events(connection: Connection, query: AuditQuery, where: Where) -> Page[Event]:
    """A page of events in the order in which they apply."""
    asked = _select().where(*_conditions(connection, query))
    if where.cursor:
        asked = asked.where(_e.position > decode_cursor(where.cursor, int))
    asked = asked.order_by(_e.position).limit(where.limit + 1)
    rows, following = page(connection.execute(asked).all(), where.limit, "position")
    return Page(tuple(_event(row) for row in rows), following)


def all_events(connection: Connection, query: AuditQuery) -> Iterator[Event]:
    """Every event of a query, a few at a time."""
    where = Where(limit=500)
    while True:
        found = events(connection, query, where)
        yield from found.items
        if found.next is None:
            return
        where = Where(limit=500, cursor=found.next)


def event(connection: Connection, event_id: str) -> Event:
    """One event.

    Raises:
        NotFound: there is none of this id.
    """
    wanted = uuid_of(event_id)
    row = connection.execute(_select().where(_e.id == wanted)).first() if wanted else None
    if row is None:
        raise NotFound("there is no coercion event of this id")
    return _event(row)


def of_happening(
    connection: Connection, happening_id: UUID, most: int | None = None
) -> tuple[Event, ...]:
    """The events of one happening, in the order in which they apply; the first `most`."""
    asked = _select().where(_e.happening_id == happening_id).order_by(_e.position)
    asked = asked.limit(most)
    return tuple(_event(row) for row in connection.execute(asked).all())


def history(connection: Connection, sop_instance_uid: str) -> tuple[Event, ...]:
    """All events that apply to an instance, oldest first.

    Raises:
        NotFound: there is no such instance.
    """
    if connection.execute(instances_named(sop_instance_uid)).first() is None:
        raise NotFound("there is no instance of this SOP Instance UID")
    asked = _select().where(_applies_to(connection, sop_instance_uid))
    rows = connection.execute(asked.order_by(_e.position)).all()
    return tuple(_event(row) for row in rows)


# -- Conditions ---------------------------------------------------------------------
# What a UID or an identifier means is asked first, so that the condition on the events
# is one of plain ids: with a question inside it, their indexes would not be used.


def _conditions(connection: Connection, query: AuditQuery) -> Iterator[ColumnElement[bool]]:
    yield from _of_whom(connection, query)
    yield from _of_what(connection, query)
    yield from _how(query)


def _of_whom(connection: Connection, query: AuditQuery) -> Iterator[ColumnElement[bool]]:
    if query.patient is not None:
        yield _e.person_id.in_(_ids(connection, persons_of(query.patient)))
    if query.accession:
        link = t.study_order.c
        linked = (
            select(link.study_id)
            .join(t.imaging_order, t.imaging_order.c.id == link.order_id)
            .where(
                HAS_ACCESSION,
                t.imaging_order.c.accession_number == query.accession,
                func.upper_inf(link.recorded),
            )
        )
        yield _e.study_id.in_(_ids(connection, linked))


def _of_what(connection: Connection, query: AuditQuery) -> Iterator[ColumnElement[bool]]:
    if query.study:
        once = _ids(connection, studies_named(query.study, ever=True))
        as_then = and_(_e.study_id.in_(once), _e.received_study_instance_uid == query.study)
        yield or_(_e.study_id.in_(_ids(connection, studies_named(query.study))), as_then)
    if query.series:
        s = _ids(connection, series_named(query.series))
        of_series = select(t.instance.c.id).where(t.instance.c.series_id.in_(s))
        yield _e.instance_id.in_(of_series)
    if query.instance:
        yield _applies_to(connection, query.instance)
    if query.attribute:
        yield literal(query.attribute, t.Key) == any_(_e.attributes)


def _how(query: AuditQuery) -> Iterator[ColumnElement[bool]]:
    for column, wanted in (
        (_h.cause, query.cause),
        (_h.cause_id, query.cause_id),
        (_h.actor, query.actor),
        (_e.reason, query.reason),
        (_e.source, query.source),
    ):
        if wanted:
            yield column == wanted
    if query.rule:
        versions = _h.rule.startswith(f"{query.rule}@", autoescape=True)
        yield or_(_h.rule == query.rule, _h.rung == query.rule, versions)
    if query.since is not None:
        yield _e.recorded_at >= query.since
    if query.until is not None:
        yield _e.recorded_at < query.until


def _ids(connection: Connection, query: Select[Any] | CompoundSelect[Any]) -> list[UUID]:
    return list(connection.execute(query).scalars())


def _applies_to(connection: Connection, sop_instance_uid: str) -> ColumnElement[bool]:
    """Its own events, and those that its series was given after it was stored."""
    i, scope = t.instance.c, f.series_assignment.c
    query = select(i.id).where(i.id.in_(instances_named(sop_instance_uid)))
    own = _ids(connection, query)
    since = select(scope.event_id).join(
        t.instance,
        and_(
            i.series_id == scope.series_id,
            i.stored_revision < scope.revision,
            i.as_received.is_(False),
        ),
    )
    later = _ids(connection, since.where(i.id.in_(own)).distinct())
    return or_(_e.instance_id.in_(own), _e.id.in_(later))


# -- Rows ---------------------------------------------------------------------------


def _select() -> Select[Any]:
    told = [column for column in _e if column.name not in ("body", "xid")]
    return (
        select(
            *told,
            _h.cause,
            _h.cause_id,
            _h.rule,
            _h.rung,
            _h.actor,
            _h.undoes,
            _undoing.c.id.label("undone_by"),
            _v.body.label("personal"),
        )
        .join(h.happening, _h.id == _e.happening_id)
        .outerjoin(h.coercion_value, _v.event_id == _e.id)
        .outerjoin(_undoing, _undoing.c.undoes == _e.happening_id)
    )


def _event(row: Row[Any]) -> Event:
    personal: dict[str, Any] = json.loads(row.personal) if row.personal else {}
    return Event(
        id=row.id,
        number=None,
        recorded_at=row.recorded_at,
        happening=row.happening_id,
        position=row.position,
        level=row.level,
        cause=row.cause,
        cause_id=row.cause_id,
        rule=row.rule,
        rung=row.rung,
        reason=row.reason,
        actor=row.actor,
        source=row.source,
        receipt=row.receipt_id,
        sop_instance_uid=row.sop_instance_uid,
        series_instance_uid=row.series_instance_uid,
        study_instance_uid=row.study_instance_uid,
        received_study_instance_uid=row.received_study_instance_uid,
        attributes=tuple(row.attributes),
        patient=personal.get("patient"),
        original_attributes=personal.get("original_attributes"),
        new_attributes=personal.get("new_attributes"),
        absent=tuple(personal.get("absent", ())),
        varies=tuple(personal.get("varies", ())),
        undone_by=row.undone_by,
        undoes=row.undoes,
    )
