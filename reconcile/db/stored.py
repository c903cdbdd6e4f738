"""Studies, series, instances and receipts: the UID map, and what is kept of an arrival."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.core.attributes import Change, listed
from reconcile.core.facts import StudyFacts
from reconcile.db import tables as t
from reconcile.db.database import TryAgain, inserted, lock
from reconcile.db.ids import uuid7

_map, _study, _series = t.uid_map.c, t.study.c, t.series.c


@dataclass(frozen=True, slots=True)
class Receipt:
    """An arrival: what came, how, from whom, and where its bytes are.

    `segment` is the storage's; empty: a file of its own, named by the digest.
    """

    uid_domain: str
    sop_instance_uid: str
    digest: str
    length: int
    transfer_syntax_uid: str
    text_charset: str
    source: str
    peer_address: str
    association: str
    received_at: datetime
    segment: str = ""
    segment_offset: int = 0
    file_meta: bytes = b""


# -- Studies ------------------------------------------------------------------------


def assigned_study_uid(connection: Connection, uid_domain: str, received_uid: str) -> str:
    """What a Study UID is given out as; empty where it is not known.

    An assigned UID stands for itself: whoever was told it may send under it.
    """
    mapped = select(_map.assigned_uid).where(
        _map.uid_domain == uid_domain,
        _map.level == "study",
        _map.received_uid == received_uid,
        func.upper_inf(_map.valid),
    )
    if found := connection.execute(mapped).scalar():
        return str(found)
    own = select(_study.study_instance_uid).where(
        _study.uid_domain == uid_domain, _study.study_instance_uid == received_uid
    )
    return str(connection.execute(own).scalar() or "")


def study_row(
    connection: Connection, uid_domain: str, assigned_uid: str
) -> Row[Any] | None:
    """The study that is given out under a UID, locked against change until commit."""
    query = select(t.study).where(
        _study.uid_domain == uid_domain, _study.study_instance_uid == assigned_uid
    )
    return connection.execute(query.with_for_update(read=True)).first()


def study_facts(connection: Connection, study: Row[Any]) -> StudyFacts:
    """What a decision may know of a study."""
    live = func.upper_inf(t.identity_link.c.recorded)
    link = and_(t.identity_link.c.identity_id == _series.identity_id, live)
    persons = (
        select(t.person.c.canonical_id)
        .distinct()
        .select_from(t.series)
        .join(t.identity_link, link)
        .join(t.person, t.person.c.id == t.identity_link.c.person_id)
        .where(_series.study_id == study.id, _series.held.is_(None))
    )
    orders = select(t.study_order.c.order_id).where(
        t.study_order.c.study_id == study.id, func.upper_inf(t.study_order.c.recorded)
    )
    return StudyFacts(
        str(study.id),
        study.study_instance_uid,
        study.revision,
        frozenset(str(p) for p in connection.execute(persons).scalars()),
        frozenset(str(o) for o in connection.execute(orders).scalars()),
    )


def map_study(
    connection: Connection,
    *,
    uid_domain: str,
    received_uid: str,
    assigned_uid: str,
    rule: str,
    happening_id: UUID,
) -> None:
    """Map a received Study UID, once; a map that stands is left alone."""
    row = {
        "uid_domain": uid_domain,
        "received_uid": received_uid,
        "assigned_uid": assigned_uid,
    }
    made = upsert(t.uid_map).values(
        id=uuid7(), level="study", scope="", rule=rule, happening_id=happening_id, **row
    )
    if inserted(connection, made, _map.id):
        return
    if assigned_study_uid(connection, uid_domain, received_uid) != assigned_uid:
        raise TryAgain


def make_study(
    connection: Connection, *, uid_domain: str, assigned_uid: str, happening_id: UUID
) -> Row[Any]:
    """The study given out under a UID, made if it is new; held against change.

    Raises:
        TryAgain: somebody else has just made it, and has not committed.
    """
    made = upsert(t.study).values(
        id=uuid7(),
        uid_domain=uid_domain,
        study_instance_uid=assigned_uid,
        happening_id=happening_id,
    )
    connection.execute(made.on_conflict_do_nothing())
    found = study_row(connection, uid_domain, assigned_uid)
    if found is None:
        raise TryAgain
    return found


def link_order(
    connection: Connection,
    study_id: UUID,
    order_id: UUID,
    procedure_id: UUID | None,
    happening_id: UUID,
) -> None:
    """Link a study to an order; a link that stands is left alone."""
    made = upsert(t.study_order).values(
        id=uuid7(),
        study_id=study_id,
        order_id=order_id,
        procedure_id=procedure_id,
        happening_id=happening_id,
    )
    connection.execute(made.on_conflict_do_nothing())


def linked_procedure(connection: Connection, study_id: UUID) -> str:
    """The one requested procedure that a study answers; empty if it is not one."""
    link = t.study_order.c
    query = select(link.procedure_id).where(
        link.study_id == study_id,
        link.procedure_id.is_not(None),
        func.upper_inf(link.recorded),
    )
    found = connection.execute(query).scalars().all()
    return str(found[0]) if len(found) == 1 else ""


def refused_rules(connection: Connection, subject: str) -> frozenset[str]:
    """Rules that were undone for a subject, and may not act on it again."""
    refusal = t.refusal.c
    query = select(refusal.rule).where(
        refusal.subject == subject, func.upper_inf(refusal.valid)
    )
    return frozenset(connection.execute(query).scalars())


def held_id(connection: Connection, study_id: UUID) -> str:
    """The Patient ID in domain H of a study's held part, minted once."""
    value = f"H{str(study_id).replace('-', '')[-12:].upper()}"
    keep = update(t.study).where(_study.id == study_id, _study.held_id.is_(None))
    connection.execute(keep.values(held_id=value))
    query = select(_study.held_id).where(_study.id == study_id)
    return str(connection.execute(query).scalar_one())


