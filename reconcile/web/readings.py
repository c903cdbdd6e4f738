"""Who read the history over HTTP: told of each request, and shown to auditors."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from reconcile.db import readings
from reconcile.db.readings import Reading
from reconcile.flows.questions import time_of
from reconcile.flows.readings import Readings
from reconcile.web.paging import Asked, Json, Listed, Text, listed
from reconcile.web.parts import Asking, PartsOf


def told(request: Request, asking: Asking) -> None:
    """Tell who reads; the route by its template, what it names as it was said."""
    found: Readings = request.app.state.readings
    template = getattr(request.scope.get("route"), "path", "")
    asked = {**request.query_params, **request.path_params}
    found.tell(asking.name, "http", template, asked)


#: Of every route that answers what the history holds.
Told = Depends(told)

router = APIRouter(prefix="/api/v1", tags=["coercions"], dependencies=[Told])


@router.get("/audit-readings", response_model=Listed[Reading])
def list_readings(
    parts: PartsOf,
    where: Asked,
    actor: Text = "",
    since: Annotated[str, Query(alias="from", max_length=64)] = "",
    until: Annotated[str, Query(alias="to", max_length=64)] = "",
) -> Json:
    """Who read the history, and what was asked, the newest first."""
    begin, end = time_of("from", since), time_of("to", until)
    with parts.database.read_only() as connection:
        found = readings.readings(connection, where, actor=actor, since=begin, until=end)
    return listed(found)
