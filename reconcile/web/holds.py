"""What waits for a person: shown, and resolved."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from reconcile.db import views_audit, views_holds
from reconcile.db.views import Where
from reconcile.db.views_audit import AuditQuery, Event
from reconcile.db.views_holds import Hold
from reconcile.flows.resolve import ResolveFlow, Wanted
from reconcile.flows.worklist import grace
from reconcile.web.masking import Masked
from reconcile.web.paging import Asked, Json, Listed, Text, listed
from reconcile.web.parts import Asking, PartsOf
from reconcile.web.problems import MEDIA_TYPE

router = APIRouter(prefix="/api/v1/holds", tags=["holds"])

HoldId = Annotated[str, Path(max_length=64)]
_STALE: dict[int | str, dict[str, Any]] = {
    409: {"description": "Somebody else has decided", "content": {MEDIA_TYPE: {}}}
}


class Resolution(BaseModel):
    """What a person decided.

    `version` is the item's as they saw it, `receipt` the arrival that is meant, where
    the item has several, `patient` (ID^^^DOMAIN) to whom it is assigned.
    """

    model_config = ConfigDict(extra="forbid")

    action: Annotated[str, Field(max_length=64)]
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    version: int
    receipt: Annotated[str, Field(max_length=64)] = ""
    patient: Annotated[str, Field(max_length=512)] = ""


class Resolved(BaseModel):
    """The item as it is now, and the coercion events of its resolution."""

    happening: str
    hold: Hold
    events: list[Event]


@router.get("", response_model=Listed[Hold])
def list_holds(
    parts: PartsOf,
    where: Asked,
    mask: Masked,
    kind: Literal["hold", "review", "message", ""] = "",
    code: Text = "",
    state: Literal["open", "closed", ""] = "",
) -> Json:
    """What waits for a person, or wants one's eye, the oldest first."""
    with parts.database.read_only() as connection:
        page = views_holds.holds(
            connection,
            where,
            kind=kind,
            code=code,
            state=state,
            grace=grace(parts.rules, parts.clock()),
        )
        return listed(mask.page(page, mask.holds(connection, page.items)))


@router.get("/{hold_id}", response_model=Hold)
def show_hold(parts: PartsOf, hold_id: HoldId, mask: Masked) -> Json:
    """One item of the worklist, with all its instances."""
    with parts.database.read_only() as connection:
        found = views_holds.hold(connection, hold_id)
        return Json(mask.holds(connection, [found])[0])


@router.post(
    "/{hold_id}/resolve", status_code=201, response_model=Resolved, responses=_STALE
)
def resolve_hold(
    parts: PartsOf, asking: Asking, hold_id: HoldId, resolution: Resolution
) -> Json:
    """Do what a person decided, and write it down."""
    said = resolution
    wanted = Wanted(
        hold_id,
        said.action,
        said.reason,
        asking.name,
        said.version,
        said.receipt,
        said.patient,
    )
    flow = ResolveFlow(parts.resolving, parts.sources, parts.replays)
    happening = flow.resolve(wanted)
    query = AuditQuery(cause="resolve", cause_id=hold_id)
    with parts.database.read_only() as connection:
        item = views_holds.hold(connection, hold_id)
        events = views_audit.events(connection, query, Where(limit=1000)).items
    return Json({"happening": happening, "hold": item, "events": events}, 201)