# -- Series -------------------------------------------------------------------------


def series_row(
    connection: Connection,
    study_id: UUID,
    received_uid: str,
    identity_id: UUID | None,
    held: str | None,
) -> Row[Any] | None:
    """The series of a study that came under this UID and identity."""
    query = select(t.series).where(
        _series.study_id == study_id,
        _series.received_series_instance_uid == received_uid,
        _series.identity_id.is_not_distinct_from(identity_id),
        _series.held.is_not_distinct_from(held),
    )
    return connection.execute(query).first()


def series_uid_taken(connection: Connection, uid_domain: str, uid: str) -> bool:
    """Whether a Series UID is already given out."""
    query = select(_series.id).where(
        _series.uid_domain == uid_domain, _series.series_instance_uid == uid
    )
    return connection.execute(query).first() is not None


def make_series(
    connection: Connection,
    *,
    study_id: UUID,
    uid_domain: str,
    received_uid: str,
    identity_id: UUID | None,
    held: str | None,
    new_uid: str,
    happening_id: UUID,
) -> Row[Any]:
    """The series of a study, made if it is new; a taken UID is replaced by `new_uid`.

    Raises:
        TryAgain: somebody else has just made it, and has not committed.
    """
    known = series_row(connection, study_id, received_uid, identity_id, held)
    if known is not None:
        return known
    taken = series_uid_taken(connection, uid_domain, received_uid)
    if taken:  # whoever names it waits until it has its UID
        lock(connection, [("series", uid_domain, received_uid)], shared=False)
    made = upsert(t.series).values(
        id=uuid7(),
        study_id=study_id,
        uid_domain=uid_domain,
        received_series_instance_uid=received_uid,
        series_instance_uid=new_uid if taken else received_uid,
        identity_id=identity_id,
        held=held,
        happening_id=happening_id,
    )
    connection.execute(made.on_conflict_do_nothing())
    found = series_row(connection, study_id, received_uid, identity_id, held)
    if found is None:
        raise TryAgain
    return found


# -- Instances ----------------------------------------------------------------------


def receipts(
    connection: Connection, uid_domain: str, sop_instance_uid: str
) -> tuple[str, frozenset[str]]:
    """(digest of what is given out now, digests of all that ever came) of an instance."""
    r, i = t.receipt.c, t.instance.c
    query = (
        select(r.digest, i.id.is_not(None).label("current"))
        .select_from(t.receipt)
        .outerjoin(t.instance, i.receipt_id == r.id)
        .where(r.sop_instance_uid == sop_instance_uid, r.uid_domain == uid_domain)
    )
    rows = connection.execute(query).all()
    current = next((row.digest.hex() for row in rows if row.current), "")
    return current, frozenset(row.digest.hex() for row in rows)


def keep_receipt(connection: Connection, receipt: Receipt, outcome: str) -> UUID:
    """Remember an arrival; none is ever dropped."""
    receipt_id = uuid7()
    connection.execute(
        insert(t.receipt).values(
            id=receipt_id,
            uid_domain=receipt.uid_domain,
            sop_instance_uid=receipt.sop_instance_uid,
            digest=bytes.fromhex(receipt.digest),
            length=receipt.length,
            transfer_syntax_uid=receipt.transfer_syntax_uid,
            text_charset=receipt.text_charset,
            file_meta=receipt.file_meta,
            source=receipt.source,
            peer_address=receipt.peer_address,
            association=receipt.association,
            outcome=outcome,
            received_at=receipt.received_at,
            segment=receipt.segment or None,
            segment_offset=receipt.segment_offset if receipt.segment else None,
        )
    )
    return receipt_id


def keep_instance(
    connection: Connection,
    *,
    receipt: Receipt,
    receipt_id: UUID,
    sop_class_uid: str,
    series_id: UUID | None,
    revision: int,
    hidden: bool,
    assignment_id: UUID | None,
    coerced_at: datetime | None,
    happening_id: UUID,
) -> UUID:
    """Remember an instance that is new; `hidden`: not given out until a person decides.

    Raises:
        TryAgain: the same SOP Instance UID has just been stored by somebody else.
    """
    instance_id = uuid7()
    made = upsert(t.instance).values(
        id=instance_id,
        uid_domain=receipt.uid_domain,
        sop_instance_uid=receipt.sop_instance_uid,
        sop_class_uid=sop_class_uid,
        series_id=series_id,
        receipt_id=receipt_id,
        stored_revision=revision,
        hidden=hidden,
        assignment_id=assignment_id,
        coerced_at=coerced_at,
        happening_id=happening_id,
    )
    if not inserted(connection, made, t.instance.c.id):
        raise TryAgain
    return instance_id


def assignment(
    connection: Connection,
    *,
    assigns: Iterable[Change],
    modifying_system: str,
    source: str,
    reason: str,
) -> UUID:
    """What instances are given out with; those that are decided alike share it.

    Raises:
        TryAgain: somebody else has just made it, and has not committed.
    """
    changes = [listed(change) for change in assigns]
    said = {"modifying_system": modifying_system, "source": source, "reason": reason}
    canonical = json.dumps([changes, said], sort_keys=True, ensure_ascii=False).encode()
    digest = hashlib.sha256(canonical).digest()
    query = select(t.assignment.c.id).where(t.assignment.c.digest == digest)
    known = connection.execute(query).scalar()
    if known is not None:
        return UUID(str(known))
    made = upsert(t.assignment).values(id=uuid7(), digest=digest, assigns=changes, **said)
    if not inserted(connection, made, t.assignment.c.id):
        raise TryAgain
    return UUID(str(connection.execute(query).scalar_one()))
