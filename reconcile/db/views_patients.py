"""Persons as the registry knows them, or knew them at a time.

A person is shown with everybody who was merged into them. The chain is followed through
the edges themselves, since `canonical_id` only caches where it ends today.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select, tuple_

from reconcile.core import attributes as at
from reconcile.core.identity import Demographics, PatientIdentifier
from reconcile.core.survivorship import Said, known_as
from reconcile.core.targets import name_element
from reconcile.db import tables as t
from reconcile.db.links import identifier_link
from reconcile.db.persons import to_said
from reconcile.db.views import uuid_of
from reconcile.errors import NotFound

_link, _edge, _identity = t.identity_link.c, t.merge_edge.c, t.identity.c


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier of a person: "own", or "merged" where it came with a merge."""

    id: str
    issuer: str
    state: str


@dataclass(frozen=True, slots=True)
class Merge:
    """One merge as it was said, closed or not."""

    prior: UUID
    surviving: UUID
    happening: UUID
    recorded_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Link:
    """Two identifiers, as CX, that a sender has linked (A24); it moves nothing."""

    one: str
    other: str
    source: str
    happening: UUID
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class StudyOf:
    """A study that belongs to a person, or has series that do."""

    study_instance_uid: str
    series: int


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the outer face tells of one."""

    id: UUID
    state: str
    identifiers: tuple[Identifier, ...]
    demographics: Mapping[str, Any]
    merged_into: UUID | None
    merges: tuple[Merge, ...]
    links: tuple[Link, ...]
    studies: tuple[StudyOf, ...]


# -- Which persons ------------------------------------------------------------------


def persons_of(identifier: PatientIdentifier) -> Select[Any]:
    """Ids of the person who owns an identifier today, and of all merged into them."""
    owner = (
        select(t.person.c.canonical_id)
        .join(t.identity_link, _link.person_id == t.person.c.id)
        .join(t.identity, _identity.id == _link.identity_id)
        .where(
            _is(identifier), func.upper_inf(_identity.valid), func.upper_inf(_link.recorded)
        )
    )
    return select(t.person.c.id).where(t.person.c.canonical_id.in_(owner))


def by_identifier(
    connection: Connection, identifier: PatientIdentifier, as_of: datetime | None = None
) -> tuple[Person, ...]:
    """The person who owns an identifier, or owned it then; nobody or one."""
    query = (
        select(_link.person_id)
        .join(t.identity, _identity.id == _link.identity_id)
        .where(
            _is(identifier), _holds(_identity.valid, as_of), _holds(_link.recorded, as_of)
        )
    )
    found = connection.execute(query).scalars().all()
    roots = dict.fromkeys(_root(connection, person_id, as_of) for person_id in found)
    return tuple(_person(connection, root, as_of) for root in roots)


def by_id(connection: Connection, person_id: str, as_of: datetime | None = None) -> Person:
    """One person; one who was merged is shown as such, not as the survivor.

    Raises:
        NotFound: there is none of this id, or was none then.
    """
    wanted = uuid_of(person_id)
    if wanted is None:
        raise NotFound("there is no person of this id")
    return _person(connection, wanted, as_of)


def identifiers_of(
    connection: Connection, person_ids: Iterable[UUID]
) -> dict[UUID, tuple[str, ...]]:
    """The identifiers that some persons have today, as CX, merged ones' included."""
    query = (
        select(t.person.c.canonical_id, _identity.id_norm, _identity.domain)
        .join(t.identity_link, _link.person_id == t.person.c.id)
        .join(t.identity, _identity.id == _link.identity_id)
        .where(
            t.person.c.canonical_id.in_(list(person_ids)),
            func.upper_inf(_link.recorded),
            func.upper_inf(_identity.valid),
        )
        .order_by(_identity.id)
    )
    found: dict[UUID, tuple[str, ...]] = {}
    for row in connection.execute(query):
        named = str(PatientIdentifier(row.id_norm, row.domain))
        found[row.canonical_id] = (*found.get(row.canonical_id, ()), named)
    return found


def _is(identifier: PatientIdentifier) -> ColumnElement[bool]:
    return (_identity.domain == identifier.domain) & (_identity.id_norm == identifier.value)


def _holds(recorded: ColumnElement[Any], as_of: datetime | None) -> ColumnElement[bool]:
    """Whether a row is held to be true, now or at a time."""
    if as_of is None:
        return func.upper_inf(recorded)
    held: ColumnElement[bool] = recorded.op("@>", is_comparison=True)(as_of)
    return held


def _root(connection: Connection, person_id: UUID, as_of: datetime | None) -> UUID:
    """Where the merges of a person lead."""
    seen = {person_id}
    while (parent := _parent(connection, person_id, as_of)) and parent not in seen:
        person_id = parent
        seen.add(parent)
    return person_id


def _parent(connection: Connection, person_id: UUID, as_of: datetime | None) -> UUID | None:
    query = select(_edge.survivor_id).where(
        _edge.subsumed_id == person_id, _holds(_edge.recorded, as_of)
    )
    return connection.execute(query).scalar()


def _members(connection: Connection, person_id: UUID, as_of: datetime | None) -> list[UUID]:
    """A person and everybody who was merged into them, at any depth."""
    start = select(t.person.c.id).where(t.person.c.id == person_id)
    tree = start.cte("members", recursive=True)
    below = (
        select(_edge.subsumed_id)
        .join(tree, tree.c.id == _edge.survivor_id)
        .where(_holds(_edge.recorded, as_of))
    )
    return list(connection.execute(select(tree.union(below).c.id)).scalars())


