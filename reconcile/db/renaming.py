"""Study UIDs that a study is known by beside the one that it came under."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    func,
    insert,
    select,
    text,
    update,
)

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


def find_as_they_came(
    connection: Connection, study_ids: Iterable[UUID], rule: str, happening_id: UUID
) -> None:
    """Let studies of which a store was taken back be found by the UID they came under.

    Where other images are left, they follow their map, which holds again. Where nothing
    is left but what is given out as it came, the study is named so, too.
    """
    query = select(t.study).where(_study.id.in_(set(study_ids))).order_by(_study.id)
    for study in connection.execute(query.with_for_update()).all():
        live, ended = _maps(connection, study, happening_id)
        if connection.execute(_IS_LEFT, {"study": study.id}).scalar_one():
            for row in ended:
                if not _follows(connection, row.uid_domain, row.received_uid):
                    names = (row.received_uid, row.assigned_uid, row.kind, row.rule)
                    _open_map(connection, row.uid_domain, *names, happening_id)
        else:
            _name_as_received(connection, study, live, ended, rule, happening_id)


def _maps(
    connection: Connection, study: Any, ended_by: UUID
) -> tuple[Sequence[Any], Sequence[Any]]:
    """What leads to a study now, and the maps that a happening has ended."""
    here = (_map.uid_domain == study.uid_domain) & (_map.level == "study")
    here &= _map.assigned_uid == study.study_instance_uid
    live = select(t.uid_map).where(here, func.upper_inf(_map.valid))
    ended = select(t.uid_map).where(here, _map.ended_by == ended_by, _map.kind == "map")
    return connection.execute(live).all(), connection.execute(ended).all()


def _name_as_received(
    connection: Connection,
    study: Any,
    live: Sequence[Any],
    ended: Sequence[Any],
    rule: str,
    happening_id: UUID,
) -> None:
    """Name it so, unless it came under several UIDs, or another has that one."""
    names = {row.received_uid for row in (*live, *ended)}
    own = names.pop() if len(names) == 1 else ""
    domain, assigned = study.uid_domain, study.study_instance_uid
    if own in ("", assigned) or _follows(connection, domain, own) not in ("", assigned):
        return
    if connection.execute(select(_study.id).where(_named(domain, own))).first():
        return
    ids = [row.id for row in live]
    until = func.tstzrange(func.lower(_map.valid), func.clock_timestamp())
    change = update(t.uid_map).where(_map.id.in_(ids))
    connection.execute(change.values(valid=until, ended_by=happening_id))
    change = update(t.study).where(_study.id == study.id)
    connection.execute(change.values(study_instance_uid=own))
    _open_map(connection, domain, own, own, "map", rule, happening_id)


def _named(uid_domain: str, uid: str) -> ColumnElement[bool]:
    return and_(_study.uid_domain == uid_domain, _study.study_instance_uid == uid)


def _follows(connection: Connection, uid_domain: str, received_uid: str) -> str:
    """What a received Study UID is mapped to; empty: to nothing."""
    query = select(_map.assigned_uid).where(
        _map.uid_domain == uid_domain,
        _map.level == "study",
        _map.received_uid == received_uid,
        func.upper_inf(_map.valid),
    )
    return connection.execute(query).scalar() or ""


_IS_LEFT = text("""
SELECT EXISTS (SELECT FROM series WHERE study_id = :study
    AND held IS DISTINCT FROM 'UNDONE')
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
