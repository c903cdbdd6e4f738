"""DICOM associations that have ended: who came, what was done, why it ended."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from reconcile.db import views_associations
from reconcile.db.views_associations import Association, Wanted
from reconcile.flows.questions import time_of
from reconcile.web.paging import Asked, Json, Listed, Text, listed
from reconcile.web.parts import PartsOf

router = APIRouter(prefix="/api/v1/associations", tags=["associations"])


@router.get("", response_model=Listed[Association])
def list_associations(
    parts: PartsOf,
    where: Asked,
    ae: Text = "",
    address: Text = "",
    outcome: Literal["released", "aborted", "rejected", "failed", "lost", ""] = "",
    since: Annotated[Text, Query(alias="from")] = "",
    until: Annotated[Text, Query(alias="to")] = "",
) -> Json:
    """Associations, and attempts that came to nothing, the last first."""
    times = time_of("from", since), time_of("to", until)
    with parts.database.read_only() as connection:
        found = views_associations.associations(
            connection, where, Wanted(ae, address, outcome, *times)
        )
    return listed(found)


@router.get("/{named}", response_model=Association)
def show_association(parts: PartsOf, named: str) -> Json:
    """One association by its id, or by the name that log lines and receipts have."""
    with parts.database.read_only() as connection:
        return Json(views_associations.one(connection, named))
