"""The log as others see it: how far it goes, how late it is, and who holds it up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, select, text

from reconcile.core.audit import entry
from reconcile.db import history as h
from reconcile.db import sealed as s
from reconcile.db.views import uuid_of
from reconcile.errors import NotFound

#: More than so many are not counted.
COUNTED_MAX = 10_000
#: Positions that are looked at in one statement.
_WINDOW = 100_000


@dataclass(frozen=True, slots=True)
class Lag:
    """What has no number yet.

    Attributes:
        sealed: events that have one.
        unsealed: how many have none, COUNTED_MAX at most.
        oldest: when the first of them was recorded; None: all are sealed.
        sealed_at: when the newest checkpoint was made.
    """

    sealed: int
    unsealed: int
    oldest: datetime | None
    sealed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Staller:
    """A connection whose transaction holds the watermark back."""

    pid: int
    xid: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """An event in the log, with what its hash is of, and what its values are hidden by.

    `nonce` and `values` are None where they were erased.
    """

    number: int
    event_id: UUID
    hash: bytes
    event: bytes | None
    happening: bytes
    nonce: bytes | None
    values: bytes | None

    @property
    def entry(self) -> bytes | None:
        """What the leaf is the hash of."""
        return None if self.event is None else entry(self.event, self.happening)


def sealed_through(connection: Connection) -> int | None:
    """The number of the last event that is sealed; None: none is."""
    query = select(func.max(s.seal_checkpoint.c.size))
    found: int | None = connection.execute(query).scalar_one()
    return found


def lag(connection: Connection) -> Lag:
    """How late the log is."""
    row = connection.execute(_LAG, {"most": COUNTED_MAX}).one()
    return Lag(row.sealed or 0, row.unsealed, row.oldest, row.sealed_at)


# Everything before the last watermark is sealed, so that little is looked at. Where the
# database was restored meanwhile, what the dump held unsealed may lie before it: it is
# sealed when the archive starts.
_LAG = text("""
WITH k AS (SELECT * FROM seal_checkpoint ORDER BY size DESC LIMIT 1),
a AS (SELECT * FROM seal_anchor ORDER BY id DESC LIMIT 1),
since AS (SELECT coalesce((SELECT greatest(a.watermark,
        (SELECT k.watermark FROM k WHERE k.size > a.size)) FROM a), '0'::xid8) AS xid),
u AS (
    SELECT e.recorded_at FROM coercion_event e
    WHERE e.xid >= (SELECT xid FROM since)
        AND NOT EXISTS (SELECT FROM seal_leaf l WHERE l.event_id = e.id)
    ORDER BY e.xid LIMIT :most
)
SELECT (SELECT size FROM k) AS sealed, (SELECT sealed_at FROM k) AS sealed_at,
    (SELECT count(*) FROM u) AS unsealed, (SELECT min(recorded_at) FROM u) AS oldest
""")


def staller(connection: Connection) -> Staller | None:
    """Whose transaction is the oldest that may still write; None: there is none."""
    row = connection.execute(_STALLER).first()
    return None if row is None else Staller(*row)


_STALLER = text("""
SELECT pid, pg_snapshot_xmin(pg_current_snapshot())::text
FROM pg_locks
WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted
    AND transactionid::text::bigint =
        pg_snapshot_xmin(pg_current_snapshot())::text::bigint % 4294967296
LIMIT 1
""")


def leaf(connection: Connection, event_id: str) -> Leaf:
    """The leaf of an event.

    Raises:
        NotFound: there is no such event, or it is not sealed yet.
    """
    wanted = uuid_of(event_id)
    row = connection.execute(_leaf().where(s.seal_leaf.c.event_id == wanted)).first()
    if wanted is None or row is None:
        raise NotFound("no event of this id is sealed; new ones are within seconds")
    return Leaf(*row)


def _leaf() -> Select[Any]:
    e, v = h.coercion_event.c, h.coercion_value.c
    k, held = s.seal_leaf.c, s.seal_happening.c
    return (
        select(k.number, k.event_id, k.hash, e.body, held.body, v.nonce, v.body)
        .outerjoin(h.coercion_event, e.id == k.event_id)
        .outerjoin(s.seal_happening, held.happening_id == e.happening_id)
        .outerjoin(h.coercion_value, v.event_id == k.event_id)
    )


def note(connection: Connection) -> tuple[int, str]:
    """Size and text of the newest checkpoint; (0, ""): nothing is sealed."""
    c = s.seal_checkpoint.c
    query = select(c.size, c.note).order_by(c.size.desc()).limit(1)
    row = connection.execute(query).first()
    return (row.size, row.note) if row else (0, "")


# -- What verifies goes through ------------------------------------------------------


def leaves(connection: Connection, after: int, limit: int) -> Sequence[Row[Any]]:
    """Leaves from a number on, each with its event's row, its values and its erasure."""
    return connection.execute(_LEAVES, {"after": after, "limit": limit}).all()


_LEAVES = text("""
SELECT l.number, l.event_id, l.hash, e.*, e.id IS NOT NULL AS is_there,
    v.nonce, v.body AS personal, d.event_id IS NOT NULL AS is_erased
FROM (SELECT * FROM seal_leaf WHERE number > :after ORDER BY number LIMIT :limit) l
LEFT JOIN coercion_event e ON e.id = l.event_id
LEFT JOIN coercion_value v ON v.event_id = l.event_id
LEFT JOIN erased_event d ON d.event_id = l.event_id
ORDER BY l.number
""")


def checkpoints(connection: Connection, after: int, limit: int) -> Sequence[Row[Any]]:
    """Checkpoints of trees larger than `after`, the smallest first."""
    c = s.seal_checkpoint.c
    query = select(c.size, c.root, c.note, c.sealed_at).where(c.size > after)
    rows: list[Row[Any]] = [*connection.execute(query.order_by(c.size).limit(limit))]
    return rows


def added(connection: Connection, since: datetime) -> Iterator[Row[Any]]:
    """Events without a number that should have one: their transaction is older than what
    is sealed, or they say that they were recorded before `since`.
    """
    last = func.max(h.coercion_event.c.position)
    most: int = connection.execute(select(func.coalesce(last, 0))).scalar_one()
    for after in range(-1, most, _WINDOW):
        values = {"since": since, "after": after, "until": after + _WINDOW}
        yield from connection.execute(_ADDED, values).all()


# Only where transaction ids are still those of the server that sealed.
_ADDED = text("""
WITH c AS (SELECT system_identifier::text AS cluster FROM pg_control_system()),
a AS (SELECT * FROM seal_anchor ORDER BY id DESC LIMIT 1),
k AS (SELECT * FROM seal_checkpoint ORDER BY size DESC LIMIT 1),
w AS (SELECT greatest(a.watermark,
        (SELECT k.watermark FROM k WHERE k.size > a.size)) AS xid
    FROM a JOIN c ON a.cluster = c.cluster)
SELECT e.id, e.position, e.recorded_at FROM coercion_event e, w
WHERE e.position > :after AND e.position <= :until
    AND (e.xid < w.xid OR e.recorded_at < :since)
    AND NOT EXISTS (SELECT FROM seal_leaf l WHERE l.event_id = e.id)
ORDER BY e.position
""")
