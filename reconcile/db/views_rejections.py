"""What rejection notes have rejected, and what took that back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select

from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.rejections import rejection
from reconcile.db.views import Page, Where, decode_cursor, page, studies_named

_j = rejection.c


@dataclass(frozen=True, slots=True)
class Rejection:
    """One rejection.

    Attributes:
        code: DCM code of the note's title.
        source: who sent the note.
        happening: can be taken back.
        ended_by: the happening that took it back, or let the instance come again.
    """

    id: UUID
    sop_instance_uid: str
    study_instance_uid: str | None
    code: str
    hides: bool
    note_sop_instance_uid: str
    source: str
    recorded_at: datetime
    happening: UUID
    ended_by: UUID | None
    ended_at: datetime | None


def rejections(
    connection: Connection, where: Where, *, study: str = "", state: str = ""
) -> Page[Rejection]:
    """A page of them, the first one first.

    Args:
        connection: a reader's.
        where: which page.
        study: a Study UID by which the study is found; empty: any.
        state: "live" or "ended"; empty: any.
    """
    g = h.happening.c
    query: Any = (
        select(
            _j.id,
            _j.sop_instance_uid,
            t.study.c.study_instance_uid,
            _j.code,
            _j.hides,
            _j.note_sop_instance_uid,
            g.actor,
            func.lower(_j.recorded).label("recorded_at"),
            _j.happening_id,
            _j.ended_by,
            func.upper(_j.recorded).label("ended_at"),
        )
        .select_from(rejection)
        .join(h.happening, g.id == _j.happening_id)
        .outerjoin(t.study, t.study.c.id == _j.study_id)
    )
    if state:
        live = func.upper_inf(_j.recorded)
        query = query.where(live if state == "live" else ~live)
    if study:
        query = query.where(_j.study_id.in_(studies_named(study)))
    if where.cursor:
        query = query.where(_j.id > decode_cursor(where.cursor, UUID))
    query = query.order_by(_j.id).limit(where.limit + 1)
    rows, following = page(connection.execute(query).all(), where.limit, "id")
    return Page(tuple(Rejection(*tuple(row)) for row in rows), following)
