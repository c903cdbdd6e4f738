"""What a study holds: its series, and their instances by pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, select

from reconcile.core.attributes import MODALITY
from reconcile.core.attributes import text as text_of
from reconcile.db import tables as t
from reconcile.db.headers import series_header
from reconcile.db.views import Page, Where, decode_cursor, page, studies_named
from reconcile.errors import NotFound

_s, _i, _r = t.series.c, t.instance.c, t.receipt.c

_SERIES_DESCRIPTION, _SERIES_NUMBER = "0008103E", "00200011"


@dataclass(frozen=True, slots=True)
class SeriesHeld:
    """A series of a study, as received and as given out; `held`: under which code."""

    received_series_instance_uid: str
    series_instance_uid: str
    modality: str
    number: str
    description: str
    held: str | None
    person: UUID | None
    instances: int
    hidden: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class InstanceHeld:
    """An instance of a study and the arrival that is given out."""

    id: UUID
    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    source: str
    received_at: datetime
    coerced_at: datetime | None
    hidden: bool


def series_of(connection: Connection, study: str) -> tuple[SeriesHeld, ...]:
    """The series of a study, in the order in which they came.

    Raises:
        NotFound: no study is known by this UID.
    """
    link = t.identity_link.c
    counted = (
        select(
            _i.series_id,
            func.count().label("instances"),
            func.count().filter(_i.hidden).label("hidden"),
            func.max(_i.stored_at).label("last_at"),
        )
        .where(
            _i.series_id.in_(select(_s.id).where(_s.study_id == _named(connection, study)))
        )
        .group_by(_i.series_id)
        .subquery()
    )
    query = (
        select(
            t.series,
            counted.c.instances,
            counted.c.hidden,
            counted.c.last_at,
            series_header.c.elements,
            t.person.c.canonical_id,
        )
        .outerjoin(counted, counted.c.series_id == _s.id)
        .outerjoin(series_header, series_header.c.series_id == _s.id)
        .outerjoin(
            t.identity_link,
            (link.identity_id == _s.filed_identity_id) & func.upper_inf(link.recorded),
        )
        .outerjoin(t.person, t.person.c.id == link.person_id)
        .where(_s.study_id == _named(connection, study))
        .order_by(_s.id)
    )
    return tuple(_series(row) for row in connection.execute(query))


def _series(row: Row[Any]) -> SeriesHeld:
    said: Mapping[str, Any] = row.elements or {}
    return SeriesHeld(
        row.received_series_instance_uid,
        row.series_instance_uid,
        text_of(said.get(MODALITY)),
        text_of(said.get(_SERIES_NUMBER)),
        text_of(said.get(_SERIES_DESCRIPTION)),
        row.held,
        None if row.held else row.canonical_id,
        row.instances or 0,
        row.hidden or 0,
        row.last_at,
    )


def instances_of(connection: Connection, study: str, where: Where) -> Page[InstanceHeld]:
    """A page of the instances of a study, in the order in which they came.

    Raises:
        NotFound: no study is known by this UID.
    """
    query: Select[Any] = (
        select(
            _i.id,
            _i.sop_instance_uid,
            _i.sop_class_uid,
            _s.series_instance_uid,
            _r.source,
            _r.received_at,
            _i.coerced_at,
            _i.hidden,
        )
        .join(t.series, _s.id == _i.series_id)
        .join(t.receipt, _r.id == _i.receipt_id)
        .where(_s.study_id == _named(connection, study))
    )
    if where.cursor:
        query = query.where(_i.id > decode_cursor(where.cursor, UUID))
    rows = connection.execute(query.order_by(_i.id).limit(where.limit + 1)).all()
    shown, following = page(rows, where.limit, "id")
    return Page(tuple(_instance(row) for row in shown), following)


def _instance(row: Row[Any]) -> InstanceHeld:
    return InstanceHeld(
        row.id,
        row.sop_instance_uid,
        row.sop_class_uid,
        row.series_instance_uid,
        row.source,
        row.received_at,
        row.coerced_at,
        row.hidden,
    )


@dataclass(frozen=True, slots=True)
class ArrivalHeld:
    """An arrival that an item of the worklist is about; `digest` in hex."""

    id: UUID
    sop_instance_uid: str
    source: str
    received_at: datetime
    length: int
    digest: str


def arrivals_of(
    connection: Connection, hold_id: UUID, most: int
) -> tuple[ArrivalHeld, ...]:
    """The first arrivals that an item is about."""
    held = t.hold_instance.c
    query: Select[Any] = (
        select(t.receipt)
        .join(t.hold_instance, held.receipt_id == _r.id)
        .where(held.hold_id == hold_id)
        .order_by(_r.id)
        .limit(most)
    )
    return tuple(
        ArrivalHeld(
            row.id,
            row.sop_instance_uid,
            row.source,
            row.received_at,
            row.length,
            row.digest.hex(),
        )
        for row in connection.execute(query)
    )


def _named(connection: Connection, uid: str) -> UUID:
    query = studies_named(uid).order_by("id").limit(1)
    found: UUID | None = connection.execute(query).scalar()
    if found is None:
        raise NotFound("no study is known by this UID")
    return found
