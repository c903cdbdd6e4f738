"""What waits for a person, or wants one's eye: opened once, however much follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.db import evidence
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.database import TryAgain
from reconcile.db.ids import uuid7


@dataclass(frozen=True, slots=True)
class Item:
    """A hold, a review or a held message.

    `subject` tells two items of one study and code apart; `received` holds the header's
    identity in the DICOM JSON model, `candidates` ranked persons with their reasons.
    """

    kind: str
    code: str
    subject: str = ""
    source: str = ""
    study_id: UUID | None = None
    message_id: UUID | None = None
    received: Mapping[str, Any] = field(default_factory=dict)
    candidates: Sequence[Mapping[str, Any]] = ()


def open_item(
    connection: Connection, item: Item, happening_id: UUID, receipt_id: UUID | None = None
) -> UUID:
    """Open an item, or find the one that is open; a receipt is added to it."""
    made = upsert(t.hold).values(
        id=uuid7(),
        kind=item.kind,
        code=item.code,
        subject=item.subject,
        source=item.source,
        study_id=item.study_id,
        message_id=item.message_id,
        received=dict(item.received),
        candidates=list(item.candidates),
        happening_id=happening_id,
    )
    connection.execute(made.on_conflict_do_nothing())
    hold_id = _find(connection, item.study_id, item.message_id, item.code, item.subject)
    if hold_id is None:
        raise TryAgain
    if receipt_id is not None:
        add(connection, hold_id, receipt_id)
    return hold_id


def add_to_open(
    connection: Connection,
    study_id: UUID | None,
    code: str,
    subject: str,
    receipt_id: UUID,
) -> UUID | None:
    """Add a receipt to the item that is open already; None: there is none."""
    found = _find(connection, study_id, None, code, subject)
    if found is not None:
        add(connection, found, receipt_id)
    return found


def _find(
    connection: Connection,
    study_id: UUID | None,
    message_id: UUID | None,
    code: str,
    subject: str,
) -> UUID | None:
    hold = t.hold.c
    query = select(hold.id).where(
        hold.study_id.is_not_distinct_from(study_id),
        hold.message_id.is_not_distinct_from(message_id),
        hold.code == code,
        hold.subject == subject,
        hold.state == "open",
    )
    return connection.execute(query).scalar()


def add(connection: Connection, hold_id: UUID, receipt_id: UUID) -> None:
    """Let an item be about one more arrival."""
    row = upsert(t.hold_instance).values(hold_id=hold_id, receipt_id=receipt_id)
    connection.execute(row.on_conflict_do_nothing())


def locked(connection: Connection, hold_id: UUID) -> Row[Any] | None:
    """An item, held against every other decision on it until the transaction ends.

    Whoever stores an instance may add it to the item meanwhile.
    """
    query = select(t.hold).where(t.hold.c.id == hold_id)
    return connection.execute(query.with_for_update(key_share=True)).first()


def receipts_of(connection: Connection, hold_id: UUID) -> tuple[UUID, ...]:
    """The arrivals that an item is about, the first one first."""
    held = t.hold_instance.c
    query = select(held.receipt_id).where(held.hold_id == hold_id)
    return tuple(connection.execute(query.order_by(held.receipt_id)).scalars())


def close_of(
    connection: Connection,
    study_id: UUID,
    code: str,
    closed_by: str,
    at: datetime,
    happening_id: UUID,
) -> tuple[UUID, ...]:
    """Close what was held of a study for one reason, where no series of it still is.

    `happening_id` explains it: who takes that back is asked again.
    """
    hold, series = t.hold.c, t.series.c
    left = select(series.id).where(series.study_id == study_id, series.held == code)
    if connection.execute(left).first() is not None:
        return ()
    query = select(hold.id).where(
        hold.study_id == study_id,
        hold.code == code,
        hold.kind == "hold",
        hold.state == "open",
    )
    found = tuple(connection.execute(query.order_by(hold.id)).scalars())
    for hold_id in found:
        close(connection, hold_id, closed_by, at, answered_by(happening_id))
    return found


def close_of_message(
    connection: Connection,
    message_id: UUID,
    closed_by: str,
    at: datetime,
    resolution: Mapping[str, Any] | None = None,
    *,
    but: str = "",
) -> tuple[UUID, ...]:
    """Close what a message waited for, all but what it still waits for."""
    hold = t.hold.c
    query = select(hold.id).where(
        hold.message_id == message_id,
        hold.kind == "message",
        hold.state == "open",
        hold.code != but,
    )
    found = tuple(connection.execute(query.order_by(hold.id)).scalars())
    for hold_id in found:
        close(connection, hold_id, closed_by, at, resolution)
    return found


def waits_as(connection: Connection, message_id: UUID, code: str) -> bool:
    """Whether an item of this code is open for a message."""
    return _find(connection, None, message_id, code, "") is not None


def was_closed(connection: Connection, code: str, subject: str) -> bool:
    """Whether somebody has looked at an item of no study and no message already."""
    hold = t.hold.c
    query = select(hold.id).where(
        hold.study_id.is_(None),
        hold.message_id.is_(None),
        hold.code == code,
        hold.subject == subject,
        hold.state == "closed",
    )
    return connection.execute(query.limit(1)).first() is not None


def message_of(connection: Connection, hold_id: UUID) -> UUID | None:
    """The message that an item is about."""
    query = select(t.hold.c.message_id).where(t.hold.c.id == hold_id)
    return connection.execute(query).scalar()


def answered_by(happening_id: UUID) -> dict[str, Any]:
    """The resolution of an item that closes of itself: what explained it."""
    return {"happening": str(happening_id)}


def asked_by_undo(
    connection: Connection, code: str, study_ids: Sequence[UUID]
) -> list[UUID]:
    """Open reviews of some studies that an undo has brought."""
    hold, g = t.hold.c, h.happening.c
    query = (
        select(hold.id)
        .join(h.happening, g.id == hold.happening_id)
        .where(
            hold.study_id.in_(study_ids),
            hold.code == code,
            hold.kind == "review",
            hold.state == "open",
            g.undoes.is_not(None),
        )
    )
    return list(connection.execute(query.order_by(hold.id)).scalars())


def open_reviews(connection: Connection, study_ids: Sequence[UUID]) -> list[Row[Any]]:
    """What wants one's eye in some studies, and is open."""
    hold = t.hold.c
    query = select(t.hold).where(
        hold.study_id.in_(study_ids), hold.kind == "review", hold.state == "open"
    )
    return list(connection.execute(query.order_by(hold.id)))


def close(
    connection: Connection,
    hold_id: UUID,
    closed_by: str,
    at: datetime,
    resolution: Mapping[str, Any] | None = None,
) -> None:
    """Close an item for good; what comes later of its study opens another one."""
    hold = t.hold.c
    closed = update(t.hold).where(hold.id == hold_id)
    closed = closed.values(
        state="closed", version=hold.version + 1, closed_by=closed_by, closed_at=at
    )
    if resolution is not None:
        closed = closed.values(resolution=dict(resolution))
    study_id = connection.execute(closed.returning(hold.study_id)).scalar()
    if study_id is not None:
        evidence.raise_study(connection, study_id)
