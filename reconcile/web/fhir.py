"""The history as FHIR R4: read and search, as ITI-81 (Retrieve ATNA Audit Event) asks.

Every error below /fhir is an OperationOutcome. Resources are made of event rows when they
are asked for; nothing is stored twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconcile import __version__
from reconcile.core.identity import Domain
from reconcile.db import views_audit, views_studies
from reconcile.db.database import Connection
from reconcile.db.views import Page, Where
from reconcile.db.views_audit import AuditQuery, Event
from reconcile.errors import NotFound, WrongUse
from reconcile.web import fhir_resources as fhir
from reconcile.web import problems
from reconcile.web.fhir_search import AUDIT_EVENT, PROVENANCE, Reading, Search, read
from reconcile.web.masking import Mask, Masked
from reconcile.web.parts import Parts, PartsOf, base_of

PREFIX = "/fhir"
router = APIRouter(prefix=PREFIX, tags=["fhir"])

_FORMATS = ("json", "application/json", fhir.MEDIA_TYPE)
_STATED_ON = "2026-11-25"
_STATED: dict[int | str, dict[str, Any]] = {
    status: {"description": HTTPStatus(status).phrase, "content": {fhir.MEDIA_TYPE: {}}}
    for status in (200, 406, *problems.RESPONSES)
    if isinstance(status, int)
}


class Kind(NamedTuple):
    """A type of resource: how an event becomes one, and what it is searched by."""

    name: str
    make: Callable[[Event, Mapping[str, Domain], str], fhir.Resource]
    known: Mapping[str, Reading]


KINDS = {
    kind.name: kind
    for kind in (
        Kind("AuditEvent", fhir.audit_event, AUDIT_EVENT),
        Kind("Provenance", fhir.provenance, PROVENANCE),
    )
}


def _described(kind: Kind) -> dict[str, Any]:
    """The parameters of a search, for the description of the interface."""
    text = {"type": "string"}
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": text}
            for name in kind.known
        ]
    }


class FhirJson(JSONResponse):
    """A resource."""

    media_type = fhir.MEDIA_TYPE


@router.get("/metadata", responses=_STATED, response_class=FhirJson)
def capabilities(request: Request) -> Response:
    """What can be asked of it (CapabilityStatement)."""
    return _unless_refused(request) or FhirJson(_statement(f"{base_of(request)}{PREFIX}"))


@router.get(
    "/AuditEvent",
    responses=_STATED,
    response_class=FhirJson,
    openapi_extra=_described(KINDS["AuditEvent"]),
)
def search_audit_events(request: Request, parts: PartsOf, mask: Masked) -> Response:
    """Coercion events as AuditEvents; parameters of FHIR."""
    return _search(request, parts, mask, KINDS["AuditEvent"])


@router.get("/AuditEvent/{event_id}", responses=_STATED, response_class=FhirJson)
def read_audit_event(
    request: Request, parts: PartsOf, mask: Masked, event_id: str
) -> Response:
    """One coercion event as an AuditEvent."""
    return _read(request, parts, mask, KINDS["AuditEvent"], event_id)


@router.get(
    "/Provenance",
    responses=_STATED,
    response_class=FhirJson,
    openapi_extra=_described(KINDS["Provenance"]),
)
def search_provenances(request: Request, parts: PartsOf, mask: Masked) -> Response:
    """Coercion events as Provenances; parameters of FHIR."""
    return _search(request, parts, mask, KINDS["Provenance"])


@router.get("/Provenance/{event_id}", responses=_STATED, response_class=FhirJson)
def read_provenance(
    request: Request, parts: PartsOf, mask: Masked, event_id: str
) -> Response:
    """One coercion event as a Provenance."""
    return _read(request, parts, mask, KINDS["Provenance"], event_id)


def _read(
    request: Request, parts: Parts, mask: Mask, kind: Kind, event_id: str
) -> Response:
    refused = _unless_refused(request)
    if refused is not None:
        return refused
    with parts.database.read_only() as connection:
        found = views_audit.event(connection, event_id)
        found = mask.events(connection, [found])[0]
    return FhirJson(kind.make(found, parts.rules.domains, parts.rules.modifying_system))


def _search(request: Request, parts: Parts, mask: Mask, kind: Kind) -> Response:
    refused = _unless_refused(request)
    if refused is not None:
        return refused
    search = read(request.query_params.multi_items(), kind.known, parts.rules.domains)
    if search.unknown and "handling=strict" in request.headers.get("prefer", ""):
        raise WrongUse(f"not searched by: {', '.join(sorted(search.unknown))[:256]}")
    with parts.database.read_only() as connection:
        page = _found(connection, search)
        page = mask.page(page, mask.events(connection, page.items))
    base = f"{base_of(request)}{PREFIX}"
    made = [
        kind.make(each, parts.rules.domains, parts.rules.modifying_system)
        for each in page.items
    ]
    links = dict(_links(f"{base}/{kind.name}", search, page.next))
    return FhirJson(fhir.bundle(made, links, base, _warned(search)))


def _found(connection: Connection, search: Search) -> Page[Event]:
    if search.nothing:
        return Page(())
    if search.event_id:
        try:
            return Page((views_audit.event(connection, search.event_id),))
        except NotFound:
            return Page(())
    query = _of_uid(connection, search) if search.uid else search.query
    return views_audit.events(connection, query, Where(search.count, search.cursor))


def _of_uid(connection: Connection, search: Search) -> AuditQuery:
    """The question with its UID as what the registry knows it for; else a study's."""
    try:
        level = views_studies.uids(connection, search.uid).level
    except NotFound:
        level = "study"
    if level == "instance":
        return replace(search.query, instance=search.uid)
    if level == "series":
        return replace(search.query, series=search.uid)
    return replace(search.query, study=search.uid)


