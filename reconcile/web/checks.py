"""The independent checker over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from reconcile.flows.check import CheckFlow, Verdict
from reconcile.web.paging import Json
from reconcile.web.parts import PartsOf, Uid

router = APIRouter(prefix="/api/v1", tags=["instances"])


@router.get("/instances/{sop_instance_uid}/check", response_model=Verdict)
def check_instance(parts: PartsOf, sop_instance_uid: Uid) -> Json:
    """Whether received, given out and events of an instance explain each other."""
    flow = CheckFlow(parts.database, parts.storage)
    found = list(flow.instances(sop_instance_uid))
    return Json(min(found, key=lambda verdict: verdict.ok))
