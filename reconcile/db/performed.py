"""Performed procedure steps: as they came, what they say, and what follows from it.

A step and its data sets are kept for ever. What it says of orders and of wrong worklist
entries are facts that decisions rest on: rows with a range, which end when the step turns
out to be of the wrong entry, or when a person takes back what it did.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    Row,
    Table,
    Text,
    UniqueConstraint,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.core.facts import RequestItem
from reconcile.core.identity import Issuer
from reconcile.core.performed import StepState
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared
from reconcile.db.tables import (
    at,
    ended,
    happened,
    identifier,
    key,
    metadata,
    recorded,
    refers,
)

performed_step = Table(
    "performed_step",
    metadata,
    identifier(),
    key("sop_instance_uid"),
    # Calling AE title of who created it.
    key("source"),
    Column("state", Text, nullable=False),
    # What has been said of it until now, in the DICOM JSON model.
    Column("said", postgresql.JSONB, nullable=False),
    at("created_at"),
    at("changed_at"),
    happened(),
    UniqueConstraint("sop_instance_uid"),
    CheckConstraint("state IN ('IN PROGRESS', 'COMPLETED', 'DISCONTINUED')", name="state"),
)

# Its data sets as they came, none of which is ever changed.
performed_step_message = Table(
    "performed_step_message",
    metadata,
    identifier(),
    refers("step_id", "performed_step", index=True),
    Column("operation", Text, nullable=False),
    key("transfer_syntax_uid"),
    Column("body", LargeBinary, nullable=False),
    key("source"),
    key("association"),
    at("received_at"),
    CheckConstraint("operation IN ('N-CREATE', 'N-SET')", name="operation"),
)

# Its Scheduled Step Attributes: by which order a study was made.
step_request = Table(
    "step_request",
    metadata,
    identifier(),
    refers("step_id", "performed_step", index=True),
    key("study_instance_uid"),
    key("accession_number", index=True),
    # Name of a domain; empty: nobody said.
    key("accession_issuer"),
    key("rp_id"),
    key("sps_id"),
    # The order and the scheduled step that it is linked to, once they are known.
    refers("order_id", "imaging_order", null=True, index=True),
    refers("scheduled_id", "scheduled_procedure_step", null=True),
    recorded(),
    happened(),
    ended(),
    Index("ix_step_request_study", "study_instance_uid"),
)

# Series of which a step says that the wrong worklist entry was selected for them.
wrong_entry = Table(
    "wrong_entry",
    metadata,
    identifier(),
    key("step_uid", index=True),
    # As the modality calls it; empty: whatever refers to the step.
    key("series_instance_uid", index=True),
    recorded(),
    happened(),
    ended(),
)

# The step to which the first instance of a series refers.
series_step = Table(
    "series_step",
    metadata,
    Column(
        "series_id",
        postgresql.UUID(as_uuid=True),
        ForeignKey("series.id"),
        primary_key=True,
    ),
    key("step_uid", index=True),
)

_q, _p = step_request.c, performed_step.c


# -- What an arriving instance is told ----------------------------------------------


def requests(
    connection: Connection, study_uid: str, step_uid: str = ""
) -> tuple[RequestItem, ...]:
    """By what a study was ordered, as its performed steps say.

    Args:
        connection: of the writer.
        study_uid: as the modality calls it.
        step_uid: of the step that an instance refers to.
    """
    given = {"study_uid": study_uid, "step_uid": step_uid}
    rows = _REQUESTS(connection, **given) if study_uid else []
    return tuple(
        RequestItem(
            row.accession_number,
            Issuer(row.accession_issuer),
            row.study_instance_uid,
            row.rp_id,
            row.sps_id,
        )
        for row in rows
    )


_REQUESTS = Prepared(
    lambda: text("""
