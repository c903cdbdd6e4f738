"""Pairs of persons that may be one: suggested to people, and never acted on."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Float, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB

from reconcile.db.tables import at, identifier, key, metadata, refers

duplicate_suggestion = Table(
    "duplicate_suggestion",
    metadata,
    identifier(),
    refers("one_id", "person", index=True),
    refers("other_id", "person", index=True),
    # Evidence in bits, and in words.
    Column("bits", Float, nullable=False),
    Column("reasons", JSONB, nullable=False, server_default="[]"),
    Column("state", Text, nullable=False, server_default="open"),
    at("found_at"),
    at("settled_at", null=True),
    key("settled_by", null=True),
    CheckConstraint("one_id < other_id", name="order"),
    CheckConstraint("state IN ('open', 'settled')", name="state"),
    UniqueConstraint("one_id", "other_id"),
)
