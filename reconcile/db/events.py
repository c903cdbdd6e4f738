"""Happenings and coercion events, written; the history is only added to."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, text

from reconcile.core.audit import BODY_VERSION, Values, event_body
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared, new_row


@dataclass(frozen=True, slots=True)
class Happening:
    """One decision: what caused it, by which rule, under which configuration."""

    cause: str
    cause_id: str
    actor: str
    configuration_digest: str
    recorded_at: datetime
    rule: str = ""
    rung: str = ""
    explanation: Mapping[str, Any] = field(default_factory=dict)
    depends_on: tuple[UUID, ...] = ()
    undoes: UUID | None = None


@dataclass(frozen=True, slots=True)
class InstanceEvent:
    """A coercion of one instance at storing."""

    happening_id: UUID
    instance_id: UUID
    receipt_id: UUID
    study_id: UUID | None
    person_id: UUID | None
    reason: str
    source: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    received_study_instance_uid: str
    attributes: tuple[str, ...]
    recorded_at: datetime


def happen(connection: Connection, happening: Happening) -> UUID:
    """Write a happening down; its id is what every row it makes points to."""
    happening_id = uuid7()
    _HAPPEN(
        connection,
        id=happening_id,
        cause=happening.cause,
        cause_id=happening.cause_id,
        rule=happening.rule,
        rung=happening.rung,
        configuration_digest=happening.configuration_digest,
        actor=happening.actor,
        explanation=dict(happening.explanation),
        recorded_at=happening.recorded_at,
        undoes=happening.undoes,
    )
    _depend(connection, happening_id, happening.depends_on)
    return happening_id


_HAPPEN = Prepared(
    lambda: new_row(
        h.happening,
        "id cause cause_id rule rung configuration_digest actor explanation recorded_at"
        " undoes",
    )
)


def _depend(connection: Connection, happening_id: UUID, on: Iterable[UUID]) -> None:
    rows = [{"happening_id": happening_id, "depends_on": other} for other in on]
    if rows:
        connection.execute(insert(h.happening_dependency), rows)


def record(connection: Connection, event: InstanceEvent, values: Values) -> UUID:
    """Write the audit row of a coercion, in the transaction of what it tells of."""
    columns: dict[str, Any] = {
        "happening_id": event.happening_id,
        "level": "instance",
        "instance_id": event.instance_id,
        "receipt_id": event.receipt_id,
        "study_id": event.study_id,
        "person_id": event.person_id,
        "reason": event.reason,
        "source": event.source,
        "sop_instance_uid": event.sop_instance_uid,
        "series_instance_uid": event.series_instance_uid,
        "study_instance_uid": event.study_instance_uid,
        "received_study_instance_uid": event.received_study_instance_uid,
        "attributes": list(event.attributes),
        "recorded_at": event.recorded_at,
    }
    event_id, nonce, personal = uuid7(), secrets.token_bytes(16), values.body()
    fields = {name: _plain(value) for name, value in columns.items()}
    body = event_body({"id": str(event_id), "position": 0, **fields}, nonce, personal)
    before, after = around_position(body.decode())
    _RECORD(
        connection,
        id=event_id,
        body_version=BODY_VERSION,
        before=before,
        after=after,
        nonce=nonce,
        personal=personal,
        **columns,
    )
    return event_id


def recorded_at(connection: Connection, happening_id: UUID) -> datetime:
    """When a happening was written down."""
    query = select(h.happening.c.recorded_at).where(h.happening.c.id == happening_id)
    found: datetime = connection.execute(query).scalar_one()
    return found


@dataclass(frozen=True, slots=True)
class StudyEvent:
    """A coercion of what is stored of a study; `revision`: of the study, as it made it."""

    happening_id: UUID
    study_id: UUID
    person_id: UUID | None
    revision: int
    reason: str
    study_instance_uid: str
    received_study_instance_uid: str
    attributes: tuple[str, ...]
    recorded_at: datetime


def record_studies(
    connection: Connection, told: Sequence[tuple[StudyEvent, Values]]
) -> list[UUID]:
    """Write the audit rows of coercions of studies, under the locks of the studies.

    In one statement, however many they are; their ids, in the same order. Of whom the
    previous values are differs from instance to instance, and is not said.
    """
    rows = [_study_row(event, values) for event, values in told]
    if rows:
        _RECORD_STUDIES(connection, rows=json.dumps(rows), body_version=BODY_VERSION)
    return [UUID(row["id"]) for row in rows]


def _study_row(event: StudyEvent, values: Values) -> dict[str, Any]:
    """What is written, as JSON can say it; bytes in hex, bodies as text."""
    columns: dict[str, Any] = {
        "happening_id": event.happening_id,
        "level": "study",
        "study_id": event.study_id,
        "person_id": event.person_id,
        "revision": event.revision,
        "reason": event.reason,
        "source": "",
        "study_instance_uid": event.study_instance_uid,
        "received_study_instance_uid": event.received_study_instance_uid,
        "attributes": list(event.attributes),
        "recorded_at": event.recorded_at,
    }
    event_id, nonce, personal = uuid7(), secrets.token_bytes(16), values.body()
    fields = {name: _plain(value) for name, value in columns.items()}
    body = event_body({"id": str(event_id), "position": 0, **fields}, nonce, personal)
    before, after = around_position(body.decode())
    own = {"id": str(event_id), "before": before, "after": after}
    return {**fields, **own, "nonce": nonce.hex(), "personal": personal.decode()}


_RECORD_STUDIES = Prepared(
    lambda: text("""
