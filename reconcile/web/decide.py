"""`POST /api/v1/decide`: the engine behind another archive."""

from __future__ import annotations

import os
import secrets
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Body

from reconcile.flows.decide import Decided, DecideFlow
from reconcile.web.paging import Json
from reconcile.web.parts import Asking, PartsOf
from reconcile.web.stow import SourceName, source_of

router = APIRouter(prefix="/api/v1", tags=["decisions"])


@cache
def _run(process: int) -> str:
    """What receipts of one process share."""
    return f"decide/{secrets.token_hex(4)}"


@router.post("/decide", response_model=Decided)
def decide(
    parts: PartsOf,
    asking: Asking,
    header: Annotated[dict[str, Any], Body(description="A header in the DICOM JSON model")],
    source: SourceName = "",
) -> Json:
    """What an instance with this header is to be coerced into, recorded as received.

    Another archive keeps the instance; here its header is kept, and what was decided.
    """
    flow = DecideFlow(parts.deciding, parts.retrieve, _run(os.getpid()))
    return Json(flow.decide(header, source_of(parts, asking, source)))
