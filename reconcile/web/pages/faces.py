"""What is wrong, as a page for people; programs are told by a problem document.

Every layer of the door answers a problem document. Where a person asked, it is made
into a page on its way out, with the same status and headers.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconcile.web.pages.rendering import plain_page
from reconcile.web.problems import MEDIA_TYPE

#: First parts of paths that programs ask for.
MACHINES = frozenset(
    {
        "api",
        "dicom-web",
        "docs",
        "fhir",
        "healthz",
        "metrics",
        "openapi.json",
        "readyz",
        "tlog",
    }
)
#: First parts of the paths of pages.
PAGES = frozenset(
    {
        "", "audit", "configuration", "deliveries", "find", "happenings", "inbox",
        "instances", "orders", "patients", "studies", "undo", "worklist",
    }
)  # fmt: skip
_SENTENCES = {
    401: "This archive asks for a key: send it as Authorization: Bearer KEY.",
    403: "Your key does not let you do this.",
    404: "There is nothing at this address.",
}


class Faces:
    """The outermost layer: turns problem documents into pages where a person asked."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_for_people(scope):
            await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, _Face(send))


def is_for_people(scope: Scope) -> bool:
    """Whether a page is asked for, or something that is nowhere and by a browser."""
    first = scope["path"].lstrip("/").partition("/")[0]
    if first in PAGES:
        return True
    accepts = Headers(scope=scope).get("accept", "")
    return first not in MACHINES and "text/html" in accepts


class _Face:
    """Keeps a problem document back until it is whole, and sends a page in its place."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_problem(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._end(self._start)

    async def _end(self, start: Message) -> None:
        said: dict[str, Any] = json.loads(self._body or b"{}")
        status = start["status"]
        sentence = said.get("detail") or _SENTENCES.get(status, _wrong(said))
        body = plain_page(status, said.get("title", ""), sentence)
        headers = MutableHeaders(scope=start)
        headers["content-type"] = "text/html; charset=utf-8"
        headers["content-length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _is_problem(message: Message) -> bool:
    return Headers(raw=message["headers"]).get("content-type", "").startswith(MEDIA_TYPE)


def _wrong(said: dict[str, Any]) -> str:
    """Which parameters are wrong, and never what was in them."""
    wrong = (f"{each['parameter']}: {each['reason']}" for each in said.get("errors", ()))
    return "; ".join(wrong)
