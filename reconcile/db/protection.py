"""Which patients are protected: seen only by who may, as their hospital asked (PD1-12).

It is said of an identity; a person is protected while one of theirs is, through merges.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from sqlalchemy import Connection, Select, Table, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from reconcile.core.identity import PatientIdentifier
from reconcile.db import tables as t
from reconcile.db.ids import uuid7
from reconcile.db.tables import ended, happened, identifier, metadata, recorded, refers
from reconcile.db.views import instances_named, series_named, studies_named

protection = Table(
    "protection",
    metadata,
    identifier(),
    refers("identity_id", "identity"),
    recorded(),
    happened(),
    ended(),
    # Said once at a time; who says it again changes nothing.
    ExcludeConstraint(
        ("identity_id", "="),
        ("recorded", "&&"),
        using="gist",
        name="ex_protection_identity",
    ),
)
_p, _i, _l = protection.c, t.identity.c, t.identity_link.c


def say(
    connection: Connection, identity_id: UUID, protected: bool, happening_id: UUID
) -> bool:
    """Let an identity be protected, or no longer; whether that is news."""
    stands = (_p.identity_id == identity_id) & func.upper_inf(_p.recorded)
    is_so = connection.execute(select(_p.id).where(stands)).first() is not None
    if is_so == protected:
        return False
    if protected:
        row = {"id": uuid7(), "identity_id": identity_id, "happening_id": happening_id}
        connection.execute(insert(protection).values(**row))
    else:
        until = func.tstzrange(func.lower(_p.recorded), func.clock_timestamp())
        closing = update(protection).where(stands)
        connection.execute(closing.values(recorded=until, ended_by=happening_id))
    return True


def identities(connection: Connection, root_id: UUID) -> list[UUID]:
    """The identities of a person, and of all who were merged into them."""
    query = (
        select(_l.identity_id)
        .join(t.person, t.person.c.id == _l.person_id)
        .where(t.person.c.canonical_id == root_id, func.upper_inf(_l.recorded))
        .order_by(_l.identity_id)
    )
    return list(connection.execute(query).scalars())


def persons(connection: Connection, person_ids: Collection[UUID]) -> set[UUID]:
    """Those of some persons who are protected, through merges."""
    if not person_ids:
        return set()
    query = select(t.person.c.id).where(
        t.person.c.id.in_(list(person_ids)), t.person.c.canonical_id.in_(_roots())
    )
    return set(connection.execute(query).scalars())


def identifiers(
    connection: Connection, named: Iterable[PatientIdentifier]
) -> set[PatientIdentifier]:
    """Those of some identifiers whose owner is protected."""
    wanted = {(each.domain, each.value): each for each in named}
    if not wanted:
        return set()
    query = (
        select(_i.domain, _i.id_norm)
        .join(t.identity_link, _l.identity_id == _i.id)
        .join(t.person, t.person.c.id == _l.person_id)
        .where(
            tuple_(_i.domain, _i.id_norm).in_(list(wanted)),
            func.upper_inf(_i.valid),
            func.upper_inf(_l.recorded),
            t.person.c.canonical_id.in_(_roots()),
        )
    )
    return {wanted[row.domain, row.id_norm] for row in connection.execute(query)}


def studies(connection: Connection, uids: Collection[str]) -> set[str]:
    """Those of some studies, by assigned UID, with a series of somebody protected."""
    if not uids:
        return set()
    s = t.series.c
    query = (
        select(t.study.c.study_instance_uid)
        .join(t.series, s.study_id == t.study.c.id)
        .join(
            t.identity_link,
            or_(_l.identity_id == s.identity_id, _l.identity_id == s.filed_identity_id),
        )
        .join(t.person, t.person.c.id == _l.person_id)
        .where(
            t.study.c.study_instance_uid.in_(list(uids)),
            func.upper_inf(_l.recorded),
            t.person.c.canonical_id.in_(_roots()),
        )
    )
    return set(connection.execute(query).scalars())


def _roots() -> Select[tuple[UUID]]:
    """Who survived for each person that has a protected identity; few."""
    return (
        select(t.person.c.canonical_id)
        .join(t.identity_link, _l.person_id == t.person.c.id)
        .join(protection, _p.identity_id == _l.identity_id)
        .where(func.upper_inf(_l.recorded), func.upper_inf(_p.recorded))
    )


def is_named(connection: Connection, uid: str) -> bool:
    """Whether a Study, Series or SOP Instance UID means anything of somebody protected.

    Received, assigned and alias UIDs alike, those that once meant it too.
    """
    i, s = t.instance.c, t.series.c
    within = (
        select(s.study_id)
        .join(t.instance, i.series_id == s.id)
        .where(i.id.in_(instances_named(uid)))
    )
    query = select(t.study.c.study_instance_uid).where(
        or_(
            t.study.c.id.in_(studies_named(uid, ever=True)),
            t.study.c.id.in_(select(s.study_id).where(s.id.in_(series_named(uid)))),
            t.study.c.id.in_(within),
        )
    )
    found = connection.execute(query).scalars().all()
    return bool(studies(connection, found))
