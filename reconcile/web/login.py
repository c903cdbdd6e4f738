"""People come in by their browser, and leave."""

from __future__ import annotations

import re
import secrets
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import RedirectResponse, Response

from reconcile.errors import NotAuthorised, NotFound
from reconcile.web.cookies import LOGIN, SESSION, forget, keep, kept
from reconcile.web.openid import Entrance, Login
from reconcile.web.paging import Json
from reconcile.web.parts import Asking, Parts, PartsOf, base_of

router = APIRouter(tags=["people"])

CALLBACK = "/login/callback"
_Target = Annotated[str, Query(max_length=2048, description="the page to go on to")]
_Told = Annotated[str, Query(max_length=4096)]
_PAGE = re.compile(r"/(?![/\\])[!-~]*")


class Who(BaseModel):
    """Whoever asks."""

    name: str
    role: str
    sees_protected: bool


@router.get("/login", status_code=303, response_class=RedirectResponse)
def begin(request: Request, parts: PartsOf, to: _Target = "/") -> Response:
    """Go to the identity provider, and come back to a page of this archive."""
    door = _entrance(parts)
    login = Login.begin(_page(to))
    answer = RedirectResponse(door.provider.address(login, _redirect(request)), 303)
    keep(request, answer, LOGIN, str(login))
    return answer


@router.get(CALLBACK, status_code=303, response_class=RedirectResponse)
def come_back(
    request: Request, parts: PartsOf, code: _Told = "", state: _Told = ""
) -> Response:
    """Let in whom the identity provider knows, and who has a role here."""
    door = _entrance(parts)
    login = Login.of_text(kept(request.headers, LOGIN))
    if not code:
        raise NotAuthorised("the identity provider did not let this person in")
    if login is None or not secrets.compare_digest(login.state.encode(), state.encode()):
        raise NotAuthorised("this login was not begun here, or is over: begin again")
    said = door.provider.claims(code, login, _redirect(request))
    answer = RedirectResponse(_page(login.target), 303)
    keep(request, answer, SESSION, door.people.let_in(door.claims.principal(said)))
    forget(request, answer, LOGIN)
    return answer


@router.post("/logout", status_code=303, response_class=RedirectResponse)
def leave(request: Request, parts: PartsOf) -> Response:
    """End the session of this browser."""
    secret = kept(request.headers, SESSION)
    if secret:
        _entrance(parts).people.let_out(secret)
    answer = RedirectResponse("/", 303)
    forget(request, answer, SESSION)
    return answer


@router.get("/api/v1/whoami", response_model=Who)
def whoami(parts: PartsOf, asking: Asking) -> Json:
    """Who this archive takes the caller for."""
    who = Who(
        name=asking.name, role=asking.role, sees_protected=parts.sees_protected(asking)
    )
    return Json(who.model_dump())


def _entrance(parts: Parts) -> Entrance:
    if parts.entrance is None:
        raise NotFound("no identity provider is configured: [auth] oidc_issuer")
    return parts.entrance


def _page(to: str) -> str:
    """A page of this archive; whatever else is said leads to the first one."""
    return to if _PAGE.fullmatch(to) else "/"


def _redirect(request: Request) -> str:
    """Where the provider sends people back to; it has to know this address."""
    return base_of(request) + CALLBACK
