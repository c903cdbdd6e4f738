"""Who asked the registry or read the history over HTTP, for the audit repository.

Inside of who may come in, so that it is known who asks; after the answer, so that what
was refused is not told as done.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconcile.core.audit_message import QUERY_BYTES_MAX
from reconcile.flows.auditing import LOG_USED, QUERY, Heard
from reconcile.flows.spooling import Note
from reconcile.web import coercions, fhir, qido


def _paths(*routers: APIRouter) -> frozenset[str]:
    return frozenset(
        getattr(route, "path", "") for each in routers for route in each.routes
    )


_HISTORY = _paths(coercions.router, fhir.router) - {f"{fhir.PREFIX}/metadata"}
_QUERIES = _paths(qido.router)


class Audited:
    """Takes note of queries and of readings of the history that were answered."""

    def __init__(self, app: ASGIApp, note: Note) -> None:
        self.app = app
        self.note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                self._note(scope)
            await send(message)

        await self.app(scope, receive, noting)

    def _note(self, scope: Scope) -> None:
        path = getattr(scope.get("route"), "path", "")
        what = LOG_USED if path in _HISTORY else QUERY if path in _QUERIES else ""
        if what:
            client = scope.get("client") or ("", 0)
            query = scope["query_string"][:QUERY_BYTES_MAX]
            name = scope["state"]["principal"].name
            self.note(Heard(what, name, client[0], scope["path"], query))
