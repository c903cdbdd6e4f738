"""What was changed, when, why and by whom: coercion events as rows, and questions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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
    cast,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from reconcile.core.identity import PatientIdentifier
from reconcile.db import filed as f
from reconcile.db import history as h
from reconcile.db import sealed
from reconcile.db import tables as t
from reconcile.db.orders import HAS_ACCESSION
from reconcile.db.views import (
    Page,
    Where,
    decode_cursor,
    encode_cursor,
    instances_named,
    series_named,
    studies_named,
    uuid_of,
)
from reconcile.db.views_patients import persons_of
from reconcile.errors import NotFound

_e, _v, _h = h.coercion_event.c, h.coercion_value.c, h.happening.c
_i = t.instance.c
_undoing = h.happening.alias("undoing")
_leaf = sealed.seal_leaf.c


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
        through: what is sealed up to this number: answers the same for ever.
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
    through: int | None = None


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
    """A page of events in the order in which they apply.

    What is recorded while pages are turned shifts none; each event that was there at the
    first page is on one page.
    """
    connection.execute(_PLANNED_FOR_WHAT_IS_ASKED)
    place = decode_cursor(where.cursor, _read_place) if where.cursor else None
    place = place or _beginning(connection, query)
    asked = _select().where(*_conditions(connection, query), *_within(place))
    asked = asked.order_by(_e.position).limit(where.limit + 1)
    rows = connection.execute(asked).all()
    shown = tuple(_event(row) for row in rows[: where.limit])
    if len(rows) <= where.limit:
        return Page(shown)
    after = replace(place, after=shown[-1].position)
    return Page(shown, encode_cursor(after))


# What is common and what is rare in a column decides how it is best looked for.
_PLANNED_FOR_WHAT_IS_ASKED = text("SET LOCAL plan_cache_mode = force_custom_plan")


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
    asked = _select().where(_applies_to(connection, instances_named(sop_instance_uid)))
    rows = connection.execute(asked.order_by(_e.position)).all()
    return tuple(_event(row) for row in rows)


# -- Places -------------------------------------------------------------------------
# Events are listed by position, and a range of time is one of positions, nearly: who
# decides later may record first. So the first and the last position of a range are looked
# up in the index of time, and what lies before and after is not read.


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a list goes on: after a position, and up to one, if that is known."""

    after: int = 0
    last: int | None = None

    def __str__(self) -> str:
        return str(self.after) if self.last is None else f"{self.after}.{self.last}"


def _read_place(said: str) -> _Place:
    after, _, last = said.partition(".")
    found = _Place(int(after), int(last) if last else None)
    if max(found.after, found.last or 0) > _POSITION_MAX:
        raise ValueError("no such position")
    return found


_POSITION_MAX = 2**63 - 1


def _within(place: _Place) -> Iterator[ColumnElement[bool]]:
    yield _e.position > place.after
    if place.last is not None:
        yield _e.position <= place.last


def _beginning(connection: Connection, query: AuditQuery) -> _Place:
    """Before the first event of the time that is asked for."""
    if query.since is None or _is_of_few(query):
        return _Place()
    # As a sum: the least position is not to be looked for from the first one on.
    position = _e.position + 0
    asked = select(func.min(position), func.max(position)).where(*_when(query))
    first, last = connection.execute(asked).one()
    if first is None:
        return _Place(last=0)
    return _Place(first - 1, last if query.until is not None else None)


def _is_of_few(query: AuditQuery) -> bool:
    """Whether something else says better than the time which events are meant."""
    of = (query.patient, query.study, query.series, query.instance, query.accession)
    return any((*of, query.cause_id))


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
        yield _of_study(connection, query.study)
    if query.series:
        s = _ids(connection, series_named(query.series))
        yield _applies_to(connection, select(_i.id).where(_i.series_id.in_(s)))
    if query.instance:
        yield _applies_to(connection, instances_named(query.instance))
    if query.attribute:
        yield _e.attributes.contains([query.attribute])


def _of_study(connection: Connection, uid: str) -> ColumnElement[bool]:
    """Of the study that bears this UID today, or recorded of one that bore it then."""
    return or_(
        _e.study_id.in_(_ids(connection, studies_named(uid))),
        _e.received_study_instance_uid == uid,
        _e.study_instance_uid == uid,
    )


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
    yield from _when(query)


def _when(query: AuditQuery) -> Iterator[ColumnElement[bool]]:
    if query.since is not None:
        yield _e.recorded_at >= query.since
    if query.until is not None:
        yield _e.recorded_at < query.until
    if query.through is not None:
        yield _leaf.number <= query.through


def _ids(connection: Connection, query: Select[Any] | CompoundSelect[Any]) -> list[UUID]:
    return list(connection.execute(query).scalars())


def _applies_to(connection: Connection, instances: Select[Any]) -> ColumnElement[bool]:
    """Their own events, and those that their series were given after they were stored."""
    scope = f.series_assignment.c
    own = _ids(connection, instances)
    since = select(scope.event_id).join(
        t.instance,
        and_(
            _i.series_id == scope.series_id,
            _i.stored_revision < scope.revision,
            _i.as_received.is_(False),
        ),
    )
    later = _ids(connection, since.where(_i.id == _one_of(own)).distinct())
    return or_(_e.instance_id == _one_of(own), _e.id == _one_of(later))


def _one_of(ids: list[UUID]) -> ColumnElement[Any]:
    """As one value, however many there are."""
    return any_(cast(ids, ARRAY(t.instance.c.id.type)))


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
            _leaf.number,
        )
        .join(h.happening, _h.id == _e.happening_id)
        .outerjoin(h.coercion_value, _v.event_id == _e.id)
        .outerjoin(_undoing, _undoing.c.undoes == _e.happening_id)
        .outerjoin(sealed.seal_leaf, _leaf.event_id == _e.id)
    )


def _event(row: Row[Any]) -> Event:
    personal: dict[str, Any] = json.loads(row.personal) if row.personal else {}
    return Event(
        id=row.id,
        number=row.number,
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
