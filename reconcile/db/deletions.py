"""Deletions: planned, decided by a person or by time, and what is left of the deleted.

A row here is never removed. A tombstone is live for as long as its instance is gone: it
ends where the instance may come again, and does. That an arrival's bytes are gone, or
are to go, is a row beside its receipt, which stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
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
    bindparam,
    insert,
    text,
    update,
)
from sqlalchemy.dialects import postgresql

from reconcile.db.ids import uuid7
from reconcile.db.tables import (
    Time,
    at,
    ended,
    happened,
    identifier,
    key,
    metadata,
    recorded,
    refers,
)

deletion = Table(
    "deletion",
    metadata,
    identifier(),
    Column("state", Text, nullable=False, server_default="planned"),
    key("cause"),
    # The rule that planned it, or the note; empty: a person did.
    key("subject"),
    Column("reason", Text, nullable=False),
    key("planned_by"),
    at("planned_at"),
    # When it is done if nobody says otherwise; NULL: it waits for a person.
    at("due_at", null=True),
    happened(),
    key("decided_by", null=True),
    at("decided_at", null=True),
    refers("decided_in", "happening", null=True),
    refers("executed_in", "happening", null=True),
    at("executed_at", null=True),
    CheckConstraint(
        "state IN ('planned', 'confirmed', 'executing', 'executed', 'cancelled')",
        name="state",
    ),
    CheckConstraint("cause IN ('steward', 'rule', 'iocm')", name="cause"),
    CheckConstraint("(state = 'executed') = (executed_at IS NOT NULL)", name="executed"),
    Index(
        "ix_deletion_open",
        "id",
        postgresql_where=text("state IN ('planned', 'confirmed', 'executing')"),
    ),
)


def _part_of(name: str, target: str) -> Column[Any]:
    key_of = ForeignKey(f"{target}.id")
    return Column(name, postgresql.UUID(as_uuid=True), key_of, primary_key=True)


deletion_instance = Table(
    "deletion_instance",
    metadata,
    _part_of("deletion_id", "deletion"),
    _part_of("instance_id", "instance"),
    # NULL: it is still to be decided.
    Column("outcome", Text, nullable=True),
    CheckConstraint("outcome IN ('deleted', 'kept', 'cancelled')", name="outcome"),
    # An instance is planned to be deleted once at a time.
    Index(
        "uq_deletion_instance_open",
        "instance_id",
        unique=True,
        postgresql_where=text("outcome IS NULL"),
    ),
    Index("ix_deletion_instance_instance_id", "instance_id"),
)

tombstone = Table(
    "tombstone",
    metadata,
    identifier(),
    refers("instance_id", "instance"),
    refers("deletion_id", "deletion", index=True),
    key("uid_domain"),
    key("sop_instance_uid"),
    key("sop_class_uid"),
    # Empty: it was of no study.
    key("series_instance_uid", index=True),
    key("received_series_instance_uid", index=True),
    key("study_instance_uid", index=True),
    key("received_study_instance_uid", index=True),
    # Of what was given out of it last.
    Column("digest", LargeBinary, nullable=False),
    recorded(),
    happened(),
    ended(),
    # An instance is gone once at a time.
    Index(
        "uq_tombstone_live",
        "sop_instance_uid",
        "uid_domain",
        unique=True,
        postgresql_where=text("upper_inf(recorded)"),
    ),
)

removed_receipt = Table(
    "removed_receipt",
    metadata,
    _part_of("receipt_id", "receipt"),
    refers("deletion_id", "deletion", index=True),
    at("decided_at"),
    # NULL: its bytes are still there.
    at("removed_at", null=True),
    Index(
        "ix_removed_receipt_waiting",
        "decided_at",
        postgresql_where=text("removed_at IS NULL"),
    ),
)
_d = deletion.c


@dataclass(frozen=True, slots=True)
class Plan:
    """A deletion that is to be planned."""

    cause: str
    subject: str
    reason: str
    planned_by: str
    planned_at: datetime
    due_at: datetime | None


# -- First step --------------------------------------------------------------------------


def named(connection: Connection, uids: Collection[str]) -> dict[UUID, bool]:
    """Instances that UIDs mean, of whatever level; whether each may not be deleted now."""
    rows = connection.execute(_NAMED, {"uids": sorted(uids)})
    return {row.id: row.guarded for row in rows}


GUARDED = "coalesce(st.legal_hold OR st.retain_until > clock_timestamp(), false)"
_NAMED = text(f"""
WITH u AS (SELECT uid COLLATE "C" AS uid FROM unnest(CAST(:uids AS text[])) AS n (uid)),
of_study AS (
    SELECT st.id FROM study st JOIN u ON u.uid = st.study_instance_uid
    UNION
    SELECT st.id FROM u JOIN uid_map m
    ON m.received_uid = u.uid AND m.level = 'study' AND upper_inf(m.valid)
    JOIN study st
    ON st.study_instance_uid = m.assigned_uid AND st.uid_domain = m.uid_domain
), found AS (
    SELECT i.id FROM instance i JOIN u ON i.sop_instance_uid = u.uid
    UNION
    SELECT i.id FROM series s JOIN u
    ON s.series_instance_uid = u.uid OR s.received_series_instance_uid = u.uid
    JOIN instance i ON i.series_id = s.id
    UNION
    SELECT i.id FROM of_study f JOIN series s ON s.study_id = f.id
    JOIN instance i ON i.series_id = s.id
)
SELECT i.id, {GUARDED} AS guarded
FROM found JOIN instance i ON i.id = found.id
LEFT JOIN series s ON s.id = i.series_id LEFT JOIN study st ON st.id = s.study_id
WHERE NOT EXISTS (
    SELECT FROM tombstone g WHERE g.sop_instance_uid = i.sop_instance_uid
    AND g.uid_domain = i.uid_domain AND upper_inf(g.recorded))
