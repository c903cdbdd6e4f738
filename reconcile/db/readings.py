"""Who read the history, and what was asked: kept in batches, shown to auditors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, insert, select

from reconcile.db import sealed as s
from reconcile.db.ids import uuid7
from reconcile.db.views import Page, Where, decode_cursor, page

_r = s.audit_reading.c


@dataclass(frozen=True, slots=True)
class Reading:
    """Somebody asked the history something.

    Attributes:
        door: "http" or "cli".
        what: the route, or the command.
        asked: its parameters; they may name a patient.
    """

    read_at: datetime
    actor: str
    door: str
    what: str
    asked: Mapping[str, Any]
    id: UUID | None = None


def keep(connection: Connection, readings: Sequence[Reading]) -> None:
    """Write some down, in their order."""
    ids = sorted(uuid7() for _ in readings)
    rows = [
        {
            "id": own,
            "read_at": each.read_at,
            "actor": each.actor,
            "door": each.door,
            "what": each.what,
            "asked": dict(each.asked),
        }
        for own, each in zip(ids, readings, strict=True)
    ]
    if rows:
        connection.execute(insert(s.audit_reading), rows)


def readings(
    connection: Connection,
    where: Where,
    *,
    actor: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[Reading]:
    """A page of readings, the newest first."""
    query: Select[Any] = select(_r.read_at, _r.actor, _r.door, _r.what, _r.asked, _r.id)
    if where.cursor:
        query = query.where(_r.id < decode_cursor(where.cursor, UUID))
    if actor:
        query = query.where(_r.actor == actor)
    if since is not None:
        query = query.where(_r.read_at >= since)
    if until is not None:
        query = query.where(_r.read_at < until)
    asked = query.order_by(_r.id.desc()).limit(where.limit + 1)
    rows, following = page(connection.execute(asked).all(), where.limit, "id")
    return Page(tuple(Reading(*tuple(row)) for row in rows), following)
