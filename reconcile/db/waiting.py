"""Messages that wait: which identifiers a held one speaks of, so that others follow it."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table
from sqlalchemy.dialects import postgresql

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
