"""Nobody else's page may send our forms in a person's name (CSRF).

Two guards, each enough: a browser says where a request comes from (Sec-Fetch-Site, and
Origin), and that has to be here; and a form holds a token that only who can read the
cookie can make. The cookie is no session and names nobody; the token is bound to who
asks, so that a session, once there are some, changes nothing here.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import Response

from reconcile.errors import ReconcileError
from reconcile.web.parts import base_of

FIELD = "token"
_BYTES = 32
_SAFE = frozenset({"GET", "HEAD"})


class Forged(ReconcileError):
    """A form that was not made here, or not for who sends it."""

    title = "The form was not made here"
    http_status = 403


async def checked(request: Request) -> None:
    """See that a form is one of ours.

    Raises:
        Forged: it came from elsewhere, or has no token for who sends it.
    """
    if request.method in _SAFE:
        return
    if not _is_from_here(request):
        raise Forged("it was sent from another site")
    said = (await request.form()).get(FIELD, "")
    cookie = request.cookies.get(_name(request), "")
    right = _token(cookie, request) if cookie else ""
    if not right or not hmac.compare_digest(str(said).encode(), right.encode()):
        raise Forged("its token is not yours: load the page again, then send it")


def token_of(request: Request) -> str:
    """The token of the forms of a page."""
    return _token(_cookie(request), request)


def keep_cookie(request: Request, answer: Response) -> None:
    """Give whoever has none a cookie that goes to nobody else."""
    if request.cookies.get(_name(request)):
        return
    answer.set_cookie(
        _name(request),
        _cookie(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def _is_from_here(request: Request) -> bool:
    """What a browser says of it; who says nothing is no browser that shows our pages."""
    site, origin = (request.headers.get(name) for name in ("sec-fetch-site", "origin"))
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        return urlsplit(origin).netloc in _ours(request)
    return site is not None


def _ours(request: Request) -> set[str]:
    named = {urlsplit(base_of(request)).netloc, request.headers.get("host", "")}
    return named - {""}


def _name(request: Request) -> str:
    """With TLS a name that no other host and no plain connection can set."""
    return "__Host-reconcile" if request.url.scheme == "https" else "reconcile"


def _cookie(request: Request) -> str:
    found = request.cookies.get(_name(request))
    if not found:
        found = getattr(request.state, "cookie", "") or secrets.token_hex(_BYTES)
        request.state.cookie = found
    return found


def _token(cookie: str, request: Request) -> str:
    who: str = request.state.principal.name
    return hmac.new(cookie.encode(), f"form|{who}".encode(), sha256).hexdigest()
