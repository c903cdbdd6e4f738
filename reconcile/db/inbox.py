"""Every HL7 message as it came, kept before it is acted on, acted on once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, exists, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.db import tables as t
from reconcile.db.ids import uuid7

#: MSH-10 has 199 characters at most (HL7 v2.7); an index takes about ten times as many.
KEY_CHARACTERS_MAX = 256


@dataclass(frozen=True, slots=True)
class Kept:
    """A message in the inbox; `state` is "kept" until it was acted on."""

    message_id: UUID
    state: str
    acknowledgement: str
    error: Mapping[str, Any] | None


def keep(
    connection: Connection, *, sender: str, control_id: str, event: str, body: bytes
) -> Kept:
    """Keep a message; the same one again is found, with what was answered then.

    Whatever stands in its header: what is longer than a key is found by its beginning.
    """
    digest = hashlib.sha256(body).digest()
    sender, control_id, event = _key(sender), _key(control_id), _key(event)
    made = upsert(t.message).values(
        id=uuid7(),
        sender=sender,
        control_id=control_id,
        digest=digest,
        event=event,
        body=body,
    )
    connection.execute(made.on_conflict_do_nothing())
    m = t.message.c
    query = select(t.message).where(
        m.sender == sender, m.control_id == control_id, m.digest == digest
    )
    row = connection.execute(query).one()
    return Kept(row.id, row.state, row.acknowledgement or "", row.error)


def _key(said: str) -> str:
    """What an index can hold of something that a peer said."""
    return said.replace("\0", "")[:KEY_CHARACTERS_MAX]


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as it is kept, and what has become of it so far.

    Attributes:
        waits_for: the message that has to be settled first.
    """

    message_id: UUID
    sender: str
    control_id: str
    event: str
    state: str
    acknowledgement: str
    error: Mapping[str, Any] | None
    received_at: datetime
    waits_for: UUID | None


_STORED = tuple(
    t.message.c[name]
    for name in (
        "id",
        "sender",
        "control_id",
        "event",
        "state",
        "acknowledgement",
        "error",
        "received_at",
        "waits_for",
    )
)


def find(connection: Connection, message_id: UUID) -> Stored | None:
    """A message by its id."""
    row = connection.execute(select(*_STORED).where(t.message.c.id == message_id)).first()
    return _stored(row) if row is not None else None


def body(connection: Connection, message_id: UUID) -> bytes:
    """A message as it came."""
    query = select(t.message.c.body).where(t.message.c.id == message_id)
    return bytes(connection.execute(query).scalar_one())


def hold_for_change(connection: Connection, message_id: UUID) -> Stored:
    """Lock a message while it is acted on; what has become of it so far."""
    query = select(*_STORED).where(t.message.c.id == message_id)
    return _stored(connection.execute(query.with_for_update()).one())


def _stored(row: Row[Any]) -> Stored:
    values = row._asdict()
    values["message_id"] = values.pop("id")
    values["acknowledgement"] = values["acknowledgement"] or ""
    return Stored(**values)


def is_reused(connection: Connection, stored: Stored) -> bool:
    """Whether its sender gave its control id to another message before."""
    if not stored.control_id:
        return False
    m = t.message.c
    earlier = tuple_(m.received_at, m.id) < (stored.received_at, stored.message_id)
    same = select(m.id).where(
        m.sender == stored.sender, m.control_id == stored.control_id, earlier
    )
    return bool(connection.execute(select(exists(same))).scalar_one())


def unsettled(connection: Connection, limit: int) -> list[UUID]:
    """Messages that nothing has become of yet, in the order in which they came."""
    m = t.message.c
    query = select(m.id).where(m.state == text("'kept'"))
    query = query.order_by(m.received_at, m.id).limit(limit)
    return list(connection.execute(query).scalars())


def settle(
    connection: Connection,
    message_id: UUID,
    *,
    state: str,
    acknowledgement: str,
    error: Mapping[str, Any] | None = None,
    effects: Sequence[str] = (),
    happening_id: UUID | None = None,
    said_at: datetime | None = None,
    waits_for: UUID | None = None,
) -> None:
    """Write down what a message did, what was answered, and when what it tells happened."""
    change = update(t.message).where(t.message.c.id == message_id)
    if said_at is not None:
        change = change.values(said_at=said_at)
    connection.execute(
        change.values(
            state=state,
            acknowledgement=acknowledgement,
            error=dict(error) if error else None,
            effects=list(effects),
            happening_id=happening_id,
            waits_for=waits_for,
            settled_at=func.clock_timestamp(),
        )
    )


def give_up(connection: Connection, message_id: UUID, effect: str) -> None:
    """A message is held no longer, and was not acted on; what was answered stays."""
    m = t.message.c
    change = update(t.message).where(m.id == message_id, m.state == "held")
    connection.execute(
        change.values(
            state="refused",
            effects=[effect],
            waits_for=None,
            settled_at=func.clock_timestamp(),
        )
    )