SELECT accession_number, accession_issuer, study_instance_uid, rp_id, sps_id
FROM step_request
WHERE study_instance_uid = :study_uid AND accession_number <> '' AND upper_inf(recorded)
UNION
SELECT q.accession_number, q.accession_issuer, q.study_instance_uid, q.rp_id, q.sps_id
FROM performed_step s JOIN step_request q ON q.step_id = s.id
WHERE s.sop_instance_uid = :step_uid AND :step_uid <> '' AND q.accession_number <> ''
AND upper_inf(q.recorded)
ORDER BY accession_number, accession_issuer, rp_id, sps_id, study_instance_uid
""")
)


def is_wrong_entry(connection: Connection, series_uid: str, step_uid: str) -> bool:
    """Whether the wrong worklist entry was selected for a series."""
    if not series_uid:
        return False
    found = _WRONG.first(connection, series_uid=series_uid, step_uid=step_uid)
    return found is not None


_WRONG = Prepared(
    lambda: text("""
SELECT id FROM wrong_entry
WHERE series_instance_uid = :series_uid AND upper_inf(recorded)
UNION ALL
SELECT id FROM wrong_entry WHERE step_uid = :step_uid AND step_uid <> ''
AND upper_inf(recorded)
LIMIT 1
""")
)


def refer(connection: Connection, series_id: UUID, step_uid: str) -> None:
    """Remember the step of a series."""
    _REFER(connection, series_id=series_id, step_uid=step_uid)


_REFER = Prepared(
    lambda: text(
        "INSERT INTO series_step (series_id, step_uid)"
        " VALUES (CAST(:series_id AS uuid), :step_uid) ON CONFLICT DO NOTHING"
    )
)


# -- Steps --------------------------------------------------------------------------


def create(
    connection: Connection,
    *,
    sop_instance_uid: str,
    source: str,
    state: StepState,
    said: Mapping[str, Any],
    now: datetime,
    happening_id: UUID,
) -> UUID | None:
    """A new step; None: it is here already."""
    made = upsert(performed_step).values(
        id=uuid7(),
        sop_instance_uid=sop_instance_uid,
        source=source,
        state=state.value,
        said=dict(said),
        created_at=now,
        changed_at=now,
        happening_id=happening_id,
    )
    made = made.on_conflict_do_nothing()
    step_id: UUID | None = connection.execute(made.returning(_p.id)).scalar()
    return step_id


def find(connection: Connection, sop_instance_uid: str) -> Row[Any] | None:
    """A step, held against every other change of it."""
    query = select(performed_step).where(_p.sop_instance_uid == sop_instance_uid)
    return connection.execute(query.with_for_update()).first()


def change(
    connection: Connection,
    step_id: UUID,
    state: StepState,
    said: Mapping[str, Any],
    now: datetime,
) -> None:
    """What is said of a step from now on."""
    changed = update(performed_step).where(_p.id == step_id)
    connection.execute(changed.values(state=state.value, said=dict(said), changed_at=now))


@dataclass(frozen=True, slots=True)
class Message:
    """A data set of a step as it came; `operation` is "N-CREATE" or "N-SET"."""

    operation: str
    transfer_syntax_uid: str
    body: bytes
    source: str
    association: str
    received_at: datetime


def keep(connection: Connection, step_id: UUID, message: Message) -> None:
    """Remember a data set of a step."""
    row = {name: getattr(message, name) for name in message.__dataclass_fields__}
    made = insert(performed_step_message).values(id=uuid7(), step_id=step_id, **row)
    connection.execute(made)


def created_by(connection: Connection, step_id: UUID) -> Message:
    """The data set with which a step was created."""
    m = performed_step_message.c
    query = select(performed_step_message).where(
        m.step_id == step_id, m.operation == "N-CREATE"
    )
    row = connection.execute(query.order_by(m.id).limit(1)).one()
    return Message(*(getattr(row, name) for name in Message.__dataclass_fields__))


def message(connection: Connection, message_id: UUID) -> tuple[UUID, Message]:
    """(its step, a data set) by the id of the latter."""
    query = select(performed_step_message)
    row = connection.execute(query.where(performed_step_message.c.id == message_id)).one()
    named = (getattr(row, name) for name in Message.__dataclass_fields__)
    return row.step_id, Message(*named)


# -- By which order it was made -------------------------------------------------------


def say(
    connection: Connection,
    step_id: UUID,
    items: Iterable[tuple[RequestItem, str]],
    happening_id: UUID,
) -> None:
    """Remember the items of Scheduled Step Attributes, each with its issuer's domain."""
    rows = [
        {
            "id": uuid7(),
            "step_id": step_id,
            "study_instance_uid": item.study_instance_uid,
            "accession_number": item.accession_number,
            "accession_issuer": issuer,
            "rp_id": item.rp_id,
            "sps_id": item.sps_id,
            "happening_id": happening_id,
        }
        for item, issuer in items
    ]
    connection.execute(insert(step_request), rows)


