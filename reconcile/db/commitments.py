"""Requests for storage commitment, and what was answered to them (PS3.4 Annex J).

A request and its answer are one row, which commits before the request is acknowledged.
That the answer has been told is written in the outbox, as of everything that is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Connection, Index, Table, bindparam, select, text
from sqlalchemy.dialects.postgresql import JSONB

from reconcile.core.commitment import Answered, Reason, Reference
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared, new_row
from reconcile.db.tables import Time, at, identifier, key, metadata

#: What a requester is told by, in the outbox.
COMMITMENT = "commitment"
_AT_ONCE = 1000

commitment = Table(
    "commitment",
    metadata,
    identifier(),
    key("transaction_uid"),
    # Calling AE title of who asked, and over which association.
    key("source"),
    key("association"),
    # [[SOP Class UID, SOP Instance UID, Failure Reason | null], ...] as they were asked.
    Column("answer", JSONB, nullable=False),
    at("received_at"),
    Index("ix_commitment_transaction_uid", "transaction_uid"),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What is kept of an instance, and where; `expired`: it may be deleted."""

    sop_instance_uid: str
    sop_class_uid: str
    study_id: UUID | None
    digest: str
    length: int
    segment: str
    segment_offset: int
    expired: bool = False

    @property
    def reference(self) -> Reference:
        """As a request names it."""
        return Reference(self.sop_class_uid, self.sop_instance_uid)


def stored(connection: Connection, uids: Sequence[str]) -> Iterator[Stored]:
    """What there is of SOP Instance UIDs, in whichever UID domain, held or not.

    What was deleted is not there, whether its bytes are gone by now or not.
    """
    for start in range(0, len(uids), _AT_ONCE):
        for row in _STORED(connection, uids=list(uids[start : start + _AT_ONCE])):
            yield Stored(
                row.sop_instance_uid,
                row.sop_class_uid,
                row.study_id,
                row.digest.hex(),
                row.length,
                row.segment or "",
                row.segment_offset or 0,
                row.expired,
            )


_STORED = Prepared(
    lambda: text("""
SELECT i.sop_instance_uid, i.sop_class_uid, s.study_id, r.digest, r.length, r.segment,
    r.segment_offset, (
        SELECT j.id FROM rejection j
        WHERE j.sop_instance_uid = i.sop_instance_uid AND j.uid_domain = i.uid_domain
        AND j.code = '113039' AND j.hides AND upper_inf(j.recorded)
        LIMIT 1) IS NOT NULL AS expired
FROM unnest(CAST(:uids AS text[])) AS u (uid)
JOIN instance i ON i.sop_instance_uid = u.uid COLLATE "C"
JOIN receipt r ON r.id = i.receipt_id
LEFT JOIN series s ON s.id = i.series_id
WHERE NOT EXISTS (
    SELECT FROM tombstone g WHERE g.sop_instance_uid = i.sop_instance_uid
    AND g.uid_domain = i.uid_domain AND upper_inf(g.recorded))
""")
)


def keep(
    connection: Connection, answered: Answered, source: str, association: str, now: datetime
) -> UUID:
    """Remember a request with its answer."""
    commitment_id = uuid7()
    _KEEP(
        connection,
        id=commitment_id,
        transaction_uid=answered.transaction_uid,
        source=source,
        association=association,
        answer=[
            [asked.sop_class_uid, asked.sop_instance_uid, reason and int(reason)]
            for asked, reason in answered.references
        ],
        received_at=now,
    )
    return commitment_id


_KEEP = Prepared(
    lambda: new_row(commitment, "id transaction_uid source association answer received_at")
)


def same_transaction(
    connection: Connection, transaction_uid: str, source: str
) -> frozenset[Reference] | None:
    """What the same peer asked before under a Transaction UID; None: nothing."""
    query = select(commitment.c.answer).where(
        commitment.c.transaction_uid == transaction_uid, commitment.c.source == source
    )
    row = connection.execute(query.order_by(commitment.c.id).limit(1)).first()
    return None if row is None else frozenset(Reference(*each[:2]) for each in row[0])


def find(connection: Connection, commitment_id: UUID) -> Answered:
    """What was answered to a request."""
    query = select(commitment).where(commitment.c.id == commitment_id)
    row = connection.execute(query).one()
    return Answered(row.transaction_uid, tuple(_references(row.answer)))


def _references(answer: list[Any]) -> Iterator[tuple[Reference, Reason | None]]:
    for sop_class, uid, reason in answer:
        yield Reference(sop_class, uid), Reason(reason) if reason else None


def notice_of(connection: Connection, commitment_id: UUID, target: str) -> UUID:
    """The row of the outbox by which a requester is told of the answer."""
    found = _NOTICE(connection, about=str(commitment_id), target=target, kind=COMMITMENT)
    return UUID(str(found[0].id))


_NOTICE = Prepared(
    lambda: text(
        "SELECT id FROM notification"
        " WHERE target = :target AND kind = :kind AND about = :about FOR UPDATE"
    )
)


def use(connection: Connection, study_ids: Sequence[UUID], now: datetime) -> None:
    """Note that studies are used: what was committed keeps its Study UID."""
    for study_id in sorted(set(study_ids)):
        _USE(connection, id=study_id, now=now)


_USE = Prepared(
    lambda: text(
        "UPDATE study SET used_at = :now WHERE id = CAST(:id AS uuid) AND used_at IS NULL"
    ).bindparams(bindparam("now", type_=Time))
)
