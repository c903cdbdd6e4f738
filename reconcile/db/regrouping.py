"""Series that a person has put into another study than the one that they came in.

The map says so at the level of series: what comes later of such a series follows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, Text, bindparam, func, insert, select, text
from sqlalchemy import update as change

from reconcile.db import tables as t
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared
from reconcile.db.studies import assigned_study_uid
from reconcile.db.views import series_named

_map, _series, _study = t.uid_map.c, t.series.c, t.study.c


def moved_to(
    connection: Connection, uid_domain: str, study_uid: str, received_series_uid: str
) -> str:
    """The study that a series of an assigned study was put into; empty: it was not."""
    found = _MOVED.first(
        connection, uid_domain=uid_domain, scope=study_uid, received_uid=received_series_uid
    )
    return str(found.assigned_uid) if found else ""


def _moved() -> Select[Any]:
    names = ("uid_domain", "scope", "received_uid")
    given = (_map[name] == bindparam(name, type_=Text) for name in names)
    live = (_map.level == "series", func.upper_inf(_map.valid))
    return select(_map.assigned_uid).where(*given, *live)


_MOVED = Prepared(_moved)


def series_of(
    connection: Connection, study_id: UUID, uids: Iterable[str]
) -> list[Row[Any]]:
    """Series of a study by received or assigned UID, locked; held parts too."""
    found: dict[UUID, Row[Any]] = {}
    for uid in sorted(set(uids)):
        query = select(t.series).where(
            _series.id.in_(series_named(uid)), _series.study_id == study_id
        )
        rows = connection.execute(query.order_by(_series.id).with_for_update()).all()
        found |= {row.id: row for row in rows}
    return [found[each] for each in sorted(found)]


def study_of(connection: Connection, series_uid: str) -> UUID | None:
    """The study that a received or assigned Series UID is in."""
    query = select(_series.study_id).where(_series.id.in_(series_named(series_uid)))
    return connection.execute(query.order_by(_series.id).limit(1)).scalar()


def put(
    connection: Connection, series: Sequence[Any], into: UUID, happening_id: UUID
) -> None:
    """Put series into another study; what comes later of them follows.

    The caller holds both studies. The revision of the one that they come into is above
    every revision that their instances were stored at.
    """
    first = series[0]
    source = connection.execute(select(t.study).where(_study.id == first.study_id)).one()
    target = connection.execute(select(t.study).where(_study.id == into)).one()
    _move(connection, [each.id for each in series], source, into)
    for received in sorted({each.received_series_instance_uid for each in series}):
        connection.execute(
            insert(t.uid_map).values(
                id=uuid7(),
                uid_domain=source.uid_domain,
                level="series",
                scope=source.study_instance_uid,
                received_uid=received,
                assigned_uid=target.study_instance_uid,
                rule="steward",
                happening_id=happening_id,
            )
        )


def _move(
    connection: Connection, series_ids: Sequence[UUID], source: Any, into: UUID
) -> None:
    connection.execute(
        change(t.series).where(_series.id.in_(series_ids)).values(study_id=into)
    )
    higher = func.greatest(_study.revision, source.revision)
    connection.execute(change(t.study).where(_study.id == into).values(revision=higher))
    connection.execute(_NAMED_TOO, {"source": source.id, "target": into})


# What their headers named: whoever changes it finds the other study too.
_NAMED_TOO = text("""
INSERT INTO study_evidence (kind, value, issuer, study_id)
SELECT kind, value, issuer, :target FROM study_evidence WHERE study_id = :source
ON CONFLICT DO NOTHING
""")


def take_back(connection: Connection, ended: Iterable[Any]) -> set[UUID]:
    """Series of maps that were ended are in their studies again; the studies concerned."""
    touched: set[UUID] = set()
    for row in ended:
        if row.level != "series":
            continue
        source = _named(connection, row.uid_domain, row.assigned_uid)
        target = _named(connection, row.uid_domain, row.scope)
        if source is None or target is None:
            continue
        moved = select(_series.id).where(
            _series.study_id == source.id,
            _series.received_series_instance_uid == row.received_uid,
        )
        found = list(connection.execute(moved).scalars())
        _move(connection, found, source, target.id)
        touched |= {source.id, target.id}
    return touched


def _named(connection: Connection, uid_domain: str, uid: str) -> Any:
    """The study of a UID, whatever it is given out as by now."""
    named = assigned_study_uid(connection, uid_domain, uid)
    query = select(t.study).where(
        _study.study_instance_uid == named, _study.uid_domain == uid_domain
    )
    return connection.execute(query.with_for_update(key_share=True)).first()
