"""Messages that are relayed to destinations: what is told of corrections, and of steps.

A lane is an order in which messages go: all that one destination is told of patients, or
all of one performed step. They wait together, and are there as long as something waits in
them. A lane is driven by one process at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    exists,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.core.identity import PatientIdentifier
from reconcile.db.deliveries import REFUSED, SKIPPED, WAITING
from reconcile.db.prepared import Prepared
from reconcile.db.tables import Time, at, key, metadata, refers

#: The lane of what a destination is told of patients; all others are UIDs of steps.
PATIENTS = "patients"

relay = Table(
    "relay",
    metadata,
    # In the order in which they are sent; given by one process at a time.
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    # AE title of the [[destination]].
    key("destination"),
    key("lane"),
    # "ADT^A40", "ADT^A08"; "N-CREATE", "N-SET".
    key("kind"),
    # The study in which a correction was found.
    refers("study_id", "study", null=True),
    # The data set of a step that is relayed.
    refers("message_id", "performed_step_message", null=True),
    # Of a correction: "identifier" and "prior", each [Patient ID, domain].
    Column("body", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default=WAITING),
    at("created_at"),
    at("settled_at", null=True),
    # What the destination answered: "AA", or a status as four hexadecimal digits.
    Column("answer", key("answer").type, nullable=False, server_default=""),
    # Why it was refused or skipped; no patient data.
    Column("error", Text, nullable=False, server_default=""),
    # Once each, however often a data set is found.
    UniqueConstraint("destination", "message_id"),
    CheckConstraint("state IN ('waiting', 'sent', 'refused', 'skipped')", name="state"),
    Index("ix_relay_lane", "destination", "lane", "number"),
    Index(
        "ix_relay_open",
        "destination",
        "number",
        postgresql_where=text("state IN ('waiting', 'refused')"),
    ),
)

lane = Table(
    "relay_lane",
    metadata,
    key("destination"),
    key("lane"),
    # Tries that came to nothing since something was sent.
    Column("attempts", Integer, nullable=False, server_default="0"),
    at("next_at"),
    Column("error", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("destination", "lane"),
    Index("ix_relay_lane_next_at", "destination", "next_at"),
)

_R, _L = relay.c, lane.c


@dataclass(frozen=True, slots=True)
class New:
    """A message that is to be relayed."""

    destination: str
    lane: str
    kind: str
    study_id: UUID | None = None
    message_id: UUID | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    state: str = WAITING
    error: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """An order of messages that is on its way; `attempts` counts this try."""

    destination: str
    lane: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Due:
    """The first message that waits in a lane."""

    number: int
    destination: str
    lane: str
    kind: str
    study_id: UUID | None
    message_id: UUID | None
    body: Mapping[str, Any]
    created_at: datetime


# -- What is to be sent ---------------------------------------------------------------


def queue(connection: Connection, news: Collection[New], now: datetime) -> None:
    """Let messages wait, in this order; one that waits already does so once."""
    lanes = sorted(
        {(each.destination, each.lane) for each in news if each.state == WAITING}
    )
    for destination, name in lanes:
        made = upsert(lane).values(destination=destination, lane=name, next_at=now)
        # Touched, so that whoever closes it waits for what is being put into it.
        touched = {"error": lane.c.error}
        connection.execute(
            made.on_conflict_do_update(index_elements=["destination", "lane"], set_=touched)
        )
    for each in news:
        row = {name: getattr(each, name) for name in each.__dataclass_fields__}
        row |= {"body": dict(each.body), "created_at": now}
        connection.execute(upsert(relay).values(row).on_conflict_do_nothing())


def newest(
    connection: Connection, destination: str, identifiers: Collection[PatientIdentifier]
) -> tuple[str, Mapping[str, Any]] | None:
    """(kind, body) of the last that was or will be said of any of these."""
    named = [[each.value, each.domain] for each in identifiers]
    said = or_(*(_R.body.contains({"identifier": each}) for each in named))
    said |= or_(*(_R.body.contains({"prior": each}) for each in named))
    query = select(_R.kind, _R.body).where(
        _R.destination == destination, _R.lane == PATIENTS, said
    )
    row = connection.execute(query.order_by(_R.number.desc()).limit(1)).first()
    return (row.kind, row.body) if row else None


def plan_steps(connection: Connection, destination: str, low: UUID, now: datetime) -> None:
    """Let what came of steps since `low` be relayed, and all that came of them before."""
    rows = connection.execute(_STEPS, {"low": low, "destination": destination})
    queue(
        connection,
        [
            New(destination, row.sop_instance_uid, row.operation, message_id=row.id)
            for row in rows
        ],
        now,
    )


_STEPS = text("""
SELECT m.id, m.operation, s.sop_instance_uid FROM performed_step_message m
JOIN performed_step s ON s.id = m.step_id
WHERE m.step_id IN (SELECT n.step_id FROM performed_step_message n WHERE n.id >= :low)
AND NOT EXISTS (
    SELECT FROM relay r WHERE r.destination = :destination AND r.message_id = m.id)
