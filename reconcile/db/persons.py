"""Persons: who owns an identifier, what was said of them, what they are known by.

The chain is identity -> identity_link -> person -> merge_edge; `person.canonical_id`
caches where it ends. Demographics are one row per thing said: what a person is given out
as is a fold over them (survivorship), so that a bad update can be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Connection,
    Select,
    and_,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.core.facts import PersonFacts
from reconcile.core.identity import (
    Demographics,
    PatientIdentifier,
    PersonName,
    bare,
)
from reconcile.core.survivorship import (
    Said,
    known_as,
    spoken,
    versions,
)
from reconcile.db import evidence
from reconcile.db import tables as t
from reconcile.db.database import TryAgain, inserted
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared, pairs

_live_link = func.upper_inf(t.identity_link.c.recorded)
_live_identity = func.upper_inf(t.identity.c.valid)


class Owned(NamedTuple):
    """An identifier's owner: the person it was given to, and who survived for them.

    `closed`: a merge said whose it was; a message that registers it begins another one.
    """

    identity_id: UUID
    person_id: UUID
    root_id: UUID
    closed: bool = False


# -- Reading ------------------------------------------------------------------------


def owners(
    connection: Connection,
    identifiers: Iterable[PatientIdentifier],
    *,
    for_change: bool = False,
) -> dict[PatientIdentifier, Owned]:
    """Who owns each identifier that is known, under lock.

    Readers for a decision hold the identity FOR SHARE; who changes it, FOR UPDATE.
    """
    wanted = sorted({(i.domain, i.value) for i in identifiers})
    if not wanted:
        return {}
    ask = _OWNERS_FOR_CHANGE if for_change else _OWNERS
    rows = ask(connection, domains=[d for d, _ in wanted], ids=[i for _, i in wanted])
    return {PatientIdentifier(row.id_norm, row.domain): owned(row) for row in rows}


def owned(row: Any) -> Owned:
    """An owner, as a row tells it."""
    closed = row.closed_by is not None
    return Owned(row.id, row.person_id, row.canonical_id, closed)


def _owners(*, for_change: bool) -> Select[Any]:
    wanted = pairs("domains", "ids").c
    return (
        select(
            t.identity.c.domain,
            t.identity.c.id_norm,
            t.identity.c.id,
            t.identity.c.closed_by,
            t.identity_link.c.person_id,
            t.person.c.canonical_id,
        )
        .join(
            t.identity_link,
            and_(t.identity_link.c.identity_id == t.identity.c.id, _live_link),
        )
        .join(t.person, t.person.c.id == t.identity_link.c.person_id)
        .where(
            _live_identity,
            tuple_(t.identity.c.domain, t.identity.c.id_norm).in_(
                select(wanted.domains, wanted.ids)
            ),
        )
        .order_by(t.identity.c.domain, t.identity.c.id_norm)
        .with_for_update(of=t.identity, read=not for_change)
    )


_OWNERS = Prepared(lambda: _owners(for_change=False))
_OWNERS_FOR_CHANGE = Prepared(lambda: _owners(for_change=True))


def facts(
    connection: Connection, person_ids: Iterable[UUID], archive_domain: str
) -> dict[str, PersonFacts]:
    """What is known of surviving persons and of all that were merged into them."""
    wanted = sorted(set(person_ids))
    rows = _FACTS(connection, persons=wanted) if wanted else ()
    return {str(row.id): _person(row, archive_domain) for row in rows}


def alone(
    connection: Connection, person_ids: Iterable[UUID], archive_domain: str
) -> dict[str, PersonFacts]:
    """What is known of persons by themselves, whoever they were merged into."""
    wanted = sorted(set(person_ids))
    rows = _ALONE(connection, persons=wanted) if wanted else ()
    return {str(row.id): _person(row, archive_domain) for row in rows}


def _person(row: Any, archive_domain: str) -> PersonFacts:
    found = [(PatientIdentifier(*named), came) for *named, came in row.identifiers or ()]
    identifiers = tuple(identifier for identifier, _ in found)
    own: list[Said] = []
    others: dict[str, list[Said]] = {}
    for person_id, *told in row.said or ():
        merged = person_id != str(row.id)
        (others.setdefault(person_id, []) if merged else own).append(to_said(*told))
    each = list(others.values())
    is_spoken = any(spoken(said) for said in (own, *each))
    verified = row.state == "provisional" and row.verified
    return PersonFacts(
        str(row.id),
        "verified" if verified else row.state,
        identifiers,
        next((i for i in identifiers if i.domain == archive_domain), None),
        tuple(versions(own, each)),
        known_as(own, each) if is_spoken else None,
        frozenset(identifier for identifier, came in found if came),
    )


# The survivor's own identifiers stand before those of persons merged into them; what was
# said stands in the order in which it came.
def _facts(members: str) -> Prepared:
    return Prepared(
        lambda: text(f"""
