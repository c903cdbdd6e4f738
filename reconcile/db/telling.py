"""What there is to tell: found by who tells, so that who stores writes nothing for it.

Instances and items are found by their ids, which hold the time at which they were made.
Rows become visible later than that: what may still be on its way is looked for again, as
long as a transaction runs that is older, and OVERLAP longer. Telling is once each by a
constraint, so that it does no harm to find a thing twice. Events are found by the number
of their transaction, below which everything has ended.

The places up to which everything was found are rows here, moved in the transaction that
queues what was found. A place that lies in the future was seen by a clock that was set
back since: it is looked from now on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Table,
    bindparam,
    delete,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.db.ids import lock_key
from reconcile.db.prepared import Prepared
from reconcile.db.tables import Time, at, key, metadata

#: Between the making of an id and the begin of its transaction, and between the clocks
#: of the machines that make them.
OVERLAP = timedelta(seconds=10)
#: Rows that are looked for in one transaction.
BATCH = 500
ARRIVALS, CHANGES, UNDONE = "arrivals", "changes", "undone"
SINGLES = "singles"
ITEMS, FORWARD = "items:", "forward:"
AUDIT = "audit"
_NEVER = UUID(int=2**128 - 1)
#: The place before all items.
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

cursor = Table(
    "telling_cursor",
    metadata,
    # "arrivals", "changes", "undone", or "items:" with what a target wants to be told;
    # and "forward:" with the first three, "singles" and "steps", for what is forwarded;
    # and "audit", for what an audit repository is told: an id.
    Column("name", key("name").type, primary_key=True),
    # A time, or the number of a transaction and the id of an event.
    key("position"),
    at("moved_at"),
)

# Studies of which instances came, until nothing has come for a while.
arrival = Table(
    "study_arrival",
    metadata,
    Column(
        "study_id",
        postgresql.UUID(as_uuid=True),
        ForeignKey("study.id"),
        primary_key=True,
    ),
    Column("last_at", Time, nullable=False),
    Index("ix_study_arrival_last_at", "last_at"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Items that one target wants to be told: `name` of its cursor, no `codes`: all."""

    name: str
    kinds: tuple[str, ...]
    codes: tuple[str, ...]
    after: timedelta


@dataclass(frozen=True, slots=True)
class Item:
    """An open item that has come of age."""

    id: UUID
    kind: str
    opened_at: datetime


def alone(connection: Connection, what: str = "telling") -> bool:
    """Whether nobody else looks for what is to be told, until the transaction ends."""
    wanted = select(func.pg_try_advisory_xact_lock(lock_key(what)))
    return bool(connection.execute(wanted).scalar_one())


def id_at(moment: datetime) -> UUID:
    """The first id (UUIDv7) that could be made at a moment."""
    milliseconds = max(0, (moment - EPOCH) // timedelta(milliseconds=1))
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62)


# -- Cursors ------------------------------------------------------------------------


def cursors(connection: Connection) -> dict[str, str]:
    """All places, by name."""
    rows = connection.execute(select(cursor.c.name, cursor.c.position))
    return {row.name: row.position for row in rows}


def move(connection: Connection, name: str, position: str) -> None:
    """From now on look behind this place."""
    made = upsert(cursor).values(name=name, position=position)
    moved = {"position": position, "moved_at": func.clock_timestamp()}
    connection.execute(made.on_conflict_do_update(index_elements=["name"], set_=moved))


def forget_all_but(connection: Connection, names: Collection[str]) -> None:
    """Nobody wants to be told what these other places are for."""
    kept = (AUDIT, *names)
    others = ~cursor.c.name.startswith(FORWARD) & cursor.c.name.not_in(kept)
    connection.execute(delete(cursor).where(others))
    if ARRIVALS not in names:
        connection.execute(delete(arrival))


def seen(connection: Connection, now: datetime) -> datetime:
    """Before it nothing can appear any more, but for OVERLAP."""
    oldest: datetime | None = _OLDEST.first(connection).oldest
    return min(now, oldest) if oldest else now


# Transactions of others are seen by who has the same role: all that write have it.
_OLDEST = Prepared(
    lambda: text("""
SELECT min(xact_start) AS oldest FROM pg_stat_get_activity(NULL)
WHERE pid <> pg_backend_pid() AND usesysid = to_regrole(quote_ident(current_user))
AND datid = (SELECT oid FROM pg_database WHERE datname = current_database())
""")
)


# -- Whether there is anything to do ------------------------------------------------


