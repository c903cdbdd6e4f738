"""One happening: who decided what, why, what it rests on, and what took it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.views import uuid_of
from reconcile.errors import NotFound

_h, _d = h.happening.c, h.happening_dependency.c
_undoing = h.happening.alias("undoing")


@dataclass(frozen=True, slots=True)
class InShort:
    """A happening that another one is named with."""

    id: UUID
    cause: str
    actor: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Happening:
    """A happening; `said` is what it wrote down when it decided: nothing of a patient.

    Attributes:
        rests_on: what it stood on when it was done.
        followed_by: what rests on it.
    """

    id: UUID
    cause: str
    cause_id: str
    rule: str
    rung: str
    actor: str
    configuration_digest: str
    recorded_at: datetime
    said: Mapping[str, Any]
    undoes: UUID | None
    undone_by: UUID | None
    rests_on: tuple[InShort, ...]
    followed_by: tuple[InShort, ...]


def happening(connection: Connection, happening_id: str) -> Happening:
    """One happening.

    Raises:
        NotFound: there is none of this id.
    """
    wanted = uuid_of(happening_id)
    query = (
        select(h.happening, _undoing.c.id.label("undone_by"))
        .outerjoin(_undoing, _undoing.c.undoes == _h.id)
        .where(_h.id == wanted)
    )
    row = connection.execute(query).first() if wanted else None
    if row is None:
        raise NotFound("there is no happening of this id")
    return Happening(
        row.id,
        row.cause,
        row.cause_id,
        row.rule,
        row.rung,
        row.actor,
        row.configuration_digest,
        row.recorded_at,
        row.explanation,
        row.undoes,
        row.undone_by,
        _in_short(connection, row.id, rests_on=True),
        _in_short(connection, row.id, rests_on=False),
    )


def that_closed(connection: Connection, hold_id: UUID) -> tuple[UUID | None, str]:
    """The happening that closed an item, and the reason that was given; None: neither."""
    told = connection.execute(
        select(t.hold.c.resolution).where(t.hold.c.id == hold_id)
    ).scalar()
    said: Mapping[str, Any] = told or {}
    return uuid_of(str(said.get("happening", ""))), str(said.get("reason", ""))


def that_opened(connection: Connection, hold_id: UUID) -> UUID | None:
    """The happening that opened an item."""
    query = select(t.hold.c.happening_id).where(t.hold.c.id == hold_id)
    found: UUID | None = connection.execute(query).scalar()
    return found


def _in_short(
    connection: Connection, happening_id: UUID, *, rests_on: bool
) -> tuple[InShort, ...]:
    near, far = _d.happening_id, _d.depends_on
    if not rests_on:
        near, far = far, near
    query = (
        select(_h.id, _h.cause, _h.actor, _h.recorded_at)
        .join(h.happening_dependency, far == _h.id)
        .where(near == happening_id)
        .order_by(_h.id)
        .limit(100)
    )
    return tuple(InShort(*row) for row in connection.execute(query))
