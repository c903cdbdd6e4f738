"""An identifier may be one person's first and another's later: incarnations of it.

Each is a row of `identity`. What came under one stays with it for ever; the live one is
whom the identifier names today.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, text

from reconcile.core.identity import PatientIdentifier
from reconcile.db import persons
from reconcile.db import tables as t
from reconcile.db.ids import uuid7
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


# -- Undo; the links that a happening made are ended already --------------------------


def strike(connection: Connection, happening_id: UUID, by: UUID) -> set[UUID]:
    """Take back what a happening made of identifiers; the persons concerned.

    An identifier that it brought and that nothing else rests on is nobody's again. What
    others rest on stays with the person it was made for, or is a person's of its own
    where there was one before. Whose it had ended has it again, unless it is somebody's.
    """
    concerned: set[UUID] = set()
    known = {"happening_id": happening_id, "by": by}
    for row in connection.execute(_STRUCK, known).all():
        if not row.rested:
            _END(connection, identity_id=row.id, happening_id=by)
            continue
        person_id: UUID = row.person_id
        if not row.came_with_it:
            person_id = persons.create(connection, "provisional", by)
        _link(connection, row.id, person_id, by)
        concerned.add(person_id)
    for row in connection.execute(_ENDED, known).all():
        named = PatientIdentifier(row.id_norm, row.domain)
        if named not in persons.owners(connection, [named]):
            made = persons.own(connection, named, row.id_raw, row.person_id, by)
            if row.closed_by is not None:
                close(connection, [made], row.closed_by)
            concerned.add(row.person_id)
    return concerned


def _link(connection: Connection, identity_id: UUID, person_id: UUID, by: UUID) -> None:
    link = {"id": uuid7(), "identity_id": identity_id, "person_id": person_id}
    connection.execute(insert(t.identity_link).values(**link, happening_id=by))


# Live identities that it brought, without a live link: something else may rest on them,
# or on another one that it brought for the same new person.
_STRUCK = text("""
WITH made AS (
    SELECT DISTINCT ON (i.id) i.id, l.person_id, p.happening_id = :happening_id AS came,
        EXISTS (
            SELECT FROM series s WHERE s.filed_identity_id = i.id
            AND s.happening_id <> :happening_id
        ) OR EXISTS (
            SELECT FROM imaging_order o WHERE o.identity_id = i.id
            AND o.happening_id <> :happening_id AND NOT EXISTS (
                SELECT FROM happening u WHERE u.undoes = o.happening_id AND NOT EXISTS (
                    SELECT FROM happening again WHERE again.undoes = u.id
                )
            )
        ) OR EXISTS (
            SELECT FROM demographics d WHERE d.identity_id = i.id
            AND upper_inf(d.recorded) AND d.happening_id <> :happening_id
        ) OR EXISTS (
            SELECT FROM merge_edge e WHERE e.prior_identity_id = i.id
            AND upper_inf(e.recorded) AND e.happening_id <> :happening_id
        ) OR EXISTS (
            SELECT FROM merge_edge e JOIN person q ON q.id = e.survivor_id
            WHERE e.survivor_id = l.person_id AND e.surviving_identity_id = i.id
            AND upper_inf(e.recorded) AND e.happening_id <> :happening_id
        ) AS own
    FROM identity_link l
    JOIN identity i ON i.id = l.identity_id
    JOIN person p ON p.id = l.person_id
    WHERE l.ended_by = :by AND upper_inf(i.valid) AND NOT EXISTS (
        SELECT FROM identity_link o WHERE o.identity_id = i.id AND upper_inf(o.recorded)
    )
    ORDER BY i.id, l.id DESC
)
SELECT id, person_id, came AS came_with_it,
    own OR (came AND bool_or(own) OVER (PARTITION BY person_id)) AS rested
FROM made ORDER BY id
""")
_ENDED = text("""
SELECT i.domain, i.id_norm, i.id_raw, i.closed_by, l.person_id FROM identity i
JOIN identity_link l ON l.identity_id = i.id AND upper_inf(l.recorded)
WHERE i.ended_by = :happening_id AND NOT upper_inf(i.valid)
""")
