"""Studies and series: the UID map, and which orders they are linked to."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    func,
    select,
    text,
    update,
)

from reconcile.core.facts import StudyFacts
from reconcile.db import tables as t
from reconcile.db.database import TryAgain, lock
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared, new_unless_there

_map, _study, _series = t.uid_map.c, t.study.c, t.series.c

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
    link = and_(t.identity_link.c.identity_id == _series.filed_identity_id, live)
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


def received(connection: Connection, uids: Collection[str]) -> set[str]:
    """Those received Study UIDs that something came under."""
    query = select(_map.received_uid).where(
        _map.received_uid.in_(list(uids)), _map.level == "study", _map.kind == "map"
    )
    return set(connection.execute(query).scalars())


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


def unlink_order(
    connection: Connection, study_id: UUID, order_id: UUID, happening_id: UUID
) -> bool:
    """Link a study to an order no longer; whether it was."""
    link = t.study_order.c
    live = (link.study_id == study_id) & (link.order_id == order_id)
    ended = func.tstzrange(func.lower(link.recorded), func.clock_timestamp())
    change = update(t.study_order).where(live, func.upper_inf(link.recorded))
    change = change.values(recorded=ended, ended_by=happening_id)
    return bool(connection.execute(change).rowcount)


_LINK_ORDER = Prepared(
    lambda: new_unless_there(
        t.study_order,
        "id study_id order_id procedure_id happening_id",
        t.study_order.c.id,
    )
)


def linked_procedure(connection: Connection, study_id: UUID) -> str:
    """The one requested procedure that a study answers; empty if it is not one."""
    found = _LINKED_PROCEDURES(connection, study_id=study_id)
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


class Found(NamedTuple):
    """The series of a study; `awaited`: somebody may have named it, or the study."""

    row: Any
    awaited: bool


def make_series(
    connection: Connection,
    *,
    study_id: UUID,
    uid_domain: str,
    study_uid: str,
    received_uid: str,
    identity_id: UUID | None,
    held: str | None,
    new_uid: str,
    happening_id: UUID,
    filed_identity_id: UUID | None = None,
) -> Found:
    """The series of a study, made if it is new; a taken UID is replaced by `new_uid`.

    `study_uid` is as received, like `received_uid`. It is filed under the identity that
    it was received under, or under `filed_identity_id`.

    Raises:
        TryAgain: somebody else has just made it, and has not committed.
    """
    key = {
        "study_id": study_id,
        "received_uid": received_uid,
        "identity_id": identity_id,
        "held": held,
    }
    known = _SERIES.first(connection, uid_domain=uid_domain, study_uid=study_uid, **key)
    if known.id is not None:
        return Found(known, known.awaited)
    if known.taken:  # whoever names it waits until it has its UID
        lock(connection, [("series", uid_domain, received_uid)], shared=False)
    new = _MAKE_SERIES.first(
        connection,
        id=uuid7(),
        study_id=study_id,
        uid_domain=uid_domain,
        received_series_instance_uid=received_uid,
        series_instance_uid=new_uid if known.taken else received_uid,
        identity_id=identity_id,
        filed_identity_id=filed_identity_id or identity_id,
        held=held,
        happening_id=happening_id,
    )
    if new is not None:
        return Found(new, known.awaited or known.taken)
    again = _SERIES.first(connection, uid_domain=uid_domain, study_uid=study_uid, **key)
    if again.id is None:
        raise TryAgain
    return Found(again, again.awaited)


_SERIES = Prepared(
    lambda: text("""
SELECT s.id, s.series_instance_uid, s.happening_id,
    EXISTS (
        SELECT FROM series o
        WHERE o.series_instance_uid = :received_uid AND o.uid_domain = :uid_domain
    ) AS taken,
    EXISTS (
        SELECT FROM unmet_reference u
        WHERE u.uid IN (:received_uid, :study_uid) AND u.uid_domain = :uid_domain
    ) AS awaited
FROM (SELECT) AS asked LEFT JOIN series s ON s.study_id = :study_id
    AND s.received_series_instance_uid = :received_uid
    AND s.identity_id IS NOT DISTINCT FROM CAST(:identity_id AS uuid)
    AND s.held IS NOT DISTINCT FROM CAST(:held AS text)
ORDER BY s.filed_by NULLS FIRST, s.id LIMIT 1
""")
)
_MAKE_SERIES = Prepared(
    lambda: new_unless_there(
        t.series,
        "id study_id uid_domain received_series_instance_uid series_instance_uid"
        " identity_id filed_identity_id held happening_id",
        _series.id,
        _series.series_instance_uid,
        _series.happening_id,
    )
)
