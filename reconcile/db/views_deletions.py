"""Deletions and tombstones, as they are told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, or_, select, text

from reconcile.db.deletions import deletion as table
from reconcile.db.deletions import tombstone
from reconcile.db.views import NESTED_MAX, Page, Where, decode_cursor, page, uuid_of
from reconcile.errors import NotFound

_d, _g = table.c, tombstone.c


@dataclass(frozen=True, slots=True)
class Deletion:
    """One deletion.

    Attributes:
        cause: "steward", "rule" or "iocm".
        subject: name of the rule, or SOP Instance UID of the note; empty: by hand.
        due_at: when it is done if nobody cancels it; None: when a person confirms it.
        instances: how many it names, of which `deleted` are gone and `kept` are not.
        bytes_waiting: arrivals whose bytes are still to be removed.
        studies: Study Instance UIDs, up to 100.
    """

    id: UUID
    state: str
    cause: str
    subject: str
    reason: str
    planned_by: str
    planned_at: datetime
    due_at: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    executed_at: datetime | None
    happening: UUID
    instances: int
    deleted: int
    kept: int
    bytes_waiting: int
    studies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of an instance; `digest` is SHA-256 of its data set, in hex.

    `ended_at`: when it came again; None: it is gone.
    """

    id: UUID
    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    received_series_instance_uid: str
    study_instance_uid: str
    received_study_instance_uid: str
    digest: str
    deletion: UUID
    reason: str
    planned_by: str
    decided_by: str | None
    deleted_at: datetime
    happening: UUID
    ended_by: UUID | None
    ended_at: datetime | None


def deletion(connection: Connection, deletion_id: str) -> Deletion:
    """One deletion.

    Raises:
        NotFound: there is none.
    """
    wanted = uuid_of(deletion_id)
    row = connection.execute(select(table).where(_d.id == wanted)).first()
    if wanted is None or row is None:
        raise NotFound("there is no deletion of this id")
    return _deletion(connection, row)


def deletions(connection: Connection, where: Where, *, state: str = "") -> Page[Deletion]:
    """A page of them, the first one first; `state` empty: all."""
    query = select(table)
    if state:
        query = query.where(_d.state == state)
    if where.cursor:
        query = query.where(_d.id > decode_cursor(where.cursor, UUID))
    rows = connection.execute(query.order_by(_d.id).limit(where.limit + 1)).all()
    shown, following = page(rows, where.limit, "id")
    return Page(tuple(_deletion(connection, row) for row in shown), following)


def tombstones(
    connection: Connection, where: Where, *, uid: str = "", deletion: str = ""
) -> Page[Tombstone]:
    """A page of them, the first one first.

    Args:
        connection: a reader's.
        where: which page.
        uid: of a study, a series or an instance, received or assigned; empty: any.
        deletion: id of one; empty: of any.
    """
    query: Any = (
        select(
            tombstone,
            _d.reason,
            _d.planned_by,
            _d.decided_by,
            func.lower(_g.recorded).label("deleted_at"),
            func.upper(_g.recorded).label("ended_at"),
        )
        .join(table, _d.id == _g.deletion_id)
        .order_by(_g.id)
        .limit(where.limit + 1)
    )
    if uid:
        columns = (
            _g.sop_instance_uid,
            _g.series_instance_uid,
            _g.received_series_instance_uid,
            _g.study_instance_uid,
            _g.received_study_instance_uid,
        )
        query = query.where(or_(*(column == uid for column in columns)))
    if deletion:
        query = query.where(_g.deletion_id == uuid_of(deletion))
    if where.cursor:
        query = query.where(_g.id > decode_cursor(where.cursor, UUID))
    rows = connection.execute(query).all()
    shown, following = page(rows, where.limit, "id")
    return Page(tuple(map(_tombstone, shown)), following)


def _deletion(connection: Connection, row: Row[Any]) -> Deletion:
    counted = connection.execute(_COUNTED, {"deletion": row.id}).one()
    named = {"deletion": row.id, "most": NESTED_MAX}
    return Deletion(
        row.id,
        row.state,
        row.cause,
        row.subject,
        row.reason,
        row.planned_by,
        row.planned_at,
        row.due_at,
        row.decided_by,
        row.decided_at,
        row.executed_at,
        row.happening_id,
        counted.instances,
        counted.deleted,
        counted.kept,
        counted.waiting,
        tuple(connection.execute(_STUDIES, named).scalars()),
    )


_COUNTED = text("""
SELECT count(*) AS instances, count(*) FILTER (WHERE outcome = 'deleted') AS deleted,
    count(*) FILTER (WHERE outcome = 'kept') AS kept, (
        SELECT count(*) FROM removed_receipt
        WHERE deletion_id = :deletion AND removed_at IS NULL) AS waiting
FROM deletion_instance WHERE deletion_id = :deletion
""")
_STUDIES = text("""
SELECT DISTINCT st.study_instance_uid FROM deletion_instance d
JOIN instance i ON i.id = d.instance_id JOIN series s ON s.id = i.series_id
JOIN study st ON st.id = s.study_id
WHERE d.deletion_id = :deletion ORDER BY 1 LIMIT :most
""")


def _tombstone(row: Row[Any]) -> Tombstone:
    return Tombstone(
        row.id,
        row.sop_instance_uid,
        row.sop_class_uid,
        row.series_instance_uid,
        row.received_series_instance_uid,
        row.study_instance_uid,
        row.received_study_instance_uid,
        row.digest.hex(),
        row.deletion_id,
        row.reason,
        row.planned_by,
        row.decided_by,
        row.deleted_at,
        row.happening_id,
        row.ended_by,
        row.ended_at,
    )
