"""Bytes that are to be removed, and who of those that come again is let in.

Bytes are shared: a data set that came twice is kept once. So they go only where no
arrival is left that is entitled to them, and nobody begins to be meanwhile: whoever
records an arrival holds the lock on its digest, as whoever removes it does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    exists,
    insert,
    text,
    update,
)

from reconcile.db.database import Lock
from reconcile.db.deletions import removed_receipt
from reconcile.db.ids import lock_key
from reconcile.db.prepared import Prepared
from reconcile.db.tables import Time, instance
from reconcile.errors import Deleted

#: Whoever copies all bytes holds it, shared; whoever removes some waits for the next time.
COPYING = lock_key("bytes are copied")


def of_digest(digest: str, *, shared: bool) -> Lock:
    """The lock on the bytes of a digest."""
    return Lock(("bytes", digest), shared)


@dataclass(frozen=True, slots=True)
class Grave:
    """A live tombstone; `cause` is that of the deletion."""

    deletion_id: UUID
    cause: str


def grave(connection: Connection, uid_domain: str, uid: str) -> Grave | None:
    """That an instance was deleted, if it was."""
    row = _GRAVE.first(connection, uid_domain=uid_domain, uid=uid)
    return None if row is None else Grave(row.deletion_id, row.cause)


_GRAVE = Prepared(
    lambda: text("""
SELECT g.deletion_id, d.cause FROM tombstone g JOIN deletion d ON d.id = g.deletion_id
WHERE g.sop_instance_uid = :uid AND g.uid_domain = :uid_domain AND upper_inf(g.recorded)
""")
)


def reopen(connection: Connection, uid_domain: str, uid: str, happening_id: UUID) -> None:
    """An instance that was deleted is here again."""
    given = {"uid_domain": uid_domain, "uid": uid, "by": happening_id}
    connection.execute(_REOPEN, given)


_REOPEN = text("""
UPDATE tombstone SET recorded = tstzrange(lower(recorded), clock_timestamp()),
    ended_by = :by
WHERE sop_instance_uid = :uid AND uid_domain = :uid_domain AND upper_inf(recorded)
""")


def stored_anew(connection: Connection, instance_id: UUID, now: datetime) -> None:
    """An instance is as old as its coming again."""
    changed = update(instance).where(instance.c.id == instance_id)
    connection.execute(changed.values(stored_at=now))


def remove_again(connection: Connection, receipt_id: UUID, deletion_id: UUID) -> None:
    """Let the bytes of an arrival go that was not taken."""
    row = {"receipt_id": receipt_id, "deletion_id": deletion_id}
    connection.execute(insert(removed_receipt).values(row))


# -- What is there no more ---------------------------------------------------------------


def absence(connection: Connection, uid: str) -> Deleted | None:
    """Why an instance, a series or a study is not there: it was deleted; None: not that.

    By received or assigned UID.
    """
    row = connection.execute(_ABSENCE, {"uid": uid}).first()
    return None if row is None else _deleted(row)


_UIDS = (
    "sop_instance_uid",
    "series_instance_uid",
    "received_series_instance_uid",
    "study_instance_uid",
    "received_study_instance_uid",
)
# One after the other, so that each can use its index.
_BY_UID = " UNION ALL ".join(
    f"(SELECT * FROM tombstone WHERE {name} = :uid AND upper_inf(recorded) LIMIT 1)"  # noqa: S608
    for name in _UIDS
)
_ABSENCE = text(f"""
SELECT g.deletion_id, lower(g.recorded) AS deleted_at FROM ({_BY_UID} UNION ALL (
    SELECT t.* FROM uid_map m JOIN tombstone t ON t.study_instance_uid = m.assigned_uid
    WHERE m.received_uid = :uid AND m.level = 'study' AND upper_inf(t.recorded)
    LIMIT 1)) AS g LIMIT 1
""")  # noqa: S608 - constants of this module


def removal(connection: Connection, receipt_id: UUID) -> Deleted | None:
    """That the bytes of an arrival are gone, or are about to be; None: they are not."""
    given = {"receipt": receipt_id}
    row = connection.execute(_REMOVAL, given).first()
    return None if row is None else _deleted(row)


_REMOVAL = text("""
SELECT deletion_id, decided_at AS deleted_at FROM removed_receipt
WHERE receipt_id = :receipt
""")


def goes(receipt_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the bytes of an arrival are gone, or are about to be."""
    return exists().where(removed_receipt.c.receipt_id == receipt_id)


