"""Studies, series, instances and receipts: the UID map, and what is kept of an arrival."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    func,
    select,
    update,
)

from reconcile.core.attributes import Change, listed
from reconcile.core.facts import StudyFacts
from reconcile.db import tables as t
from reconcile.db.database import TryAgain, lock
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared, is_in, new_row, new_unless_there

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
    found = _ASSIGNED.first(connection, uid_domain=uid_domain, received_uid=received_uid)
    return str(found[0] or "")


def _assigned() -> Select[Any]:
    domain = bindparam("uid_domain", type_=Text)
    uid = bindparam("received_uid", type_=Text)
    mapped = select(_map.assigned_uid).where(
        _map.uid_domain == domain,
        _map.level == "study",
        _map.received_uid == uid,
        func.upper_inf(_map.valid),
    )
    own = select(_study.study_instance_uid).where(
        _study.uid_domain == domain, _study.study_instance_uid == uid
    )
    return select(func.coalesce(mapped.scalar_subquery(), own.scalar_subquery()))


_ASSIGNED = Prepared(_assigned)


def study_row(connection: Connection, uid_domain: str, assigned_uid: str) -> Any:
    """The study that is given out under a UID, held until commit.

    Nobody changes it meanwhile, and nobody else decides for it: who comes second may
    have to raise its revision.
    """
    return _STUDY.first(connection, uid_domain=uid_domain, assigned_uid=assigned_uid)


_STUDY = Prepared(
    lambda: (
        select(t.study)
        .where(
            _study.uid_domain == bindparam("uid_domain"),
            _study.study_instance_uid == bindparam("assigned_uid"),
        )
        .with_for_update(key_share=True)
    )
)


def study_facts(connection: Connection, study: Any) -> StudyFacts:
    """What a decision may know of a study."""
    return StudyFacts(
        str(study.id),
        study.study_instance_uid,
        study.revision,
        frozenset(str(p) for (p,) in _PERSONS_OF(connection, study_id=study.id)),
        frozenset(str(o) for (o,) in _ORDERS_OF(connection, study_id=study.id)),
    )


def _persons_of() -> Select[Any]:
    live = func.upper_inf(t.identity_link.c.recorded)
    link = and_(t.identity_link.c.identity_id == _series.identity_id, live)
    return (
        select(t.person.c.canonical_id)
        .distinct()
        .select_from(t.series)
        .join(t.identity_link, link)
        .join(t.person, t.person.c.id == t.identity_link.c.person_id)
        .where(_series.study_id == bindparam("study_id"), _series.held.is_(None))
    )


_PERSONS_OF = Prepared(_persons_of)
_ORDERS_OF = Prepared(
    lambda: select(t.study_order.c.order_id).where(
        t.study_order.c.study_id == bindparam("study_id"),
        func.upper_inf(t.study_order.c.recorded),
    )
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
    made = _MAP_STUDY.first(
        connection,
        id=uuid7(),
        uid_domain=uid_domain,
        received_uid=received_uid,
        assigned_uid=assigned_uid,
        rule=rule,
        happening_id=happening_id,
    )
    if made:
        return
    if assigned_study_uid(connection, uid_domain, received_uid) != assigned_uid:
        raise TryAgain


_MAP_STUDY = Prepared(
    lambda: new_unless_there(
        t.uid_map,
        "id uid_domain received_uid assigned_uid rule happening_id",
        _map.id,
        level="study",
        scope="",
    )
)


def make_study(
    connection: Connection, *, uid_domain: str, assigned_uid: str, happening_id: UUID
) -> Any:
    """The study given out under a UID, made if it is new; held against change.

    Raises:
        TryAgain: somebody else has just made it, and has not committed.
    """
    new = _MAKE_STUDY.first(
        connection,
        id=uuid7(),
        uid_domain=uid_domain,
        study_instance_uid=assigned_uid,
        happening_id=happening_id,
    )
    found = new or study_row(connection, uid_domain, assigned_uid)
    if found is None:
        raise TryAgain
    return found


_MAKE_STUDY = Prepared(
    lambda: new_unless_there(
        t.study, "id uid_domain study_instance_uid happening_id", *t.study.c
    )
)


def link_order(
    connection: Connection,
    study_id: UUID,
    order_id: UUID,
    procedure_id: UUID | None,
    happening_id: UUID,
) -> None:
    """Link a study to an order; a link that stands is left alone."""
    _LINK_ORDER(
        connection,
        id=uuid7(),
        study_id=study_id,
        order_id=order_id,
        procedure_id=procedure_id,
        happening_id=happening_id,
    )


_LINK_ORDER = Prepared(
    lambda: new_unless_there(
        t.study_order,
        "id study_id order_id procedure_id happening_id",
        t.study_order.c.id,
    )
)


def linked_procedure(connection: Connection, study_id: UUID) -> str:
    """The one requested procedure that a study answers; empty if it is not one."""
    found = _LINKED_PROCEDURES(connection, study_id=study_id).fetchall()
    return str(found[0][0]) if len(found) == 1 else ""


_LINKED_PROCEDURES = Prepared(
    lambda: select(t.study_order.c.procedure_id).where(
        t.study_order.c.study_id == bindparam("study_id"),
        t.study_order.c.procedure_id.is_not(None),
        func.upper_inf(t.study_order.c.recorded),
    )
)


def refused_rules(connection: Connection, subject: str) -> frozenset[str]:
    """Rules that were undone for a subject, and may not act on it again."""
    return frozenset(rule for (rule,) in _REFUSED(connection, subject=subject))


_REFUSED = Prepared(
    lambda: select(t.refusal.c.rule).where(
        t.refusal.c.subject == bindparam("subject"), func.upper_inf(t.refusal.c.valid)
    )
)


def held_id(connection: Connection, study_id: UUID) -> str:
    """The Patient ID in domain H of a study's held part, minted once."""
    found = _HELD_ID.first(connection, study_id=study_id)
    if found and found[0]:
        return str(found[0])
    value = f"H{str(study_id).replace('-', '')[-12:].upper()}"
    keep = update(t.study).where(_study.id == study_id, _study.held_id.is_(None))
    connection.execute(keep.values(held_id=value))
    return value