SELECT p.id, p.state, (
    SELECT json_agg(json_build_array(i.id_norm, i.domain, m.id <> p.id)
        ORDER BY m.id <> p.id, i.id)
    FROM person m
    JOIN identity_link l ON l.person_id = m.id AND upper_inf(l.recorded)
    JOIN identity i ON i.id = l.identity_id AND upper_inf(i.valid)
    WHERE {members} = p.id
) AS identifiers, (
    SELECT json_agg(json_build_array(m.id, d.said, d.authority, d.said_at)
        ORDER BY m.id, coalesce(d.came_at, lower(d.recorded)), d.id)
    FROM person m
    JOIN demographics d ON d.person_id = m.id AND upper_inf(d.recorded)
    WHERE {members} = p.id
) AS said, (
    SELECT bool_or(m.state = 'verified') FROM person m WHERE {members} = p.id
) AS verified
FROM person p WHERE p.id = ANY (CAST(:persons AS uuid[]))
""")  # noqa: S608 - constants of this module
    )


_FACTS = _facts("m.canonical_id")
_ALONE = _facts("m.id")


def to_said(told: Mapping[str, Any], authority: int, said_at: str | datetime) -> Said:
    """One thing said, as a row keeps it."""
    said = dict(told)
    cleared = frozenset(said.pop("cleared", ()))
    name = PersonName(**said.pop("name", {}))
    at = datetime.fromisoformat(said_at) if isinstance(said_at, str) else said_at
    return Said(Demographics(name=name, **said), cleared, authority, at)


def said_as_json(demographics: Demographics, cleared: Iterable[str] = ()) -> dict[str, Any]:
    """Only what was said, so that silence can be told from an empty value."""
    name = demographics.name
    groups = {g: getattr(name, g) for g in ("alphabetic", "ideographic", "phonetic")}
    said: dict[str, Any] = {
        "birth_date": demographics.birth_date,
        "sex": demographics.sex,
        "death_date": demographics.death_date,
        "multiple_birth": demographics.multiple_birth,
    }
    said = {field: value for field, value in said.items() if value}
    if name:
        said["name"] = {group: value for group, value in groups.items() if value}
    return said | ({"cleared": sorted(cleared)} if cleared else {})


def of_order(connection: Connection, order_id: UUID) -> UUID | None:
    """The surviving person of an order."""
    order, link = t.imaging_order.c, t.identity_link.c
    query = (
        select(t.person.c.canonical_id)
        .join(t.identity_link, link.person_id == t.person.c.id)
        .join(t.imaging_order, order.identity_id == link.identity_id)
        .where(order.id == order_id, _live_link)
    )
    return connection.execute(query).scalar()


def any_identity(connection: Connection, person_id: UUID) -> UUID | None:
    """An identity that a person has, the oldest first."""
    query = (
        select(t.identity_link.c.identity_id)
        .join(t.person, t.person.c.id == t.identity_link.c.person_id)
        .where(t.person.c.canonical_id == person_id, _live_link)
        .order_by(t.identity_link.c.identity_id)
    )
    return connection.execute(query).scalar()


def alike(
    connection: Connection, value: str, birth_date: str, *, limit: int = 20
) -> list[UUID]:
    """Surviving persons to suggest: nearly this ID in any domain, then the birth date."""
    said = t.demographics.c
    by_id = (
        select(t.identity_link.c.person_id)
        .join(t.identity, t.identity.c.id == t.identity_link.c.identity_id)
        .where(_live_link, _live_identity, t.identity.c.id_norm.in_(_near(value)))
    )
    by_date = select(said.person_id).where(said.said["birth_date"].astext == birth_date)
    found: dict[UUID, None] = {}
    for way in [by_id, *([by_date] if birth_date else [])]:
        query = (
            select(t.person.c.canonical_id)
            .distinct()
            .where(t.person.c.id.in_(way), t.person.c.state != "test")
            .limit(limit)
        )
        found |= dict.fromkeys(connection.execute(query).scalars())
    return list(found)[:limit]


#: IDs are padded with zeros to at most so many digits.
_PADDED_DIGITS_MAX = 16


def _near(value: str) -> list[str]:
    """Spellings under which one ID is commonly met."""
    own = bare(value)
    spellings = {own, own.lstrip("0"), own.upper(), own.lower()}
    spellings |= {own.split(separator)[0] for separator in "^\\"}
    if own.isdigit():
        padded = range(len(own) + 1, _PADDED_DIGITS_MAX + 1)
        spellings |= {own.rjust(length, "0") for length in padded}
    return sorted(filter(None, spellings))


# -- Writing ------------------------------------------------------------------------


def create(connection: Connection, state: str, happening_id: UUID) -> UUID:
    """A new person, nobody's yet."""
    person_id = uuid7()
    row = {"id": person_id, "canonical_id": person_id, "state": state}
    connection.execute(insert(t.person).values(**row, happening_id=happening_id))
    return person_id


