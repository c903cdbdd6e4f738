"""Study UIDs that a study is known by beside the one that it came under."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, text, update

from reconcile.db import tables as t
from reconcile.db.ids import uuid7
from reconcile.db.studies import assigned_study_uid

_map, _study = t.uid_map.c, t.study.c


def is_known(connection: Connection, uid_domain: str, uid: str) -> bool:
    """Whether a Study UID means something: as received, as assigned, or as an alias."""
    return bool(assigned_study_uid(connection, uid_domain, uid))


def rename(
    connection: Connection, study: Any, new_uid: str, rule: str, happening_id: UUID
) -> None:
    """Give a study out under another UID; what it was known by still finds it.

    The caller holds the study, and the advisory locks of both UIDs.
    """
    old = study.study_instance_uid
    here = (_map.uid_domain == study.uid_domain) & (_map.level == "study")
    live = here & (_map.assigned_uid == old) & func.upper_inf(_map.valid)
    ended = func.tstzrange(func.lower(_map.valid), func.clock_timestamp())
    closed = connection.execute(
        update(t.uid_map)
        .where(live)
        .values(valid=ended, ended_by=happening_id)
        .returning(_map.received_uid, _map.kind)
    ).all()
    kinds = {row.received_uid: row.kind for row in closed if row.received_uid != new_uid}
    for received_uid, kind in {old: "alias", **kinds}.items():
        _open_map(
            connection, study.uid_domain, received_uid, new_uid, kind, rule, happening_id
        )
    change = update(t.study).where(_study.id == study.id)
    connection.execute(change.values(study_instance_uid=new_uid))


def alias(
    connection: Connection, study: Any, uid: str, rule: str, happening_id: UUID
) -> None:
    """Let a UID find a study at every door; the study keeps its own."""
    own = study.study_instance_uid
    _open_map(connection, study.uid_domain, uid, own, "alias", rule, happening_id)


def rename_as_received(connection: Connection, ended_by: UUID, rule: str) -> set[UUID]:
    """Studies of which nothing is left but what is given out as it came: named so, too.

    Those whose only map a happening has ended; it maps their received UID to itself.
    """
    rows = connection.execute(_AS_RECEIVED, {"by": ended_by}).all()
    for row in rows:
        own = row.received_uid
        _open_map(connection, row.uid_domain, own, own, "map", rule, ended_by)
    return {row.id for row in rows}


_AS_RECEIVED = text("""
UPDATE study s SET study_instance_uid = e.received_uid
FROM uid_map e
WHERE e.ended_by = :by AND e.level = 'study' AND e.kind = 'map'
AND s.uid_domain = e.uid_domain AND s.study_instance_uid = e.assigned_uid
AND e.received_uid <> e.assigned_uid
AND NOT EXISTS (
    SELECT FROM uid_map m
    WHERE m.uid_domain = e.uid_domain AND m.level = 'study' AND upper_inf(m.valid)
    AND (m.assigned_uid = e.assigned_uid OR m.received_uid = e.received_uid))
AND NOT EXISTS (
    SELECT FROM series x WHERE x.study_id = s.id AND x.held IS DISTINCT FROM 'UNDONE')
AND NOT EXISTS (
    SELECT FROM study o
    WHERE o.uid_domain = e.uid_domain AND o.study_instance_uid = e.received_uid)
RETURNING s.id, e.uid_domain, e.received_uid
""")


def _open_map(
    connection: Connection,
    uid_domain: str,
    received_uid: str,
    assigned_uid: str,
    kind: str,
    rule: str,
    happening_id: UUID,
) -> None:
    connection.execute(
        insert(t.uid_map).values(
            id=uuid7(),
            uid_domain=uid_domain,
            level="study",
            scope="",
            received_uid=received_uid,
            assigned_uid=assigned_uid,
            kind=kind,
            rule=rule,
            happening_id=happening_id,
        )
    )