_HELD_ID = Prepared(
    lambda: select(_study.held_id).where(_study.id == bindparam("study_id"))
)


# -- Series -------------------------------------------------------------------------


def series_row(
    connection: Connection,
    study_id: UUID,
    received_uid: str,
    identity_id: UUID | None,
    held: str | None,
) -> Any:
    """The series of a study that came under this UID and identity."""
    return _SERIES.first(
        connection,
        study_id=study_id,
        received_uid=received_uid,
        identity_id=identity_id,
        held=held,
    )


_SERIES = Prepared(
    lambda: select(t.series).where(
        _series.study_id == bindparam("study_id"),
        _series.received_series_instance_uid == bindparam("received_uid"),
        _series.identity_id.is_not_distinct_from(bindparam("identity_id")),
        _series.held.is_not_distinct_from(bindparam("held")),
    )
)


def series_uid_taken(connection: Connection, uid_domain: str, uid: str) -> bool:
    """Whether a Series UID is already given out."""
    return _SERIES_UID.first(connection, uid_domain=uid_domain, uid=uid) is not None


_SERIES_UID = Prepared(
    lambda: select(_series.id).where(
        _series.uid_domain == bindparam("uid_domain"),
        _series.series_instance_uid == bindparam("uid"),
    )
)


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
) -> Any:
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
    new = _MAKE_SERIES.first(
        connection,
        id=uuid7(),
        study_id=study_id,
        uid_domain=uid_domain,
        received_series_instance_uid=received_uid,
        series_instance_uid=new_uid if taken else received_uid,
        identity_id=identity_id,
        held=held,
        happening_id=happening_id,
    )
    found = new or series_row(connection, study_id, received_uid, identity_id, held)
    if found is None:
        raise TryAgain
    return found


_MAKE_SERIES = Prepared(
    lambda: new_unless_there(
        t.series,
        "id study_id uid_domain received_series_instance_uid series_instance_uid"
        " identity_id held happening_id",
        *t.series.c,
    )
)


# -- Instances ----------------------------------------------------------------------


def receipts(
    connection: Connection, uid_domain: str, sop_instance_uid: str
) -> tuple[str, frozenset[str]]:
    """(digest of what is given out now, digests of all that ever came) of an instance."""
    rows = _RECEIPTS(connection, uid_domain=uid_domain, uid=sop_instance_uid).fetchall()
    current = next((row.digest.hex() for row in rows if row.current), "")
    return current, frozenset(row.digest.hex() for row in rows)


def _receipts() -> Select[Any]:
    r, i = t.receipt.c, t.instance.c
    same = (i.sop_instance_uid == r.sop_instance_uid) & (i.uid_domain == r.uid_domain)
    current = (i.receipt_id == r.id).label("current")
    return (
        select(r.digest, current)
        .select_from(t.receipt)
        .outerjoin(t.instance, same)
        .where(
            r.sop_instance_uid == bindparam("uid"), r.uid_domain == bindparam("uid_domain")
        )
    )


_RECEIPTS = Prepared(_receipts)


def locations(connection: Connection, digests: Iterable[str]) -> list[tuple[str, str, int]]:
    """(digest, segment, offset in it) of every place that receipts of them tell."""
    raw = [bytes.fromhex(digest) for digest in digests]
    return [(d.hex(), s or "", at or 0) for d, s, at in _LOCATIONS(connection, digests=raw)]


_LOCATIONS = Prepared(
    lambda: (
        select(t.receipt.c.digest, t.receipt.c.segment, t.receipt.c.segment_offset)
        .distinct()
        .where(is_in(t.receipt.c.digest, "digests"))
    )
)


def keep_receipt(connection: Connection, receipt: Receipt, outcome: str) -> UUID:
    """Remember an arrival; none is ever dropped."""
    receipt_id = uuid7()
    _KEEP_RECEIPT(
        connection,
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
    return receipt_id


_KEEP_RECEIPT = Prepared(
    lambda: new_row(
        t.receipt,
        "id uid_domain sop_instance_uid digest length transfer_syntax_uid text_charset"
        " file_meta source peer_address association outcome received_at segment"
        " segment_offset",
    )
)


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
    new = _KEEP_INSTANCE.first(
        connection,
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
    if not new:
        raise TryAgain
    return instance_id


_KEEP_INSTANCE = Prepared(
    lambda: new_unless_there(
        t.instance,
        "id uid_domain sop_instance_uid sop_class_uid series_id receipt_id stored_revision"
        " hidden assignment_id coerced_at happening_id",
        t.instance.c.id,
    )
)


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
    known = _ASSIGNMENT.first(connection, digest=digest)
    if known is None:
        known = _MAKE_ASSIGNMENT.first(
            connection, id=uuid7(), digest=digest, assigns=changes, **said
        )
    if known is None:
        raise TryAgain
    return UUID(str(known[0]))


_ASSIGNMENT = Prepared(
    lambda: select(t.assignment.c.id).where(t.assignment.c.digest == bindparam("digest"))
)
_MAKE_ASSIGNMENT = Prepared(
    lambda: new_unless_there(
        t.assignment,
        "id digest assigns modifying_system source reason",
        t.assignment.c.id,
    )
)
