"""The whole schema: every table, wherever it is described."""

from reconcile.db import (
    access,
    commitments,
    evidence,
    filed,
    headers,
    history,
    links,
    outbox,
    performed,
    rejections,
    remembered,
    suggestions,
    telling,
    unresolved,
    waiting,
)
from reconcile.db.tables import metadata

__all__ = [
    "access",
    "commitments",
    "evidence",
    "filed",
    "headers",
    "history",
    "links",
    "metadata",
    "outbox",
    "performed",
    "rejections",
    "remembered",
    "suggestions",
    "telling",
    "unresolved",
    "waiting",
]
