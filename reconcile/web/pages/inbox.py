"""The inbox of HL7 messages: what came, what was answered, what it did, once more."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from reconcile.db import views_holds, views_summary
from reconcile.db.views import Where
from reconcile.errors import ReconcileError
from reconcile.flows.message import Asked
from reconcile.flows.outcome import REPLAYABLE
from reconcile.flows.replay import Replayed
from reconcile.web.masking import Mask, Masked
from reconcile.web.messages import MessageId
from reconcile.web.pages.planning import Reason, Step
from reconcile.web.pages.rendering import go, page
from reconcile.web.paging import Cursor, Text
from reconcile.web.parts import Asking, Parts, PartsOf

router = APIRouter(prefix="/inbox", include_in_schema=False)

PAGE = 50
STATES = ("applied", "held", "refused", "already-same", "duplicate", "stale", "kept")


@router.get("")
def inbox(
    request: Request,
    parts: PartsOf,
    state: Text = "",
    sender: Text = "",
    control_id: Text = "",
    event: Text = "",
    cursor: Cursor = "",
) -> Response:
    """Messages, the newest first; without what they say."""
    asked = {"state": state, "sender": sender, "control_id": control_id, "event": event}
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        found = views_holds.messages(connection, Where(PAGE, cursor), **asked)
    facts: dict[str, Any] = {"items": found.items, "next": found.next, "first": not cursor}
    return page(request, "inbox.html", now, asked=asked, states=STATES, **facts)


@router.get("/{message_id}")
def message(
    request: Request, parts: PartsOf, mask: Masked, message_id: MessageId
) -> Response:
    """One message, as it came, what was answered, and what it did."""
    return _message(request, parts, mask, message_id)


@router.post("/{message_id}/replay")
def replay(
    request: Request,
    parts: PartsOf,
    mask: Masked,
    asking: Asking,
    message_id: MessageId,
    reason: Reason = "",
    step: Step = "look",
) -> Response:
    """Act on a message as if it came now: looked at first, then done."""
    do = step == "do"
    try:
        done = parts.replays.replay(message_id, Asked(asking.name, reason, not do))
    except ReconcileError as fault:
        return _message(request, parts, mask, message_id, fault=fault, reason=reason)
    if do:
        return go(f"/inbox/{message_id}", done="1")
    return _message(request, parts, mask, message_id, looked=done, reason=reason)


def _message(
    request: Request,
    parts: Parts,
    mask: Mask,
    message_id: str,
    *,
    fault: ReconcileError | None = None,
    looked: Replayed | None = None,
    reason: str = "",
) -> Response:
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        found = mask.message(views_holds.message(connection, message_id))
    return page(
        request,
        "message.html",
        now,
        status=fault.http_status if fault else 200,
        message=found,
        can_replay=found.state in REPLAYABLE,
        fault=fault,
        looked=looked,
        reason=reason,
        done=request.query_params.get("done") == "1",
    )
