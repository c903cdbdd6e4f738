"""The coercion history over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response, StreamingResponse

from reconcile.db import views_audit, views_seal
from reconcile.db.views_audit import AuditQuery, Event
from reconcile.flows import exporting
from reconcile.flows.history import HistoryFlow
from reconcile.flows.proof import prove
from reconcile.flows.questions import audit_query
from reconcile.web.masking import Masked
from reconcile.web.paging import Asked, Json, ListedEvents, Text, listed
from reconcile.web.parts import PartsOf, Uid
from reconcile.web.readings import Told
from reconcile.web.related import begun, streamed

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


_NDJSON, _CSV = "application/x-ndjson", "text/csv; charset=utf-8; header=present"


def _file(kind: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "The events as a file", "content": {kind: {}}}}


@router.get("/coercions.ndjson", responses=_file(_NDJSON), response_class=Response)
def export_ndjson(parts: PartsOf, query: Filters, mask: Masked) -> Response:
    """All events that the filters leave, one JSON object a line."""
    made = exporting.ndjson(parts.database, query, mask.events)
    return _attached(made, _NDJSON, "coercions.ndjson")


@router.get("/coercions.csv", responses=_file("text/csv"), response_class=Response)
def export_csv(parts: PartsOf, query: Filters, mask: Masked) -> Response:
    """The same as a table for people, one row for each attribute that changed."""
    made = exporting.csv(parts.database, query, mask.events)
    return _attached(made, _CSV, "coercions.csv")


def _attached(made: exporting.Chunks, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(streamed(begun(made)), 200, headers, media_type)


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
