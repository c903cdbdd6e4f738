"""What is on its way to which destination, and what has not got there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, func, select

from reconcile.db import deliveries as d
from reconcile.db import relays
from reconcile.db import tables as t
from reconcile.db.views import studies_named
from reconcile.errors import NotFound

_d, _l = d.delivery.c, d.lane.c


def study_of(connection: Connection, uid: str) -> UUID:
    """The study that a received, assigned or alias UID means.

    Raises:
        NotFound: there is none.
    """
    found: UUID | None = connection.execute(studies_named(uid)).scalar()
    if found is None:
        raise NotFound("there is no study of this UID")
    return found


@dataclass(frozen=True, slots=True)
class Queued:
    """A study at a destination: how many of its instances are in which state.

    Attributes:
        next_at: when it is tried next; None: nothing waits.
        attempts: tries that came to nothing since something was delivered.
        error: of the last of them.
    """

    destination: str
    study_instance_uid: str
    waiting: int
    sent: int
    refused: int
    skipped: int
    next_at: datetime | None
    attempts: int
    error: str


def queued(
    connection: Connection,
    destination: str = "",
    study: UUID | None = None,
    *,
    most: int,
    all_states: bool = False,
) -> list[Queued]:
    """Studies on their way, the longest waiting first; with `all_states` those that are
    done, too.
    """
    counts = [
        func.count().filter(_d.state == state).label(state)
        for state in (d.WAITING, d.SENT, d.REFUSED, d.SKIPPED)
    ]
    query = (
        select(
            _d.destination,
            t.study.c.study_instance_uid,
            *counts,
            func.min(_l.next_at),
            func.coalesce(func.max(_l.attempts), 0),
            func.coalesce(func.max(_l.error), func.max(_d.error), ""),
        )
        .join(t.study, t.study.c.id == _d.study_id)
        .outerjoin(
            d.lane, (_l.destination == _d.destination) & (_l.study_id == _d.study_id)
        )
        .group_by(_d.destination, t.study.c.study_instance_uid, _d.study_id)
        .order_by(func.min(_d.created_at), _d.study_id)
        .limit(most)
    )
    if destination:
        query = query.where(_d.destination == destination)
    if study is not None:
        query = query.where(_d.study_id == study)
    if not all_states:
        open_ = _d.state.in_((d.WAITING, d.REFUSED))
        query = query.having(func.count().filter(open_) > 0)
    return [Queued(*row) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Relayed:
    """An order of messages to a destination: how many of them are in which state.

    Attributes:
        lane: "patients", or the SOP Instance UID of a performed step.
        kinds: of its messages, each once.
        next_at: as of `Queued`; `attempts` and `error` likewise.
    """

    destination: str
    lane: str
    kinds: tuple[str, ...]
    waiting: int
    sent: int
    refused: int
    skipped: int
    next_at: datetime | None
    attempts: int
    error: str


def relayed(
    connection: Connection,
    destination: str = "",
    study: UUID | None = None,
    *,
    most: int,
    all_states: bool = False,
) -> list[Relayed]:
    """Messages on their way, the longest waiting first; args as of `queued`."""
    r, lane = relays.relay.c, relays.lane.c
    counts = [
        func.count().filter(r.state == state)
        for state in (d.WAITING, d.SENT, d.REFUSED, d.SKIPPED)
    ]
    query = (
        select(
            r.destination,
            r.lane,
            func.array_agg(r.kind.distinct()),
            *counts,
            func.min(lane.next_at),
            func.coalesce(func.max(lane.attempts), 0),
            func.coalesce(func.max(lane.error), func.max(r.error), ""),
        )
        .outerjoin(relays.lane, (lane.destination == r.destination) & (lane.lane == r.lane))
        .group_by(r.destination, r.lane)
        .order_by(func.min(r.number))
        .limit(most)
    )
    if destination:
        query = query.where(r.destination == destination)
    if study is not None:
        query = query.where(r.study_id == study)
    if not all_states:
        query = query.where(r.state.in_((d.WAITING, d.REFUSED)))
    rows = connection.execute(query)
    return [Relayed(row[0], row[1], tuple(sorted(row[2])), *row[3:]) for row in rows]


def late(connection: Connection, before: datetime) -> Mapping[str, int]:
    """Destinations with what has waited since before a time, or was refused: how many."""
    counted: dict[str, int] = {}
    for table in (d.delivery, relays.relay):
        c = table.c
        old = (c.state == d.WAITING) & (c.created_at < before)
        query = (
            select(c.destination, func.count())
            .where(old | (c.state == d.REFUSED))
            .group_by(c.destination)
        )
        for destination, count in connection.execute(query):
            counted[destination] = counted.get(destination, 0) + count
    return counted
