"""The history: asked, one event, one happening, and taking it back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from reconcile.db import views_audit, views_happenings, views_people, views_summary
from reconcile.db.views import Where, uuid_of
from reconcile.db.views_audit import AuditQuery
from reconcile.db.views_happenings import Happening
from reconcile.errors import WrongUse
from reconcile.flows import exporting
from reconcile.flows.questions import PLAIN, audit_query
from reconcile.flows.undo import Undo
from reconcile.web.corrections import Kept
from reconcile.web.masking import Masked
from reconcile.web.pages.planning import EVENTS_MAX, Plan, Reason, Step, planned
from reconcile.web.pages.rendering import page
from reconcile.web.paging import Cursor
from reconcile.web.parts import Asking, PartsOf
from reconcile.web.readings import Told
from reconcile.web.related import streamed

router = APIRouter(include_in_schema=False)

PAGE = 50
#: Filters of the history in the order of their form.
FILTERS = ("patient", *PLAIN, "attribute", "from", "to")
#: Of whoever asks for nothing in particular.
DAYS = 7
_VALUE_CHARACTERS_MAX = 512


def _asked(request: Request) -> dict[str, str]:
    said = {name: request.query_params.get(name, "").strip() for name in FILTERS}
    if any(len(value) > _VALUE_CHARACTERS_MAX for value in said.values()):
        raise WrongUse(f"a filter has at most {_VALUE_CHARACTERS_MAX} characters")
    return said


@router.get("/audit", dependencies=[Told])
def audit(request: Request, parts: PartsOf, mask: Masked, cursor: Cursor = "") -> Response:
    """Coercion events by all filters, in the order in which they apply."""
    said, fault, status = _asked(request), None, 200
    if not any(said.values()):
        recently = parts.clock() - timedelta(days=DAYS)
        said["from"] = recently.strftime("%Y-%m-%d")
    query = AuditQuery()
    try:
        query = audit_query(said, parts.rules.domains)
    except WrongUse as wrong:
        fault, status = wrong, wrong.http_status
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        found = views_audit.events(connection, query, Where(PAGE, cursor))
        found = mask.page(found, mask.events(connection, found.items))
    facts: dict[str, Any] = {"asked": said, "fault": fault, "first": not cursor}
    facts["items"] = () if fault else found.items
    facts["next"] = None if fault else found.next
    return page(request, "audit.html", now, status=status, filters=FILTERS, **facts)


@router.get("/audit/export", dependencies=[Told])
def export(request: Request, parts: PartsOf, mask: Masked) -> Response:
    """All events of a question, one JSON object a line."""
    query = audit_query(_asked(request), parts.rules.domains)
    name = f"coercions-{parts.clock():%Y%m%dT%H%M%SZ}.ndjson"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    body = streamed(exporting.ndjson(parts.database, query, mask.events))
    return StreamingResponse(body, 200, headers, "application/x-ndjson")


@router.get("/audit/{event_id}", dependencies=[Told])
def event(request: Request, parts: PartsOf, mask: Masked, event_id: str) -> Response:
    """One event: what stood there before, what since, why, and by whom."""
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        found = views_audit.event(connection, event_id)
        mask.whole([found], mask.events(connection, [found]))
        of = views_happenings.happening(connection, str(found.happening))
    return page(request, "event.html", now, event=found, happening=of)


@router.get("/happenings/{happening_id}", dependencies=[Told])
def happening(
    request: Request, parts: PartsOf, mask: Masked, happening_id: str
) -> Response:
    """One decision with all that it changed, and what rests on it."""
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        found = views_happenings.happening(connection, happening_id)
        events = views_audit.of_happening(connection, found.id, EVENTS_MAX + 1)
        mask.whole(events, mask.events(connection, events))
        named = _persons(found)
        mask.nobody(connection, named)
        names = views_people.own_identifiers(connection, named)
    return page(
        request,
        "happening.html",
        now,
        happening=found,
        events=events[:EVENTS_MAX],
        more=len(events) > EVENTS_MAX,
        names={str(person): held for person, held in names.items()},
        done=request.query_params.get("done") == "1",
        back=_ours(request.query_params.get("back", "")),
    )


def _persons(happening: Happening) -> set[UUID]:
    """Whom the evidence of a decision names."""
    evidence = happening.said.get("evidence", ())
    named = (uuid_of(str(each.get("person", ""))) for each in evidence)
    return {each for each in named if each}


def _ours(back: str) -> str:
    """A path of this site, or nothing: no link of ours leads elsewhere."""
    is_path = back.startswith("/") and not back.startswith(("//", "/\\"))
    return back if is_path else ""


@router.post("/happenings/{happening_id}/undo")
def undo(
    request: Request,
    parts: PartsOf,
    kept: Kept,
    asking: Asking,
    mask: Masked,
    happening_id: str,
    reason: Reason = "",
    step: Step = "look",
) -> Response:
    """Take a happening back with all that rests on it: looked at first, then done."""
    plan = Plan("Take this back", f"/happenings/{happening_id}")
    return planned(
        request,
        parts,
        asking,
        mask,
        plan,
        reason,
        step,
        lambda by: Undo(kept).happening(happening_id, by),
    )
