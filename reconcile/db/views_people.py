"""Several persons at once, as a page shows them: one question for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, tuple_

from reconcile.core.identity import PatientIdentifier
from reconcile.core.survivorship import Said, known_as
from reconcile.db import tables as t
from reconcile.db.persons import to_said
from reconcile.db.views_patients import as_dicom, identifiers_of

_link, _identity, _person = t.identity_link.c, t.identity.c, t.person.c


@dataclass(frozen=True, slots=True)
class Known:
    """A person in short; `merged_into`: who they are now, where that is somebody else."""

    id: UUID
    state: str
    merged_into: UUID | None
    identifiers: tuple[str, ...]
    demographics: Mapping[str, Any]


def known(connection: Connection, person_ids: Iterable[UUID]) -> dict[UUID, Known]:
    """Some persons by their ids, each with all that was merged into them."""
    wanted = list(person_ids)
    query = select(_person.id, _person.canonical_id, _person.state)
    rows = connection.execute(query.where(_person.id.in_(wanted))).all()
    roots = {row.canonical_id for row in rows}
    named = identifiers_of(connection, roots)
    described = _demographics(connection, roots)
    return {
        row.id: Known(
            row.id,
            row.state,
            None if row.canonical_id == row.id else row.canonical_id,
            named.get(row.canonical_id, ()),
            described.get(row.canonical_id, {}),
        )
        for row in rows
    }


def own_identifiers(
    connection: Connection, person_ids: Iterable[UUID]
) -> dict[UUID, tuple[str, ...]]:
    """What each of some persons is named by in their own right, whoever they are now."""
    query = (
        select(_link.person_id, _identity.id_norm, _identity.domain)
        .join(t.identity, _identity.id == _link.identity_id)
        .where(_link.person_id.in_(list(person_ids)), func.upper_inf(_link.recorded))
        .order_by(_identity.id)
    )
    found: dict[UUID, tuple[str, ...]] = {}
    for row in connection.execute(query):
        named = str(PatientIdentifier(row.id_norm, row.domain))
        found[row.person_id] = (*found.get(row.person_id, ()), named)
    return found


def owners(
    connection: Connection, identifiers: Sequence[PatientIdentifier]
) -> tuple[UUID, ...]:
    """Who own any of some identifiers today."""
    pairs = [(each.domain, each.value) for each in identifiers]
    query = (
        select(_person.canonical_id)
        .distinct()
        .join(t.identity_link, _link.person_id == _person.id)
        .join(t.identity, _identity.id == _link.identity_id)
        .where(
            tuple_(_identity.domain, _identity.id_norm).in_(pairs),
            func.upper_inf(_identity.valid),
            func.upper_inf(_link.recorded),
        )
        .order_by(_person.canonical_id)
    )
    return tuple(connection.execute(query).scalars())


def _demographics(
    connection: Connection, roots: Iterable[UUID]
) -> dict[UUID, Mapping[str, Any]]:
    """What some surviving persons are known as, by `core.survivorship`."""
    d = t.demographics.c
    query = (
        select(t.demographics, _person.canonical_id)
        .join(t.person, _person.id == d.person_id)
        .where(_person.canonical_id.in_(list(roots)), func.upper_inf(d.recorded))
        .order_by(func.coalesce(d.came_at, func.lower(d.recorded)), d.id)
    )
    said: dict[UUID, dict[UUID, list[Said]]] = {}
    for row in connection.execute(query):
        word = to_said(row.said, row.authority, row.said_at)
        said.setdefault(row.canonical_id, {}).setdefault(row.person_id, []).append(word)
    return {root: _folded(root, by_person) for root, by_person in said.items()}


def _folded(root: UUID, said: Mapping[UUID, list[Said]]) -> Mapping[str, Any]:
    others = [said[each] for each in sorted(said) if each != root]
    found = known_as(said.get(root, []), others)
    return as_dicom(found) if found else {}
