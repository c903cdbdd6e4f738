"""The archive at a glance: what waits, what was coerced, who was heard of last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Date, Select, cast, func, literal, not_, select, text

from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.views_holds import Grace, is_expected

_hold, _event = t.hold.c, h.coercion_event.c

#: Ages by which open items are counted: younger than these, and older than the last.
AGES = (timedelta(days=1), timedelta(days=7), timedelta(days=30))


@dataclass(frozen=True, slots=True)
class Waiting:
    """Open items of one kind and code; `by_age` as `AGES`, the older ones last."""

    kind: str
    code: str
    count: int
    by_age: tuple[int, ...]
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Coerced:
    """Coercion events of one source on one day (UTC)."""

    source: str
    day: date
    events: int


@dataclass(frozen=True, slots=True)
class Heard:
    """The last that came through a door, and from whom."""

    door: str
    who: str
    at: datetime


def waiting(connection: Connection, now: datetime, grace: Grace) -> tuple[Waiting, ...]:
    """What the worklist has, by kind and code."""
    query = (
        select(
            _hold.kind,
            _hold.code,
            func.count().label("items"),
            *_by_age(now),
            func.min(_hold.opened_at).label("oldest"),
        )
        .where(_hold.state == "open")
        .group_by(_hold.kind, _hold.code)
        .order_by(_hold.kind, func.min(_hold.opened_at))
    )
    if grace.domains:
        query = query.where(not_(is_expected(grace)))
    return tuple(
        Waiting(row[0], row[1], row[2], tuple(row[3:-1]), row[-1])
        for row in connection.execute(query)
    )


def _by_age(now: datetime) -> list[Any]:
    bounds = [now - age for age in AGES]
    younger = [_hold.opened_at > bounds[0]]
    between = [
        (_hold.opened_at > older) & (_hold.opened_at <= newer)
        for newer, older in pairwise(bounds)
    ]
    return [
        func.count().filter(each)
        for each in (*younger, *between, _hold.opened_at <= bounds[-1])
    ]


def coerced(connection: Connection, since: datetime) -> tuple[Coerced, ...]:
    """Coercion events since a time, by source and day."""
    day = cast(_event.recorded_at, Date).label("day")
    query = (
        select(_event.source, day, func.count())
        .where(_event.recorded_at >= since)
        .group_by(_event.source, day)
        .order_by(_event.source, day)
    )
    return tuple(Coerced(*row) for row in connection.execute(query))


def sources_of_items(connection: Connection) -> tuple[str, ...]:
    """Who sent what is open."""
    query = select(_hold.source).distinct().where(_hold.state == "open")
    return tuple(connection.execute(query.order_by(_hold.source)).scalars())


def heard(connection: Connection) -> tuple[Heard, ...]:
    """The last instance and the last message."""
    r, m = t.receipt.c, t.message.c
    queries: list[Select[Any]] = [
        select(literal("dicom"), r.source, r.received_at).order_by(r.id.desc()),
        select(literal("hl7"), m.sender, m.received_at).order_by(m.id.desc()),
    ]
    rows = [connection.execute(query.limit(1)).first() for query in queries]
    return tuple(Heard(*row) for row in rows if row is not None)


def now(connection: Connection) -> datetime:
    """The time of the snapshot that all questions of this transaction are answered by."""
    found: datetime = connection.execute(text("SELECT now()")).scalar_one()
    return found
