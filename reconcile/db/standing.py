"""Rows that a happening opened and that stand, be it as copies of them.

An undo opens a row again as a copy that begins now, under its own id. Whoever takes back
what had opened the first one means the copy, too.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Table, select

from reconcile.db import history as h


def said(row: Row[Any], name: str) -> dict[str, Any]:
    """What a row says, but for when, in which row and by whom; `name`: of its range."""
    found = dict(row._mapping)
    began = found.pop(name).lower
    for own in ("id", "happening_id", "ended_by"):
        found.pop(own)
    if "came_at" in found:
        found["came_at"] = found["came_at"] or began
    return found


def standing(
    connection: Connection, table: Table, name: str, happening_id: UUID
) -> list[UUID]:
    """Ids of the rows of a happening that are not ended, and of their copies."""
    rows = _of(connection, table, happening_id)
    live: list[UUID] = []
    copied: dict[UUID, list[Row[Any]]] = {}
    for row in rows:
        if row._mapping[name].upper is None:
            live.append(row.id)
        elif row.ended_by is not None:
            for copy in _copies(connection, table, row.ended_by, copied):
                if said(copy, name) == said(row, name) and copy not in rows:
                    rows.append(copy)
    return live


def _of(connection: Connection, table: Table, happening_id: UUID) -> list[Row[Any]]:
    query = select(table).where(table.c.happening_id == happening_id)
    return list(connection.execute(query.order_by(table.c.id)).all())


def _copies(
    connection: Connection,
    table: Table,
    ended_by: UUID,
    known: dict[UUID, list[Row[Any]]],
) -> list[Row[Any]]:
    """Rows that were opened by what took back who ended others."""
    if ended_by not in known:
        undoing = select(h.happening.c.id).where(h.happening.c.undoes == ended_by)
        undo_id = connection.execute(undoing).scalar()
        known[ended_by] = _of(connection, table, undo_id) if undo_id else []
    return known[ended_by]
