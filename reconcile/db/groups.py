"""Rows of a group of instances that follow precedents: one statement for all of them.

What instances that were decided alike have in common was looked up when the first of
them was stored. It still holds if the revision of their study does: whoever changes a
person, an order or a domain raises it, under the lock of the study's row. So one
statement, which is a transaction of its own, holds the studies of a group FOR SHARE and
records what still belongs to the revision that was seen, and is not here yet. Nothing
else is recorded, and is decided by itself.

Statements are SQL as it is: building them by expressions costs more than running them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from reconcile.core.audit import BODY_VERSION
from reconcile.db.events import Happening, around_position

Connection = psycopg.Connection[tuple[Any, ...]]

_LOCATIONS = """
SELECT DISTINCT digest, segment, segment_offset FROM receipt WHERE digest = ANY(%s)
"""
_RECORD = """
WITH m AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s) AS m (
        m int, p int, receipt uuid, instance uuid, event uuid, uid text, digest text,
        length bigint, segment text, segment_offset bigint, file_meta text, peer text,
        association text, happening uuid, body_before text, body_after text, nonce text,
        personal text)
), p AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s) AS p (
        p int, uid_domain text, sop_class text, syntax text, charset text, source text,
        outcome text, series uuid, assignment uuid, hidden boolean, untouched boolean,
        revision int,
        study uuid, person uuid, series_uid text, study_uid text, received_study text,
        attributes text[], items uuid[])
), held AS MATERIALIZED (
    SELECT s.id FROM study s WHERE (s.id, s.revision) IN (SELECT study, revision FROM p)
    ORDER BY s.id FOR SHARE
), ok AS MATERIALIZED (
    SELECT m.*, p.*, %s::timestamptz AS at,
        CASE WHEN event IS NOT NULL THEN nextval('coercion_event_position') END AS position
    FROM m JOIN p USING (p) JOIN held ON held.id = p.study
    WHERE NOT EXISTS (
        SELECT FROM receipt r
        WHERE r.sop_instance_uid = m.uid AND r.uid_domain = p.uid_domain)
    AND NOT EXISTS (
        SELECT FROM rejection j
        WHERE j.sop_instance_uid = m.uid AND j.uid_domain = p.uid_domain
        AND upper_inf(j.recorded))
    ORDER BY m.m
), h AS (
    INSERT INTO happening (
        id, cause, cause_id, rule, rung, configuration_digest, actor, explanation,
        recorded_at)
    SELECT id, cause, cause_id, rule, rung, configuration, actor, explanation, at
    FROM json_to_recordset(%s) AS h (
        id uuid, cause text, cause_id text, rule text, rung text, configuration text,
        actor text, explanation jsonb, at timestamptz)
    WHERE id IN (SELECT happening FROM ok)
), r AS (
    INSERT INTO receipt (
        id, uid_domain, sop_instance_uid, digest, length, transfer_syntax_uid,
        text_charset, file_meta, source, peer_address, association, outcome, received_at,
        segment, segment_offset)
    SELECT receipt, uid_domain, uid, decode(digest, 'hex'), length, syntax,
        charset, decode(file_meta, 'hex'), source, peer, association, outcome, at,
        segment, segment_offset
    FROM ok
), i AS (
    INSERT INTO instance (
        id, uid_domain, sop_instance_uid, sop_class_uid, series_id, receipt_id,
        assignment_id, coerced_at, hidden, as_received, stored_revision, happening_id)
    SELECT instance, uid_domain, uid, sop_class, series, receipt,
        assignment, CASE WHEN event IS NOT NULL THEN at END, hidden, untouched, revision,
        happening
    FROM ok
), e AS (
    INSERT INTO coercion_event (
        id, position, happening_id, level, instance_id, receipt_id, study_id, person_id,
        reason, source, sop_instance_uid, series_instance_uid, study_instance_uid,
        received_study_instance_uid, attributes, body_version, body, recorded_at)
    SELECT event, position, happening, 'instance', instance, receipt, study, person,
        'COERCE', source, uid, series_uid, study_uid,
        received_study, attributes, %s,
        convert_to(body_before || position || body_after, 'UTF8'), at
    FROM ok WHERE event IS NOT NULL
), v AS (
    INSERT INTO coercion_value (event_id, nonce, body)
    SELECT event, decode(nonce, 'hex'), convert_to(personal, 'UTF8')
    FROM ok WHERE event IS NOT NULL
), a AS (
    INSERT INTO hold_instance (hold_id, receipt_id)
    SELECT item, receipt FROM ok, unnest(ok.items) AS item
)
SELECT m FROM ok
"""


@dataclass(frozen=True, slots=True)
class Common:
    """What the rows of instances that were decided alike have in common.

    `item_ids` are the open items that each of them is added to.
    """

    uid_domain: str
    sop_class_uid: str
    transfer_syntax_uid: str
    text_charset: str
    source: str
    outcome: str
    study_id: UUID
    revision: int
    series_id: UUID
    person_id: UUID | None
    assignment_id: UUID | None
    hidden: bool
    as_received: bool
    study_uid: str
    series_uid: str
    received_study_uid: str
    attributes: tuple[str, ...]
    item_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """The audit row of one of them; id and nonce in hex, bodies as text.

    `body` says position 0: it is given another when it is recorded.
    """

    id: str
    body: str
    nonce: str
    personal: str


@dataclass(frozen=True, slots=True)
class Member:
    """One instance of a group; `event` is None where nothing of it changes."""

    common: Common
    happening_id: UUID
    receipt_id: str
    instance_id: str
    sop_instance_uid: str
    digest: str
    length: int
    segment: str
    segment_offset: int
    file_meta: bytes
    peer_address: str
    association: str
    event: Event | None


def locations(connection: Connection, digests: Iterable[str]) -> list[tuple[str, str, int]]:
    """(digest, segment, offset in it) of every place that receipts of them tell."""
    raw = [bytes.fromhex(digest) for digest in digests]
    rows = connection.execute(_LOCATIONS, [raw], prepare=True)
    return [(digest.hex(), segment or "", at or 0) for digest, segment, at in rows]


def record(
    connection: Connection,
    happenings: Iterable[tuple[UUID, Happening]],
    members: Sequence[Member],
    now: datetime,
    durable: Callable[[], None],
) -> list[int]:
    """Write the rows of a group and commit; the places of those that are recorded.

    What is left out is here already, or its study has moved on.

    The server works while the bytes become durable: the statement is sent without the
    Sync message that would commit it, which follows when they are.

    Args:
        connection: in autocommit; closed if `durable` raises.
        happenings: those of the members that are new.
        members: no two of one SOP Instance UID.
        now: when all of them are coerced.
        durable: returns once the bytes of the members are, or raises: then nothing is
            recorded.

    Raises:
        psycopg.Error: nothing is recorded, or nobody knows.

    Source:
        PostgreSQL documentation, "Extended Query" (implicit transaction until Sync).
    """
    numbers: dict[int, int] = {}
    shared: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for place, member in enumerate(members):
        number = numbers.setdefault(id(member.common), len(numbers))
        if number == len(shared):
            shared.append(_shared(member.common, number))
        rows.append(_row(member, place, number))
    told = [_told(*each) for each in happenings]
    documents = [json.dumps(rows), json.dumps(shared), now, json.dumps(told)]
    with connection.pipeline():
        done = connection.execute(_RECORD, [*documents, BODY_VERSION], prepare=True)
        try:
            durable()
        except BaseException:
            connection.close()  # leaving the pipeline would commit
            raise
    return [place for (place,) in done.fetchall()]


def _told(happening_id: UUID, happening: Happening) -> dict[str, Any]:
    return {
        "id": happening_id.hex,
        "cause": happening.cause,
        "cause_id": happening.cause_id,
        "rule": happening.rule,
        "rung": happening.rung,
        "configuration": happening.configuration_digest,
        "actor": happening.actor,
        "explanation": dict(happening.explanation),
        "at": happening.recorded_at.isoformat(),
    }


def _row(member: Member, place: int, number: int) -> dict[str, Any]:
    row = {
        "m": place,
        "p": number,
        "receipt": member.receipt_id,
        "instance": member.instance_id,
        "uid": member.sop_instance_uid,
        "digest": member.digest,
        "length": member.length,
        "segment": member.segment or None,
        "segment_offset": member.segment_offset if member.segment else None,
        "file_meta": member.file_meta.hex(),
        "peer": member.peer_address,
        "association": member.association,
        "happening": member.happening_id.hex,
    }
    event = member.event
    if event is not None:
        row["event"] = event.id
        row["body_before"], row["body_after"] = around_position(event.body)
        row["nonce"], row["personal"] = event.nonce, event.personal
    return row


def _shared(common: Common, number: int) -> dict[str, Any]:
    return {
        "p": number,
        "uid_domain": common.uid_domain,
        "sop_class": common.sop_class_uid,
        "syntax": common.transfer_syntax_uid,
        "charset": common.text_charset,
        "source": common.source,
        "outcome": common.outcome,
        "series": common.series_id.hex,
        "assignment": common.assignment_id.hex if common.assignment_id else None,
        "hidden": common.hidden,
        "untouched": common.as_received,
        "revision": common.revision,
        "study": common.study_id.hex,
        "person": common.person_id.hex if common.person_id else None,
        "series_uid": common.series_uid,
        "study_uid": common.study_uid,
        "received_study": common.received_study_uid,
        "attributes": common.attributes,
        "items": [item_id.hex for item_id in common.item_ids],
    }
