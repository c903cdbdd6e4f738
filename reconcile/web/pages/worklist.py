"""The worklist: what waits for a person, and where they decide it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from reconcile.core.coercion import Outcome
from reconcile.db import (
    views_contents,
    views_happenings,
    views_holds,
    views_people,
    views_studies,
    views_summary,
)
from reconcile.db.database import Connection
from reconcile.db.views import Where, uuid_of
from reconcile.db.views_holds import Hold
from reconcile.db.views_people import Known
from reconcile.errors import ReconcileError
from reconcile.flows.replay import OF_A_MESSAGE
from reconcile.flows.resolve import ACTIONS, OF_A_REVIEW, ResolveFlow, Wanted
from reconcile.flows.worklist import grace
from reconcile.web.holds import HoldId
from reconcile.web.masking import Mask, Masked
from reconcile.web.pages.comparing import side_by_side
from reconcile.web.pages.rendering import go, page
from reconcile.web.paging import Cursor, Text
from reconcile.web.parts import Asking, Parts, PartsOf

router = APIRouter(prefix="/worklist", include_in_schema=False)

PAGE = 50
#: Candidates beside the header: more do not fit, and are listed below it.
BESIDE_MAX = 4
_ARRIVALS_MAX = 20

Kind = Literal["hold", "review", "message", ""]
State = Literal["open", "closed", ""]
Said = Annotated[str, Form(max_length=512)]


@router.get("")
def worklist(
    request: Request,
    parts: PartsOf,
    mask: Masked,
    kind: Kind = "",
    code: Text = "",
    source: Text = "",
    state: State = "open",
    cursor: Cursor = "",
) -> Response:
    """What waits for a person, or wants one's eye, the oldest first."""
    asked = {"kind": kind, "code": code, "source": source, "state": state}
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        found = views_holds.holds(
            connection, Where(PAGE, cursor), **asked, grace=grace(parts.rules, now)
        )
        found = mask.page(found, mask.holds(connection, found.items))
        counted = views_summary.waiting(connection, now, grace(parts.rules, now))
        sources = views_summary.sources_of_items(connection)
    codes = sorted({each.code for each in counted} | ({code} if code else set()))
    return page(
        request,
        "worklist.html",
        now,
        items=found.items,
        next=found.next,
        asked=asked,
        codes=codes,
        sources=sources,
        first=not cursor,
    )


@router.get("/{hold_id}")
def item(request: Request, parts: PartsOf, mask: Masked, hold_id: HoldId) -> Response:
    """One item: the received header beside the candidates, and what can be decided."""
    return _item(request, parts, mask, hold_id)


@router.post("/{hold_id}/resolve")
def resolve(
    request: Request,
    parts: PartsOf,
    asking: Asking,
    mask: Masked,
    hold_id: HoldId,
    version: Annotated[int, Form(le=2**31 - 1, ge=0)],
    action: Said = "",
    reason: Annotated[str, Form(max_length=1000)] = "",
    patient: Said = "",
    other_patient: Said = "",
    receipt: Said = "",
) -> Response:
    """Do what a person decided; if somebody was first, say who, and lose nothing."""
    named = other_patient.strip() or patient
    wanted = Wanted(hold_id, action, reason, asking.name, version, receipt, named)
    try:
        ResolveFlow(parts.resolving, parts.sources, parts.replays).resolve(wanted)
    except ReconcileError as fault:
        said = {"action": action, "reason": reason, "patient": patient}
        said |= {"other_patient": other_patient, "receipt": receipt}
        return _item(request, parts, mask, hold_id, fault, said)
    return go(f"/worklist/{hold_id}", done="1")


def _item(
    request: Request,
    parts: Parts,
    mask: Mask,
    hold_id: str,
    fault: ReconcileError | None = None,
    said: Mapping[str, str] | None = None,
) -> Response:
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        found = views_holds.hold(connection, hold_id)
        mask.whole([found], mask.holds(connection, [found]))
        facts = _facts(connection, parts, found)
    return page(
        request,
        "hold.html",
        now,
        status=fault.http_status if fault else 200,
        fault=fault,
        said=said or {},
        done=request.query_params.get("done") == "1",
        **facts,
    )


def _facts(connection: Connection, parts: Parts, hold: Hold) -> dict[str, Any]:
    candidates = _candidates(connection, hold)
    shown = candidates[:BESIDE_MAX]
    domain = parts.sources(hold.source).domain
    happening, reason = views_happenings.that_closed(connection, hold.id)
    closed_by = (
        views_happenings.happening(connection, str(happening)) if happening else None
    )
    return {
        "hold": hold,
        "actions": actions_of(hold),
        "candidates": candidates,
        "rows": side_by_side(hold.received, [known for _, known in shown], domain),
        "beside": shown,
        "explained": _explained(connection, hold),
        "arrivals": _arrivals(connection, hold),
        "reason": reason,
        "closing": closed_by,
    }


def actions_of(hold: Hold) -> tuple[str, ...]:
    """What can be decided of an item."""
    if hold.state == "closed":
        return ()
    by_kind = {"review": OF_A_REVIEW, "message": OF_A_MESSAGE}
    return by_kind.get(hold.kind) or ACTIONS.get(hold.code, ())


def _candidates(
    connection: Connection, hold: Hold
) -> list[tuple[Mapping[str, Any], Known]]:
    """Candidates as they were weighed, with what is known of each today."""
    ids = {each["patient"]: uuid_of(str(each["patient"])) for each in hold.candidates}
    known = views_people.known(connection, filter(None, ids.values()))
    found: list[tuple[Mapping[str, Any], Known]] = []
    for each in hold.candidates:
        person: UUID | None = ids[each["patient"]]
        if person in known:
            found.append((each, known[person]))
    return found


def _explained(connection: Connection, hold: Hold) -> views_studies.StudyExplained | None:
    if hold.study_instance_uid is None:
        return None
    return views_studies.study_explained(connection, hold.study_instance_uid)


def _arrivals(connection: Connection, hold: Hold) -> tuple[views_contents.ArrivalHeld, ...]:
    """The versions between which a person decides."""
    if hold.code != Outcome.DUPLICATE_DIFFERS.value:
        return ()
    return views_contents.arrivals_of(connection, hold.id, _ARRIVALS_MAX)