WITH r AS MATERIALIZED (
    SELECT r.*, nextval('coercion_event_position') AS n
    FROM json_to_recordset(CAST(:rows AS json)) AS r (
        id uuid, happening_id uuid, level text, study_id uuid, person_id uuid,
        revision int, reason text, source text, study_instance_uid text,
        received_study_instance_uid text, attributes text[], recorded_at timestamptz,
        before text, after text, nonce text, personal text)
), e AS (
    INSERT INTO coercion_event (
        id, position, happening_id, level, study_id, person_id, revision, reason, source,
        study_instance_uid, received_study_instance_uid, attributes, body_version, body,
        recorded_at)
    SELECT id, n, happening_id, level, study_id, person_id, revision, reason, source,
        study_instance_uid, received_study_instance_uid, attributes, :body_version,
        convert_to(concat(before, n, after), 'UTF8'), recorded_at
    FROM r
)
INSERT INTO coercion_value (event_id, nonce, body)
SELECT id, decode(nonce, 'hex'), convert_to(personal, 'UTF8') FROM r
""")
)


def around_position(body: str) -> tuple[str, str]:
    """The canonical bytes of an event before and after its position, said there as 0.

    It is given its position when it is recorded, under the lock of its study.
    """
    before, after = body.split('"position":0,')
    return f'{before}"position":', f",{after}"


_RECORD = Prepared(
    lambda: text("""
WITH e AS (
    INSERT INTO coercion_event (
        id, position, happening_id, level, instance_id, receipt_id, study_id, person_id,
        reason, source, sop_instance_uid, series_instance_uid, study_instance_uid,
        received_study_instance_uid, attributes, body_version, body, recorded_at)
    SELECT :id, n, :happening_id, :level, :instance_id, :receipt_id, :study_id, :person_id,
        :reason, :source, :sop_instance_uid, :series_instance_uid, :study_instance_uid,
        :received_study_instance_uid, CAST(:attributes AS text[]), :body_version,
        convert_to(concat(CAST(:before AS text), n, CAST(:after AS text)), 'UTF8'),
        :recorded_at
    FROM nextval('coercion_event_position') AS n
)
INSERT INTO coercion_value (event_id, nonce, body) VALUES (:id, :nonce, :personal)
""")
)


def coerced_attributes(
    connection: Connection, uid_domain: str, sop_instance_uid: str
) -> tuple[str, ...]:
    """Keywords of what an instance is given out with otherwise than it came."""
    i, e = t.instance.c, h.coercion_event.c
    undoing = h.happening.alias("undoing")
    query = (
        select(e.attributes)
        .join(t.instance, i.id == e.instance_id)
        .outerjoin(undoing, undoing.c.undoes == e.happening_id)
        .where(i.uid_domain == uid_domain, i.sop_instance_uid == sop_instance_uid)
        .where(is_of_current(), undoing.c.id.is_(None))
        .order_by(e.position)
    )
    found = [name for names in connection.execute(query).scalars() for name in names]
    return tuple(dict.fromkeys(found))


def is_of_current() -> ColumnElement[bool]:
    """Whether an instance's own event is about the arrival that is current."""
    i, e = t.instance.c, h.coercion_event.c
    before_0003 = and_(e.receipt_id.is_(None), e.happening_id == i.happening_id)
    return or_(e.receipt_id == i.receipt_id, before_0003)


def _plain(value: Any) -> Any:
    """A column's value as canonical JSON can say it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
