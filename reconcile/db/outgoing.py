"""What is to be forwarded: found, and written down as deliveries.

By the ids of what came, which hold the time at which they were made, and by the numbers
of the transactions that changed what is given out (see `telling`). A delivery is there
once, however often it is found.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Text, bindparam, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.db import deliveries as d
from reconcile.db import tables as t
from reconcile.db.prepared import Prepared
from reconcile.db.tables import Time

_d = d.delivery.c


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one rule sends to a destination: no `sources`, no `modalities`: of all.

    `held`: what waits for a person too, under the ID that it is given out with meanwhile.
    """

    destination: str
    sources: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    held: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """A version of an instance that a destination has, the newest one."""

    destination: str
    instance_id: UUID
    receipt_id: UUID
    revision: int
    form: bytes
    rest: bytes | None = None


def came(connection: Connection, low: UUID) -> bool:
    """Whether anything came since `low`."""
    found = exists().where(t.receipt.c.id >= low)
    return bool(connection.execute(select(found)).scalar_one())


def plan_arrivals(
    connection: Connection, wanted: Wanted, low: UUID, now: datetime
) -> set[UUID]:
    """Let all that came since `low` be delivered, as a rule says; the studies of it."""
    return _plan(connection, wanted, now, _NEW(connection, low=low, **_filter(wanted)))


def plan_studies(
    connection: Connection, wanted: Wanted, studies: Collection[UUID], now: datetime
) -> set[UUID]:
    """Let what a destination has never been sent of some studies be delivered."""
    if not studies:
        return set()
    rows = _OF_STUDIES(connection, studies=list(studies), **_filter(wanted))
    return _plan(connection, wanted, now, rows)


def plan_study(connection: Connection, destination: str, study: UUID, now: datetime) -> int:
    """Let all that is given out of a study be delivered, whatever the rules say and
    whatever the destination was given before; how many instances wait then.
    """
    d.open_lanes(connection, destination, [study], now)
    connection.execute(
        _ALL_OF_STUDY, {"destination": destination, "study": study, "now": now}
    )
    waits = (
        (_d.destination == destination) & (_d.study_id == study) & (_d.state == d.WAITING)
    )
    counted = select(func.count()).select_from(d.delivery).where(waits)
    return int(connection.execute(counted).scalar_one())


_ALL_OF_STUDY = text("""
INSERT INTO delivery (destination, instance_id, revision, study_id, created_at)
SELECT :destination, i.id, coalesce(max(d.revision), 0) + 1, s.study_id, :now
FROM series s JOIN instance i ON i.series_id = s.id
LEFT JOIN delivery d ON d.instance_id = i.id AND d.destination = :destination
WHERE s.study_id = :study AND NOT i.hidden
GROUP BY i.id, s.study_id HAVING count(*) FILTER (WHERE d.state = 'waiting') = 0
ON CONFLICT DO NOTHING
""").bindparams(
    bindparam("destination", type_=Text()),
    bindparam("study", type_=t.study.c.id.type),
    bindparam("now", type_=Time),
)


def _filter(wanted: Wanted) -> dict[str, object]:
    return {
        "destination": wanted.destination,
        "sources": list(wanted.sources),
        "modalities": list(wanted.modalities),
        "held": wanted.held,
    }


def _sql(which: str) -> str:
    # Both that are put in stand below.
    return f"""
SELECT i.id AS instance_id, s.study_id FROM {which}
JOIN series s ON s.id = i.series_id
LEFT JOIN series_header sh ON sh.series_id = s.id
WHERE NOT i.hidden AND (s.held IS NULL OR :held)
AND (cardinality(CAST(:sources AS text[])) = 0
     OR r.source = ANY (CAST(:sources AS text[])))
AND (cardinality(CAST(:modalities AS text[])) = 0
     OR sh.modality = ANY (CAST(:modalities AS text[])))
AND NOT EXISTS (
    SELECT FROM delivery d WHERE d.destination = :destination AND d.instance_id = i.id)
ORDER BY i.id
"""  # noqa: S608


def _statement(which: str, first: str, kind: object) -> Prepared:
    return Prepared(
        lambda: text(_sql(which)).bindparams(
            bindparam(first, type_=kind),  # type: ignore[arg-type]
            bindparam("destination", type_=Text()),
            *(bindparam(n, type_=ARRAY(Text())) for n in ("sources", "modalities")),
            bindparam("held", type_=t.study.c.legal_hold.type),
        )
    )


