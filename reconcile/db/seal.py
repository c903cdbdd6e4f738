"""What the sealer reads and writes: committed events without a number, and their place.

The watermark is the oldest transaction that may still be running: every event of an
older one is visible, or never will be. By "greater than the last id" rows would silently
be missed, since they become visible in another order than they were numbered in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, text

from reconcile.core.audit import BODY_VERSION, happening_body
from reconcile.db import sealed as s
from reconcile.db.ids import lock_key

_LOCK = lock_key("seal")
_HASHES_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Unsealed:
    """An event that has committed and has no number."""

    id: UUID
    position: int
    xid: str
    body: bytes
    happening_id: UUID


@dataclass(frozen=True, slots=True)
class Now:
    """Where the log stands, as of one snapshot.

    Attributes:
        size: events that are sealed.
        watermark: transactions before it have ended.
        since: what is not sealed began at this transaction; None: nobody knows, since
            the transaction ids of what is sealed are those of another server.
        cluster: which server this is.
    """

    size: int
    watermark: str
    since: str | None
    cluster: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """A row of the log of checkpoints."""

    size: int
    root: bytes
    note: str
    watermark: str
    sealed_at: datetime


def hold(connection: Connection) -> bool:
    """Become the one sealer, for as long as this session lives; False: there is one."""
    taken = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK})
    return bool(taken.scalar_one())


def now(connection: Connection) -> Now:
    """Where the log stands."""
    row = connection.execute(_NOW).one()
    return Now(row.size, row.watermark, row.since, row.cluster)


_NOW = text("""
WITH c AS (SELECT system_identifier::text AS cluster FROM pg_control_system()),
a AS (SELECT * FROM seal_anchor ORDER BY id DESC LIMIT 1),
k AS (SELECT * FROM seal_checkpoint ORDER BY size DESC LIMIT 1)
SELECT c.cluster,
    coalesce((SELECT size FROM k), 0) AS size,
    pg_snapshot_xmin(pg_current_snapshot())::text AS watermark,
    (SELECT greatest(a.watermark,
            (SELECT k.watermark FROM k WHERE k.size > a.size))::text
        FROM a WHERE a.cluster = c.cluster) AS since
FROM c
""")


def unsealed(connection: Connection, since: str, limit: int) -> list[Unsealed]:
    """Events of transactions that have ended, the oldest transactions first."""
    rows = connection.execute(_UNSEALED, {"since": since, "limit": limit})
    return [Unsealed(*row) for row in rows]


_UNSEALED = text("""
SELECT e.id, e.position, e.xid::text, e.body, e.happening_id
FROM coercion_event e
WHERE e.xid >= CAST(:since AS xid8) AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
    AND NOT EXISTS (SELECT FROM seal_leaf l WHERE l.event_id = e.id)
ORDER BY e.xid, e.position
LIMIT :limit
""")


def unsealed_at_all(connection: Connection, after: int, limit: int) -> list[Unsealed]:
    """Events without a number after a position, whatever their transactions are."""
    rows = connection.execute(_UNSEALED_AT_ALL, {"after": after, "limit": limit})
    return [Unsealed(*row) for row in rows]


_UNSEALED_AT_ALL = text("""
SELECT e.id, e.position, e.xid::text, e.body, e.happening_id
FROM coercion_event e
WHERE e.position > :after
    AND NOT EXISTS (SELECT FROM seal_leaf l WHERE l.event_id = e.id)
ORDER BY e.position
LIMIT :limit
""")


def happenings(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """The canonical bytes of some happenings; those that are not there yet are made."""
    found = {row.id: row for row in happening_rows(connection, ids)}
    new = [row for row in found.values() if row.sealed is None]
    made = {row.id: happening_body(happening_fields(row)) for row in new}
    if made:
        rows = [
            {"happening_id": each, "body_version": BODY_VERSION, "body": body}
            for each, body in made.items()
        ]
        connection.execute(insert(s.seal_happening), rows)
    return {each: made.get(each) or row.sealed for each, row in found.items()}


def happening_rows(connection: Connection, ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """Happenings as they stand, each with what it rests on and how it was `sealed`."""
    return connection.execute(_HAPPENINGS, {"ids": list(ids)}).all()


_HAPPENINGS = text("""
SELECT h.*, k.body AS sealed,
    ARRAY(SELECT d.depends_on FROM happening_dependency d
        WHERE d.happening_id = h.id ORDER BY d.depends_on) AS depends_on
FROM happening h LEFT JOIN seal_happening k ON k.happening_id = h.id
WHERE h.id = ANY (CAST(:ids AS uuid[]))
""")


def happening_fields(row: Row[Any]) -> Mapping[str, Any]:
    """A happening's columns as its canonical bytes say them."""
    names = ("cause", "cause_id", "rule", "rung", "configuration_digest", "actor")
    return {
        "id": str(row.id),
        **{name: getattr(row, name) for name in names},
        "explanation": row.explanation,
        "recorded_at": row.recorded_at.isoformat(),
        "undoes": str(row.undoes) if row.undoes else None,
        "depends_on": [str(each) for each in row.depends_on],
    }


def add(
    connection: Connection, leaves: Sequence[tuple[UUID, bytes]], checkpoint: Sealed
) -> None:
    """Give events their numbers, up to the size of a checkpoint, and keep that."""
    first = checkpoint.size - len(leaves) + 1
    connection.execute(
        _ADD,
        {
            "first": first,
            "ids": [event_id for event_id, _ in leaves],
            "hashes": [leaf for _, leaf in leaves],
        },
    )
    connection.execute(
        insert(s.seal_checkpoint),
        {
            "size": checkpoint.size,
            "root": checkpoint.root,
            "note": checkpoint.note,
            "watermark": checkpoint.watermark,
            "sealed_at": checkpoint.sealed_at,
        },
    )


_ADD = text("""
INSERT INTO seal_leaf (number, event_id, hash)
SELECT :first + n - 1, id, hash
FROM unnest(CAST(:ids AS uuid[]), CAST(:hashes AS bytea[]))
    WITH ORDINALITY AS u (id, hash, n)
""")


def anchor(connection: Connection, at: Now, size: int, when: datetime) -> None:
    """From `at` on, transaction ids are this server's, and all before is sealed."""
    row = {
        "cluster": at.cluster,
        "watermark": at.watermark,
        "size": size,
        "anchored_at": when,
    }
    connection.execute(insert(s.seal_anchor), row)


def checkpoint(connection: Connection, size: int) -> Sealed | None:
    """The checkpoint of a tree of this size."""
    query = select(s.seal_checkpoint).where(s.seal_checkpoint.c.size == size)
    row = connection.execute(query).first()
    return None if row is None else Sealed(*row)


def leaf_hashes(connection: Connection, after: int, until: int) -> Iterator[list[bytes]]:
    """Hashes of the leaves that follow on a tree of `after`, some at a time."""
    leaf = s.seal_leaf.c
    while after < until:
        query = (
            select(leaf.hash)
            .where(leaf.number > after, leaf.number <= until)
            .order_by(leaf.number)
            .limit(_HASHES_AT_ONCE)
        )
        found = list(connection.execute(query).scalars())
        if not found:
            return
        yield found
        after += len(found)
