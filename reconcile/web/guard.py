"""The outermost layer: caps, headers, one log line and two figures for each request.

Query strings hold patient identifiers: nothing here writes one down. What fails inside
becomes a problem document, and of an unexpected error only its kind is logged, since its
message may quote values.
"""

from __future__ import annotations

import logging
import math
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconcile.errors import TooLarge
from reconcile.web.auth import STUDIES
from reconcile.web.metrics import Metrics
from reconcile.web.problems import of_bug, of_error, problem

log = logging.getLogger(__name__)

#: Of path and query together; the longest question of ours has 3 kB.
TARGET_BYTES_MAX = 8192

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_HSTS = "max-age=31536000"


class Guard:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, metrics: Metrics, body_bytes_max: int) -> None:
        self.app = app
        self.metrics = metrics
        self.body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send, secure=scope.get("scheme") == "https")
        began = time.perf_counter()
        try:
            await self._handle(scope, receive, answer)
        finally:
            self._note(scope, answer.status, time.perf_counter() - began)

    async def _handle(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if (
            len(scope.get("raw_path") or b"") + len(scope["query_string"])
            > TARGET_BYTES_MAX
        ):
            await problem(414)(scope, receive, answer)
            return
        capped = _Capped(receive, self._most(scope))
        try:
            capped.believe(Headers(scope=scope).get("content-length", ""))
            await self.app(scope, capped, answer)
        except TooLarge as error:
            await self._end(of_error(error), scope, receive, answer)
        except Exception as error:  # noqa: BLE001  the last door: a bug ends here, told without values
            await self._end(of_bug(error), scope, receive, answer)

    def _most(self, scope: Scope) -> float:
        """What is stored is counted by its parts, as it comes (`stow`)."""
        stores = scope["method"] == "POST" and scope["path"].startswith(STUDIES)
        return math.inf if stores else self.body_bytes_max

    async def _end(
        self, response: ASGIApp, scope: Scope, receive: Receive, answer: _Answer
    ) -> None:
        """Answer, unless half an answer is out: then the connection is cut."""
        if not answer.status:
            await response(scope, receive, answer)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        principal = scope.get("state", {}).get("principal")
        self.metrics.observe(scope["method"], route, status, seconds)
        log.info(
            "method=%s route=%s status=%d ms=%d by=%s",
            scope["method"],
            route,
            status,
            seconds * 1000,
            principal.name if principal else "",
        )


class _Answer:
    """Passes an answer on with the headers that every answer has."""

    def __init__(self, send: Send, *, secure: bool) -> None:
        self._send = send
        self._secure = secure
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if self._secure:
                headers.setdefault("Strict-Transport-Security", _HSTS)
        await self._send(message)


class _Capped:
    """Passes a body on, up to a number of bytes, whatever Content-Length says."""

    def __init__(self, receive: Receive, most: float) -> None:
        self._receive = receive
        self._left = most

    def believe(self, content_length: str) -> None:
        """Refuse at once what says itself that it is too large."""
        if content_length.isdigit() and int(content_length[:20]) > self._left:
            raise TooLarge("the body is longer than this archive takes")

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise TooLarge("the body is longer than this archive takes")
        return message
