"""The HTTP door, put together: routes by topic, and the layers around them.

A door knows its protocol and decides nothing. Handlers that ask the database are plain
functions: they run in threads, and the loop stays free.
"""

from __future__ import annotations

from fastapi import FastAPI

from reconcile import __version__
from reconcile.flows.readings import Readings
from reconcile.web import (
    associations,
    checks,
    coercions,
    corrections,
    decide,
    deletions,
    deliveries,
    dicomweb,
    docs,
    erasures,
    fhir,
    frames,
    health,
    holds,
    login,
    lookups,
    messages,
    metadata,
    notifications,
    performed,
    problems,
    qido,
    readings,
    rejections,
    statistics,
    stow,
    suggestions,
    tlog,
)
from reconcile.web.audited import Audited
from reconcile.web.auth import Authenticate
from reconcile.web.guard import Guard
from reconcile.web.health import Readiness
from reconcile.web.idempotency import Idempotent
from reconcile.web.metrics import Metrics
from reconcile.web.pages import site
from reconcile.web.parts import Parts
from reconcile.web.stores import Stores

#: Whose routes there are.
TOPICS = (
    health,
    dicomweb,
    metadata,
    frames,
    qido,
    stow,
    coercions,
    corrections,
    checks,
    lookups,
    holds,
    messages,
    notifications,
    deliveries,
    decide,
    performed,
    rejections,
    deletions,
    erasures,
    associations,
    statistics,
    suggestions,
    fhir,
    readings,
    tlog,
    login,
    docs,
)


def make_app(parts: Parts) -> FastAPI:
    """The application; opens no connection yet."""
    app = FastAPI(
        title="reconcile",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=problems.RESPONSES,
    )
    app.state.parts = parts
    app.state.metrics = Metrics(parts.database, parts.storage.room)
    app.state.readiness = Readiness(parts)
    app.state.readings = Readings(parts.database, parts.clock)
    app.state.stores = Stores(parts.storing)
    for topic in TOPICS:
        app.include_router(topic.router)
    problems.install(app)
    # The last one added is the outermost.
    app.add_middleware(Idempotent, parts=parts)
    app.add_middleware(Audited, note=parts.heard)
    app.add_middleware(Authenticate, parts=parts)
    app.add_middleware(
        Guard, metrics=app.state.metrics, body_bytes_max=parts.body_bytes_max
    )
    site.install(app)
    app.add_middleware(fhir.FhirErrors)
    return app
