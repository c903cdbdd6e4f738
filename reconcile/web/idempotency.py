"""Idempotency-Key: a POST that is sent again because its answer was lost is done once.

Whoever changes something may name a key of their own. The first request with it is acted
on, and its answer is kept for a day; the same request again is given that answer, with
the header `Idempotent-Replayed`. Keys are each person's own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import TypeVar

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconcile.db import answered
from reconcile.db.answered import Answered, Asked, Claim
from reconcile.db.database import Connection, DatabaseFault
from reconcile.errors import ReconcileError, ServiceUnavailable
from reconcile.web.parts import Parts
from reconcile.web.problems import of_error, problem

HEADER = "idempotency-key"
KEY_CHARACTERS_MAX = 255

_PREFIX = "/api/v1/"
_REPLAYED = {"Idempotent-Replayed": "true"}

T = TypeVar("T")


class Idempotent:
    """Acts once on a request that names a key; stands behind whoever says who asks."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self.app = app
        self.parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = _key(scope)
        if named is None:
            await self.app(scope, receive, send)
        elif not _fits(named):
            said = f"Idempotency-Key: 1 to {KEY_CHARACTERS_MAX} printable characters"
            await problem(400, detail=said)(scope, receive, send)
        else:
            await self._once(named, scope, receive, send)

    async def _once(self, named: str, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _whole(receive)
        if body is None:
            return
        asked = Asked(scope["state"]["principal"].name, named, _fingerprint(scope, body))
        now = self.parts.clock()
        try:
            found = await self._run(lambda c: answered.claim(c, asked, now))
        except (ReconcileError, DatabaseFault):
            unknown = of_error(
                ServiceUnavailable("whether this was done cannot be looked up")
            )
            await unknown(scope, receive, send)
            return
        if found is None:
            await self._act(asked, body, scope, send)
        else:
            await _told(found)(scope, receive, send)

    async def _act(self, asked: Asked, body: bytes, scope: Scope, send: Send) -> None:
        """Let it be acted on; what failed on our side may be asked again."""
        heard = _Heard(send)
        try:
            await self.app(scope, _again(body), heard)
        finally:
            answer = heard.answer
            if answer is not None and answer.status < 500:
                await self._run(partial(answered.settle, asked=asked, answer=answer))
            else:
                await self._run(partial(answered.release, asked=asked))
        await heard.pass_on()

    async def _run(self, step: Callable[[Connection], T]) -> T:
        return await to_thread.run_sync(self.parts.database.run, step)


class _Heard:
    """Keeps an answer back until it is written down: what was told is then known."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self._messages.append(message)

    @property
    def answer(self) -> Answered | None:
        """The whole answer, if there is one."""
        if not self._messages or self._messages[-1].get("more_body"):
            return None
        start, *rest = self._messages
        media_type = Headers(raw=start.get("headers", ())).get("content-type", "")
        body = b"".join(each.get("body", b"") for each in rest)
        return Answered(start["status"], media_type, body)

    async def pass_on(self) -> None:
        for message in self._messages:
            await self._send(message)


def _key(scope: Scope) -> str | None:
    """The key that a request names, if it is one that may."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    if not scope["path"].startswith(_PREFIX):
        return None
    return Headers(scope=scope).get(HEADER)


def _fits(named: str) -> bool:
    return 0 < len(named) <= KEY_CHARACTERS_MAX and named.isascii() and named.isprintable()


def _fingerprint(scope: Scope, body: bytes) -> bytes:
    target = b"\0".join((scope["path"].encode(), scope["query_string"], body))
    return sha256(target).digest()


async def _whole(receive: Receive) -> bytes | None:
    """The body of a request; None: whoever asked is gone."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes) -> Receive:
    """A body that was read, to be read."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _told(found: Claim | Answered) -> Response:
    if found is Claim.BUSY:
        return problem(409, detail=found.value)
    if found is Claim.OTHER:
        return problem(422, detail=found.value)
    assert isinstance(found, Answered)
    return Response(found.body, found.status, _REPLAYED, found.media_type or None)
