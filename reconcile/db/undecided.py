"""What waits for a decision: held series, and studies that name an order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, exists, func, select, text, update

from reconcile.db import removals
from reconcile.db import tables as t
from reconcile.db.rejections import rejection


class HeldSeries(NamedTuple):
    """A series that is held; `identity_id` is what it was received under, if known."""

    id: UUID
    study_id: UUID
    held: str
    identity_id: UUID | None


def held_of(
    connection: Connection, names: Iterable[tuple[str, str, str]]
) -> list[HeldSeries]:
    """Held series of studies whose headers name something; (kind, value, issuer)."""
    wanted = sorted(set(names))
    if not wanted:
        return []
    kinds, values, issuers = (list(each) for each in zip(*wanted, strict=True))
    given = {"kinds": kinds, "values": values, "issuers": issuers}
    return [HeldSeries(*row) for row in connection.execute(_HELD_OF, given)]


_HELD_OF = text("""
SELECT DISTINCT s.id, s.study_id, s.held, s.identity_id
FROM unnest(
    CAST(:kinds AS text[]), CAST(:values AS text[]), CAST(:issuers AS text[])
) AS n (kind, value, issuer)
JOIN study_evidence e ON e.kind = n.kind COLLATE "C" AND e.value = n.value COLLATE "C"
    AND e.issuer = n.issuer COLLATE "C"
JOIN series s ON s.study_id = e.study_id AND s.held IS NOT NULL
ORDER BY s.study_id, s.id
""")


def held_with(connection: Connection, receipt_ids: Sequence[UUID]) -> list[HeldSeries]:
    """The held series that some arrivals are given out in."""
    i, s = t.instance.c, t.series.c
    query = (
        select(s.id, s.study_id, s.held, s.identity_id)
        .distinct()
        .join(t.instance, i.series_id == s.id)
        .where(i.receipt_id.in_(receipt_ids), s.held.is_not(None))
        .order_by(s.study_id, s.id)
    )
    return [HeldSeries(*row) for row in connection.execute(query)]


def sample(connection: Connection, series_id: UUID, most: int) -> list[UUID]:
    """Arrivals of a series, spread evenly: the first, the last and some between."""
    given = {"series": series_id, "most": most}
    return list(connection.execute(_SAMPLE, given).scalars())


_SAMPLE = text("""
SELECT receipt_id FROM (
    SELECT receipt_id, row_number() OVER (ORDER BY id) AS n, count(*) OVER () AS c
    FROM instance WHERE series_id = :series AND NOT EXISTS (
        SELECT FROM removed_receipt x WHERE x.receipt_id = instance.receipt_id)
) AS i
WHERE c <= :most OR n = c OR (n - 1) % (c / (CAST(:most AS integer) - 1) + 1) = 0
ORDER BY n
""")


def show(connection: Connection, series_id: UUID) -> None:
    """Give the instances of a series out, which were hidden while it was held."""
    change = update(t.instance).where(
        t.instance.c.series_id == series_id,
        t.instance.c.hidden.is_(True),
        ~exists().where(
            rejection.c.sop_instance_uid == t.instance.c.sop_instance_uid,
            rejection.c.uid_domain == t.instance.c.uid_domain,
            rejection.c.hides,
            func.upper_inf(rejection.c.recorded),
        ),
    )
    connection.execute(change.values(hidden=False))


def naming_order(connection: Connection, order_id: UUID) -> list[UUID]:
    """Studies whose headers name an order, or have its UID, and are not linked to it."""
    return list(connection.execute(_NAMING, {"order": order_id}).scalars())


_NAMING = text("""
WITH o AS (SELECT id, accession_number FROM imaging_order WHERE id = :order), found AS (
    SELECT e.study_id FROM o JOIN study_evidence e
    ON e.kind = 'accession' AND e.value = o.accession_number AND e.issuer = ''
    WHERE o.accession_number <> ''
    UNION
    SELECT e.study_id FROM o JOIN requested_procedure p ON p.order_id = o.id
    JOIN study_evidence e
    ON e.kind = 'study' AND e.value = p.study_instance_uid AND e.issuer = ''
    WHERE p.study_instance_uid <> '' AND NOT p.removed
)
SELECT f.study_id FROM found f WHERE NOT EXISTS (
    SELECT FROM study_order l
    WHERE l.study_id = f.study_id AND l.order_id = :order AND upper_inf(l.recorded))
AND EXISTS (SELECT FROM series s WHERE s.study_id = f.study_id AND s.held IS NULL)
ORDER BY f.study_id
""")


def linked_to(connection: Connection, order_id: UUID) -> list[UUID]:
    """Studies that are linked to an order."""
    link = t.study_order.c
    query = select(link.study_id).where(
        link.order_id == order_id, func.upper_inf(link.recorded)
    )
    return list(connection.execute(query.order_by(link.study_id)).scalars())


def header_of(connection: Connection, study_id: UUID) -> UUID | None:
    """An arrival of a study that is not held: the first one."""
    i, s = t.instance.c, t.series.c
    query = (
        select(i.receipt_id)
        .join(t.series, s.id == i.series_id)
        .where(s.study_id == study_id, s.held.is_(None), ~removals.goes(i.receipt_id))
        .order_by(i.id)
        .limit(1)
    )
    return connection.execute(query).scalar()
