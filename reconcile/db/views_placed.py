"""Instances as they stand beside the events that tell of them: is it still that one?"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import Connection, text

_BATCH = 1000


def misplaced(connection: Connection) -> Iterator[tuple[str, str]]:
    """(SOP Instance UID, what) where an instance's row contradicts its own event.

    What it is given out with is another question: `views_checks.state_not_fold`.
    """
    last = UUID(int=0)
    while True:
        values = {"after": last, "limit": _BATCH}
        rows = connection.execute(_PLACED, values).all()
        for row in rows:
            if row.event_sop is not None and row.event_sop != row.sop_instance_uid:
                yield row.sop_instance_uid, "its event is about another SOP Instance UID"
            if row.event_series is not None and row.event_series != row.series_uid:
                yield row.sop_instance_uid, "is in another series than its event says"
            if row.receipt_sop != row.sop_instance_uid:
                yield row.sop_instance_uid, "its arrival was of another SOP Instance UID"
        if len(rows) < _BATCH:
            return
        last = rows[-1].id


_PLACED = text("""
SELECT i.id, i.sop_instance_uid, r.sop_instance_uid AS receipt_sop,
    s.series_instance_uid AS series_uid,
    e.sop_instance_uid AS event_sop, e.series_instance_uid AS event_series
FROM (SELECT * FROM instance WHERE id > :after ORDER BY id LIMIT :limit) i
JOIN receipt r ON r.id = i.receipt_id
LEFT JOIN series s ON s.id = i.series_id
LEFT JOIN LATERAL (
    SELECT sop_instance_uid, series_instance_uid FROM coercion_event
    WHERE instance_id = i.id AND receipt_id = i.receipt_id AND level = 'instance'
    ORDER BY position DESC LIMIT 1) e ON true
ORDER BY i.id
""")