ORDER BY i.id
""")  # noqa: S608 - constants of this module


def plan(
    connection: Connection, said: Plan, instances: Collection[UUID], happening_id: UUID
) -> tuple[UUID, int]:
    """Plan a deletion; (its id, how many of the instances were not planned before)."""
    deletion_id = uuid7()
    values = {
        "id": deletion_id,
        "cause": said.cause,
        "subject": said.subject,
        "reason": said.reason,
        "planned_by": said.planned_by,
        "planned_at": said.planned_at,
        "due_at": said.due_at,
        "happening_id": happening_id,
    }
    connection.execute(insert(deletion).values(values))
    given = {"deletion": deletion_id, "instances": sorted(instances)}
    return deletion_id, connection.execute(_PLAN, given).rowcount


_PLAN = text("""
INSERT INTO deletion_instance (deletion_id, instance_id)
SELECT :deletion, id FROM unnest(CAST(:instances AS uuid[])) AS u (id)
ON CONFLICT DO NOTHING
""")


# -- Second step -------------------------------------------------------------------------


def locked(connection: Connection, deletion_id: UUID) -> Row[Any] | None:
    """A deletion, for whoever changes its state."""
    query = deletion.select().where(_d.id == deletion_id).with_for_update()
    return connection.execute(query).first()


def decide(
    connection: Connection,
    deletion_id: UUID,
    state: str,
    by: str,
    now: datetime,
    happening_id: UUID,
) -> None:
    """A person confirms a deletion, or cancels it."""
    changed = {
        "state": state,
        "decided_by": by,
        "decided_at": now,
        "decided_in": happening_id,
    }
    connection.execute(update(deletion).where(_d.id == deletion_id).values(changed))
    if state == "cancelled":
        close(connection, deletion_id, [], "cancelled")


def close(
    connection: Connection, deletion_id: UUID, instances: Sequence[UUID], outcome: str
) -> None:
    """What became of instances of a deletion; none named: of all that are left."""
    item = deletion_instance.c
    change = update(deletion_instance).where(
        item.deletion_id == deletion_id, item.outcome.is_(None)
    )
    if instances:
        change = change.where(item.instance_id.in_(instances))
    connection.execute(change.values(outcome=outcome))


def due(connection: Connection, now: datetime) -> list[UUID]:
    """Deletions that are to be done, or to be finished."""
    return list(connection.execute(_DUE, {"now": now}).scalars())


_DUE = text("""
SELECT id FROM deletion
WHERE state IN ('confirmed', 'executing') OR (state = 'planned' AND due_at <= :now)
ORDER BY id
""").bindparams(bindparam("now", type_=Time))