def link(connection: Connection, step_id: UUID, order_ids: Collection[UUID]) -> list[UUID]:
    """Link a step to those of some orders that its items name; the orders that it is."""
    rows = connection.execute(_LINK, {"step": step_id, "orders": sorted(order_ids)})
    return sorted({row.order_id for row in rows})


_LINK = text("""
UPDATE step_request q SET order_id = o.id, scheduled_id = (
    SELECT s.id FROM scheduled_procedure_step s
    JOIN requested_procedure p ON p.id = s.procedure_id
    WHERE p.order_id = o.id AND s.sps_id = q.sps_id AND q.sps_id <> ''
    AND q.rp_id IN ('', p.rp_id) AND NOT s.removed
    ORDER BY s.id LIMIT 1)
FROM imaging_order o
WHERE q.step_id = :step AND upper_inf(q.recorded)
AND o.id = ANY (CAST(:orders AS uuid[]))
AND (q.accession_number = o.accession_number
    AND q.accession_issuer IN ('', o.accession_issuer) AND q.accession_number <> ''
    OR q.accession_number = '' AND EXISTS (
        SELECT FROM requested_procedure p
        WHERE p.order_id = o.id AND p.study_instance_uid = q.study_instance_uid))
RETURNING q.order_id
""")


class Waiting(NamedTuple):
    """A step that names an order, and is not linked to it."""

    id: UUID
    sop_instance_uid: str
    source: str


def waiting_for(connection: Connection, order_id: UUID) -> list[Waiting]:
    """Steps that name an order which has come since."""
    rows = connection.execute(_WAITING, {"order": order_id})
    return [Waiting(*row) for row in rows]


_WAITING = text("""
SELECT DISTINCT s.id, s.sop_instance_uid, s.source FROM imaging_order o
JOIN step_request q ON q.accession_number = o.accession_number
    AND q.accession_issuer IN ('', o.accession_issuer)
JOIN performed_step s ON s.id = q.step_id
WHERE o.id = :order AND o.accession_number <> '' AND q.order_id IS NULL
AND upper_inf(q.recorded)
ORDER BY s.id
""")


def study_uids(connection: Connection, step_id: UUID) -> list[str]:
    """The Study UIDs of a step, as its modality calls them."""
    query = select(_q.study_instance_uid).where(_q.step_id == step_id).distinct()
    return sorted(connection.execute(query).scalars())


def begun_orders(connection: Connection, step_id: UUID) -> list[UUID]:
    """Orders that a step is linked to, and no other step that goes on or is completed."""
    return list(connection.execute(_BEGUN, {"step": step_id}).scalars())


_BEGUN = text("""
SELECT DISTINCT q.order_id FROM step_request q
WHERE q.step_id = :step AND q.order_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM step_request o JOIN performed_step s ON s.id = o.step_id
    WHERE o.order_id = q.order_id AND o.step_id <> q.step_id AND upper_inf(o.recorded)
    AND s.state <> 'DISCONTINUED')
ORDER BY q.order_id
""")
