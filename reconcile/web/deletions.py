"""Deletions, and what is left of the deleted."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from reconcile.db import views_deletions
from reconcile.db.views_deletions import Deletion, Tombstone
from reconcile.flows.deleting import UIDS_MAX, Deleting
from reconcile.web.paging import Asked, Json, Listed, Text, listed
from reconcile.web.parts import Asking, PartsOf, Uid

router = APIRouter(prefix="/api/v1", tags=["deletions"])

AUid = Annotated[str, Field(pattern=r"^[0-9.]{1,64}$")]


class Wanted(BaseModel):
    """Studies, series or instances by received or assigned UIDs, and why."""

    model_config = ConfigDict(extra="forbid")

    uids: Annotated[list[AUid], Field(min_length=1, max_length=UIDS_MAX)]
    reason: Annotated[str, Field(min_length=1, max_length=1000)]


class Why(BaseModel):
    """Why; kept in the history."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=1000)]


def _deleting(parts: PartsOf) -> Deleting:
    return Deleting(parts.database, parts.clock, parts.rules.digest, parts.two_persons)


Flow = Annotated[Deleting, Depends(_deleting)]


@router.post("/deletions", status_code=201, response_model=Deletion)
def plan_deletion(flow: Flow, asking: Asking, said: Wanted) -> Json:
    """Plan to delete; nothing changes until somebody else confirms it."""
    return Json(flow.plan(said.uids, said.reason, asking.name), 201)


@router.get("/deletions", response_model=Listed[Deletion])
def list_deletions(
    parts: PartsOf,
    where: Asked,
    state: Literal["planned", "confirmed", "executing", "executed", "cancelled", ""] = "",
) -> Json:
    """Deletions, the first one first."""
    with parts.database.read_only() as connection:
        return listed(views_deletions.deletions(connection, where, state=state))


@router.get("/deletions/{deletion_id}", response_model=Deletion)
def show_deletion(parts: PartsOf, deletion_id: str) -> Json:
    """One deletion."""
    with parts.database.read_only() as connection:
        return Json(views_deletions.deletion(connection, deletion_id))


@router.post("/deletions/{deletion_id}/confirm", response_model=Deletion)
def confirm_deletion(flow: Flow, asking: Asking, deletion_id: str) -> Json:
    """Let it be done: there is no way back."""
    return Json(flow.confirm(deletion_id, asking.name))


@router.post("/deletions/{deletion_id}/cancel", response_model=Deletion)
def cancel_deletion(flow: Flow, asking: Asking, deletion_id: str, said: Why) -> Json:
    """Let it never be done."""
    return Json(flow.cancel(deletion_id, said.reason, asking.name))


@router.get("/tombstones", response_model=Listed[Tombstone])
def list_tombstones(
    parts: PartsOf, where: Asked, uid: Text = "", deletion: Text = ""
) -> Json:
    """What is left of deleted instances, the first one first."""
    with parts.database.read_only() as connection:
        found = views_deletions.tombstones(connection, where, uid=uid, deletion=deletion)
    return listed(found)


@router.post("/studies/{uid}/hold")
def hold_study(flow: Flow, asking: Asking, uid: Uid, said: Why) -> Json:
    """Put a study under a legal hold: nothing of it is deleted."""
    changed = flow.retain(uid, held=True, reason=said.reason, actor=asking.name)
    return Json({"studies": changed})


@router.post("/studies/{uid}/release")
def release_study(flow: Flow, asking: Asking, uid: Uid, said: Why) -> Json:
    """Let a study go from its legal hold."""
    changed = flow.retain(uid, held=False, reason=said.reason, actor=asking.name)
    return Json({"studies": changed})
