"""Orders, their procedures and scheduled steps, and the studies that are linked to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, and_, func, select

from reconcile.db import tables as t
from reconcile.db.orders import HAS_ACCESSION
from reconcile.db.views import Page, Where, decode_cursor, page
from reconcile.db.views_patients import identifiers_of

_study, _order = t.study.c, t.imaging_order.c
_procedure, _step = t.requested_procedure.c, t.scheduled_procedure_step.c


@dataclass(frozen=True, slots=True)
class Step:
    """A scheduled procedure step; `start` is a DT as the RIS said it."""

    sps_id: str
    modality: str
    station_ae_titles: tuple[str, ...]
    start: str
    description: str
    removed: bool


@dataclass(frozen=True, slots=True)
class Procedure:
    """A requested procedure with its steps."""

    rp_id: str
    study_instance_uid: str | None
    description: str
    code: Mapping[str, str] | None
    removed: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """An order, whose it is today, and the studies that are linked to it."""

    id: UUID
    accession_number: str
    accession_issuer: str | None
    placer_order_number: str | None
    filler_order_number: str | None
    state: str
    referring_physician: str
    person: UUID | None
    identifiers: tuple[str, ...]
    source: str
    said_at: datetime
    version: int
    procedures: tuple[Procedure, ...]
    studies: tuple[str, ...]


def orders(connection: Connection, accession: str, where: Where) -> Page[Order]:
    """A page of orders, the oldest first; of one accession number if it is given."""
    query = select(_order.id)
    if accession:
        query = query.where(HAS_ACCESSION, _order.accession_number == accession)
    if where.cursor:
        query = query.where(_order.id > decode_cursor(where.cursor, UUID))
    query = query.order_by(_order.id).limit(where.limit + 1)
    rows, following = page(connection.execute(query).all(), where.limit, "id")
    return Page(_orders(connection, [row.id for row in rows]), following)


def orders_of_study(connection: Connection, study_id: UUID) -> tuple[Order, ...]:
    """The orders that a study is linked to."""
    link = t.study_order.c
    query = select(link.order_id).where(
        link.study_id == study_id, func.upper_inf(link.recorded)
    )
    return _orders(connection, list(connection.execute(query).scalars()))


def _orders(connection: Connection, order_ids: list[UUID]) -> tuple[Order, ...]:
    link = t.identity_link.c
    owned = and_(link.identity_id == _order.identity_id, func.upper_inf(link.recorded))
    query = (
        select(t.imaging_order, t.person.c.canonical_id)
        .outerjoin(t.identity_link, owned)
        .outerjoin(t.person, t.person.c.id == link.person_id)
        .where(_order.id.in_(order_ids))
        .order_by(_order.id)
    )
    rows = connection.execute(query).all()
    persons = identifiers_of(connection, {r.canonical_id for r in rows if r.canonical_id})
    procedures = _procedures(connection, order_ids)
    studies = _linked_studies(connection, order_ids)
    return tuple(
        Order(
            row.id,
            row.accession_number,
            row.accession_issuer or None,
            row.placer_order_number,
            row.filler_order_number,
            row.state,
            row.referring_physician,
            row.canonical_id,
            persons.get(row.canonical_id, ()),
            row.source,
            row.said_at,
            row.version,
            tuple(procedures.get(row.id, ())),
            tuple(studies.get(row.id, ())),
        )
        for row in rows
    )


def _procedures(
    connection: Connection, order_ids: list[UUID]
) -> dict[UUID, list[Procedure]]:
    query = select(t.requested_procedure).where(_procedure.order_id.in_(order_ids))
    rows = connection.execute(query.order_by(_procedure.rp_id)).all()
    steps = _steps(connection, [row.id for row in rows])
    found: dict[UUID, list[Procedure]] = {}
    for row in rows:
        procedure = Procedure(
            row.rp_id,
            row.study_instance_uid or None,
            row.description,
            row.code,
            row.removed,
            tuple(steps.get(row.id, ())),
        )
        found.setdefault(row.order_id, []).append(procedure)
    return found


def _steps(connection: Connection, procedure_ids: list[UUID]) -> dict[UUID, list[Step]]:
    query = select(t.scheduled_procedure_step).where(_step.procedure_id.in_(procedure_ids))
    found: dict[UUID, list[Step]] = {}
    for row in connection.execute(query.order_by(_step.sps_id)):
        stations = tuple(row.station_ae_titles)
        step = Step(
            row.sps_id, row.modality, stations, row.start, row.description, row.removed
        )
        found.setdefault(row.procedure_id, []).append(step)
    return found


def _linked_studies(connection: Connection, order_ids: list[UUID]) -> dict[UUID, list[str]]:
    link = t.study_order.c
    query = (
        select(link.order_id, _study.study_instance_uid)
        .join(t.study, _study.id == link.study_id)
        .where(link.order_id.in_(order_ids), func.upper_inf(link.recorded))
        .order_by(link.id)
    )
    found: dict[UUID, list[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.order_id, []).append(row.study_instance_uid)
    return found
