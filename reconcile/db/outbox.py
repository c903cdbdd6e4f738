"""What people and other systems are to be told: written with what it tells of.

A row commits with the change that it tells of, and is sent afterwards, as often as it
takes: nothing is told that did not happen, and nothing that happened goes untold.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from reconcile.db.tables import at, identifier, key, metadata, refers

notification = Table(
    "notification",
    metadata,
    identifier(),
    # "hold", "study-received", "study-changed", "availability" (RAD-49).
    key("kind"),
    # Name of the [[notify]] that it goes to.
    key("target"),
    refers("hold_id", "hold", null=True),
    refers("study_id", "study", null=True),
    refers("happening_id", "happening", null=True),
    # What is told: UIDs, codes and times, no patient data.
    Column("body", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    at("created_at"),
    at("next_at"),
    at("settled_at", null=True),
    Column("error", Text, nullable=False, server_default=""),
    CheckConstraint("state IN ('waiting', 'sent', 'given-up')", name="state"),
    # Once each: a job that runs twice tells nobody twice.
    key("about"),
    UniqueConstraint("target", "kind", "about"),
    Index("ix_notification_next_at", "next_at", postgresql_where=text("state = 'waiting'")),
)