def _deleted(row: Row[Any]) -> Deleted:
    when = row.deleted_at.isoformat(timespec="seconds")
    return Deleted(f"deleted at {when} by deletion {row.deletion_id}")


# -- Bytes -------------------------------------------------------------------------------


def is_copied(connection: Connection) -> bool:
    """Whether somebody copies all bytes now; nobody begins until the transaction ends."""
    query = text("SELECT pg_try_advisory_xact_lock(:number)")
    return not connection.execute(query, {"number": COPYING}).scalar_one()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of arrivals are; `digest` in hex."""

    digest: str
    segment: str
    offset: int


def waiting(connection: Connection, before: datetime, most: int) -> list[Place]:
    """Where bytes are that were to go before a time: the oldest first."""
    given = {"before": before, "most": most}
    rows = connection.execute(_WAITING, given)
    return [Place(row.digest.hex(), row.segment, row.at) for row in rows]


_WAITING = text("""
SELECT r.digest, coalesce(r.segment, '') AS segment, coalesce(r.segment_offset, 0) AS at
FROM removed_receipt x JOIN receipt r ON r.id = x.receipt_id
WHERE x.removed_at IS NULL AND x.decided_at <= :before
GROUP BY 1, 2, 3 ORDER BY min(x.decided_at), 1 LIMIT :most
""").bindparams(bindparam("before", type_=Time))


def shared(connection: Connection, places: Collection[Place]) -> frozenset[Place]:
    """Those that an arrival is entitled to which is not to go."""
    given = _given(places)
    rows = connection.execute(_SHARED, given)
    return frozenset(Place(row.digest.hex(), row.segment, row.at) for row in rows)


_PLACES = """
SELECT decode(d, 'hex') AS digest, s AS segment, o AS at
FROM unnest(CAST(:digests AS text[]), CAST(:segments AS text[]),
    CAST(:offsets AS bigint[])) AS u (d, s, o)
"""
_SAME = """
r.digest = p.digest AND coalesce(r.segment, '') = p.segment COLLATE "C"
AND coalesce(r.segment_offset, 0) = p.at
"""
_SHARED = text(f"""
SELECT p.* FROM ({_PLACES}) AS p WHERE EXISTS (
    SELECT FROM receipt r WHERE {_SAME} AND NOT EXISTS (
        SELECT FROM removed_receipt x WHERE x.receipt_id = r.id))
""")  # noqa: S608 - constants of this module


def removed(connection: Connection, places: Sequence[Place], now: datetime) -> None:
    """The bytes there are gone, or are another's."""
    connection.execute(_REMOVED, {**_given(places), "now": now})


_REMOVED = text(f"""
UPDATE removed_receipt x SET removed_at = :now
FROM receipt r, ({_PLACES}) AS p
WHERE x.receipt_id = r.id AND x.removed_at IS NULL AND {_SAME}
""").bindparams(bindparam("now", type_=Time))  # noqa: S608 - constants of this module


def _given(places: Collection[Place]) -> dict[str, Any]:
    return {
        "digests": [each.digest for each in places],
        "segments": [each.segment for each in places],
        "offsets": [each.offset for each in places],
    }


def removed_files(connection: Connection) -> Iterator[str]:
    """Digests of what was kept as a file of its own, and is gone on purpose."""
    with connection.execution_options(stream_results=True).execute(_FILES) as rows:
        yield from (row.digest.hex() for row in rows)


_FILES = text("""
SELECT DISTINCT r.digest FROM removed_receipt x JOIN receipt r ON r.id = x.receipt_id
WHERE x.removed_at IS NOT NULL AND r.segment IS NULL AND NOT EXISTS (
    SELECT FROM receipt o WHERE o.digest = r.digest AND o.segment IS NULL
    AND NOT EXISTS (SELECT FROM removed_receipt y WHERE y.receipt_id = o.id))
""")