_NEW = _statement(
    "receipt r JOIN instance i ON i.sop_instance_uid = r.sop_instance_uid"
    " AND i.uid_domain = r.uid_domain AND i.receipt_id = r.id AND r.id >= :low",
    "low",
    t.instance.c.id.type,
)
_OF_STUDIES = _statement(
    "series o JOIN instance i ON i.series_id = o.id AND o.study_id = ANY (:studies)"
    " JOIN receipt r ON r.id = i.receipt_id",
    "studies",
    ARRAY(t.instance.c.id.type),
)


def _plan(
    connection: Connection, wanted: Wanted, now: datetime, rows: Sequence[Row[Any]]
) -> set[UUID]:
    studies = {row.study_id for row in rows}
    d.open_lanes(connection, wanted.destination, studies, now)
    new = [
        {
            "destination": wanted.destination,
            "instance_id": row.instance_id,
            "revision": 1,
            "study_id": row.study_id,
            "created_at": now,
        }
        for row in rows
    ]
    if new:
        connection.execute(upsert(d.delivery).on_conflict_do_nothing(), new)
    return studies


def add_versions(
    connection: Connection, given: Sequence[Given], study_id: UUID, now: datetime
) -> None:
    """Let corrected instances be delivered once more, each after what it had before."""
    for destination in {each.destination for each in given}:
        d.open_lanes(connection, destination, [study_id], now)
    rows = [
        {
            "destination": each.destination,
            "instance_id": each.instance_id,
            "revision": each.revision + 1,
            "study_id": study_id,
            "created_at": now,
        }
        for each in given
    ]
    if rows:
        connection.execute(upsert(d.delivery).on_conflict_do_nothing(), rows)


def wait_again(
    connection: Connection, destinations: Collection[str], study_id: UUID, now: datetime
) -> None:
    """Let what was skipped while it was hidden, and is shown now, be delivered."""
    shown = select(t.instance.c.id).where(~t.instance.c.hidden)
    skipped = (
        (_d.study_id == study_id)
        & _d.destination.in_(list(destinations))
        & (_d.state == d.SKIPPED)
        & (_d.error == d.NOT_SHOWN)
        & _d.instance_id.in_(shown)
    )
    change = update(d.delivery).where(skipped)
    again = change.values(state=d.WAITING, settled_at=None, error="")
    found = connection.execute(again.returning(_d.destination)).scalars()
    for destination in sorted(set(found)):
        d.open_lanes(connection, destination, [study_id], now)


def given_of(connection: Connection, study_id: UUID) -> list[Given]:
    """What destinations have of a study, each in its newest version; not what waits."""
    newest = (
        select(d.delivery, t.instance.c.receipt_id)
        .join(t.instance, t.instance.c.id == _d.instance_id)
        .join(t.series, t.series.c.id == t.instance.c.series_id)
        .where(t.series.c.study_id == study_id)
        .ext(distinct_on(_d.destination, _d.instance_id))
        .order_by(_d.destination, _d.instance_id, _d.revision.desc())
    )
    return [
        Given(
            r.destination,
            r.instance_id,
            r.receipt_id,
            r.revision,
            bytes(r.form),
            None if r.rest is None else bytes(r.rest),
        )
        for r in connection.execute(newest)
        if r.state == d.SENT and r.form is not None
    ]


def known_as(connection: Connection, given: Given, form: bytes, rest: bytes) -> None:
    """A destination was told what a version that it has is given out as now."""
    change = update(d.delivery).where(
        _d.destination == given.destination,
        _d.instance_id == given.instance_id,
        _d.revision == given.revision,
    )
    connection.execute(change.values(form=form, rest=rest))


def shown_of(connection: Connection, study_id: UUID) -> list[UUID]:
    """An instance that is given out of a study: the first one; none: nothing is."""
    query = (
        select(t.instance.c.id)
        .join(t.series, t.series.c.id == t.instance.c.series_id)
        .where(t.series.c.study_id == study_id, ~t.instance.c.hidden)
        .order_by(t.instance.c.id)
    )
    return list(connection.execute(query.limit(1)).scalars())
