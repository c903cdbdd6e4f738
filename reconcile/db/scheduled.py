"""Scheduled procedure steps that are still to be done: found for the Modality Worklist.

Rows are read in the order of their start. A requested procedure that has no Study
Instance UID is given one here, once and for all, when the first scanner is told of it:
every scanner is told the same, and images with it find their order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Index,
    Select,
    and_,
    func,
    intersect,
    literal_column,
    or_,
    select,
    text,
    tuple_,
    update,
)

from reconcile.core.identity import PatientIdentifier
from reconcile.core.matchkeys import OneOf, Test
from reconcile.core.order import Code
from reconcile.core.worklist import OPEN, Scheduled
from reconcile.db import tables as t
from reconcile.db.database import lock
from reconcile.db.orders import HAS_ACCESSION
from reconcile.db.views import studies_named
from reconcile.db.views_found import PatientKey, persons_named, persons_of, within
from reconcile.db.views_query import has_identifier_of

_o, _p = t.imaging_order.c, t.requested_procedure.c
_s, _link = t.scheduled_procedure_step.c, t.study_order.c

# As the index has it: a generic plan knows it by its text.
_STATES = ", ".join(f"'{state.value}'" for state in OPEN)
_IS_OPEN: ColumnElement[bool] = _o.state.in_(
    [literal_column(f"'{state.value}'") for state in OPEN]
)
Index("ix_scheduled_procedure_step_start", _s.start, _s.id)
Index("ix_imaging_order_open", _o.id, postgresql_where=text(f"state IN ({_STATES})"))

#: Steps of one page.
PAGE = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """What narrows the rows; None: it does not."""

    patient: PatientKey | None = None
    issuer: str = ""
    name: Test | None = None
    accession: Test | None = None
    visit: Test | None = None
    study_uids: tuple[str, ...] = ()
    days: Test | None = None
    modality: Test | None = None
    station: Test | None = None


@dataclass(frozen=True, slots=True)
class After:
    """A place in the order of rows."""

    start: str
    step_id: UUID


@dataclass(frozen=True, slots=True)
class Row:
    """A step; `identifier`: under which it was ordered; `person_id`: whose it is now."""

    procedure_id: UUID
    person_id: UUID
    identifier: PatientIdentifier
    step: Scheduled


# -- Which steps ----------------------------------------------------------------------


def steps(
    connection: Connection, asked: Asked, after: After | None
) -> tuple[list[Row], After | None]:
    """Open steps that may match, the next to begin first; where to go on, None: nowhere."""
    found = _found_by(asked)
    link, person = t.identity_link, t.person.alias("p")
    live = and_(link.c.identity_id == _o.identity_id, func.upper_inf(link.c.recorded))
    rows = (
        t.scheduled_procedure_step.join(t.requested_procedure, _p.id == _s.procedure_id)
        .join(t.imaging_order, _o.id == _p.order_id)
        .join(t.identity, t.identity.c.id == _o.identity_id)
        .join(link, live)
        .join(person, person.c.id == link.c.person_id)
    )
    if found is not None:
        rows = rows.join(found, found.c.id == _o.id)
    query = (
        select(*_columns(), person.c.canonical_id)
        .select_from(rows)
        .where(_IS_OPEN, ~_p.removed, ~_s.removed, *_conditions(asked))
        .order_by(_s.start, _s.id)
        .limit(PAGE)
    )
    if asked.issuer:
        query = query.where(has_identifier_of(asked.issuer, person))
    if after is not None:
        query = query.where(tuple_(_s.start, _s.id) > tuple_(after.start, after.step_id))
    told = connection.execute(query).all()
    last = After(told[-1].start, told[-1].id) if len(told) == PAGE else None
    return [_row(each) for each in told], last


def _columns() -> Iterable[Any]:
    yield from (_s.id, _s.sps_id, _s.modality, _s.station_ae_titles)
    yield from (_s.start, _s.description)
    yield from (_p.id.label("procedure_id"), _p.rp_id, _p.code)
    yield _p.description.label("procedure")
    yield _uid().label("uid")
    yield from (_o.accession_number, _o.accession_issuer, _o.placer_order_number)
    yield from (_o.filler_order_number, _o.referring_physician, _o.visit_number, _o.state)
    yield from (t.identity.c.id_norm, t.identity.c.domain)


def _uid() -> ColumnElement[str]:
    """Of a procedure, else of the study that answers it; empty: it has none yet."""
    return func.coalesce(func.nullif(_p.study_instance_uid, ""), _linked(), "")


def _linked() -> Any:
    return (
        select(t.study.c.study_instance_uid)
        .join(t.study_order, _link.study_id == t.study.c.id)
        .where(_link.procedure_id == _p.id, func.upper_inf(_link.recorded))
        .order_by(_link.id)
        .limit(1)
        .correlate(t.requested_procedure)
        .scalar_subquery()
    )


def _row(row: Any) -> Row:
    step = Scheduled(
        row.sps_id,
        row.modality,
        tuple(row.station_ae_titles),
        row.start,
        row.description,
        row.rp_id,
        row.uid,
        row.procedure,
        Code(**row.code) if row.code else None,
        row.accession_number,
        row.accession_issuer,
        row.placer_order_number or "",
        row.filler_order_number or "",
        row.referring_physician,
        row.visit_number or "",
        row.state,
    )
    identifier = PatientIdentifier(row.id_norm, row.domain)
    return Row(row.procedure_id, row.canonical_id, identifier, step)


def _conditions(asked: Asked) -> Iterable[ColumnElement[bool]]:
    if asked.days is not None:
        yield _s.start != ""
        yield from within(_s.start, asked.days)
    if asked.modality is not None:
        yield from within(_s.modality, asked.modality)
    if isinstance(asked.station, OneOf):
        yield _s.station_ae_titles.overlap(list(asked.station.values))
    if asked.study_uids:
        studies = studies_named(*asked.study_uids)
        answered = select(_link.procedure_id).where(
            _link.study_id.in_(studies),
            _link.procedure_id.is_not(None),
            func.upper_inf(_link.recorded),
        )
        yield or_(_p.study_instance_uid.in_(asked.study_uids), _p.id.in_(answered))


def _found_by(asked: Asked) -> CTE | None:
    """Ids of the orders that an index finds; None: no key has one.

    Materialised: else a page's limit tempts the planner to look at every step there is.
    """
    queries = list(_candidates(asked))
    if not queries:
        return None
    query = queries[0] if len(queries) == 1 else intersect(*queries)
    return query.cte("found").prefix_with("MATERIALIZED", dialect="postgresql")


def _candidates(asked: Asked) -> Iterable[Select[Any]]:
    if asked.patient is not None:
        yield _of_persons(persons_of(asked.patient))
    named = persons_named(asked.name)
    if named is not None:
        yield _of_persons(named)
    if asked.accession is not None:
        found = within(_o.accession_number, asked.accession)
        yield select(_o.id).where(HAS_ACCESSION, *found)
    if asked.visit is not None:
        yield select(_o.id).where(*within(_o.visit_number, asked.visit))


def _of_persons(persons: Select[Any]) -> Select[Any]:
    """The orders of persons, and of all who were merged with them."""
    one, p, link = t.person.alias("one"), t.person.alias("m"), t.identity_link.alias("l")
    roots = select(one.c.canonical_id).where(one.c.id.in_(persons))
    return (
        select(_o.id)
        .select_from(p)
        .join(link, and_(link.c.person_id == p.c.id, func.upper_inf(link.c.recorded)))
        .join(t.imaging_order, _o.identity_id == link.c.identity_id)
        .where(p.c.canonical_id.in_(roots))
    )


# -- Their Study Instance UID ---------------------------------------------------------


def give_uids(
    connection: Connection, procedures: Collection[UUID], uid_root: str
) -> dict[UUID, str]:
    """The Study Instance UIDs of procedures; who has none is given one, for good.

    Under the locks of their orders: who stores a first image of one at the same time
    comes before or after, and its study's UID is the procedure's, or the other way round.
    """
    own = {each: f"{uid_root}.{each.int}" for each in sorted(procedures)}
    orders = select(_o.accession_number).join(t.requested_procedure, _p.order_id == _o.id)
    numbers = connection.execute(orders.where(_p.id.in_(own), HAS_ACCESSION)).scalars()
    names = [("accession", number) for number in numbers]
    lock(connection, [*names, *(("study", "", uid) for uid in own.values())], shared=False)
    for procedure_id, given in own.items():
        change = update(t.requested_procedure).where(
            _p.id == procedure_id, _p.study_instance_uid == "", _linked().is_(None)
        )
        connection.execute(change.values(study_instance_uid=given))
    query = select(_p.id, _uid().label("uid")).where(_p.id.in_(own))
    return {row.id: row.uid for row in connection.execute(query)}
