"""Items of the worklist, when what had answered them or had asked them is taken back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Text, cast, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.ids import uuid7
from reconcile.db.views import uuid_of

_hold, _held = t.hold.c, t.hold_instance.c
_SAME = ("kind", "code", "study_id", "message_id", "subject", "source")


def reopen_items(connection: Connection, happening_id: UUID, by: UUID) -> None:
    """Ask again what it answered, and ask no more what only it had asked."""
    answered = cast(literal(str(happening_id)), Text)
    query = select(t.hold).where(_hold.resolution["happening"].astext == answered)
    for row in connection.execute(query).all():
        made = upsert(t.hold).values(
            id=uuid7(),
            **{name: getattr(row, name) for name in _SAME},
            received=row.received,
            candidates=row.candidates,
            happening_id=by,
        )
        new = connection.execute(made.on_conflict_do_nothing().returning(_hold.id)).scalar()
        if new is not None:
            receipts = select(literal(new), _held.receipt_id).where(_held.hold_id == row.id)
            connection.execute(
                upsert(t.hold_instance)
                .from_select(["hold_id", "receipt_id"], receipts)
                .on_conflict_do_nothing()
            )


def opened_by(connection: Connection, happening_id: UUID) -> list[UUID]:
    """Open items that a happening brought, also where they were closed and asked again."""
    rows = _of(connection, happening_id)
    found: list[UUID] = []
    for row in rows:
        if row.state == "open":
            found.append(row.id)
            continue
        copies = _asked_again(connection, row)
        rows += [copy for copy in copies if copy not in rows]
    return found


def _of(connection: Connection, happening_id: UUID) -> list[Row[Any]]:
    query = select(t.hold).where(_hold.happening_id == happening_id)
    return list(connection.execute(query.order_by(_hold.id)).all())


def _asked_again(connection: Connection, row: Row[Any]) -> list[Row[Any]]:
    """The same items as an undo opened them, of what had answered one."""
    answer = (row.resolution or {}).get("happening", "")
    if not answer:
        return []
    g = h.happening.c
    undoing = select(g.id).where(g.undoes == uuid_of(answer))
    undo_id = connection.execute(undoing).scalar()
    copies = _of(connection, undo_id) if undo_id else []
    return [o for o in copies if all(getattr(o, n) == getattr(row, n) for n in _SAME)]
