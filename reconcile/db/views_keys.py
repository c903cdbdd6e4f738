"""API keys as they are looked up; the secret itself is nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from reconcile.db import access as t

_key = t.api_key.c


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: UUID
    name: str
    role: str
    prefix: str
    source: str | None
    created_at: datetime
    revoked_at: datetime | None


def any_key(connection: Connection) -> bool:
    """Whether there is a key that opens the door."""
    query = select(_key.id).where(_key.revoked_at.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def live_key(connection: Connection, prefix: str) -> tuple[ApiKey, bytes] | None:
    """The key that begins so, with the digest of the whole; None: none, or revoked."""
    query = select(t.api_key).where(_key.prefix == prefix, _key.revoked_at.is_(None))
    row = connection.execute(query).first()
    return (_api_key(row), row.digest) if row is not None else None


def all_keys(connection: Connection) -> tuple[ApiKey, ...]:
    """Every key that was ever made, the oldest first."""
    query = select(t.api_key).order_by(_key.id)
    return tuple(_api_key(row) for row in connection.execute(query))


def _api_key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id, row.name, row.role, row.prefix, row.source, row.created_at, row.revoked_at
    )
