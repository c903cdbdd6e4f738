"""What is forwarded: which instance goes to which destination, and whether it has it.

Found by who forwards, so that who stores writes nothing for it (see `outgoing`). A row is
one version of one instance for one destination.

A lane is a study on its way to a destination: its instances go one after the other, and
wait together. It is there as long as something waits in it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.db import tables as t
from reconcile.db.prepared import Prepared
from reconcile.db.tables import Time, at, key, metadata, refers

WAITING, SENT, REFUSED, SKIPPED = "waiting", "sent", "refused", "skipped"
#: Why it was skipped by itself: when it is shown again, it waits again.
NOT_SHOWN = "it is not given out"

delivery = Table(
    "delivery",
    metadata,
    # AE title of the [[destination]].
    key("destination"),
    refers("instance_id", "instance"),
    # 1: as it came; higher: as it was corrected since the destination was given it.
    Column("revision", Integer, nullable=False),
    refers("study_id", "study"),
    Column("state", Text, nullable=False, server_default=WAITING),
    at("created_at"),
    at("settled_at", null=True),
    # What it was given out as: SHA-256 of what decides that.
    Column("form", LargeBinary, nullable=True),
    # The same without what says who the patient is; NULL: nobody asked.
    Column("rest", LargeBinary, nullable=True),
    # Status of the response (PS3.7 Annex C); NULL: none came.
    Column("status", Integer, nullable=True),
    # Why it was refused or skipped; no patient data.
    Column("error", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("destination", "instance_id", "revision"),
    CheckConstraint("state IN ('waiting', 'sent', 'refused', 'skipped')", name="state"),
    Index(
        "ix_delivery_waiting",
        "destination",
        "study_id",
        "instance_id",
        "revision",
        postgresql_where=text("state = 'waiting'"),
    ),
    Index("ix_delivery_study", "study_id", "destination"),
)

lane = Table(
    "delivery_lane",
    metadata,
    key("destination"),
    refers("study_id", "study"),
    # Tries that came to nothing since something was delivered.
    Column("attempts", Integer, nullable=False, server_default="0"),
    at("next_at"),
    Column("error", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("destination", "study_id"),
    Index("ix_delivery_lane_next_at", "destination", "next_at"),
)
_D, _L = delivery.c, lane.c


@dataclass(frozen=True, slots=True)
class Lane:
    """A study that is on its way; `attempts` counts this one."""

    destination: str
    study_id: UUID
    attempts: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A version of an instance that is to be delivered."""

    instance_id: UUID
    revision: int
    receipt_id: UUID


# -- Delivering --------------------------------------------------------------------


def open_lanes(
    connection: Connection, destination: str, studies: Collection[UUID], now: datetime
) -> None:
    """Let lanes be there for what is about to wait in them; one that is there stays."""
    rows = [
        {"destination": destination, "study_id": study, "next_at": now}
        for study in sorted(studies)
    ]
    if rows:
        # Touched, so that whoever closes it waits for what is being put into it.
        made = upsert(lane).values(rows)
        connection.execute(
            made.on_conflict_do_update(
                index_elements=["destination", "study_id"],
                set_={"error": lane.c.error},
            )
        )


def claim(
    connection: Connection, destination: str, now: datetime, until: datetime
) -> Lane | None:
    """Take the lane that has waited longest; nobody else has it until `until`."""
    row = _CLAIM.first(connection, destination=destination, now=now, until=until)
    return Lane(destination, row.study_id, row.attempts) if row else None


_CLAIM = Prepared(
    lambda: text("""
UPDATE delivery_lane l SET next_at = :until, attempts = attempts + 1
FROM (
    SELECT study_id FROM delivery_lane
    WHERE destination = :destination AND next_at <= :now
    ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED) AS due
WHERE l.destination = :destination AND l.study_id = due.study_id
RETURNING l.study_id, l.attempts
""").bindparams(
        bindparam("destination", type_=Text()),
        *(bindparam(name, type_=Time) for name in ("now", "until")),
    )
)


