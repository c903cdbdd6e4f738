"""Erasure of what audit rows say of a patient; by administrators."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from reconcile.db import views_erasures
from reconcile.db.views_erasures import Erasure
from reconcile.flows.erasing import Erased, Erasing
from reconcile.web.paging import Asked, Json, Listed, Text, listed
from reconcile.web.parts import Asking, PartsOf

router = APIRouter(prefix="/api/v1/erasures", tags=["erasures"])


class Wanted(BaseModel):
    """Events, why, and how many they are: typed by who erases."""

    model_config = ConfigDict(extra="forbid")

    events: Annotated[list[UUID], Field(min_length=1, max_length=1000)]
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    confirm: int | None = None


@router.post("", status_code=201, response_model=Erased)
def erase(parts: PartsOf, asking: Asking, said: Wanted) -> Json:
    """Erase the values of events; without `confirm` it only says how many: 409."""
    flow = Erasing(parts.database, parts.clock, parts.rules.digest)
    return Json(flow.erase(said.events, said.reason, asking.name, said.confirm), 201)


@router.get("", response_model=Listed[Erasure])
def list_erasures(parts: PartsOf, where: Asked, event: Text = "") -> Json:
    """Erasures, the first one first; that of one event."""
    with parts.database.read_only() as connection:
        return listed(views_erasures.erasures(connection, where, event=event))