ORDER BY m.step_id, m.id
""").bindparams(bindparam("low", type_=_R.study_id.type))


def steps_came(connection: Connection, low: UUID) -> bool:
    """Whether anything came of a step since `low`."""
    query = text("SELECT EXISTS (SELECT FROM performed_step_message WHERE id >= :low)")
    bound = query.bindparams(bindparam("low", type_=_R.study_id.type))
    return bool(connection.execute(bound, {"low": low}).scalar_one())


# -- Sending ------------------------------------------------------------------------


def claim(
    connection: Connection, destination: str, now: datetime, until: datetime
) -> Lane | None:
    """Take the lane that has waited longest; nobody else has it until `until`."""
    row = _CLAIM.first(connection, destination=destination, now=now, until=until)
    return Lane(destination, row.lane, row.attempts) if row else None


_CLAIM = Prepared(
    lambda: text("""
UPDATE relay_lane l SET next_at = :until, attempts = attempts + 1
FROM (
    SELECT lane FROM relay_lane
    WHERE destination = :destination AND next_at <= :now
    ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED) AS due
WHERE l.destination = :destination AND l.lane = due.lane
RETURNING l.lane, l.attempts
""").bindparams(
        bindparam("destination", type_=Text()),
        *(bindparam(name, type_=Time) for name in ("now", "until")),
    )
)


def first(connection: Connection, of: Lane) -> Due | None:
    """What is to be sent next in a lane."""
    columns = [_R[name] for name in Due.__dataclass_fields__]
    query = select(*columns).where(_in(of), _R.state == WAITING)
    row = connection.execute(query.order_by(_R.number).limit(1)).first()
    return Due(*row) if row else None


def settle(
    connection: Connection,
    number: int,
    state: str,
    now: datetime,
    *,
    answer: str = "",
    error: str = "",
) -> None:
    """A message was sent, or never will be."""
    change = update(relay).where(_R.number == number)
    values = {"state": state, "settled_at": now, "answer": answer, "error": error}
    connection.execute(change.values(**values))


def keep(connection: Connection, of: Lane, until: datetime) -> None:
    """Something was sent: tries are counted anew, and nobody else takes it yet."""
    change = update(lane).where(_this(of))
    connection.execute(change.values(next_at=until, attempts=0, error=""))


def postpone(connection: Connection, of: Lane, next_at: datetime, error: str) -> None:
    """The destination could not be told anything now; it is due at a later time."""
    change = update(lane).where(_this(of))
    connection.execute(change.values(next_at=next_at, error=error))


def close(connection: Connection, of: Lane, now: datetime) -> None:
    """Let go of a lane: it goes, or is due at once if something waits in it meanwhile."""
    connection.execute(select(lane).where(_this(of)).with_for_update())
    left = exists().where(_in(of), _R.state == WAITING)
    connection.execute(delete(lane).where(_this(of), ~left))
    connection.execute(update(lane).where(_this(of)).values(next_at=now, attempts=0))


def anything(connection: Connection, destinations: Collection[str], now: datetime) -> bool:
    """Whether a lane is due."""
    due = exists().where(_L.destination.in_(list(destinations)), _L.next_at <= now)
    return bool(connection.execute(select(due)).scalar_one())


# -- A person's hand --------------------------------------------------------------------


def is_lane(connection: Connection, name: str) -> bool:
    """Whether messages go, or went, in a lane of this name."""
    found = exists().where(_R.lane == name)
    return name == PATIENTS or bool(connection.execute(select(found)).scalar_one())


def retry(
    connection: Connection,
    destination: str,
    now: datetime,
    *,
    name: str = "",
    study: UUID | None = None,
) -> int:
    """Send what waits and what was refused now, from the start; how many that is.

    Args:
        connection: of the writer.
        destination: AE title.
        now: when it is due.
        name: of a lane; empty: all.
        study: only what was found in it; None: all.
    """
    chosen = _chosen(destination, name, study) & _R.state.in_((WAITING, REFUSED))
    lanes = set(connection.execute(select(_R.lane).where(chosen).distinct()).scalars())
    for each in sorted(lanes):
        made = upsert(lane).values(destination=destination, lane=each, next_at=now)
        due = {"next_at": now, "attempts": 0, "error": ""}
        connection.execute(
            made.on_conflict_do_update(index_elements=["destination", "lane"], set_=due)
        )
    change = update(relay).where(chosen)
    again = change.values(state=WAITING, settled_at=None, answer="", error="")
    return len(connection.execute(again.returning(_R.number)).all())


def skip(
    connection: Connection,
    destination: str,
    now: datetime,
    why: str,
    *,
    name: str = "",
    study: UUID | None = None,
) -> int:
    """Never send what waits; how many messages that is. The rest as `retry`."""
    chosen = _chosen(destination, name, study) & (_R.state == WAITING)
    change = update(relay).where(chosen)
    gone = change.values(state=SKIPPED, settled_at=now, error=why)
    lanes = list(connection.execute(gone.returning(_R.lane)).scalars())
    for each in sorted(set(lanes)):
        close(connection, Lane(destination, each, 0), now)
    return len(lanes)


def _chosen(destination: str, name: str, study: UUID | None) -> ColumnElement[bool]:
    chosen = _R.destination == destination
    if name:
        chosen &= _R.lane == name
    if study is not None:
        chosen &= _R.study_id == study
    return chosen


def _in(of: Lane) -> ColumnElement[bool]:
    return (_R.destination == of.destination) & (_R.lane == of.lane)


def _this(of: Lane) -> ColumnElement[bool]:
    return (_L.destination == of.destination) & (_L.lane == of.lane)
