"""Performed procedure steps, and the orders that they are linked to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CompoundSelect, Connection, and_, func, or_, select

from reconcile.core.performed import series_uids
from reconcile.db import tables as t
from reconcile.db.performed import performed_step, step_request
from reconcile.db.views import Page, Where, decode_cursor, page, studies_named
from reconcile.errors import NotFound

_s, _q = performed_step.c, step_request.c


@dataclass(frozen=True, slots=True)
class StepRequest:
    """By what a step was scheduled.

    Attributes:
        order: that it is linked to; None: it has not come, or is another patient's.
        live: whether it is evidence still.
    """

    study_instance_uid: str
    accession_number: str
    accession_issuer: str
    rp_id: str
    sps_id: str
    order: UUID | None
    live: bool


@dataclass(frozen=True, slots=True)
class PerformedStep:
    """A performed step; `said` is all that was said of it, in the DICOM JSON model."""

    sop_instance_uid: str
    state: str
    source: str
    created_at: datetime
    changed_at: datetime
    happening: UUID
    series_instance_uids: tuple[str, ...]
    requests: tuple[StepRequest, ...]
    said: Mapping[str, Any]


def steps(
    connection: Connection, where: Where, *, study: str = "", accession: str = ""
) -> Page[PerformedStep]:
    """A page of steps, the newest first.

    Args:
        connection: a reader's.
        where: which page.
        study: any name of the study that steps may have been told of; empty: any.
        accession: as the step names it; empty: any.
    """
    query = select(performed_step)
    if study:
        named = or_(
            _q.study_instance_uid == study, _q.study_instance_uid.in_(_names(study))
        )
        query = query.where(_s.id.in_(select(_q.step_id).where(named)))
    if accession:
        of_order = select(_q.step_id).where(_q.accession_number == accession)
        query = query.where(_s.id.in_(of_order))
    if where.cursor:
        query = query.where(_s.id < decode_cursor(where.cursor, UUID))
    query = query.order_by(_s.id.desc()).limit(where.limit + 1)
    rows, following = page(connection.execute(query).all(), where.limit, "id")
    return Page(_steps(connection, rows), following)


def _names(study: str) -> CompoundSelect[Any]:
    """Every UID by which the study is found that this one finds."""
    c, m = t.study.c, t.uid_map.c
    meant = c.id.in_(studies_named(study))
    mapped = and_(
        m.assigned_uid == c.study_instance_uid,
        m.uid_domain == c.uid_domain,
        m.level == "study",
        func.upper_inf(m.valid),
    )
    others = select(m.received_uid).join(t.study, mapped).where(meant)
    return select(c.study_instance_uid).where(meant).union(others)


def step(connection: Connection, sop_instance_uid: str) -> PerformedStep:
    """One step.

    Raises:
        NotFound: there is none.
    """
    query = select(performed_step).where(_s.sop_instance_uid == sop_instance_uid)
    rows = connection.execute(query).all()
    if not rows:
        raise NotFound("there is no performed step of this UID")
    return _steps(connection, rows)[0]


def _steps(connection: Connection, rows: Sequence[Any]) -> tuple[PerformedStep, ...]:
    found: dict[UUID, list[StepRequest]] = {row.id: [] for row in rows}
    query = select(step_request, func.upper_inf(_q.recorded).label("live"))
    query = query.where(_q.step_id.in_(found)).order_by(_q.id)
    for row in connection.execute(query):
        found[row.step_id].append(
            StepRequest(
                row.study_instance_uid,
                row.accession_number,
                row.accession_issuer,
                row.rp_id,
                row.sps_id,
                row.order_id,
                row.live,
            )
        )
    return tuple(
        PerformedStep(
            row.sop_instance_uid,
            row.state,
            row.source,
            row.created_at,
            row.changed_at,
            row.happening_id,
            series_uids(row.said),
            tuple(found[row.id]),
            row.said,
        )
        for row in rows
    )
