"""Messages that wait: which identifiers a held one speaks of, so that others follow it.

A message waits only for one that came before it: so nothing ever waits in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Column, Connection, ForeignKey, Index, Table, delete, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.core.identity import PatientIdentifier
from reconcile.db.prepared import Prepared
from reconcile.db.tables import Key, metadata

# Only of messages that are held: a row goes when its message is settled.
message_subject = Table(
    "message_subject",
    metadata,
    Column(
        "message_id",
        postgresql.UUID(as_uuid=True),
        ForeignKey("message.id"),
        primary_key=True,
    ),
    Column("domain", Key, primary_key=True),
    Column("value", Key, primary_key=True),
    Index("ix_message_subject_identifier", "domain", "value"),
)


class Waiting(NamedTuple):
    """A message, and the one that it waited for, which is settled."""

    message_id: UUID
    waits_for: UUID


def blocker(
    connection: Connection, message_id: UUID, named: Iterable[PatientIdentifier]
) -> UUID | None:
    """The first held message that came before this one and speaks of the same.

    It stays held until the transaction ends.
    """
    wanted = sorted({(i.domain, i.value) for i in named})
    if not wanted:
        return None
    row = _BLOCKER.first(
        connection,
        message_id=message_id,
        domains=[domain for domain, _ in wanted],
        values=[value for _, value in wanted],
    )
    found: UUID | None = row.id if row else None
    return found


def speaks_of(
    connection: Connection, message_id: UUID, named: Iterable[PatientIdentifier]
) -> None:
    """A held message speaks of these; of none, where it is settled."""
    s = message_subject.c
    connection.execute(delete(message_subject).where(s.message_id == message_id))
    rows = [
        {"message_id": message_id, "domain": i.domain, "value": i.value}
        for i in dict.fromkeys(named)
    ]
    if rows:
        connection.execute(upsert(message_subject).on_conflict_do_nothing(), rows)


def ready(connection: Connection) -> list[Waiting]:
    """Messages whose waiting is over, in the order in which they came."""
    return [Waiting(*row) for row in _READY(connection)]


_BLOCKER = Prepared(
    lambda: text("""
SELECT m.id
FROM unnest(CAST(:domains AS text[]), CAST(:values AS text[])) AS u (domain, value)
JOIN message_subject s ON s.domain = u.domain COLLATE "C" AND s.value = u.value COLLATE "C"
JOIN message m ON m.id = s.message_id
WHERE m.state = 'held' AND m.id <> :message_id AND (m.received_at, m.id) < (
    SELECT o.received_at, o.id FROM message o WHERE o.id = :message_id
)
ORDER BY m.received_at, m.id LIMIT 1 FOR SHARE OF m
""")
)
_READY = Prepared(
    lambda: text("""
SELECT w.id, w.waits_for FROM message w JOIN message b ON b.id = w.waits_for
WHERE w.waits_for IS NOT NULL AND w.state = 'held' AND b.state <> 'held'
ORDER BY w.received_at, w.id
""")
)
