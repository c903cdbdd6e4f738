"""One patient: identifiers, what is known, merges, studies, and who is who."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from reconcile.core.identity import PatientIdentifier
from reconcile.core.naming import identifier_of
from reconcile.db import views_audit, views_patients, views_people, views_summary
from reconcile.db.database import Connection
from reconcile.db.views import Page, Where
from reconcile.db.views_audit import AuditQuery, Event
from reconcile.db.views_patients import Person
from reconcile.errors import NotFound
from reconcile.flows.attempt import Done
from reconcile.flows.questions import time_of
from reconcile.flows.steward import By
from reconcile.flows.steward_patients import StewardPatients
from reconcile.web.corrections import Kept
from reconcile.web.masking import Masked
from reconcile.web.pages.pictures import graph
from reconcile.web.pages.planning import Plan, Reason, Said, Step, planned
from reconcile.web.pages.rendering import go, page
from reconcile.web.paging import Cursor
from reconcile.web.parts import Asking, PartsOf
from reconcile.web.readings import Told

router = APIRouter(prefix="/patients", include_in_schema=False)

EVENTS = 25

AsOf = Annotated[str, Query(max_length=64)]


@router.get("")
def by_identifier(
    parts: PartsOf, identifier: Annotated[str, Query(max_length=512)] = "", as_of: AsOf = ""
) -> Response:
    """The page of the person who owns an identifier, or owned it then."""
    named = identifier_of(identifier, parts.rules.domains)
    with parts.database.read_only() as connection:
        found = views_patients.by_identifier(connection, named, time_of("as_of", as_of))
    if not found:
        raise NotFound("nobody has this identifier")
    return go(f"/patients/{found[0].id}", as_of=as_of)


@router.get("/{person_id}", dependencies=[Told])
def patient(
    request: Request,
    parts: PartsOf,
    mask: Masked,
    person_id: str,
    as_of: AsOf = "",
    events: Cursor = "",
) -> Response:
    """A person as they are known now, or were at a time."""
    at = time_of("as_of", as_of)
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        person = views_patients.by_id(connection, person_id, at)
        mask.whole([person], mask.persons(connection, [person]))
        timeline = _timeline(connection, person, Where(EVENTS, events))
        timeline = mask.page(timeline, mask.events(connection, timeline.items))
        touched = {p for each in person.merges for p in (each.prior, each.surviving)}
        names = views_people.own_identifiers(connection, touched | {person.id})
    return page(
        request,
        "patient.html",
        now,
        person=person,
        timeline=timeline,
        names=names,
        graph=graph(person.id, person.merges, names) if person.merges else None,
        as_of=as_of,
        events_cursor=events,
    )


def _timeline(connection: Connection, person: Person, where: Where) -> Page[Event]:
    """Events of all that is theirs today."""
    if not person.identifiers:
        return Page(())
    first = person.identifiers[0]
    query = AuditQuery(patient=PatientIdentifier(first.id, first.issuer))
    return views_audit.events(connection, query, where)


@router.post("/{person_id}/correct")
def correct(
    request: Request,
    parts: PartsOf,
    kept: Kept,
    asking: Asking,
    mask: Masked,
    person_id: UUID,
    action: Said,
    identifier: Said = "",
    other: Said = "",
    reason: Reason = "",
    step: Step = "look",
) -> Response:
    """What a steward says of who is who: looked at first, then done."""
    steward = StewardPatients(kept)
    acts: dict[str, tuple[str, Callable[[By], Done]]] = {
        "merge": (
            f"Let {other} be one with {identifier}, known as {identifier}",
            lambda by: steward.merge(identifier, other, by),
        ),
        "unmerge": (
            f"Let {other} be one with {identifier} no longer",
            lambda by: steward.unmerge(identifier, other, by),
        ),
        "move": (
            f"Let {identifier} be an identifier of {other}",
            lambda by: steward.move(identifier, other, by),
        ),
        "not-same": (
            f"Keep {identifier} and {other} apart",
            lambda by: steward.not_same(identifier, other, by),
        ),
        "protect": (
            f"Let {identifier} be seen only by who may see protected patients",
            lambda by: steward.protect(identifier, by, protected=True),
        ),
        "unprotect": (
            f"Let {identifier} be seen by all again",
            lambda by: steward.protect(identifier, by, protected=False),
        ),
    }
    if action not in acts:
        raise NotFound("there is no such correction")
    title, act = acts[action]
    fields = {"action": action, "identifier": identifier, "other": other}
    plan = Plan(title, f"/patients/{person_id}", fields)
    return planned(request, parts, asking, mask, plan, reason, step, act)
