"""Associations that have ended, for whoever asks why a peer does not get through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, or_, select

from reconcile.db.associations import association
from reconcile.db.views import Page, Where, decode_cursor, page, uuid_of
from reconcile.errors import NotFound

_a = association.c


@dataclass(frozen=True, slots=True)
class Association:
    """One association, or what came of the attempt.

    Attributes:
        name: as log lines and receipts name it.
        outcome: released, aborted, rejected, failed (before it was one) or lost.
        reason: why it ended so; empty where it was released.
        certificate: names in the peer's certificate, else its fingerprint.
        proposed: presentation contexts; `accepted` so many of them.
        services: how many responses with which status, by service.
    """

    id: UUID
    name: str
    began_at: datetime
    ended_at: datetime
    outcome: str
    reason: str
    calling: str
    called: str
    address: str
    tls: bool
    certificate: str
    proposed: int
    accepted: int
    services: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which associations; what is empty is not asked.

    `ae` is the calling or the called AE title; `since` inclusive, `until` exclusive, of
    the time at which they began.
    """

    ae: str = ""
    address: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None


def associations(connection: Connection, where: Where, wanted: Wanted) -> Page[Association]:
    """A page of them, the one that ended last first."""
    query = select(association)
    if wanted.ae:
        query = query.where(or_(_a.calling == wanted.ae, _a.called == wanted.ae))
    if wanted.address:
        query = query.where(_a.address == wanted.address)
    if wanted.outcome:
        query = query.where(_a.outcome == wanted.outcome)
    if wanted.since:
        query = query.where(_a.began_at >= wanted.since)
    if wanted.until:
        query = query.where(_a.began_at < wanted.until)
    if where.cursor:
        query = query.where(_a.id < decode_cursor(where.cursor, UUID))
    query = query.order_by(_a.id.desc()).limit(where.limit + 1)
    rows, following = page(connection.execute(query).all(), where.limit, "id")
    return Page(tuple(Association(*tuple(row)) for row in rows), following)


def one(connection: Connection, named: str) -> Association:
    """One by its id, or by the name that log lines and receipts have.

    Raises:
        NotFound: there is none, or not any more.
    """
    known = uuid_of(named)
    is_it = _a.id == known if known is not None else _a.name == named
    query = select(association).where(is_it).order_by(_a.id.desc()).limit(1)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound("there is no such association, or it was too long ago")
    return Association(*tuple(row))