# -- One person ---------------------------------------------------------------------


def _person(connection: Connection, person_id: UUID, as_of: datetime | None) -> Person:
    query = select(t.person).where(t.person.c.id == person_id)
    row = connection.execute(query).first()
    if row is None or (as_of is not None and row.created_at > as_of):
        raise NotFound("there is no person of this id")
    members = _members(connection, person_id, as_of)
    identifiers = _identifiers(connection, person_id, members, as_of)
    return Person(
        person_id,
        _state(connection, row.state, members),
        identifiers,
        _demographics(connection, person_id, members, as_of),
        _parent(connection, person_id, as_of),
        _merges(connection, members, as_of),
        _links(connection, identifiers, as_of),
        _studies(connection, members, as_of),
    )


def _state(connection: Connection, own: str, members: Sequence[UUID]) -> str:
    """Of one whom only images made: verified, where one merged into them is."""
    if own != "provisional" or len(members) == 1:
        return own
    query = select(t.person.c.id).where(
        t.person.c.id.in_(members), t.person.c.state == "verified"
    )
    return own if connection.execute(query).first() is None else "verified"


def _identifiers(
    connection: Connection, person_id: UUID, members: Sequence[UUID], as_of: datetime | None
) -> tuple[Identifier, ...]:
    query = (
        select(_link.person_id, _identity.id_norm, _identity.domain)
        .join(t.identity, _identity.id == _link.identity_id)
        .where(
            _link.person_id.in_(members),
            _holds(_link.recorded, as_of),
            _holds(_identity.valid, as_of),
        )
        .order_by(_link.person_id != person_id, _identity.id)
    )
    return tuple(
        Identifier(
            row.id_norm, row.domain, "own" if row.person_id == person_id else "merged"
        )
        for row in connection.execute(query)
    )


def _demographics(
    connection: Connection, person_id: UUID, members: Sequence[UUID], as_of: datetime | None
) -> dict[str, Any]:
    """What a person is known as: what feeds said, else what the images did."""
    d = t.demographics.c
    query = select(t.demographics).where(
        d.person_id.in_(members), _holds(d.recorded, as_of)
    )
    said: dict[UUID, list[Said]] = {}
    came_at = func.coalesce(d.came_at, func.lower(d.recorded))
    for row in connection.execute(query.order_by(came_at, d.id)):
        word = to_said(row.said, row.authority, row.said_at)
        said.setdefault(row.person_id, []).append(word)
    own = said.pop(person_id, [])
    known = known_as(own, [said[each] for each in sorted(said)])
    return as_dicom(known) if known else {}


def as_dicom(known: Demographics) -> dict[str, Any]:
    """What a person is known as, in the DICOM JSON model."""
    shown: dict[str, Any] = {}
    if known.name:
        shown[at.PATIENT_NAME] = name_element(known.name)
    if known.birth_date:
        shown[at.PATIENT_BIRTH_DATE] = at.element("DA", known.birth_date)
    if known.sex:
        shown[at.PATIENT_SEX] = at.element("CS", known.sex)
    return shown


def _merges(
    connection: Connection, members: Sequence[UUID], as_of: datetime | None
) -> tuple[Merge, ...]:
    """Every merge that touched one of them, the ended ones too."""
    began, ended = func.lower(_edge.recorded), func.upper(_edge.recorded)
    touched = or_(_edge.survivor_id.in_(members), _edge.subsumed_id.in_(members))
    query = select(t.merge_edge, began.label("began"), ended.label("ended")).where(touched)
    if as_of is not None:
        query = query.where(began <= as_of)
    return tuple(
        Merge(row.subsumed_id, row.survivor_id, row.happening_id, row.began, row.ended)
        for row in connection.execute(query.order_by(began))
    )


def _links(
    connection: Connection, identifiers: Sequence[Identifier], as_of: datetime | None
) -> tuple[Link, ...]:
    """Links that name one of some identifiers; the other may be nobody's."""
    k = identifier_link.c
    named = [(each.issuer, each.id) for each in identifiers]
    touched = or_(
        tuple_(k.one_domain, k.one_value).in_(named),
        tuple_(k.other_domain, k.other_value).in_(named),
    )
    query = select(identifier_link, func.lower(k.recorded).label("began"))
    query = query.where(touched, _holds(k.recorded, as_of)).order_by(k.id)
    return tuple(
        Link(
            str(PatientIdentifier(row.one_value, row.one_domain)),
            str(PatientIdentifier(row.other_value, row.other_domain)),
            row.source,
            row.happening_id,
            row.began,
        )
        for row in connection.execute(query)
    )


def _studies(
    connection: Connection, members: Sequence[UUID], as_of: datetime | None
) -> tuple[StudyOf, ...]:
    """Studies with a series that was received under an identity of theirs."""
    query = (
        select(t.study.c.study_instance_uid, func.count(t.series.c.id).label("series"))
        .join(t.series, t.series.c.study_id == t.study.c.id)
        .join(t.identity_link, _link.identity_id == t.series.c.filed_identity_id)
        .where(
            _link.person_id.in_(members),
            _holds(_link.recorded, as_of),
            t.series.c.held.is_(None),
        )
        .group_by(t.study.c.id)
        .order_by(t.study.c.id)
    )
    if as_of is not None:
        query = query.where(t.study.c.created_at <= as_of)
    return tuple(
        StudyOf(row.study_instance_uid, row.series) for row in connection.execute(query)
    )
