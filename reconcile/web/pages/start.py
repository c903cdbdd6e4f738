"""The start page: what waits, what is late, what was coerced, how the archive is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from reconcile.core.naming import identifier_of
from reconcile.db import (
    views_deliveries,
    views_outbox,
    views_people,
    views_seal,
    views_studies,
    views_summary,
)
from reconcile.db.database import Connection
from reconcile.db.views import uuid_of
from reconcile.errors import NotFound
from reconcile.flows.doctor import UNTOLD_AGE_MAX
from reconcile.flows.worklist import grace
from reconcile.web.masking import Masked
from reconcile.web.pages.pictures import DAYS, bars
from reconcile.web.pages.rendering import ASSETS, address, asset, go, page
from reconcile.web.parts import Parts, PartsOf

router = APIRouter(include_in_schema=False)

_FOR_A_DAY = "public, max-age=86400"


def _asset(name: str) -> Response:
    headers = {"Cache-Control": _FOR_A_DAY}
    return Response(asset(name), media_type=ASSETS[name], headers=headers)


@router.get("/style.css")
def style() -> Response:
    """How the pages look."""
    return _asset("style.css")


@router.get("/keys.js")
def keys() -> Response:
    """What keys do on the pages."""
    return _asset("keys.js")


@router.get("/sign.svg")
def sign() -> Response:
    """The sign of the pages."""
    return _asset("sign.svg")


@router.get("/")
def start(request: Request, parts: PartsOf) -> Response:
    """What waits, what is late, what was coerced this week, how the archive is."""
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        facts = _facts(connection, parts, now)
    facts["checks"] = request.app.state.readiness.checks()
    return page(request, "start.html", now, **facts, doors=parts.doors)


def _facts(connection: Connection, parts: Parts, now: datetime) -> dict[str, Any]:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=DAYS - 1)
    late = now - UNTOLD_AGE_MAX
    return {
        "waiting": views_summary.waiting(connection, now, grace(parts.rules, now)),
        "bars": bars(views_summary.coerced(connection, since), today.date()),
        "late": views_deliveries.late(connection, late),
        "late_after": UNTOLD_AGE_MAX,
        "untold": views_outbox.untold(connection),
        "lag": views_seal.lag(connection),
        "heard": {each.door: each for each in views_summary.heard(connection)},
    }


@router.get("/find")
def find(
    request: Request,
    parts: PartsOf,
    mask: Masked,
    q: Annotated[str, Query(max_length=512)] = "",
) -> Response:
    """Where something is that is named by a patient's ID, a UID, an id or a number."""
    said = q.strip()
    if not said:
        return go("/")
    with parts.database.read_only() as connection:
        now = views_summary.now(connection)
        found = _named(connection, parts, said)
        mask.nobody(connection, found)
        persons = views_people.known(connection, found) if found else {}
        uids = _uids(connection, said)
    if uids is not None:
        return go(uids)
    if len(persons) == 1:
        return go(f"/patients/{next(iter(persons))}")
    return page(request, "find.html", now, said=said, persons=persons, is_id=_is_id(said))


def _named(connection: Connection, parts: Parts, said: str) -> tuple[UUID, ...]:
    """Persons with this identifier: in the domain that is named, else in any."""
    if "^" in said:
        identifiers = [identifier_of(said, parts.rules.domains)]
    else:
        domains = parts.rules.domains
        identifiers = [identifier_of(f"{said}^^^{name}", domains) for name in domains]
    return views_people.owners(connection, identifiers)


def _uids(connection: Connection, said: str) -> str | None:
    """The page of what a UID means."""
    if not set(said) <= set("0123456789.") or "." not in said:
        return None
    try:
        found = views_studies.uids(connection, said)
    except NotFound:
        return None
    of = {"study": f"/studies/{found.assigned}", "instance": f"/instances/{said}"}
    return of.get(found.level, address("/audit", {"series": said}))


def _is_id(said: str) -> bool:
    return uuid_of(said) is not None
