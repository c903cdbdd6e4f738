"""Requests that name an Idempotency-Key: who asked what, and what was answered.

A key is claimed before the request is acted on and settled with its answer. Who claims
it and dies leaves it to be claimed again after a while. Answers may hold patient data:
they are forgotten after a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    and_,
    delete,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from reconcile.db.tables import at, key, metadata

#: How long an answer is kept, and how long a request may take before its claim is void.
KEPT = timedelta(days=1)
CLAIMED = timedelta(minutes=10)

answered_request = Table(
    "answered_request",
    metadata,
    key("actor"),
    key("key"),
    # SHA-256 of path, query and body.
    Column("fingerprint", LargeBinary, nullable=False),
    at("claimed_at"),
    # NULL: claimed, and not answered yet.
    Column("status", Integer),
    Column("media_type", Text, nullable=False, server_default=""),
    Column("body", LargeBinary, nullable=False, server_default=""),
    PrimaryKeyConstraint("actor", "key"),
    Index("ix_answered_request_claimed_at", "claimed_at"),
)
_C = answered_request.c


class Claim(Enum):
    """What becomes of a request that may not be acted on."""

    BUSY = "the same request is being acted on"
    OTHER = "the key was used for another request"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: whose, its key, and what tells it from all others."""

    actor: str
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered to a request."""

    status: int
    media_type: str
    body: bytes


def claim(connection: Connection, asked: Asked, now: datetime) -> Claim | Answered | None:
    """Claim a key; None: it is ours, act. Else the answer of before, or why not."""
    connection.execute(delete(answered_request).where(_C.claimed_at < now - KEPT))
    row = {"actor": asked.actor, "key": asked.key, "fingerprint": asked.fingerprint}
    new = insert(answered_request).values(**row, claimed_at=now)
    ours = new.on_conflict_do_update(
        index_elements=["actor", "key"],
        set_={"claimed_at": now},
        where=_C.status.is_(None)
        & (_C.claimed_at < now - CLAIMED)
        & (_C.fingerprint == asked.fingerprint),
    ).returning(_C.key)
    if connection.execute(ours).first() is not None:
        return None
    found = connection.execute(select(answered_request).where(_mine(asked))).one()
    if bytes(found.fingerprint) != asked.fingerprint:
        return Claim.OTHER
    if found.status is None:
        return Claim.BUSY
    return Answered(found.status, found.media_type, bytes(found.body))


def settle(connection: Connection, asked: Asked, answer: Answered) -> None:
    """Keep the answer of a claimed request."""
    change = update(answered_request).where(_mine(asked))
    connection.execute(
        change.values(status=answer.status, media_type=answer.media_type, body=answer.body)
    )


def release(connection: Connection, asked: Asked) -> None:
    """Let a request be asked again as if for the first time: it was not acted on."""
    connection.execute(delete(answered_request).where(_mine(asked), _C.status.is_(None)))


def _mine(asked: Asked) -> ColumnElement[bool]:
    return and_(_C.actor == asked.actor, _C.key == asked.key)
