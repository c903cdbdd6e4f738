"""API keys, made and revoked; a key is never shown again, for it is not kept."""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, update

from reconcile.db import tables as t
from reconcile.db.ids import uuid7
from reconcile.errors import NotFound


def add(
    connection: Connection,
    *,
    name: str,
    role: str,
    prefix: str,
    digest: bytes,
    source: str | None,
) -> None:
    """Keep a new key: how it begins, and SHA-256 of the whole."""
    row = {"name": name, "role": role, "prefix": prefix, "digest": digest, "source": source}
    connection.execute(insert(t.api_key).values(id=uuid7(), **row))


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