def verify(connection: Connection, person_id: UUID) -> bool:
    """A feed has spoken of this person: provisional, or retired, becomes verified.

    Whether they were not before.
    """
    change = update(t.person).where(
        t.person.c.id == person_id, t.person.c.state.in_(("provisional", "retired"))
    )
    change = change.values(state="verified", version=t.person.c.version + 1)
    changed = bool(connection.execute(change).rowcount)
    if changed:
        evidence.raise_persons(connection, [person_id])
    return changed


def own(
    connection: Connection,
    identifier: PatientIdentifier,
    raw: str,
    person_id: UUID,
    happening_id: UUID,
    *,
    since: datetime | None = None,
) -> UUID:
    """Give a person an identifier that nobody owns; the identity's id.

    Studies that named it when nobody owned it are decided anew. `since`: when its owner
    of before ended.

    Raises:
        TryAgain: somebody else has just been given it.
    """
    identity_id = uuid7()
    made = upsert(t.identity).values(
        id=identity_id,
        domain=identifier.domain,
        id_norm=identifier.value,
        id_raw=raw,
        happening_id=happening_id,
        **({"valid": func.tstzrange(since, None)} if since else {}),
    )
    if not inserted(connection, made, t.identity.c.id):
        raise TryAgain
    link = {"id": uuid7(), "identity_id": identity_id, "person_id": person_id}
    connection.execute(insert(t.identity_link).values(**link, happening_id=happening_id))
    evidence.raise_named(connection, [evidence.identifier(identifier)])
    return identity_id


def mint(connection: Connection, domain: str) -> str:
    """The next free Patient ID of a domain that this archive assigns from: "E1"."""
    while True:
        count = update(t.domain).where(t.domain.c.name == domain)
        count = count.values(minted=t.domain.c.minted + 1)
        number = connection.execute(count.returning(t.domain.c.minted)).scalar_one()
        value = f"{domain}{number}"
        taken = select(t.identity.c.id).where(
            t.identity.c.domain == domain, t.identity.c.id_norm == value
        )
        if connection.execute(taken).first() is None:
            return value


def say(
    connection: Connection,
    person_id: UUID,
    said: Mapping[str, Any],
    *,
    source: str,
    authority: int,
    said_at: datetime,
    happening_id: UUID,
    identity_id: UUID | None = None,
    came_at: datetime | None = None,
) -> None:
    """Remember what a source said of a person, and under which identity.

    `came_at`: when it came, where that was earlier than now.
    """
    connection.execute(
        insert(t.demographics).values(
            id=uuid7(),
            person_id=person_id,
            identity_id=identity_id,
            source=source,
            authority=authority,
            said=dict(said),
            said_at=said_at,
            came_at=came_at,
            happening_id=happening_id,
        )
    )
