"""How a page is made: one environment of templates, one function, one set of headers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from reconcile import __version__
from reconcile.web.auth import may
from reconcile.web.pages import values
from reconcile.web.pages.forging import keep_cookie, token_of

#: As the guard says for everything, and our own script; forms name their origin so.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "script-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}

#: (address, title): the order in which a steward needs them.
MENU = (
    ("/", "Start"),
    ("/worklist", "Worklist"),
    ("/audit", "Audit"),
    ("/inbox", "HL7 inbox"),
    ("/orders", "Orders"),
    ("/deliveries", "Deliveries"),
    ("/configuration", "Configuration"),
)
#: Our own files, by name.
ASSETS = {
    "style.css": "text/css; charset=utf-8",
    "keys.js": "text/javascript; charset=utf-8",
    "sign.svg": "image/svg+xml",
}


@cache
def asset(name: str) -> bytes:
    """A file of ours."""
    return (files("reconcile.web.pages") / "assets" / name).read_bytes()


@cache
def version_of(name: str) -> str:
    """What changes when a file of ours does."""
    return sha256(asset(name)).hexdigest()[:12]


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("reconcile.web.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "said": values.said,
        "named": values.named,
        "in_two": values.in_two,
        "whose": values.whose,
        "words": values.words,
        "word": values.word,
        "when": values.when,
        "sop_class": values.sop_class,
        "changed": values.changed,
        "is_masked": values.is_masked,
        "told_first": values.told_first,
        "in_short": values.in_short,
        "pieces_of": values.pieces_of,
    }
    made.globals |= {
        "ago": values.ago,
        "version_of": version_of,
        "menu": MENU,
        "release": __version__,
    }
    return made


_ENVIRONMENT = _environment()


def page(
    request: Request, template: str, now: datetime, *, status: int = 200, **facts: Any
) -> Response:
    """A page of some facts.

    Args:
        request: who asks, and for what.
        template: its file.
        now: when the facts were true.
        status: of the answer.
        facts: by the names that the template knows.
    """
    asking = request.state.principal
    text = _ENVIRONMENT.get_template(template).render(
        asking=asking,
        may_change=may(asking.role, "POST", "/worklist"),
        may_see=lambda path: may(asking.role, "GET", path),
        path=request.url.path,
        has_login=request.app.state.parts.entrance is not None,
        token=token_of(request),
        now=now,
        **facts,
    )
    answer = HTMLResponse(text, status, HEADERS)
    keep_cookie(request, answer)
    return answer


def plain_page(status: int, title: str, sentence: str) -> bytes:
    """A page for who has not come in, or where something is wrong: no facts at all."""
    template = _ENVIRONMENT.get_template("problem.html")
    return template.render(status=status, title=title, sentence=sentence).encode()


def go(address: str, **query: str) -> Response:
    """Where something that was done can be seen: loading that again does nothing twice."""
    said = {name: value for name, value in query.items() if value}
    return RedirectResponse(address + (f"?{urlencode(said)}" if said else ""), 303, HEADERS)


def address(path: str, query: Mapping[str, str], **more: str) -> str:
    """An address with the parameters that say something."""
    said = {name: value for name, value in {**query, **more}.items() if value}
    return path + (f"?{urlencode(said)}" if said else "")
