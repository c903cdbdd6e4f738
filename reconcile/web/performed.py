"""Performed procedure steps, as they were told."""

from __future__ import annotations

from fastapi import APIRouter

from reconcile.db import views_performed
from reconcile.db.views_performed import PerformedStep
from reconcile.web.masking import Masked
from reconcile.web.paging import Asked, Json, Listed, Text, listed
from reconcile.web.parts import PartsOf, Uid

router = APIRouter(prefix="/api/v1/performed-steps", tags=["performed steps"])


@router.get("", response_model=Listed[PerformedStep])
def list_steps(
    parts: PartsOf, where: Asked, mask: Masked, study: Text = "", accession: Text = ""
) -> Json:
    """Performed steps, the newest first, each with the orders that it is linked to."""
    with parts.database.read_only() as connection:
        found = views_performed.steps(connection, where, study=study, accession=accession)
    return listed(mask.page(found, mask.steps(found.items)))


@router.get("/{uid}", response_model=PerformedStep)
def show_step(parts: PartsOf, uid: Uid, mask: Masked) -> Json:
    """One performed step by its SOP Instance UID."""
    with parts.database.read_only() as connection:
        return Json(mask.steps([views_performed.step(connection, uid)])[0])