def waiting(connection: Connection, of: Lane, most: int) -> list[Waiting]:
    """What waits in a lane, in the order in which it came."""
    query = (
        select(_D.instance_id, _D.revision, t.instance.c.receipt_id)
        .join(t.instance, t.instance.c.id == _D.instance_id)
        .where(_in(of), _D.state == WAITING)
        .order_by(_D.instance_id, _D.revision)
        .limit(most)
    )
    return [Waiting(*row) for row in connection.execute(query)]


def settle(
    connection: Connection,
    of: Lane,
    each: Waiting,
    state: str,
    now: datetime,
    *,
    form: bytes | None = None,
    rest: bytes | None = None,
    status: int | None = None,
    error: str = "",
) -> None:
    """A version was delivered, or never will be."""
    change = update(delivery).where(
        _in(of), _D.instance_id == each.instance_id, _D.revision == each.revision
    )
    values = {"state": state, "settled_at": now, "form": form, "rest": rest}
    connection.execute(change.values(**values, status=status, error=error))


def keep(connection: Connection, of: Lane, until: datetime) -> None:
    """Something was delivered: tries are counted anew, and nobody else takes it yet."""
    change = update(lane).where(_this(of))
    connection.execute(change.values(next_at=until, attempts=0, error=""))


def postpone(connection: Connection, of: Lane, next_at: datetime, error: str) -> None:
    """The destination could not be given anything now; it is due at a later time."""
    change = update(lane).where(_this(of))
    connection.execute(change.values(next_at=next_at, error=error))


def close(connection: Connection, of: Lane, now: datetime) -> None:
    """Let go of a lane: it goes, or is due at once if something waits in it meanwhile."""
    connection.execute(select(lane).where(_this(of)).with_for_update())
    left = exists().where(_in(of), _D.state == WAITING)
    connection.execute(delete(lane).where(_this(of), ~left))
    connection.execute(update(lane).where(_this(of)).values(next_at=now, attempts=0))


def anything(connection: Connection, destinations: Collection[str], now: datetime) -> bool:
    """Whether a lane is due."""
    due = exists().where(_L.destination.in_(list(destinations)), _L.next_at <= now)
    return bool(connection.execute(select(due)).scalar_one())


# -- A person's hand --------------------------------------------------------------------


def retry(
    connection: Connection, destination: str, study: UUID | None, now: datetime
) -> int:
    """Send what waits and what was refused now, from the start; how many that is."""
    chosen = _D.destination == destination
    if study is not None:
        chosen &= _D.study_id == study
    found = select(_D.study_id).where(chosen, _D.state.in_((WAITING, REFUSED))).distinct()
    studies = list(connection.execute(found).scalars())
    open_lanes(connection, destination, studies, now)
    due = (_L.destination == destination) & _L.study_id.in_(studies)
    connection.execute(update(lane).where(due).values(next_at=now, attempts=0, error=""))
    change = update(delivery).where(chosen, _D.state.in_((WAITING, REFUSED)))
    again = change.values(state=WAITING, settled_at=None, status=None, error="")
    return len(connection.execute(again.returning(_D.instance_id)).all())


def skip(
    connection: Connection, destination: str, study: UUID, now: datetime, why: str
) -> int:
    """Never deliver what waits of a study; how many instances that is."""
    of = Lane(destination, study, 0)
    change = update(delivery).where(_in(of), _D.state == WAITING)
    gone = change.values(state=SKIPPED, settled_at=now, error=why)
    count = len(connection.execute(gone.returning(_D.instance_id)).all())
    close(connection, of, now)
    return count


def _in(of: Lane) -> ColumnElement[bool]:
    return and_(_D.destination == of.destination, _D.study_id == of.study_id)


def _this(of: Lane) -> ColumnElement[bool]:
    return and_(_L.destination == of.destination, _L.study_id == of.study_id)