def anything(
    connection: Connection,
    places: Mapping[str, str],
    asked: Sequence[Asked],
    quiet: timedelta,
    now: datetime,
) -> bool:
    """Whether something is due or may be found: one question, cheap when it is not."""
    known = [each for each in asked if each.name in places]
    xid, event = _split(places.get(CHANGES) or f"{2**63 - 1}:{UUID(int=0)}")
    row = _ANYTHING.first(
        connection,
        now=now,
        quiet=now - quiet,
        arrived=low(places[ARRIVALS], now) if ARRIVALS in places else _NEVER,
        undone=low(places[UNDONE], now) if UNDONE in places else _NEVER,
        xid=xid,
        event=event,
        lows=[low(places[each.name], now - each.after) for each in known],
        highs=[id_at(now - each.after) for each in known],
    )
    return bool(row.found)


_ANYTHING = Prepared(
    lambda: text("""
SELECT EXISTS (SELECT FROM notification WHERE state = 'waiting' AND next_at <= :now)
    OR EXISTS (SELECT FROM instance WHERE id >= :arrived)
    OR EXISTS (SELECT FROM study_arrival WHERE last_at < :quiet)
    OR EXISTS (SELECT FROM happening WHERE undoes IS NOT NULL AND id >= :undone)
    OR EXISTS (
        SELECT FROM coercion_event WHERE level = 'study'
        AND (xid, id) > (CAST(:xid AS xid8), CAST(:event AS uuid)))
    OR EXISTS (
        SELECT FROM unnest(CAST(:lows AS uuid[]), CAST(:highs AS uuid[])) AS l (low, high)
        WHERE EXISTS (SELECT FROM hold h WHERE h.id >= low AND h.id < high)) AS found
""").bindparams(
        bindparam("now", type_=Time),
        bindparam("quiet", type_=Time),
        bindparam("arrived", type_=postgresql.UUID(as_uuid=True)),
        bindparam("undone", type_=postgresql.UUID(as_uuid=True)),
    )
)


def low(position: str, until: datetime) -> UUID:
    """The first id from which to look: what was made before it was seen."""
    return id_at(min(datetime.fromisoformat(position), until) - OVERLAP)


def _split(position: str) -> tuple[str, str]:
    xid, _, event = position.partition(":")
    return xid, event


# -- Studies that came --------------------------------------------------------------


def look_for_arrivals(connection: Connection, position: str, until: datetime) -> None:
    """Remember the studies of which instances came; from `until` on look the next time."""
    _ARRIVED(connection, low=low(position, until))
    move(connection, ARRIVALS, until.isoformat())


_ARRIVED = Prepared(
    lambda: text("""
INSERT INTO study_arrival (study_id, last_at)
SELECT s.study_id, max(i.stored_at) FROM instance i JOIN series s ON s.id = i.series_id
WHERE i.id >= CAST(:low AS uuid) GROUP BY s.study_id ORDER BY s.study_id
ON CONFLICT (study_id) DO UPDATE
SET last_at = greatest(study_arrival.last_at, excluded.last_at)
""")
)


def quiet_studies(connection: Connection, before: datetime) -> list[tuple[UUID, int]]:
    """(study, its instances) of those of which nothing came since; they are forgotten."""
    rows = _QUIET(connection, before=before, most=BATCH)
    return [(row.study_id, row.instances) for row in rows if row.instances]


_QUIET = Prepared(
    lambda: text("""
WITH old AS MATERIALIZED (
    SELECT study_id FROM study_arrival WHERE last_at < :before ORDER BY last_at LIMIT :most
), gone AS (
    DELETE FROM study_arrival a USING old WHERE a.study_id = old.study_id
    RETURNING a.study_id
)
SELECT study_id, (
    SELECT count(*) FROM series s JOIN instance i ON i.series_id = s.id
    WHERE s.study_id = gone.study_id) AS instances
FROM gone
""").bindparams(bindparam("before", type_=Time), bindparam("most", type_=Integer()))
)


# -- Studies that changed -----------------------------------------------------------


def first_change(connection: Connection) -> str:
    """The place behind which all is new from now on."""
    xmin = connection.execute(text("SELECT pg_snapshot_xmin(pg_current_snapshot())"))
    return f"{xmin.scalar_one()}:{UUID(int=0)}"


def changed_studies(
    connection: Connection, position: str
) -> tuple[list[tuple[UUID, UUID]], str]:
    """(study, happening) of what changed stored studies, and where to look the next time.

    A database that was restored counts its transactions anew, from a lower number.
    """
    xid, event = _split(position)
    newest = first_change(connection)
    if int(xid) > int(_split(newest)[0]):
        return [], newest
    rows = _CHANGED(connection, xid=xid, event=event, most=BATCH)
    if not rows:
        return [], position
    found = dict.fromkeys((row.study_id, row.happening_id) for row in rows)
    return list(found), f"{rows[-1].xid}:{rows[-1].id}"


