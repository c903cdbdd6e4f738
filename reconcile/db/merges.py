"""Merges: edges as they were said, and whom they make of whom.

The edges are the truth: owner to owner, as the message or the person named them.
`person.canonical_id` caches where they lead, and is worked out anew from them.

There is one lock on who is who. Whoever decides on persons holds it shared, and takes it
before anything else; whoever changes edges, links or filings holds it alone. So nobody
decides on an owner that has just become another person: the statements of a transaction
that comes after a merge all see it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, insert, text, update

from reconcile.core.merging import Edge, Veto
from reconcile.db import tables as t
from reconcile.db.database import lock
from reconcile.db.ids import MERGE, uuid7
from reconcile.db.prepared import Prepared


def share(connection: Connection) -> None:
    """Nobody changes who is who until the transaction ends: the first of its locks."""
    lock(connection, [(MERGE,)], shared=True)


def exclude(connection: Connection) -> None:
    """Nobody decides on who is who until the transaction ends: the first of its locks."""
    lock(connection, [(MERGE,)], shared=False)


class Ended(NamedTuple):
    """An edge that is no more."""

    edge_id: UUID
    subsumed_id: UUID
    survivor_id: UUID
    happening_id: UUID


# -- Reading ------------------------------------------------------------------------


def between(connection: Connection, one: UUID, other: UUID) -> tuple[Edge, ...]:
    """Every edge that was ever said of two owners, in both directions, oldest first."""
    rows = _BETWEEN(connection, one=one, other=other)
    return tuple(
        Edge(
            str(row.id),
            str(row.subsumed_id),
            str(row.survivor_id),
            row.source or "",
            row.said_at,
            row.live,
        )
        for row in rows
    )


_BETWEEN = Prepared(
    lambda: text("""
SELECT id, subsumed_id, survivor_id, source, said_at, upper_inf(recorded) AS live,
    lower(recorded) AS began
FROM merge_edge WHERE subsumed_id = :one AND survivor_id = :other
UNION ALL
SELECT id, subsumed_id, survivor_id, source, said_at, upper_inf(recorded) AS live,
    lower(recorded) AS began
FROM merge_edge WHERE subsumed_id = :other AND survivor_id = :one
ORDER BY began
""")
)


def vetoes(connection: Connection, one: UUID, other: UUID) -> tuple[Veto, ...]:
    """Who said that somebody of the one is nobody of the other; both surviving persons."""
    if one == other:
        return ()
    rows = _VETOES(connection, one=one, other=other)
    return tuple(Veto(row.actor, f"{row.began:%Y-%m-%d}") for row in rows)


_VETOES = Prepared(
    lambda: text("""
SELECT n.actor, lower(n.recorded) AS began
FROM person a JOIN not_same n ON n.one_id = a.id AND upper_inf(n.recorded)
JOIN person b ON b.id = n.other_id
WHERE a.canonical_id = :one AND b.canonical_id = :other
UNION ALL
SELECT n.actor, lower(n.recorded) AS began
FROM person a JOIN not_same n ON n.other_id = a.id AND upper_inf(n.recorded)
JOIN person b ON b.id = n.one_id
WHERE a.canonical_id = :one AND b.canonical_id = :other
ORDER BY began
""")
)


def parent(connection: Connection, person_id: UUID) -> UUID | None:
    """The edge by which a person is merged into another; None: they are not."""
    row = _PARENT.first(connection, person_id=person_id)
    found: UUID | None = row.id if row else None
    return found


_PARENT = Prepared(
    lambda: text("""
SELECT id FROM merge_edge WHERE subsumed_id = :person_id AND upper_inf(recorded)
""")
)


def roots(connection: Connection, person_ids: Iterable[UUID]) -> frozenset[UUID]:
    """Who survived for some persons, as it is now."""
    rows = _ROOTS(connection, persons=sorted(set(person_ids)))
    return frozenset(row.canonical_id for row in rows)


_ROOTS = Prepared(
    lambda: text("""
