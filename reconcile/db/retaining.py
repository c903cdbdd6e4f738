"""What rules of retention look at: studies in the order of their making, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, text

from reconcile.core.retention import Study
from reconcile.db.tables import Time

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Candidate:
    """A study of which something is there that nobody plans to delete.

    `left_alone`: by rules of these names, for somebody cancelled what they planned.
    """

    study_id: UUID
    facts: Study
    left_alone: frozenset[str]


def studies(
    connection: Connection, after: UUID | None
) -> tuple[list[Candidate], UUID | None]:
    """Some studies, and the last one that was looked at; None: there are no more."""
    given = {"after": after or UUID(int=0), "most": _BATCH}
    rows = connection.execute(_STUDIES, given).all()
    found = [_candidate(row) for row in rows if row.stored_at is not None]
    return found, rows[-1].id if len(rows) == _BATCH else None


def _candidate(row: Row[Any]) -> Candidate:
    facts = Study(
        row.stored_at,
        row.study_date or "",
        frozenset(row.sources),
        frozenset(row.modalities or ()),
    )
    return Candidate(row.id, facts, frozenset(row.left_alone or ()))


_OPEN = """
NOT EXISTS (SELECT FROM tombstone g WHERE g.sop_instance_uid = i.sop_instance_uid
    AND g.uid_domain = i.uid_domain AND upper_inf(g.recorded))
AND NOT EXISTS (SELECT FROM deletion_instance d
    WHERE d.instance_id = i.id AND d.outcome IS NULL)
"""
_STUDIES = text(f"""
WITH batch AS (
    SELECT id, legal_hold, retain_until FROM study WHERE id > :after ORDER BY id LIMIT :most
)
SELECT st.id, c.stored_at, c.sources, hd.study_date, hd.modalities, (
    SELECT array_agg(DISTINCT d.subject) FROM series s JOIN instance i ON i.series_id = s.id
    JOIN deletion_instance x ON x.instance_id = i.id AND x.outcome = 'cancelled'
    JOIN deletion d ON d.id = x.deletion_id AND d.cause = 'rule'
    WHERE s.study_id = st.id) AS left_alone
FROM batch st
LEFT JOIN LATERAL (
    SELECT max(i.stored_at) AS stored_at, array_agg(DISTINCT r.source) AS sources
    FROM series s JOIN instance i ON i.series_id = s.id
    JOIN receipt r ON r.id = i.receipt_id
    WHERE s.study_id = st.id AND NOT st.legal_hold
    AND coalesce(st.retain_until <= clock_timestamp(), true) AND {_OPEN}) AS c ON true
LEFT JOIN LATERAL (
    SELECT max(e.study_date) AS study_date,
        array_agg(DISTINCT e.modality) FILTER (WHERE e.modality <> '') AS modalities
    FROM series s JOIN series_header e ON e.series_id = s.id
    WHERE s.study_id = st.id) AS hd ON true
ORDER BY st.id
""")  # noqa: S608 - constants of this module


def of_study(connection: Connection, study_id: UUID) -> list[UUID]:
    """What is there of a study, and nobody plans to delete."""
    return list(connection.execute(_OF_STUDY, {"study": study_id}).scalars())


_OF_STUDY = text(f"""
SELECT i.id FROM series s JOIN instance i ON i.series_id = s.id
WHERE s.study_id = :study AND {_OPEN} ORDER BY i.id
""")  # noqa: S608 - constants of this module


def rejected(
    connection: Connection, codes: frozenset[str], before: datetime, rule: str
) -> Iterator[list[UUID]]:
    """Instances that were rejected before a time, and are, those of a study together."""
    given = {"codes": sorted(codes), "before": before, "rule": rule}
    for row in connection.execute(_REJECTED, given):
        yield list(row.ids)


_REJECTED = text(f"""
SELECT array_agg(i.id ORDER BY i.id) AS ids
FROM instance i JOIN series s ON s.id = i.series_id JOIN study st ON st.id = s.study_id
WHERE NOT st.legal_hold AND coalesce(st.retain_until <= clock_timestamp(), true)
AND EXISTS (
    SELECT FROM rejection j WHERE j.sop_instance_uid = i.sop_instance_uid
    AND j.uid_domain = i.uid_domain AND upper_inf(j.recorded)
    AND j.code = ANY (CAST(:codes AS text[])) AND lower(j.recorded) < :before)
AND NOT EXISTS (SELECT FROM deletion_instance x JOIN deletion d ON d.id = x.deletion_id
    WHERE x.instance_id = i.id AND x.outcome = 'cancelled' AND d.cause = 'rule'
    AND d.subject = :rule)
AND {_OPEN}
GROUP BY st.id ORDER BY st.id
""").bindparams(bindparam("before", type_=Time))  # noqa: S608 - constants of this module
