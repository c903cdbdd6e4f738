"""Who may come in, and what they may ask: settled before a body is read.

Keys are `Authorization: Bearer KEY`. Liveness and readiness answer anybody. While there
is no key at all, and the shell allows it, whoever can reach this machine's own address
is let in as "local"; then only names of this machine are answered to, so that no page
in a browser can reach the archive by a name of its own (DNS rebinding).
"""

from __future__ import annotations

from typing import NamedTuple

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from reconcile.db.views_keys import any_key
from reconcile.errors import ReconcileError
from reconcile.flows.keys import ROLES, Principal, principal
from reconcile.web.parts import Parts
from reconcile.web.problems import of_error, problem

#: How the page looks that says that a key is needed.
_ASSETS = frozenset({"/style.css", "/keys.js", "/sign.svg"})
OPEN_PATHS = frozenset({"/healthz", "/readyz"}) | _ASSETS
LOCAL = Principal("local", "administrator")

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
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
    Rule(True, "/inbox", INSIDERS),
    Rule(True, "/configuration", INSIDERS),
    Rule(True, "/", _ALL),
    Rule(False, STUDIES, _ALL),
    Rule(False, "/api/v1/decide", _ALL),
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
        self._keys_required = parts.require_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        try:
            asking = await to_thread.run_sync(self._who, Headers(scope=scope))
        except ReconcileError as error:
            await of_error(error)(scope, receive, send)
            return
        if asking is None:
            refused = problem(401, headers={"WWW-Authenticate": 'Bearer realm="reconcile"'})
            await refused(scope, receive, send)
        elif not may(asking.role, scope["method"], scope["path"]):
            await problem(403, "Not authorised")(scope, receive, send)
        else:
            scope.setdefault("state", {})["principal"] = asking
            await self.app(scope, receive, send)

    def _who(self, headers: Headers) -> Principal | None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return principal(self.parts.database, key.strip())
        if self._are_keys_required() or not is_local_name(headers.get("host", "")):
            return None
        return LOCAL

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
