"""Rows of a group of instances that follow precedents: a few statements for all of them.

What instances that were decided alike have in common was looked up when the first of
them was stored. It still holds if the revision of their study does: whoever changes a
person, an order or a domain raises it, under the lock of the study's row. So the studies
of a group are held FOR SHARE from the question until its commit, and what belongs to a
study that has moved on is decided again by itself.

Statements are SQL as it is: building them by expressions costs more than running them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from reconcile.core.audit import BODY_VERSION
from reconcile.db.events import Happening

Connection = psycopg.Connection[tuple[Any, ...]]

_HOLD_STUDIES = "SELECT id, revision FROM study WHERE id = ANY(%s) ORDER BY id FOR SHARE"
_TAKEN = """
SELECT uid_domain, sop_instance_uid FROM receipt WHERE sop_instance_uid = ANY(%s)
"""
_POSITIONS = """
SELECT nextval('coercion_event_position') FROM generate_series(1, %s)
"""
_RECORD = """
WITH m AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s) AS m (
        receipt uuid, instance uuid, event uuid, uid text, digest text, length bigint,
        segment text, segment_offset bigint, file_meta text, peer text, association text,
        happening uuid, position bigint, body text, nonce text, personal text, p int)
), p AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s) AS p (
        p int, uid_domain text, sop_class text, syntax text, charset text, source text,
        outcome text, series uuid, assignment uuid, hidden boolean, revision int,
        study uuid, person uuid, series_uid text, study_uid text, received_study text,
        attributes text[])
), at AS (
    SELECT %s::timestamptz AS at
), r AS (
    INSERT INTO receipt (
        id, uid_domain, sop_instance_uid, digest, length, transfer_syntax_uid,
        text_charset, file_meta, source, peer_address, association, outcome, received_at,
        segment, segment_offset)
    SELECT receipt, uid_domain, uid, decode(digest, 'hex'), length, syntax,
        charset, decode(file_meta, 'hex'), source, peer, association, outcome, at,
        segment, segment_offset
    FROM m JOIN p USING (p), at
), i AS (
    INSERT INTO instance (
        id, uid_domain, sop_instance_uid, sop_class_uid, series_id, receipt_id,
        assignment_id, coerced_at, hidden, stored_revision, happening_id)
    SELECT instance, uid_domain, uid, sop_class, series, receipt,
        assignment, CASE WHEN event IS NOT NULL THEN at END, hidden, revision, happening
    FROM m JOIN p USING (p), at
), e AS (
    INSERT INTO coercion_event (
        id, position, happening_id, level, instance_id, receipt_id, study_id, person_id,
        reason, source, sop_instance_uid, series_instance_uid, study_instance_uid,
        received_study_instance_uid, attributes, body_version, body, recorded_at)
    SELECT event, position, happening, 'instance', instance, receipt, study, person,
        'COERCE', source, uid, series_uid, study_uid,
        received_study, attributes, %s, convert_to(body, 'UTF8'), at
    FROM m JOIN p USING (p), at WHERE event IS NOT NULL
)
INSERT INTO coercion_value (event_id, nonce, body)
SELECT event, decode(nonce, 'hex'), convert_to(personal, 'UTF8')
FROM m WHERE event IS NOT NULL
"""
_HAPPEN = """
INSERT INTO happening (
    id, cause, cause_id, rule, rung, configuration_digest, actor, explanation, recorded_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_ADD_TO_ITEMS = """
INSERT INTO hold_instance (hold_id, receipt_id)
SELECT * FROM unnest(%s::uuid[], %s::uuid[])
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What the registry says before a group is recorded, and holds until its commit.

    Attributes:
        revisions: of the studies that were asked for.
        taken: (UID domain, SOP Instance UID) that came before.
        positions: new ones, ascending.
    """

    revisions: Mapping[UUID, int]
    taken: Collection[tuple[str, str]]
    positions: Sequence[int]


@dataclass(frozen=True, slots=True)
class Common:
    """What the rows of instances that were decided alike have in common."""

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
    study_uid: str
    series_uid: str
    received_study_uid: str
    attributes: tuple[str, ...]
    item_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """The audit row of one of them; ids and the nonce in hex, bodies as stored."""

    id: str
    position: int
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


def ask(
    connection: Connection,
    *,
    studies: Collection[UUID],
    sop_instance_uids: Collection[str],
    positions: int,
) -> Known:
    """What is known of a group; its studies are held until the transaction ends."""
    with connection.pipeline():
        held = connection.execute(_HOLD_STUDIES, [sorted(studies)])
        taken = connection.execute(_TAKEN, [list(sop_instance_uids)])
        numbers = connection.execute(_POSITIONS, [positions])
    return Known(
        dict(held.fetchall()),
        frozenset(taken.fetchall()),
        [row[0] for row in numbers],
    )


def record(
    connection: Connection,
    happenings: Sequence[tuple[UUID, Happening]],
    members: Sequence[Member],
    now: datetime,
) -> None:
    """Write the rows of a group, with the happenings that are new."""
    commons = {id(member.common): member.common for member in members}
    numbers = {key: number for number, key in enumerate(commons)}
    rows = [_row(member, numbers[id(member.common)]) for member in members]
    shared = [_shared(common, number) for number, common in enumerate(commons.values())]
    items = list(_items(members))
    with connection.pipeline():
        for happening_id, happening in happenings:
            connection.execute(_HAPPEN, _told(happening_id, happening))
        connection.execute(
            _RECORD, [json.dumps(rows), json.dumps(shared), now, BODY_VERSION]
        )
        if items:
            ids, receipts = zip(*items, strict=True)
            connection.execute(_ADD_TO_ITEMS, [list(ids), list(receipts)])


def _told(happening_id: UUID, happening: Happening) -> list[Any]:
    return [
        happening_id,
        happening.cause,
        happening.cause_id,
        happening.rule,
        happening.rung,
        happening.configuration_digest,
        happening.actor,
        json.dumps(dict(happening.explanation)),
        happening.recorded_at,
    ]


def _row(member: Member, number: int) -> dict[str, Any]:
    row = {
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
        "p": number,
    }
    event = member.event
    if event is not None:
        row |= {
            "event": event.id,
            "position": event.position,
            "body": event.body,
            "nonce": event.nonce,
            "personal": event.personal,
        }
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
        "revision": common.revision,
        "study": common.study_id.hex,
        "person": common.person_id.hex if common.person_id else None,
        "series_uid": common.series_uid,
        "study_uid": common.study_uid,
        "received_study": common.received_study_uid,
        "attributes": common.attributes,
    }


def _items(members: Sequence[Member]) -> Iterator[tuple[UUID, str]]:
    for member in members:
        for item_id in member.common.item_ids:
            yield item_id, member.receipt_id
