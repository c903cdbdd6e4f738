"""Personal values of events, erased; their places in the log stay as they are.

What an event's canonical bytes say of its values is a digest over a random nonce and
them: without both nobody can tell what they were, and the bytes that are sealed do not
change.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Table,
    Text,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql

from reconcile.db import history as h
from reconcile.db.ids import uuid7
from reconcile.db.tables import at, happened, identifier, key, metadata, refers

erasure = Table(
    "erasure",
    metadata,
    identifier(),
    Column("reason", Text, nullable=False),
    key("actor"),
    at("recorded_at"),
    happened(),
)
erased_event = Table(
    "erased_event",
    metadata,
    Column(
        "event_id",
        postgresql.UUID(as_uuid=True),
        ForeignKey("coercion_event.id"),
        primary_key=True,
    ),
    refers("erasure_id", "erasure", index=True),
)


def erase(
    connection: Connection,
    events: Sequence[UUID],
    *,
    reason: str,
    actor: str,
    happening_id: UUID,
) -> int:
    """Erase the values of events; how many had some.

    Events whose values are gone already are left out.
    """
    erasure_id = uuid7()
    said = {"reason": reason, "actor": actor, "happening_id": happening_id}
    connection.execute(insert(erasure).values(id=erasure_id, **said))
    e, v = h.coercion_event.c, h.coercion_value.c
    wanted = (
        select(e.id)
        .join(h.coercion_value, v.event_id == e.id)
        .where(e.id.in_(list(events)))
    )
    rows = [
        {"event_id": row.id, "erasure_id": erasure_id} for row in connection.execute(wanted)
    ]
    if rows:
        connection.execute(insert(erased_event), rows)
    return int(connection.execute(select(func.erase_values(erasure_id))).scalar_one())
