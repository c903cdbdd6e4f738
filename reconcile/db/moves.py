"""Moves: an identity to another person, what was ordered in a visit to another identity.

The caller holds the lock on merges alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Connection, Index, Table, insert, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from reconcile.db import tables as t
from reconcile.db.filed import series_filing
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared
from reconcile.db.tables import ended, happened, identifier, metadata, recorded, refers

# Under which identity an order was held to be, and since when; of those that were moved.
order_move = Table(
    "order_move",
    metadata,
    identifier(),
    refers("order_id", "imaging_order"),
    refers("identity_id", "identity"),
    recorded(),
    happened(),
    ended(),
    ExcludeConstraint(
        ("order_id", "="), ("recorded", "&&"), using="gist", name="ex_order_move_identity"
    ),
    Index("ix_order_move_happening_id", "happening_id"),
    Index("ix_order_move_ended_by", "ended_by"),
)


def move_identity(
    connection: Connection, identity_id: UUID, person_id: UUID, happening_id: UUID
) -> None:
    """An identity, with what came under it, is another person's from now on."""
    row = {"identity_id": identity_id, "happening_id": happening_id}
    _UNLINK(connection, **row)
    link = {"id": uuid7(), "person_id": person_id}
    connection.execute(insert(t.identity_link).values(**row, **link))


_UNLINK = Prepared(
    lambda: text("""
UPDATE identity_link SET recorded = tstzrange(lower(recorded), clock_timestamp()),
    ended_by = :happening_id
WHERE identity_id = :identity_id AND upper_inf(recorded)
""")
)


def move_words(
    connection: Connection, identity_id: UUID, person_id: UUID, happening_id: UUID
) -> None:
    """What feeds said under an identity was said of another person."""
    _MOVE_WORDS(
        connection,
        identity_id=identity_id,
        person_id=person_id,
        happening_id=happening_id,
    )


# The new rows are those of before, said at the same time by the same source.
_MOVE_WORDS = Prepared(
    lambda: text("""
WITH ended AS (
    UPDATE demographics SET recorded = tstzrange(lower(recorded), clock_timestamp()),
        ended_by = :happening_id
    WHERE identity_id = :identity_id AND upper_inf(recorded)
    RETURNING identity_id, source, authority, said, said_at,
        coalesce(came_at, lower(recorded)) AS came_at
)
INSERT INTO demographics (id, person_id, identity_id, source, authority, said, said_at,
    came_at, happening_id)
SELECT gen_random_uuid(), :person_id, identity_id, source, authority, said, said_at,
    came_at, CAST(:happening_id AS uuid)
FROM ended
""")
)


def orders_of_visits(
    connection: Connection,
    person_ids: Collection[UUID],
    visits: Sequence[str],
    accounts: Sequence[str],
) -> list[UUID]:
    """Orders of surviving persons that were placed in these visits or accounts."""
    rows = _ORDERS(
        connection,
        persons=sorted(person_ids),
        visits=[v for v in visits if v],
        accounts=[a for a in accounts if a],
    )
    return [row.id for row in rows]


_ORDERS = Prepared(
    lambda: text("""
WITH named AS (
    SELECT o.id, o.identity_id FROM imaging_order o
    WHERE o.visit_number = ANY (CAST(:visits AS text[]) COLLATE "C")
    UNION
    SELECT o.id, o.identity_id FROM imaging_order o
    WHERE o.account_number = ANY (CAST(:accounts AS text[]) COLLATE "C")
)
SELECT named.id FROM named
JOIN identity_link l ON l.identity_id = named.identity_id AND upper_inf(l.recorded)
JOIN person p ON p.id = l.person_id
WHERE p.canonical_id = ANY (CAST(:persons AS uuid[]))
ORDER BY named.id
""")
)


def move_orders(
    connection: Connection,
    order_ids: Sequence[UUID],
    identity_id: UUID,
    happening_id: UUID,
) -> None:
    """Orders are another identity's from now on."""
    moved = {"orders": list(order_ids), "happening_id": happening_id}
    _KEEP_FIRST(connection, orders=list(order_ids))
    _END_MOVES(connection, **moved)
    _MOVE_ORDERS(connection, identity_id=identity_id, **moved)
    settle_orders(connection, order_ids)


