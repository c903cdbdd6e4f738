"""Liveness, readiness and figures."""

from __future__ import annotations

import os
import threading

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from reconcile.db import views_checks
from reconcile.errors import ServiceUnavailable
from reconcile.web.metrics import Metrics
from reconcile.web.parts import Parts, PartsOf

router = APIRouter(tags=["health"])


class Readiness:
    """Whether this archive can do its work; what once was right is not asked again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._schema_is_current = threading.Event()

    def checks(self) -> dict[str, str]:
        """Each part, and "ok" or what is wrong with it."""
        return {
            "database": self._database(),
            "schema": self._schema(),
            "storage": self._storage(),
        }

    def _database(self) -> str:
        try:
            with self._parts.database.read_only() as connection:
                views_checks.reachable(connection)
        except ServiceUnavailable:
            return "cannot be reached"
        return "ok"

    def _schema(self) -> str:
        if self._schema_is_current.is_set():
            return "ok"
        try:
            if self._parts.schema_findings():
                return "is not the one that this program needs"
        except ServiceUnavailable:
            return "cannot be looked at"
        self._schema_is_current.set()
        return "ok"

    def _storage(self) -> str:
        storage = self._parts.storage
        if storage.fenced:
            return "is fenced after a failed sync"
        if storage.room.is_low:
            return "is nearly full: nothing is taken"
        return (
            "ok" if os.access(storage.spool_dir, os.W_OK | os.X_OK) else "cannot be written"
        )


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """This process lives."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Not ready"}})
def readyz(request: Request) -> JSONResponse:
    """Whether database, schema and storage are as they should be."""
    readiness: Readiness = request.app.state.readiness
    checks = readiness.checks()
    ready = all(found == "ok" for found in checks.values())
    told = {"status": "ready" if ready else "not ready", "checks": checks}
    return JSONResponse(told, 200 if ready else 503)


@router.get("/metrics", response_class=Response)
def metrics(request: Request, parts: PartsOf) -> Response:
    """Figures in the text format of Prometheus."""
    found: Metrics = request.app.state.metrics
    return Response(found.exposition(), media_type=CONTENT_TYPE_LATEST)
