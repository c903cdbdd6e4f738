"""API keys, made and revoked; a key is never shown again, for it is not kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, func, insert, update

from reconcile.db import access as t
from reconcile.db.ids import uuid7
from reconcile.errors import NotFound


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that is to be kept: how it begins, and SHA-256 of the whole."""

    name: str
    role: str
    prefix: str
    digest: bytes
    source: str | None


def add(connection: Connection, key: NewKey) -> None:
    """Keep a new key."""
    connection.execute(insert(t.api_key).values(id=uuid7(), **asdict(key)))


def revoke(connection: Connection, prefix: str) -> None:
    """Let a key open nothing any more.

    Raises:
        NotFound: no live key begins so.
    """
    change = update(t.api_key).where(
        t.api_key.c.prefix == prefix, t.api_key.c.revoked_at.is_(None)
    )
    if connection.execute(change.values(revoked_at=func.clock_timestamp())).rowcount == 0:
        raise NotFound("no live key begins so")
