"""Every HL7 message as it came, kept before it is acted on, acted on once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, update
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


def hold_for_change(connection: Connection, message_id: UUID) -> str:
    """Lock a message while it is acted on; the state that it is in."""
    query = select(t.message.c.state).where(t.message.c.id == message_id)
    return str(connection.execute(query.with_for_update()).scalar_one())


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
            settled_at=func.clock_timestamp(),
        )
    )