_CHANGED = Prepared(
    lambda: text("""
SELECT e.study_id, e.happening_id, CAST(e.xid AS text) AS xid, e.id FROM coercion_event e
WHERE e.level = 'study' AND (e.xid, e.id) > (CAST(:xid AS xid8), CAST(:event AS uuid))
AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY e.xid, e.id LIMIT :most
""").bindparams(bindparam("most", type_=Integer()))
)


def undone_studies(
    connection: Connection, position: str, until: datetime
) -> list[tuple[UUID, UUID]]:
    """(study, happening) of studies of which something was taken back: that makes no event.

    What was found in the last seconds is found again.
    """
    rows = _UNDONE(connection, low=low(position, until))
    return [(row.study_id, row.id) for row in rows]


_UNDONE = Prepared(
    lambda: text("""
SELECT DISTINCT e.study_id, g.id FROM happening g
JOIN coercion_event e ON e.happening_id = g.undoes
WHERE g.undoes IS NOT NULL AND g.id >= CAST(:low AS uuid) AND e.study_id IS NOT NULL
ORDER BY g.id
""")
)


def single_studies(connection: Connection, low: UUID) -> list[UUID]:
    """Studies of which single instances are given out otherwise since `low`.

    What they refer to was renamed, or they are shown again that had been rejected: no
    event tells of the study.
    """
    return [row.study_id for row in _SINGLE(connection, low=low)]


# From what is new to what it concerns: the fences keep it in this order.
_SINGLE = Prepared(
    lambda: text("""
SELECT s.study_id FROM (
    SELECT receipt_id FROM later_assignment WHERE id >= CAST(:low AS uuid) OFFSET 0) AS l,
LATERAL (SELECT * FROM receipt WHERE id = l.receipt_id OFFSET 0) AS r,
LATERAL (SELECT series_id FROM instance WHERE sop_instance_uid = r.sop_instance_uid
    AND uid_domain = r.uid_domain AND receipt_id = r.id OFFSET 0) AS i
JOIN series s ON s.id = i.series_id
UNION
SELECT s.study_id FROM (
    SELECT r.sop_instance_uid, r.uid_domain FROM happening g
    JOIN rejection r ON r.happening_id = g.undoes
    WHERE g.undoes IS NOT NULL AND g.id >= CAST(:low AS uuid)
    UNION
    SELECT sop_instance_uid, uid_domain FROM rejection
    WHERE ended_by >= CAST(:low AS uuid)) AS r
JOIN instance i
    ON i.sop_instance_uid = r.sop_instance_uid AND i.uid_domain = r.uid_domain
JOIN series s ON s.id = i.series_id
ORDER BY study_id
""")
)


# -- Items --------------------------------------------------------------------------


def look_for_items(
    connection: Connection, asked: Asked, position: str, until: datetime
) -> list[Item]:
    """Open items that have come of age since the last time; the place moves on."""
    before = until - asked.after
    rows = _ITEMS(
        connection,
        low=low(position, before),
        high=id_at(before),
        kinds=list(asked.kinds),
        codes=list(asked.codes),
        most=BATCH,
    )
    if len(rows) == BATCH:
        before = min(before, _made_at(rows[-1].id) + OVERLAP)
    move(connection, asked.name, before.isoformat())
    return [Item(*row) for row in rows]


def _made_at(row_id: UUID) -> datetime:
    return EPOCH + timedelta(milliseconds=row_id.int >> 80)


_ITEMS = Prepared(
    lambda: text("""
SELECT id, kind, opened_at FROM hold
WHERE id >= CAST(:low AS uuid) AND id < CAST(:high AS uuid) AND state = 'open'
AND kind = ANY (CAST(:kinds AS text[]))
AND (cardinality(CAST(:codes AS text[])) = 0 OR code = ANY (CAST(:codes AS text[])))
ORDER BY id LIMIT :most
""").bindparams(bindparam("most", type_=Integer()))
)


def available(connection: Connection, study_id: UUID) -> list[tuple[str, str, str]]:
    """(Series UID, SOP Class UID, SOP Instance UID) of what is given out of a study."""
    return [tuple(row) for row in _AVAILABLE(connection, study_id=study_id)]


_AVAILABLE = Prepared(
    lambda: text("""
SELECT s.series_instance_uid, i.sop_class_uid, i.sop_instance_uid
FROM series s JOIN instance i ON i.series_id = s.id
WHERE s.study_id = :study_id AND NOT i.hidden
ORDER BY s.series_instance_uid, i.sop_instance_uid
""").bindparams(bindparam("study_id", type_=postgresql.UUID(as_uuid=True)))
)
