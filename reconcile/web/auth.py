"""Who may come in, and what they may ask: settled before a body is read.

Keys are `Authorization: Bearer KEY`, or a token of the identity provider; people have a
session in a cookie. What a browser sends with one has to come from a page of this
archive, if it changes anything. Liveness and readiness answer anybody. While there
is no key at all, and the shell allows it, whoever can reach this machine's own address
is let in as "local"; then only names of this machine are answered to, so that no page
in a browser can reach the archive by a name of its own (DNS rebinding).
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from reconcile.db import protection
from reconcile.db.views_keys import any_key
from reconcile.errors import NotAuthorised, ReconcileError
from reconcile.flows.keys import ROLES, Principal, principal
from reconcile.web.cookies import SESSION, is_from_here, kept
from reconcile.web.parts import Parts
from reconcile.web.problems import of_error, problem

#: How the page looks that says that a key is needed.
_ASSETS = frozenset({"/style.css", "/keys.js", "/sign.svg"})
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/login", "/login/callback"}) | _ASSETS
LOCAL = Principal("local", "administrator")

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
#: A JSON Web Token has three parts (RFC 7519).
_DOTS_OF_A_TOKEN = 2
#: What every path names studies, series and instances by.
_UIDS = re.compile(r"/(?:studies|series|instances|uids)/([0-9.]{1,64})(?=/|$)")
_SAFE = frozenset({"GET", "HEAD"})
_ALL = frozenset(ROLES)
#: Who may see what is held and hidden, and the messages of the RIS.
INSIDERS = frozenset({"steward", "administrator", "auditor"})
_CHANGERS = frozenset({"steward", "administrator"})


class Rule(NamedTuple):
    """Which roles may send requests to paths that begin so."""

    safe: bool
    prefix: str
    roles: frozenset[str]


# The first rule that fits holds. A reader sees the history too: what was coerced stands
# in every instance that is given out, in its Original Attributes. Who may store is not a
# matter of the role: the key has to name a source (`stow`).
STUDIES = "/dicom-web/studies"
RULES = (
    Rule(True, "/api/v1/messages", INSIDERS),
    Rule(True, "/api/v1/associations", INSIDERS),
    Rule(True, "/api/v1/audit-readings", frozenset({"auditor", "administrator"})),
    Rule(True, "/inbox", INSIDERS),
    Rule(True, "/configuration", INSIDERS),
    Rule(True, "/", _ALL),
    Rule(False, STUDIES, _ALL),
    Rule(False, "/api/v1/decide", _ALL),
    Rule(False, "/logout", _ALL),
    Rule(False, "/api/v1/erasures", frozenset({"administrator"})),
    Rule(False, "/", _CHANGERS),
)


def may(role: str, method: str, path: str) -> bool:
    """Whether a role may send this request."""
    safe = method in _SAFE
    fits = (rule for rule in RULES if rule.safe == safe and path.startswith(rule.prefix))
    rule = next(fits, None)
    return rule is not None and role in rule.roles


class Authenticate:
    """Lets a request through as somebody, or answers 401 or 403."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self.app = app
        self.parts = parts
        self._keys_required = parts.require_keys or parts.entrance is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        try:
            asking = await to_thread.run_sync(self._who, scope)
        except ReconcileError as error:
            await of_error(error)(scope, receive, send)
            return
        if asking is None:
            await self._refused(scope)(scope, receive, send)
        elif not may(asking.role, scope["method"], scope["path"]):
            await problem(403, "Not authorised")(scope, receive, send)
        elif await to_thread.run_sync(self._is_hidden, asking, scope["path"]):
            detail = "the patient is protected"
            await problem(403, "Not authorised", detail)(scope, receive, send)
        else:
            scope.setdefault("state", {})["principal"] = asking
            await self.app(scope, receive, send)

    def _who(self, scope: Scope) -> Principal | None:
        headers, entrance = Headers(scope=scope), self.parts.entrance
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._bearer(key.strip())
        secret = kept(headers, SESSION) if entrance else ""
        if entrance and secret:
            own = self.parts.public_url or f"{scope['scheme']}://{headers.get('host', '')}"
            if scope["method"] not in _SAFE and not is_from_here(headers, own):
                raise NotAuthorised("another site's page may not change anything here")
            return entrance.people.who(secret)
        if self._are_keys_required() or not is_local_name(headers.get("host", "")):
            return None
        return LOCAL

    def _bearer(self, key: str) -> Principal | None:
        """Whose key it is, or, where it is no key, of whom the provider speaks."""
        entrance = self.parts.entrance
        if entrance is None or key.count(".") != _DOTS_OF_A_TOKEN:
            return principal(self.parts.database, key)
        return entrance.claims.principal(entrance.provider.bearer(key))

    def _refused(self, scope: Scope) -> ASGIApp:
        """A person is sent to say who they are; a program is told."""
        headers = Headers(scope=scope)
        wants_page = "text/html" in headers.get("accept", "")
        if self.parts.entrance and wants_page and scope["method"] in _SAFE:
            wanted = quote(scope["path"], safe="/")
            query = scope["query_string"].decode("latin-1")
            target = quote(f"{wanted}?{query}" if query else wanted, safe="/")
            return RedirectResponse(f"/login?to={target}", 303)
        return problem(401, headers={"WWW-Authenticate": 'Bearer realm="reconcile"'})

    def _is_hidden(self, asking: Principal, path: str) -> bool:
        """Whether a path names something of a patient whom they may not see."""
        uids = [] if self.parts.sees_protected(asking) else _UIDS.findall(path)
        if not uids:
            return False
        with self.parts.database.read_only() as connection:
            return any(protection.is_named(connection, uid) for uid in uids)

    def _are_keys_required(self) -> bool:
        """Once there has been a key, this door asks for one as long as it is open."""
        if not self._keys_required:
            with self.parts.database.read_only() as connection:
                self._keys_required = any_key(connection)
        return self._keys_required


def is_local_name(host: str) -> bool:
    """Whether a Host header names this machine as only itself can."""
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name.lower() in _LOOPBACK
