"""Undo in the large: what a rule, a source or a person did between two times."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from reconcile.errors import ReconcileError
from reconcile.flows.steward import By
from reconcile.flows.undo_many import TakenBack, UndoMany, doings_of
from reconcile.web.corrections import Kept
from reconcile.web.masking import Mask, Masked
from reconcile.web.pages.planning import Reason, Said, Step
from reconcile.web.pages.rendering import page
from reconcile.web.paging import Text
from reconcile.web.parts import Asking, Parts, PartsOf

router = APIRouter(prefix="/undo", include_in_schema=False)

#: Studies that a page shows; it says how many there are.
STUDIES_MAX = 50


@router.get("")
def undo_doings(
    request: Request,
    parts: PartsOf,
    mask: Masked,
    rule: Text = "",
    source: Text = "",
    actor: Text = "",
) -> Response:
    """The form, filled in as the address says: `from` and `to` too."""
    asked = {name: request.query_params.get(name, "")[:64] for name in ("from", "to")}
    asked |= {"rule": rule, "source": source, "actor": actor}
    return _page(request, parts, mask, asked)


@router.post("")
def undo_them(
    request: Request,
    parts: PartsOf,
    kept: Kept,
    asking: Asking,
    mask: Masked,
    rule: Said = "",
    source: Said = "",
    actor: Said = "",
    since: Annotated[str, Form(alias="from", max_length=64)] = "",
    until: Annotated[str, Form(alias="to", max_length=64)] = "",
    reason: Reason = "",
    step: Step = "look",
) -> Response:
    """Take back what is meant: looked at first, then done, some at a time."""
    asked = {"rule": rule, "source": source, "actor": actor, "from": since, "to": until}
    by = By(asking.name, reason, dry_run=step != "do")
    try:
        doings = doings_of(rule, source, actor, since, until)
        done = UndoMany(kept).of(doings, by)
    except ReconcileError as fault:
        return _page(request, parts, mask, asked, reason=reason, fault=fault)
    return _page(request, parts, mask, asked, reason=reason, done=done)


def _page(
    request: Request,
    parts: Parts,
    mask: Mask,
    asked: dict[str, str],
    *,
    reason: str = "",
    done: TakenBack | None = None,
    fault: ReconcileError | None = None,
) -> Response:
    facts: dict[str, Any] = {"asked": asked, "reason": reason, "done": done, "fault": fault}
    with parts.database.read_only() as connection:
        some = done.changes[:STUDIES_MAX] if done else ()
        facts["changes"] = mask.studied(connection, some)
    status = fault.http_status if fault else 200
    return page(request, "undo.html", parts.clock(), status=status, **facts)
