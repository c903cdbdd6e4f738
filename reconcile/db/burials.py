"""Deletions, done: instances are buried, each under a tombstone.

Their bytes are for `removals`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, text, update

from reconcile.db import holds
from reconcile.db.deletions import GUARDED, close, deletion
from reconcile.db.tables import Time


def begin(connection: Connection, deletion_id: UUID, happening_id: UUID) -> None:
    """From now on it cannot be cancelled."""
    changed = {"state": "executing", "executed_in": happening_id}
    connection.execute(update(deletion).where(deletion.c.id == deletion_id).values(changed))


def left(connection: Connection, deletion_id: UUID, most: int) -> list[Row[Any]]:
    """Instances that are still to be deleted: (id, uid_domain, sop_instance_uid)."""
    given = {"deletion": deletion_id, "most": most}
    return list(connection.execute(_LEFT, given))


_LEFT = text("""
SELECT i.id, i.uid_domain, i.sop_instance_uid
FROM deletion_instance d JOIN instance i ON i.id = d.instance_id
WHERE d.deletion_id = :deletion AND d.outcome IS NULL ORDER BY d.instance_id LIMIT :most
""")


def bury(
    connection: Connection,
    deletion_id: UUID,
    instances: Sequence[UUID],
    by: UUID,
    now: datetime,
) -> int:
    """Let instances be gone, but for those that are guarded by now; how many are gone.

    By a note only what is still rejected; by a rule nothing of a study that has grown
    since it was planned. Nobody is asked any more of a study of which nothing is left.
    """
    given = {"deletion": deletion_id, "instances": list(instances), "by": by}
    connection.execute(_STUDIES, {"instances": list(instances)})
    gone = list(connection.execute(_BURY, given).scalars())
    if gone:
        connection.execute(_HIDE, {"instances": gone})
        connection.execute(_REMOVE, {"instances": gone, "deletion": deletion_id})
        close(connection, deletion_id, gone, "deleted")
        for item in list(connection.execute(_ITEMS, {"instances": gone}).scalars()):
            holds.close(connection, item, "jobs", now, holds.answered_by(by))
    kept = sorted(set(instances) - set(gone))
    if kept:
        close(connection, deletion_id, kept, "kept")
    return len(gone)


# Nobody puts one of them under a legal hold meanwhile.
_STUDIES = text("""
SELECT st.id FROM study st WHERE st.id IN (
    SELECT s.study_id FROM instance i JOIN series s ON s.id = i.series_id
    WHERE i.id = ANY (CAST(:instances AS uuid[])))
ORDER BY st.id FOR SHARE
""")
_BURY = text(f"""
WITH chosen AS (
    SELECT i.*, s.series_instance_uid, s.received_series_instance_uid,
        st.study_instance_uid, st.id AS study_id
    FROM instance i
    JOIN deletion d ON d.id = :deletion
    LEFT JOIN series s ON s.id = i.series_id
    LEFT JOIN study st ON st.id = s.study_id
    WHERE i.id = ANY (CAST(:instances AS uuid[])) AND NOT {GUARDED}
    AND (d.cause <> 'iocm' OR EXISTS (
        SELECT FROM rejection j WHERE j.sop_instance_uid = i.sop_instance_uid
        AND j.uid_domain = i.uid_domain AND j.note_sop_instance_uid = d.subject
        AND upper_inf(j.recorded)))
    AND (d.cause <> 'rule' OR NOT EXISTS (
        SELECT FROM series o JOIN instance n ON n.series_id = o.id
        WHERE o.study_id = s.study_id AND n.stored_at > d.planned_at))
    FOR UPDATE OF i
)
INSERT INTO tombstone (id, instance_id, deletion_id, uid_domain, sop_instance_uid,
    sop_class_uid, series_instance_uid, received_series_instance_uid, study_instance_uid,
    received_study_instance_uid, digest, happening_id)
SELECT gen_random_uuid(), c.id, :deletion, c.uid_domain, c.sop_instance_uid,
    c.sop_class_uid, coalesce(c.series_instance_uid, ''),
    coalesce(c.received_series_instance_uid, ''), coalesce(c.study_instance_uid, ''),
    coalesce((
        SELECT e.received_study_instance_uid FROM coercion_event e
        WHERE e.instance_id = c.id AND e.received_study_instance_uid IS NOT NULL
        ORDER BY e.position LIMIT 1), c.study_instance_uid, ''), r.digest, :by
FROM chosen c JOIN receipt r ON r.id = c.receipt_id
ON CONFLICT DO NOTHING RETURNING instance_id
""")  # noqa: S608 - constants of this module
_HIDE = text(
    "UPDATE instance SET hidden = true WHERE id = ANY (CAST(:instances AS uuid[]))"
)
# All that ever came of them, also what was never given out.
_REMOVE = text("""
INSERT INTO removed_receipt (receipt_id, deletion_id)
SELECT r.id, :deletion FROM instance i
JOIN receipt r ON r.sop_instance_uid = i.sop_instance_uid AND r.uid_domain = i.uid_domain
WHERE i.id = ANY (CAST(:instances AS uuid[]))
ON CONFLICT DO NOTHING
""")


_ITEMS = text("""
SELECT h.id FROM hold h
WHERE h.state = 'open' AND h.study_id IN (
    SELECT s.study_id FROM instance i JOIN series s ON s.id = i.series_id
    WHERE i.id = ANY (CAST(:instances AS uuid[])))
AND NOT EXISTS (
    SELECT FROM series s JOIN instance i ON i.series_id = s.id
    WHERE s.study_id = h.study_id AND NOT EXISTS (
        SELECT FROM tombstone g WHERE g.sop_instance_uid = i.sop_instance_uid
        AND g.uid_domain = i.uid_domain AND upper_inf(g.recorded)))
ORDER BY h.id
""")


def finish(connection: Connection, now: datetime) -> None:
    """What has nothing left to be done is done."""
    connection.execute(_FINISH, {"now": now})


_FINISH = text("""
UPDATE deletion d SET state = 'executed', executed_at = :now
WHERE d.state = 'executing'
AND NOT EXISTS (SELECT FROM deletion_instance i
    WHERE i.deletion_id = d.id AND i.outcome IS NULL)
AND NOT EXISTS (SELECT FROM removed_receipt r
    WHERE r.deletion_id = d.id AND r.removed_at IS NULL)
""").bindparams(bindparam("now", type_=Time))
