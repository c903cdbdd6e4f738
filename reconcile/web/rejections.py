"""What rejection notes have rejected."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from reconcile.db import views_rejections
from reconcile.db.views_rejections import Rejection
from reconcile.web.paging import Asked, Json, Listed, Text, listed
from reconcile.web.parts import PartsOf

router = APIRouter(prefix="/api/v1/rejections", tags=["rejections"])


@router.get("", response_model=Listed[Rejection])
def list_rejections(
    parts: PartsOf,
    where: Asked,
    study: Text = "",
    state: Literal["live", "ended", ""] = "live",
) -> Json:
    """Instances that were rejected, the first one first; each names its happening."""
    with parts.database.read_only() as connection:
        found = views_rejections.rejections(connection, where, study=study, state=state)
    return listed(found)
