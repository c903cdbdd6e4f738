"""One study: what it holds, why it is whose it is, and what a steward corrects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from reconcile.db import (
    views_audit,
    views_contents,
    views_instances,
    views_people,
    views_studies,
    views_summary,
)
from reconcile.db.views import Where
from reconcile.db.views_audit import AuditQuery
from reconcile.errors import NotFound
from reconcile.flows.attempt import Done
from reconcile.flows.check import CheckFlow
from reconcile.flows.history import HistoryFlow
from reconcile.flows.regroup import Regroup
from reconcile.flows.steward import By, Steward
from reconcile.web.corrections import Kept
from reconcile.web.masking import Masked
from reconcile.web.pages.planning import Plan, Reason, Said, Step, planned
from reconcile.web.pages.rendering import page
from reconcile.web.paging import Cursor
from reconcile.web.parts import Asking, PartsOf, Uid
from reconcile.web.readings import Told

router = APIRouter(include_in_schema=False)

INSTANCES, EVENTS = 25, 25

Several = Annotated[list[str], Form()]


@router.get("/studies/{uid}", dependencies=[Told])
def study(
    request: Request,
    parts: PartsOf,
    uid: Uid,
    mask: Masked,
    cursor: Cursor = "",
    events: Cursor = "",
) -> Response:
    """A study by a received, assigned or alias UID; two lists, each with its own cursor."""
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        explained = views_studies.study_explained(connection, uid)
        assigned = explained.study_instance_uid
        series = views_contents.series_of(connection, assigned)
        instances = views_contents.instances_of(
            connection, assigned, Where(INSTANCES, cursor)
        )
        query = AuditQuery(study=assigned)
        timeline = views_audit.events(connection, query, Where(EVENTS, events))
        owners = {each.person for each in series if each.person}
        timeline = mask.page(timeline, mask.events(connection, timeline.items))
        persons = mask.known(connection, views_people.known(connection, owners))
        names = mask.names(connection, explained.persons)
    return page(
        request,
        "study.html",
        now,
        explained=replace(explained, persons=names),
        series=series,
        instances=instances,
        timeline=timeline,
        persons=persons,
        cursor=cursor,
        events_cursor=events,
    )


@router.get("/instances/{uid}", dependencies=[Told])
def instance(request: Request, parts: PartsOf, uid: Uid) -> Response:
    """One instance: its arrivals, its events as they apply to it, the checker's word."""
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        arrivals = views_instances.arrivals(connection, uid)
    events = HistoryFlow(parts.retrieve).instance(uid)
    try:
        verdicts = list(CheckFlow(parts.database, parts.storage).instances(uid))
    except NotFound:
        verdicts = []
    verdict = min(verdicts, key=lambda each: each.ok, default=None)
    facts: dict[str, Any] = {"arrivals": arrivals, "events": events, "verdict": verdict}
    return page(request, "instance.html", now, uid=uid, **facts)


@router.post("/studies/{uid}/correct")
def correct(
    request: Request,
    parts: PartsOf,
    kept: Kept,
    asking: Asking,
    mask: Masked,
    uid: Uid,
    action: Said,
    patient: Said = "",
    order: Said = "",
    one_series: Said = "",
    series: Several = [],  # noqa: B006  FastAPI copies it
    reason: Reason = "",
    step: Step = "look",
) -> Response:
    """What a steward corrects in a study: looked at first, then done."""
    steward, regroup = Steward(kept), Regroup(kept)
    acts: dict[str, tuple[str, Callable[[By], Done]]] = {
        "assign": (
            f"Assign this study to {patient}",
            lambda by: steward.assign(uid, patient, by),
        ),
        "link-order": (
            f"Link this study to order {order}",
            lambda by: steward.link_order(uid, order, by),
        ),
        "unlink-order": (
            f"Link this study to order {order} no longer",
            lambda by: steward.unlink_order(uid, order, by),
        ),
        "split": (
            f"Let {len(series)} series be a study of their own",
            lambda by: regroup.split(uid, series, by),
        ),
        "move-series": (
            "Move a series into this study",
            lambda by: regroup.move(one_series, uid, by),
        ),
    }
    if action not in acts:
        raise NotFound("there is no such correction")
    title, act = acts[action]
    fields = {
        "action": action,
        "patient": patient,
        "order": order,
        "one_series": one_series,
        "series": series,
    }
    plan = Plan(title, f"/studies/{uid}", fields)
    return planned(request, parts, asking, mask, plan, reason, step, act)
