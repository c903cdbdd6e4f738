"""Happenings and coercion events, written; the history is only added to."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
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
    return _write(connection, _RECORD, columns, values)


def _write(
    connection: Connection, statement: Prepared, columns: dict[str, Any], values: Values
) -> UUID:
    event_id, nonce, personal = uuid7(), secrets.token_bytes(16), values.body()
    fields = {name: _plain(value) for name, value in columns.items()}
    body = event_body({"id": str(event_id), "position": 0, **fields}, nonce, personal)
    before, after = around_position(body.decode())
    statement(
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


def record_study(connection: Connection, event: StudyEvent, values: Values) -> UUID:
    """Write the audit row of a coercion of a study, under the lock of the study.

    Of whom the previous values are differs from instance to instance, and is not said.
    """
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
    return _write(connection, _RECORD_STUDY, columns, values)


def around_position(body: str) -> tuple[str, str]:
    """The canonical bytes of an event before and after its position, said there as 0.

    It is given its position when it is recorded, under the lock of its study.
    """
    before, after = body.split('"position":0,')
    return f'{before}"position":', f",{after}"


def _record(*columns: str) -> Prepared:
    """What writes an event with these columns, beside those that each has."""
    names, given = ", ".join(columns), ", ".join(f":{name}" for name in columns)
    return Prepared(
        lambda: text(f"""
WITH e AS (
    INSERT INTO coercion_event (
        id, position, {names}, attributes, body_version, body, recorded_at)
    SELECT :id, n, {given}, CAST(:attributes AS text[]), :body_version,
        convert_to(concat(CAST(:before AS text), n, CAST(:after AS text)), 'UTF8'),
        :recorded_at
    FROM nextval('coercion_event_position') AS n
)
INSERT INTO coercion_value (event_id, nonce, body) VALUES (:id, :nonce, :personal)
""")  # noqa: S608 - columns of this module
    )


_OF_ALL = (
    "happening_id",
    "level",
    "study_id",
    "person_id",
    "reason",
    "source",
    "study_instance_uid",
    "received_study_instance_uid",
)
_RECORD = _record(
    *_OF_ALL, "instance_id", "receipt_id", "sop_instance_uid", "series_instance_uid"
)
_RECORD_STUDY = _record(*_OF_ALL, "revision")


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
