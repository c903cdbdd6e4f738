"""What an audit repository is to be told: rows of a stretch of time, read in their order.

Receipts, happenings and what was asked are found by their ids, which hold the time at
which they were made. Only what lies so far back that nothing older can still appear is
read, so that each row is in one stretch, once. What was asked has no rows of its own but
here: the spool is bounded, and emptied as it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    Row,
    Table,
    bindparam,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql

from reconcile.db import tables as t
from reconcile.db import telling
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared
from reconcile.db.tables import identifier, metadata

#: Receipts that are read at once; a stretch ends where there are more.
RECEIPTS_MAX = 2000
#: What waits in the spool at most; what comes when it is full is lost, and counted.
SPOOL_MAX = 100_000

# Patient data stands in it (keys of queries); it is for nobody but the repository.
spool = Table(
    "audit_spool",
    metadata,
    identifier(),
    Column("asked", postgresql.JSONB, nullable=False),
)

# By which happening two became one, or are two again.
Index("ix_merge_edge_happening_id", t.merge_edge.c.happening_id)
Index("ix_merge_edge_ended_by", t.merge_edge.c.ended_by)


@dataclass(frozen=True, slots=True)
class Stretch:
    """From this id on, and before that one."""

    low: UUID
    high: UUID


# -- Stretches ----------------------------------------------------------------------


def begin(connection: Connection, now: datetime) -> UUID:
    """The place up to which it was told; where nobody was ever told: now."""
    known = telling.cursors(connection).get(telling.AUDIT)
    if known is None:
        known = str(telling.id_at(now))
        telling.move(connection, telling.AUDIT, known)
    return UUID(known)


def stretch(connection: Connection, low: UUID, now: datetime) -> Stretch:
    """The next one: nothing can appear in it any more, and it is not too much at once."""
    settled = telling.id_at(telling.seen(connection, now) - telling.OVERLAP)
    row = _MANY.first(connection, low=low, high=settled, most=RECEIPTS_MAX)
    return Stretch(low, row.id if row is not None else settled)


_MANY = Prepared(
    lambda: text("""
SELECT id FROM receipt WHERE id >= CAST(:low AS uuid) AND id < CAST(:high AS uuid)
ORDER BY id OFFSET :most LIMIT 1
""").bindparams(
        bindparam("low", type_=postgresql.UUID(as_uuid=True)),
        bindparam("high", type_=postgresql.UUID(as_uuid=True)),
        bindparam("most", type_=Integer()),
    )
)


def told(connection: Connection, done: Stretch, spooled: Sequence[UUID]) -> None:
    """Everything of a stretch was told, and this of the spool: go on behind it."""
    connection.execute(spool.delete().where(spool.c.id.in_(spooled)))
    telling.move(connection, telling.AUDIT, str(done.high))


def waiting_since(connection: Connection) -> datetime | None:
    """Up to when it was told, if there is something to tell from then on; else None."""
    known = telling.cursors(connection).get(telling.AUDIT)
    if known is None or not _WAITS.first(connection, low=UUID(known)).waits:
        return None
    return telling.EPOCH + timedelta(milliseconds=UUID(known).int >> 80)


_WAITS = Prepared(
    lambda: text("""
SELECT EXISTS (SELECT FROM receipt WHERE id >= CAST(:low AS uuid))
    OR EXISTS (SELECT FROM happening WHERE id >= CAST(:low AS uuid)) AS waits
""").bindparams(bindparam("low", type_=postgresql.UUID(as_uuid=True)))
)


# -- Rows ---------------------------------------------------------------------------


def stored(connection: Connection, within: Stretch) -> Sequence[Row[Any]]:
    """Receipts by association, study, patient and SOP class: how many, and the last one.

    Of instances that are of a study: what is told of is a patient's.
    """
    return list(_STORED(connection, low=within.low, high=within.high))


# Not as jsonb: that refuses values with a NUL in them, which instances have.
# `action`: the instance is new (C), was replaced by what came (U), or stays as it is (R).
_STORED = Prepared(
    lambda: _between("""
SELECT r.source, r.peer_address, r.association, i.sop_class_uid,
    st.study_instance_uid, e.received_study_instance_uid,
    p.patient ->> 'id' AS patient_id, p.patient ->> 'issuer' AS patient_issuer,
    n.id_raw AS received_id, n.domain AS received_issuer,
    CASE WHEN NOT EXISTS (
        SELECT FROM receipt o WHERE o.sop_instance_uid = r.sop_instance_uid
        AND o.uid_domain = r.uid_domain AND o.id < r.id) THEN 'C'
    WHEN i.receipt_id = r.id THEN 'U' ELSE 'R' END AS action,
    count(*) AS instances, max(r.received_at) AS last_at
