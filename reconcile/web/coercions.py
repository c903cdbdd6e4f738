"""The coercion history over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from reconcile.db import views_audit, views_seal
from reconcile.db.views_audit import AuditQuery, Event
from reconcile.flows.history import HistoryFlow
from reconcile.flows.proof import prove
from reconcile.flows.questions import audit_query
from reconcile.web.masking import Masked
from reconcile.web.paging import Asked, Json, ListedEvents, Text, listed
from reconcile.web.parts import PartsOf, Uid
from reconcile.web.readings import Told

router = APIRouter(prefix="/api/v1", tags=["coercions"], dependencies=[Told])


def _query(
    parts: PartsOf,
    patient: Text = "",
    study: Text = "",
    series: Text = "",
    instance: Text = "",
    accession: Text = "",
    cause: Text = "",
    cause_id: Text = "",
    reason: Text = "",
    rule: Text = "",
    source: Text = "",
    attribute: Text = "",
    actor: Text = "",
    since: Annotated[str, Query(alias="from", max_length=64)] = "",
    until: Annotated[str, Query(alias="to", max_length=64)] = "",
    through: Annotated[str, Query(max_length=18)] = "",
) -> AuditQuery:
    """The filters; each that is given must hold."""
    said = {
        "patient": patient,
        "study": study,
        "series": series,
        "instance": instance,
        "accession": accession,
        "cause": cause,
        "cause_id": cause_id,
        "reason": reason,
        "rule": rule,
        "source": source,
        "attribute": attribute,
        "actor": actor,
        "from": since,
        "to": until,
        "through": through,
    }
    return audit_query(said, parts.rules.domains)


Filters = Annotated[AuditQuery, Depends(_query)]


@router.get("/coercions", response_model=ListedEvents[Event])
def list_coercions(parts: PartsOf, query: Filters, where: Asked, mask: Masked) -> Json:
    """Coercion events in the order in which they apply."""
    with parts.database.read_only() as connection:
        found = views_audit.events(connection, query, where)
        found = mask.page(found, mask.events(connection, found.items))
        through = views_seal.sealed_through(connection)
    return listed(found, sealed_through=through)


@router.get("/coercions/{event_id}", response_model=Event)
def show_coercion(parts: PartsOf, event_id: str, mask: Masked) -> Json:
    """One coercion event."""
    with parts.database.read_only() as connection:
        found = views_audit.event(connection, event_id)
        return Json(mask.events(connection, [found])[0])


@router.get("/coercions/{event_id}/proof")
def prove_coercion(parts: PartsOf, event_id: str) -> Json:
    """The proof that an event is in the log: verifies offline, holds no patient data."""
    return Json(prove(parts.database, parts.storage.tiles, event_id))


@router.get("/instances/{sop_instance_uid}/history", response_model=ListedEvents[Event])
def instance_history(parts: PartsOf, sop_instance_uid: Uid) -> Json:
    """All events that apply to one instance, oldest first."""
    with parts.database.read_only() as connection:
        through = views_seal.sealed_through(connection)
    found = HistoryFlow(parts.retrieve).instance(sop_instance_uid)
    return Json({"items": found, "next": None, "sealed_through": through})
