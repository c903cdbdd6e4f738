"""The instances of a series that are given out, as they are asked for by queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select

from reconcile.db import tables as t

_i = t.instance.c

#: Instances of one page: of each a file may have to be read.
PAGE = 128


@dataclass(frozen=True, slots=True)
class Image:
    """An instance, as it is known."""

    id: UUID
    sop_class_uid: str
    sop_instance_uid: str


def images(
    connection: Connection,
    series_id: UUID,
    *,
    uids: Sequence[str] = (),
    classes: Sequence[str] = (),
    after: UUID | None = None,
) -> list[Image]:
    """At most `PAGE` instances of a series, as they came, the first one first.

    Args:
        connection: a reader's.
        series_id: of the series.
        uids: SOP Instance UIDs that are asked for; empty: any.
        classes: SOP Class UIDs that are asked for; empty: any.
        after: the last one of the page before.
    """
    query = select(_i.id, _i.sop_class_uid, _i.sop_instance_uid).where(
        _i.series_id == series_id, ~_i.hidden
    )
    if uids:
        query = query.where(_i.sop_instance_uid.in_(uids))
    if classes:
        query = query.where(_i.sop_class_uid.in_(classes))
    if after is not None:
        query = query.where(_i.id > after)
    rows = connection.execute(query.order_by(_i.id).limit(PAGE))
    return [Image(*row) for row in rows]
