"""What a browser keeps for this archive: who is in, and who is on the way in.

`__Host-` binds a cookie to this host and to TLS. Without TLS, which is for this machine
only, a browser would not take it.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import Response

from reconcile.web.parts import base_of

SESSION, LOGIN = "reconcile-session", "reconcile-login"
_HOST = "__Host-"


def kept(headers: Headers, name: str) -> str:
    """The secret that a browser shows; empty: none."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    found = cookies.get(_HOST + name) or cookies.get(name)
    return found.value if found is not None else ""


def keep(request: Request, answer: Response, name: str, secret: str) -> None:
    """Let the browser keep a secret until it is closed."""
    secure = _is_secure(request)
    # Lax: the way back from the identity provider begins at another site.
    answer.set_cookie(
        _HOST + name if secure else name,
        secret,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def forget(request: Request, answer: Response, name: str) -> None:
    """Let the browser keep it no longer."""
    secure = _is_secure(request)
    answer.delete_cookie(
        _HOST + name if secure else name, secure=secure, httponly=True, samesite="lax"
    )


def is_from_here(headers: Headers, base: str) -> bool:
    """Whether a browser says that a page of this archive sent a request.

    A browser says so by Sec-Fetch-Site, an old one by Origin; who says neither is none.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return headers.get("origin", "") == base


def _is_secure(request: Request) -> bool:
    return base_of(request).startswith("https://")
