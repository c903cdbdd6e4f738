"""What there is of a study, a series or a patient, in numbers; of what is given out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, FromClause, column, func, select

from reconcile.db import tables as t
from reconcile.db.headers import series_header
from reconcile.db.views_found import links

_h, _s, _i = series_header.c, t.series.c, t.instance.c

#: A part of a study: (study, person, whether it is held).
Part = tuple[UUID, UUID | None, bool]


@dataclass(frozen=True, slots=True)
class Counted:
    """What a part of a study has."""

    modalities: tuple[str, ...]
    series: int
    instances: int


@dataclass(frozen=True, slots=True)
class OfPatient:
    """What a patient has."""

    studies: int
    series: int
    instances: int


def counted(connection: Connection, studies: Iterable[UUID]) -> dict[Part, Counted]:
    """What the parts of some studies have."""
    given, instances = _given()
    rows, person = _parts()
    query = (
        select(
            _s.study_id,
            person.c.canonical_id,
            _s.held.is_not(None).label("held"),
            func.array_agg(_h.modality.distinct()).label("modalities"),
            func.count(_s.id).label("series"),
            func.sum(instances).label("instances"),
        )
        .select_from(
            rows.outerjoin(series_header, _h.series_id == _s.id).join(given, instances > 0)
        )
        .where(_s.study_id.in_(list(studies)))
        .group_by(_s.study_id, person.c.canonical_id, column("held"))
    )
    return {
        (row.study_id, row.canonical_id, row.held): Counted(
            tuple(sorted(filter(None, row.modalities))), row.series, int(row.instances)
        )
        for row in connection.execute(query)
    }


def classes(connection: Connection, studies: Iterable[UUID]) -> dict[Part, tuple[str, ...]]:
    """The SOP classes of the parts of some studies."""
    rows, person = _parts()
    held = _s.held.is_not(None).label("held")
    query = (
        select(_s.study_id, person.c.canonical_id, held, _i.sop_class_uid)
        .distinct()
        .select_from(rows.join(t.instance, _i.series_id == _s.id))
        .where(_s.study_id.in_(list(studies)), ~_i.hidden)
    )
    found: dict[Part, tuple[str, ...]] = {}
    for row in connection.execute(query.order_by(_i.sop_class_uid)):
        part = (row.study_id, row.canonical_id, row.held)
        found[part] = (*found.get(part, ()), row.sop_class_uid)
    return found


def instances_of(connection: Connection, series: Iterable[UUID]) -> dict[UUID, int]:
    """How many instances of some series are given out."""
    query = (
        select(_i.series_id, func.count().label("instances"))
        .where(_i.series_id.in_(list(series)), ~_i.hidden)
        .group_by(_i.series_id)
    )
    return {row.series_id: row.instances for row in connection.execute(query)}


def patients(connection: Connection, persons: Iterable[UUID]) -> dict[UUID, OfPatient]:
    """What some surviving persons have, with all that came to them by merges."""
    person, link = t.person.alias("p"), t.identity_link.alias("l")
    given, instances = _given()
    query = (
        select(
            person.c.canonical_id,
            func.count(_s.study_id.distinct()).label("studies"),
            func.count(_s.id).label("series"),
            func.sum(instances).label("instances"),
        )
        .select_from(
            person.join(link, link.c.person_id == person.c.id)
            .join(t.series, links(link, t.series))
            .join(given, instances > 0)
        )
        .where(person.c.canonical_id.in_(list(persons)))
        .group_by(person.c.canonical_id)
    )
    return {
        row.canonical_id: OfPatient(row.studies, row.series, int(row.instances))
        for row in connection.execute(query)
    }


def _parts() -> tuple[Any, FromClause]:
    """Series with the person under whom each is filed."""
    link, person = t.identity_link.alias("l"), t.person.alias("p")
    rows = t.series.outerjoin(link, links(link, t.series))
    return rows.outerjoin(person, person.c.id == link.c.person_id), person


def _given() -> tuple[FromClause, ColumnElement[Any]]:
    """For each series the number of its instances that are given out."""
    number = select(func.count()).where(_i.series_id == _s.id, ~_i.hidden)
    given = number.correlate(t.series).lateral("given")
    return given, given.c[0]