FROM receipt r
JOIN instance i ON i.sop_instance_uid = r.sop_instance_uid AND i.uid_domain = r.uid_domain
JOIN series s ON s.id = i.series_id
JOIN study st ON st.id = s.study_id
LEFT JOIN identity n ON n.id = s.identity_id
LEFT JOIN coercion_event e ON e.instance_id = i.id AND e.receipt_id = r.id
LEFT JOIN coercion_value v ON v.event_id = e.id
LEFT JOIN LATERAL (
    SELECT CAST(convert_from(v.body, 'UTF8') AS json) -> 'patient' AS patient) p ON true
WHERE r.id >= :low AND r.id < :high
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
ORDER BY last_at, 3, 5, 4
""")
)


def corrected(connection: Connection, within: Stretch) -> Sequence[Row[Any]]:
    """Studies that happenings changed after they were stored, or that an undo gave back."""
    return list(_CORRECTED(connection, low=within.low, high=within.high))


_CORRECTED = Prepared(
    lambda: _between("""
SELECT h.id, h.cause, h.cause_id, h.actor, h.rule, h.recorded_at, e.reason,
    e.study_instance_uid, e.received_study_instance_uid, e.attributes,
    p.patient ->> 'id' AS patient_id, p.patient ->> 'issuer' AS patient_issuer
FROM (
    SELECT DISTINCT ON (g.id, c.study_id) g.id AS happening_id, c.id AS event_id
    FROM happening g JOIN coercion_event c ON c.happening_id = coalesce(g.undoes, g.id)
    WHERE g.id >= :low AND g.id < :high
    AND (g.undoes IS NOT NULL OR c.level <> 'instance')
    ORDER BY g.id, c.study_id, c.position
) x
JOIN happening h ON h.id = x.happening_id
JOIN coercion_event e ON e.id = x.event_id
LEFT JOIN coercion_value v ON v.event_id = e.id
LEFT JOIN LATERAL (
    SELECT CAST(convert_from(v.body, 'UTF8') AS json) -> 'patient' AS patient) p ON true
ORDER BY h.id, e.position
""")
)


def merged(connection: Connection, within: Stretch) -> Sequence[Row[Any]]:
    """Merges that were said, and (`ended`) such as were taken back."""
    return list(_MERGED(connection, low=within.low, high=within.high))


_MERGED = Prepared(
    lambda: _between("""
SELECT h.id, h.cause, h.cause_id, h.actor, h.recorded_at, x.ended,
    p.id_raw AS prior_id, p.domain AS prior_issuer,
    s.id_raw AS surviving_id, s.domain AS surviving_issuer
FROM (
    SELECT happening_id, prior_identity_id, surviving_identity_id, subsumed_id,
        survivor_id, false AS ended
    FROM merge_edge WHERE happening_id IN (
        SELECT id FROM happening WHERE id >= :low AND id < :high)
    UNION ALL
    SELECT ended_by, prior_identity_id, surviving_identity_id, subsumed_id,
        survivor_id, true
    FROM merge_edge WHERE ended_by IN (
        SELECT id FROM happening WHERE id >= :low AND id < :high)
    UNION ALL
    SELECT g.id, m.prior_identity_id, m.surviving_identity_id, m.subsumed_id,
        m.survivor_id, true
    FROM happening g JOIN merge_edge m ON m.happening_id = g.undoes
    WHERE g.undoes IS NOT NULL AND g.id >= :low AND g.id < :high
) x
JOIN happening h ON h.id = x.happening_id
LEFT JOIN identity p ON p.id = coalesce(x.prior_identity_id, (
    SELECT identity_id FROM identity_link WHERE person_id = x.subsumed_id LIMIT 1))
LEFT JOIN identity s ON s.id = coalesce(x.surviving_identity_id, (
    SELECT identity_id FROM identity_link WHERE person_id = x.survivor_id LIMIT 1))
ORDER BY h.id
""")
)


# -- The spool ----------------------------------------------------------------------


def keep(connection: Connection, asked: Sequence[dict[str, Any]]) -> int:
    """Remember what was asked, until it is told; how much of it there was room for."""
    some = select(spool.c.id).limit(SPOOL_MAX).subquery()
    waiting = connection.execute(select(func.count()).select_from(some)).scalar_one()
    kept = asked[: max(0, SPOOL_MAX - waiting)]
    if kept:
        rows = [{"id": uuid7(), "asked": each} for each in kept]
        connection.execute(spool.insert(), rows)
    return len(kept)


def asked(connection: Connection, within: Stretch) -> Sequence[Row[Any]]:
    """(id, asked) of the spool; also what came late and lies before the stretch."""
    rows = select(spool).where(spool.c.id < within.high).order_by(spool.c.id)
    return connection.execute(rows.limit(RECEIPTS_MAX)).all()


def _between(statement: str) -> Any:
    uuid = postgresql.UUID(as_uuid=True)
    said = statement.replace(":low", "CAST(:low AS uuid)")
    said = said.replace(":high", "CAST(:high AS uuid)")
    return text(said).bindparams(
        bindparam("low", type_=uuid), bindparam("high", type_=uuid)
    )
