"""DICOM associations that have ended: whose, what was done over them, why they ended.

It is not the history: rows are written in batches, some may be lost, and old ones go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Index,
    Integer,
    Table,
    Text,
    delete,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from reconcile.db.ids import uuid7
from reconcile.db.tables import at, identifier, key, metadata

#: Rows of one DELETE.
BATCH = 10_000

association = Table(
    "association",
    metadata,
    identifier(),
    # As log lines and receipts name it.
    key("name"),
    at("began_at"),
    at("ended_at"),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    key("calling"),
    key("called"),
    key("address"),
    Column("tls", Boolean, nullable=False),
    Column("certificate", Text, nullable=False, server_default=""),
    Column("proposed", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    # {"C-STORE": {"0000": 12, "B000": 3}}
    Column("services", JSONB, nullable=False),
    CheckConstraint(
        "outcome IN ('released', 'aborted', 'rejected', 'failed', 'lost')", name="outcome"
    ),
    Index("ix_association_ended_at", "ended_at"),
    Index("ix_association_calling", "calling"),
)
_a = association.c


def keep(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write associations down, in their order."""
    told = list(rows)
    ids = sorted(uuid7() for _ in told)
    connection.execute(
        insert(association),
        [{"id": row_id, **row} for row_id, row in zip(ids, told, strict=True)],
    )


def forget(connection: Connection, before: datetime) -> int:
    """Delete some of those that ended before a time; how many."""
    old = select(_a.id).where(_a.ended_at < before).limit(BATCH)
    return connection.execute(delete(association).where(_a.id.in_(old))).rowcount


def forget_beyond(connection: Connection, most: int) -> int:
    """Delete some of the oldest where there are more than so many; how many."""
    first = select(_a.id).order_by(_a.id.desc()).offset(most).limit(1).scalar_subquery()
    old = select(_a.id).where(_a.id <= first).order_by(_a.id).limit(BATCH)
    return connection.execute(delete(association).where(_a.id.in_(old))).rowcount
