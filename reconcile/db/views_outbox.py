"""Who is told of what, and whom it has not reached."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, func, select

from reconcile.db import tables as t
from reconcile.db.outbox import notification
from reconcile.db.views import Page, Where, decode_cursor, page

_n = notification.c


@dataclass(frozen=True, slots=True)
class Notification:
    """Something that a target is, was or was to be told.

    Attributes:
        about: tells it from all others of this target and kind.
        next_at: when it is tried next, where it waits.
        error: why it was not told at the last try; or why it is not told at all.
    """

    id: UUID
    target: str
    kind: str
    about: str
    state: str
    attempts: int
    created_at: datetime
    next_at: datetime
    settled_at: datetime | None
    hold_id: UUID | None
    study_instance_uid: str | None
    happening: UUID | None
    error: str


@dataclass(frozen=True, slots=True)
class Untold:
    """What a target has not been told: `failing` counts what was tried and waits."""

    target: str
    waiting: int
    failing: int
    given_up: int
    since: datetime | None
    error: str


def notifications(
    connection: Connection, where: Where, *, state: str = "", target: str = ""
) -> Page[Notification]:
    """A page of them, the newest first."""
    query = select(notification, t.study.c.study_instance_uid)
    query = query.outerjoin(t.study, t.study.c.id == _n.study_id)
    for column, wanted in ((_n.state, state), (_n.target, target)):
        if wanted:
            query = query.where(column == wanted)
    if where.cursor:
        query = query.where(_n.id < decode_cursor(where.cursor, UUID))
    query = query.order_by(_n.id.desc()).limit(where.limit + 1)
    rows, following = page(connection.execute(query).all(), where.limit, "id")
    told = (
        Notification(
            row.id,
            row.target,
            row.kind,
            row.about,
            row.state,
            row.attempts,
            row.created_at,
            row.next_at,
            row.settled_at,
            row.hold_id,
            row.study_instance_uid,
            row.happening_id,
            row.error,
        )
        for row in rows
    )
    return Page(tuple(told), following)


def untold(connection: Connection) -> tuple[Untold, ...]:
    """What waits and what was given up, by target."""
    waits, lost = _n.state == "waiting", _n.state == "given-up"
    failing = waits & (_n.error != "")
    query = (
        select(
            _n.target,
            func.count().filter(waits),
            func.count().filter(failing),
            func.count().filter(lost),
            func.min(_n.created_at).filter(failing),
            func.coalesce(func.max(_n.error), ""),
        )
        .where(waits | lost)
        .group_by(_n.target)
        .order_by(_n.target)
    )
    return tuple(Untold(*row) for row in connection.execute(query))
