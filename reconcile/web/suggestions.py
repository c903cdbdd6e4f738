"""Pairs of patients that may be one: shown, never acted on."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from reconcile.db import suggesting
from reconcile.db.suggesting import Suggestion
from reconcile.web.masking import Masked
from reconcile.web.paging import Asked, Json, Listed, listed
from reconcile.web.parts import PartsOf

router = APIRouter(prefix="/api/v1/suggestions", tags=["suggestions"])


@router.get("", response_model=Listed[Suggestion])
def list_suggestions(
    parts: PartsOf,
    where: Asked,
    mask: Masked,
    state: Literal["open", "settled", ""] = "open",
) -> Json:
    """Pairs of patients that the hunt suspects to be one, the first found first."""
    domain = parts.rules.archive_domain
    with parts.database.read_only() as connection:
        found = suggesting.suggestions(connection, where, domain, state=state)
        return listed(mask.page(found, mask.suggestions(connection, found.items)))