def settle_orders(connection: Connection, order_ids: Collection[UUID]) -> None:
    """Orders are whose they were last held to be."""
    _SETTLE_ORDERS(connection, orders=sorted(order_ids))


# What an order was made with, or has been left with, holds until it is moved.
_KEEP_FIRST = Prepared(
    lambda: text("""
INSERT INTO order_move (id, order_id, identity_id, recorded, happening_id)
SELECT gen_random_uuid(), o.id, o.identity_id,
    tstzrange(coalesce(
        (SELECT max(upper(m.recorded)) FROM order_move m WHERE m.order_id = o.id),
        least(h.recorded_at, clock_timestamp())), NULL),
    o.happening_id
FROM imaging_order o JOIN happening h ON h.id = o.happening_id
WHERE o.id = ANY (CAST(:orders AS uuid[])) AND NOT EXISTS (
    SELECT FROM order_move m WHERE m.order_id = o.id AND upper_inf(m.recorded)
)
""")
)
_END_MOVES = Prepared(
    lambda: text("""
UPDATE order_move SET recorded = tstzrange(lower(recorded), clock_timestamp()),
    ended_by = :happening_id
WHERE order_id = ANY (CAST(:orders AS uuid[])) AND upper_inf(recorded)
""")
)
_MOVE_ORDERS = Prepared(
    lambda: text("""
INSERT INTO order_move (id, order_id, identity_id, happening_id)
SELECT gen_random_uuid(), o.id, CAST(:identity_id AS uuid), CAST(:happening_id AS uuid)
FROM imaging_order o WHERE o.id = ANY (CAST(:orders AS uuid[]))
""")
)
_SETTLE_ORDERS = Prepared(
    lambda: text("""
UPDATE imaging_order o SET identity_id = m.identity_id, version = o.version + 1
FROM order_move m
WHERE m.order_id = o.id AND upper_inf(m.recorded) AND m.identity_id <> o.identity_id
AND o.id = ANY (CAST(:orders AS uuid[]))
""")
)


def studies_of_orders(connection: Connection, order_ids: Sequence[UUID]) -> list[UUID]:
    """Studies that are linked to orders, held against change in the order of their ids."""
    return [row.id for row in _STUDIES(connection, orders=list(order_ids))]


_STUDIES = Prepared(
    lambda: text("""
SELECT s.id FROM study s WHERE s.id IN (
    SELECT l.study_id FROM study_order l
    WHERE l.order_id = ANY (CAST(:orders AS uuid[])) AND upper_inf(l.recorded)
) ORDER BY s.id FOR NO KEY UPDATE
""")
)


def file_studies(
    connection: Connection,
    study_ids: Sequence[UUID],
    person_ids: Collection[UUID],
    identity_id: UUID,
    happening_id: UUID,
) -> int:
    """File series of surviving persons under another identity; how many there were.

    What is held, or another person's, stays; the identity that each came under too.
    """
    found = _FILE(
        connection,
        studies=list(study_ids),
        persons=sorted(person_ids),
        identity_id=identity_id,
        happening_id=happening_id,
    )
    rows = [
        {
            "id": own,
            "place": own,
            "series_id": row.id,
            "identity_id": identity_id,
            "happening_id": happening_id,
        }
        for row, own in ((row, uuid7()) for row in found)
    ]
    if rows:
        connection.execute(insert(series_filing), rows)
    return len(rows)


_FILE = Prepared(
    lambda: text("""
UPDATE series SET filed_identity_id = :identity_id, filed_by = :happening_id
FROM identity_link l JOIN person p ON p.id = l.person_id
WHERE series.study_id = ANY (CAST(:studies AS uuid[])) AND series.held IS NULL
AND l.identity_id = series.filed_identity_id AND upper_inf(l.recorded)
AND p.canonical_id = ANY (CAST(:persons AS uuid[]))
RETURNING series.id
""")
)
