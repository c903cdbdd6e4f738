"""An identifier may be one person's first and another's later: incarnations of it.

Each is a row of `identity`. What came under one stays with it for ever; the live one is
whom the identifier names today.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from reconcile.core.identity import PatientIdentifier
from reconcile.db import persons
from reconcile.db.prepared import Prepared


def received_owners(
    connection: Connection, study_id: UUID, identifiers: Iterable[PatientIdentifier]
) -> dict[PatientIdentifier, persons.Owned]:
    """Who owned identifiers when series of a study came under them.

    An identifier may have another owner today; late images of a study follow the one
    that the study's series hang on.
    """
    wanted = sorted({(i.domain, i.value) for i in identifiers})
    if not wanted:
        return {}
    named = {"domains": [d for d, _ in wanted], "ids": [i for _, i in wanted]}
    rows = _RECEIVED_OWNERS(connection, study_id=study_id, **named)
    return {PatientIdentifier(row.id_norm, row.domain): persons.owned(row) for row in rows}


_RECEIVED_OWNERS = Prepared(
    lambda: text("""
SELECT i.domain, i.id_norm, i.id, i.closed_by, l.person_id, p.canonical_id
FROM series s
JOIN identity i ON i.id = s.identity_id
JOIN identity_link l ON l.identity_id = s.filed_identity_id AND upper_inf(l.recorded)
JOIN person p ON p.id = l.person_id
WHERE s.study_id = :study_id AND s.held IS NULL AND NOT upper_inf(i.valid)
AND (i.domain, i.id_norm) IN (
    SELECT u.domain COLLATE "C", u.id_norm COLLATE "C"
    FROM unnest(CAST(:domains AS text[]), CAST(:ids AS text[])) AS u (domain, id_norm)
)
ORDER BY i.id
""")
)


def end(connection: Connection, identity_id: UUID, happening_id: UUID) -> datetime:
    """An identifier is its owner's no longer; since when.

    What came under it stays with the owner of then.
    """
    row = _END.first(connection, identity_id=identity_id, happening_id=happening_id)
    ended: datetime = row.ended
    return ended


_END = Prepared(
    lambda: text("""
UPDATE identity SET valid = tstzrange(lower(valid), clock_timestamp()),
    ended_by = :happening_id
WHERE id = :identity_id AND upper_inf(valid) RETURNING upper(valid) AS ended
""")
)


def close(connection: Connection, identity_ids: Iterable[UUID], happening_id: UUID) -> None:
    """Whose identifiers are is settled: who registers one again begins another one.

    What still comes under it follows its owner until then.
    """
    _CLOSE(connection, identities=list(identity_ids), happening_id=happening_id)


_CLOSE = Prepared(
    lambda: text("""
UPDATE identity SET closed_by = :happening_id
WHERE id = ANY (CAST(:identities AS uuid[])) AND closed_by IS NULL
""")
)
