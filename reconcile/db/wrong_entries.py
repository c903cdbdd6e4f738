"""Steps of the wrong worklist entry: which series they are of, and what they leave.

Also studies that were mapped for a step, and of which nothing has come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, func, insert, text, update

from reconcile.db import tables as t
from reconcile.db.ids import uuid7
from reconcile.db.performed import step_request, wrong_entry

_q = step_request.c


# -- The wrong worklist entry ---------------------------------------------------------


def end_requests(connection: Connection, step_id: UUID, happening_id: UUID) -> None:
    """What a step says of orders is no evidence any more."""
    over = func.tstzrange(func.lower(_q.recorded), func.clock_timestamp())
    changed = update(step_request).where(_q.step_id == step_id, func.upper_inf(_q.recorded))
    connection.execute(changed.values(recorded=over, ended_by=happening_id))


def say(
    connection: Connection, step_uid: str, series_uids: Sequence[str], happening_id: UUID
) -> None:
    """Remember that the wrong worklist entry was selected for these series."""
    rows = [
        {
            "id": uuid7(),
            "step_uid": step_uid,
            "series_instance_uid": uid,
            "happening_id": happening_id,
        }
        for uid in series_uids or ("",)
    ]
    connection.execute(insert(wrong_entry), rows)


class OfStep(NamedTuple):
    """A series of a step; `elements` are those of its first instance's header."""

    id: UUID
    study_id: UUID
    source: str
    elements: Mapping[str, Any]


def series_of(
    connection: Connection, step_uid: str, series_uids: Sequence[str]
) -> list[OfStep]:
    """Stored series of a step that nobody holds yet: it names them, or they refer to it."""
    given = {"step": step_uid, "series": list(series_uids)}
    return [OfStep(*row) for row in connection.execute(_SERIES, given)]


_SERIES = text("""
SELECT s.id, s.study_id, coalesce((
    SELECT r.source FROM instance i JOIN receipt r ON r.id = i.receipt_id
    WHERE i.series_id = s.id ORDER BY i.id LIMIT 1), '') AS source,
    coalesce(h.elements, '{}'::jsonb) AS elements
FROM series s LEFT JOIN series_header h ON h.series_id = s.id
WHERE s.uid_domain = '' AND s.held IS NULL AND s.id IN (
    SELECT id FROM series
    WHERE received_series_instance_uid = ANY (CAST(:series AS text[]))
    UNION
    SELECT id FROM series WHERE series_instance_uid = ANY (CAST(:series AS text[]))
    UNION
    SELECT series_id FROM series_step WHERE step_uid = :step AND step_uid <> '')
ORDER BY s.study_id, s.id
""")


def add_receipts(connection: Connection, hold_id: UUID, series_ids: Sequence[UUID]) -> None:
    """Let an item be about all instances of some series."""
    given = {"hold": hold_id, "series": list(series_ids)}
    connection.execute(_ADD, given)


_ADD = text("""
INSERT INTO hold_instance (hold_id, receipt_id)
SELECT :hold, receipt_id FROM instance WHERE series_id = ANY (CAST(:series AS uuid[]))
ON CONFLICT DO NOTHING
""")


def hide(connection: Connection, series_ids: Sequence[UUID]) -> None:
    """Keep the instances of series from being given out while they are held."""
    i = t.instance.c
    changed = update(t.instance).where(i.series_id.in_(series_ids))
    connection.execute(changed.values(hidden=True))


# -- Claimed studies ------------------------------------------------------------------


def unclaim(connection: Connection, study_uids: Sequence[str], happening_id: UUID) -> None:
    """Nothing came of studies that were mapped for a step: their UIDs are free again."""
    given = {"uids": list(study_uids), "by": happening_id}
    for statement in (_UNMAP, _UNLINK):
        connection.execute(statement, given)


_EMPTY = """
SELECT m.id, s.id AS study_id FROM uid_map m
JOIN study s ON s.study_instance_uid = m.assigned_uid AND s.uid_domain = m.uid_domain
WHERE m.level = 'study' AND m.uid_domain = '' AND m.received_uid = ANY (:uids)
AND NOT EXISTS (SELECT FROM series e WHERE e.study_id = s.id)
"""
_UNLINK = text(f"""
UPDATE study_order l SET recorded = tstzrange(lower(recorded), clock_timestamp()),
    ended_by = :by
WHERE upper_inf(recorded) AND l.study_id IN (SELECT study_id FROM ({_EMPTY}) AS e)
""")  # noqa: S608 - a constant of this module
_UNMAP = text(f"""
UPDATE uid_map m SET valid = tstzrange(lower(valid), clock_timestamp()), ended_by = :by
WHERE upper_inf(valid) AND m.id IN (SELECT id FROM ({_EMPTY}) AS e)
""")  # noqa: S608 - a constant of this module
