"""The whole schema: every table, wherever it is described."""

from reconcile.db import (
    access,
    answered,
    deliveries,
    evidence,
    filed,
    headers,
    history,
    links,
    outbox,
    remembered,
    scheduled,
    suggestions,
    telling,
    unresolved,
    waiting,
)
from reconcile.db.tables import metadata

__all__ = [
    "access",
    "answered",
    "deliveries",
    "evidence",
    "filed",
    "headers",
    "history",
    "links",
    "metadata",
    "outbox",
    "remembered",
    "scheduled",
    "suggestions",
    "telling",
    "unresolved",
    "waiting",
]