def _links(
    address: str, search: Search, following: str | None
) -> Iterator[tuple[str, str]]:
    own = [*search.used, *([("_cursor", search.cursor)] if search.cursor else [])]
    yield "self", f"{address}?{urlencode(own)}" if own else address
    if following is not None:
        yield "next", f"{address}?{urlencode([*search.used, ('_cursor', following)])}"


def _warned(search: Search) -> fhir.Resource | None:
    if not search.unknown:
        return None
    told = f"left out, not searched by: {', '.join(sorted(search.unknown))[:256]}"
    return fhir.outcome("warning", "not-supported", told)


def _unless_refused(request: Request) -> Response | None:
    """406 for a client that takes no JSON."""
    wanted = request.query_params.get("_format") or request.headers.get("accept", "*/*")
    kinds = [each.partition(";")[0].strip().lower() for each in wanted.split(",")]
    if any(each in _FORMATS or each in ("*/*", "application/*", "") for each in kinds):
        return None
    return problems.problem(406, detail=f"{fhir.MEDIA_TYPE} is what there is")


def _statement(base: str) -> fhir.Resource:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _STATED_ON,
        "kind": "instance",
        "software": {"name": "reconcile", "version": __version__},
        "implementation": {"description": "The coercion history", "url": base},
        "fhirVersion": fhir.VERSION,
        "format": ["json"],
        "rest": [
            {"mode": "server", "resource": [_searched(each) for each in KINDS.values()]}
        ],
    }


_TYPES = {
    "date": "date",
    "recorded": "date",
    "patient": "reference",
    "agent": "reference",
    "entity": "reference",
    "target": "reference",
    "agent-name": "string",
}
_OF_THE_ANSWER = frozenset({"_count", "_cursor", "_sort"})


def _searched(kind: Kind) -> fhir.Resource:
    names = [each for each in kind.known if each.replace("-", "").strip("_").isalpha()]
    return {
        "type": kind.name,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "searchParam": [
            {"name": name, "type": _TYPES.get(name, "token")}
            for name in names
            if name not in _OF_THE_ANSWER
        ],
    }


# -- Errors -------------------------------------------------------------------------

#: What a status is called in OperationOutcome (FHIR R4, IssueType).
ISSUES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    414: "too-long",
    503: "transient",
}


class FhirErrors:
    """Lets every problem document of a path below /fhir be an OperationOutcome."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        below = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{PREFIX}/")
        await self.app(scope, receive, _Translated(send) if below else send)


class _Translated:
    """Passes on what is sent; a problem document is held until it is whole."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.begun: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_problem(message):
            self.begun = message
        elif self.begun is None:
            await self.send(message)
        else:
            self.body += message.get("body", b"")
            if not message.get("more_body"):
                await self._end(self.begun)

    async def _end(self, begun: Message) -> None:
        said = json.loads(self.body or b"{}")
        code = ISSUES.get(begun["status"], "exception")
        text = f"{said.get('title', '')}: {said.get('detail', '')}".strip(": ")
        body = json.dumps(fhir.outcome("error", code, text)).encode()
        kept = [
            (name, value)
            for name, value in begun["headers"]
            if name.lower() not in (b"content-length", b"content-type")
        ]
        kept += [
            (b"content-type", fhir.MEDIA_TYPE.encode("ascii")),
            (b"content-length", str(len(body)).encode("ascii")),
        ]
        self.begun = None
        await self.send({**begun, "headers": kept})
        await self.send({"type": "http.response.body", "body": body})


def _is_problem(message: MutableMapping[str, Any]) -> bool:
    kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
    return any(value.startswith(problems.MEDIA_TYPE.encode("ascii")) for value in kinds)
