"""Figures of the coercion history and of the worklist; nothing of a patient."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from reconcile.db.views_statistics import Coerced, Held
from reconcile.flows import statistics
from reconcile.web.paging import Json
from reconcile.web.parts import PartsOf

router = APIRouter(prefix="/api/v1/statistics", tags=["statistics"])

By = Annotated[
    list[str] | None, Query(max_length=5, description="May be given several times")
]
Since = Annotated[str, Query(alias="from", max_length=64)]
Until = Annotated[str, Query(alias="to", max_length=64)]


class CoercedRows(BaseModel):
    """Counts of coercions."""

    items: list[Coerced]


class HeldRows(BaseModel):
    """Counts of items of the worklist."""

    items: list[Held]


@router.get("/coercions", response_model=CoercedRows)
def count_coercions(
    parts: PartsOf, by: By = None, since: Since = "", until: Until = ""
) -> Json:
    """How many coercions there were, by source, rule, cause, week or attribute."""
    with parts.database.read_only() as connection:
        found = statistics.coerced(
            connection, by or ["source"], {"from": since, "to": until}, parts.clock()
        )
    return Json({"items": found})


@router.get("/holds", response_model=HeldRows)
def count_holds(
    parts: PartsOf, by: By = None, since: Since = "", until: Until = ""
) -> Json:
    """How much waits or waited for a person, by kind, code, source or age."""
    with parts.database.read_only() as connection:
        found = statistics.held(
            connection, by or ["code"], {"from": since, "to": until}, parts.clock()
        )
    return Json({"items": found})
