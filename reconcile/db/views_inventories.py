"""Inventories that are kept: instances of no patient, of one SOP class (PS3.3 A.88)."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, select

from reconcile.db import tables as t

INVENTORY_STORAGE = "1.2.840.10008.5.1.4.1.1.201.1"
PAGE = 50

_i = t.instance.c


def inventories(
    connection: Connection, uids: Collection[str] = (), before: UUID | None = None
) -> list[tuple[UUID, str]]:
    """(id, SOP Instance UID), the newest first; `uids`: only these."""
    # instances of no series are few, and found by its index
    query = select(_i.id, _i.sop_instance_uid).where(
        _i.series_id.is_(None),
        _i.sop_class_uid == INVENTORY_STORAGE,
        _i.hidden.is_(False),
    )
    if uids:
        query = query.where(_i.sop_instance_uid.in_(list(uids)))
    if before is not None:
        query = query.where(_i.id < before)
    rows = connection.execute(query.order_by(_i.id.desc()).limit(PAGE))
    return [(row.id, row.sop_instance_uid) for row in rows]
