"""What was ordered, what is sent on, and the configuration in force."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from reconcile.db import views_deliveries, views_orders, views_outbox, views_summary
from reconcile.db.views import Where
from reconcile.errors import ReconcileError
from reconcile.flows.forwarding import Steering
from reconcile.web.masking import Masked
from reconcile.web.pages.rendering import go, page
from reconcile.web.paging import Cursor, Text
from reconcile.web.parts import Asking, Parts, PartsOf

router = APIRouter(include_in_schema=False)

ORDERS, STUDIES, NOTICES = 50, 200, 50

AE = Annotated[str, Form(min_length=1, max_length=16)]
StudyUid = Annotated[str, Form(pattern=r"^[0-9.]{0,64}$")]


@router.get("/orders")
def orders(
    request: Request,
    parts: PartsOf,
    mask: Masked,
    accession: Text = "",
    cursor: Cursor = "",
) -> Response:
    """Orders with their procedures and scheduled steps, the oldest first."""
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        found = views_orders.orders(connection, accession.strip(), Where(ORDERS, cursor))
        found = mask.page(found, mask.orders(connection, found.items))
    facts: dict[str, Any] = {"items": found.items, "next": found.next, "first": not cursor}
    return page(request, "orders.html", now, asked={"accession": accession}, **facts)


@router.get("/deliveries")
def deliveries(
    request: Request,
    parts: PartsOf,
    destination: Text = "",
    done: Annotated[str, Query(pattern=r"^(1?)$")] = "",
    told: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> Response:
    """What is sent on, what was refused, and whom nobody could tell."""
    return _deliveries(request, parts, destination, done, told)


def _deliveries(
    request: Request,
    parts: Parts,
    destination: str = "",
    done: str = "",
    told: int = 0,
    fault: ReconcileError | None = None,
) -> Response:
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        queued = views_deliveries.queued(
            connection, destination, most=STUDIES, all_states=bool(done)
        )
        notices = views_outbox.notifications(
            connection, Where(NOTICES), state="waiting"
        ).items
        given_up = views_outbox.notifications(
            connection, Where(NOTICES), state="given-up"
        ).items
    return page(
        request,
        "deliveries.html",
        now,
        status=fault.http_status if fault else 200,
        queued=queued,
        most=STUDIES,
        notices=(*given_up, *notices),
        destinations=sorted(parts.destinations),
        asked={"destination": destination, "done": done},
        told=told,
        fault=fault,
    )


@router.post("/deliveries/{action}")
def steer(
    request: Request,
    parts: PartsOf,
    asking: Asking,
    action: Literal["retry", "skip", "send"],
    destination: AE,
    study: StudyUid = "",
) -> Response:
    """Send again, leave out, or send a whole study anew."""
    steering = Steering(parts.database, parts.clock, parts.destinations)
    try:
        if action == "skip":
            count = steering.skip(destination, study, asking.name)
        elif action == "send":
            count = steering.send(destination, study)
        else:
            count = steering.retry(destination, study)
    except ReconcileError as fault:
        return _deliveries(request, parts, fault=fault)
    return go("/deliveries", told=str(count))


@router.get("/configuration")
def configuration(request: Request, parts: PartsOf) -> Response:
    """What is in force; nothing of it is a secret."""
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
    return page(
        request,
        "configuration.html",
        now,
        in_force=parts.in_force,
        digest=parts.rules.digest,
        doors=parts.doors,
    )