SELECT DISTINCT canonical_id FROM person WHERE id = ANY (CAST(:persons AS uuid[]))
""")
)


# -- Writing; the caller holds the lock alone -----------------------------------------


def join(
    connection: Connection,
    *,
    subsumed_id: UUID,
    survivor_id: UUID,
    prior_identity_id: UUID,
    surviving_identity_id: UUID,
    source: str,
    said_at: datetime,
    happening_id: UUID,
) -> UUID:
    """Merge one owner into another, as it was said; the edge's id."""
    edge_id = uuid7()
    row = {
        "id": edge_id,
        "subsumed_id": subsumed_id,
        "survivor_id": survivor_id,
        "prior_identity_id": prior_identity_id,
        "surviving_identity_id": surviving_identity_id,
        "source": source,
        "said_at": said_at,
    }
    connection.execute(insert(t.merge_edge).values(**row, happening_id=happening_id))
    _REBUILD(connection, person_id=subsumed_id)
    return edge_id


def end(
    connection: Connection, edge_ids: Collection[UUID], happening_id: UUID
) -> tuple[Ended, ...]:
    """Take merges back; temporary identities that they closed are open again."""
    rows = _END(connection, edges=sorted(edge_ids), happening_id=happening_id)
    ended = tuple(Ended(*row) for row in rows)
    for each in ended:
        _REBUILD(connection, person_id=each.subsumed_id)
    _REOPEN(connection, edges=sorted(each.edge_id for each in ended))
    return ended


def confirm(connection: Connection, edge_id: UUID, said_at: datetime) -> None:
    """A merge was said again: it is as new as the last word of it."""
    e = t.merge_edge.c
    older = update(t.merge_edge).where(e.id == edge_id, e.said_at < said_at)
    connection.execute(older.values(said_at=said_at))


def rebuild(connection: Connection, person_id: UUID) -> None:
    """Work out anew who survived for a person and everybody below them."""
    _REBUILD(connection, person_id=person_id)


def open_again(
    connection: Connection, identity_id: UUID | None, happening_id: UUID
) -> None:
    """A temporary identity that a merge closed is open again."""
    if identity_id is not None:
        i = t.identity.c
        change = update(t.identity).where(i.id == identity_id, i.closed_by == happening_id)
        connection.execute(change.values(closed_by=None))


_END = Prepared(
    lambda: text("""
UPDATE merge_edge SET recorded = tstzrange(lower(recorded), clock_timestamp()),
    ended_by = :happening_id
WHERE id = ANY (CAST(:edges AS uuid[])) AND upper_inf(recorded)
RETURNING id, subsumed_id, survivor_id, happening_id
""")
)
_REOPEN = Prepared(
    lambda: text("""
UPDATE identity SET closed_by = NULL
FROM merge_edge e
WHERE e.id = ANY (CAST(:edges AS uuid[]))
AND identity.id = e.prior_identity_id AND identity.closed_by = e.happening_id
""")
)
# A person and everybody below them get who stands at the top.
_REBUILD = Prepared(
    lambda: text("""
WITH RECURSIVE up AS (
    SELECT CAST(:person_id AS uuid) AS id
    UNION
    SELECT e.survivor_id FROM up
    JOIN merge_edge e ON e.subsumed_id = up.id AND upper_inf(e.recorded)
), top AS (
    SELECT up.id FROM up WHERE NOT EXISTS (
        SELECT FROM merge_edge e WHERE e.subsumed_id = up.id AND upper_inf(e.recorded)
    )
), below AS (
    SELECT CAST(:person_id AS uuid) AS id
    UNION
    SELECT e.subsumed_id FROM below
    JOIN merge_edge e ON e.survivor_id = below.id AND upper_inf(e.recorded)
)
UPDATE person SET canonical_id = top.id FROM top, below
WHERE person.id = below.id AND person.canonical_id <> top.id
""")
)
