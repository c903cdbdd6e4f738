"""Tables of who may come in: keys, people, and of requests that were answered already."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from reconcile.db.tables import Key, Time, at, identifier, key, metadata

api_key = Table(
    "api_key",
    metadata,
    identifier(),
    key("name"),
    Column("role", Text, nullable=False),
    # First characters, by which it is found; the rest is kept as SHA-256 only.
    Column("prefix", Key, nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False),
    # The [[source]] that it stores as.
    key("source", null=True),
    at("created_at"),
    at("revoked_at", null=True),
    CheckConstraint(
        "role IN ('reader', 'steward', 'administrator', 'auditor')", name="role"
    ),
)

idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("actor", Key, primary_key=True),
    Column("key", Key, primary_key=True),
    key("route"),
    Column("status", Integer, nullable=True),
    Column("answer", JSONB, nullable=True),
    at("created_at"),
)

# Somebody who came in by their browser, by SHA-256 of what it holds; ends by time, by
# idleness, or when they leave.
web_session = Table(
    "web_session",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    key("actor"),
    Column("role", Text, nullable=False),
    Column("seen_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False, index=True),
    CheckConstraint(
        "role IN ('reader', 'steward', 'administrator', 'auditor')", name="role"
    ),
)
