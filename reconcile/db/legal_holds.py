"""Studies that nothing of may be deleted, whoever wants it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, select, update

from reconcile.db import tables as t
from reconcile.db.views import studies_named


def studies(connection: Connection, uid: str) -> list[UUID]:
    """Those that a received or assigned UID means, locked."""
    query = select(t.study.c.id).where(t.study.c.id.in_(studies_named(uid)))
    locked = query.order_by(t.study.c.id).with_for_update()
    return list(connection.execute(locked).scalars())


def set_held(connection: Connection, study_ids: Sequence[UUID], *, held: bool) -> int:
    """Put studies under a legal hold, or let them go; how many that changed."""
    change = update(t.study).where(
        t.study.c.id.in_(list(study_ids)), t.study.c.legal_hold.is_not(held)
    )
    return connection.execute(change.values(legal_hold=held)).rowcount
