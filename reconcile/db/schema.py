"""The whole schema: every table, wherever it is described."""

from reconcile.db import access, evidence, history, unresolved
from reconcile.db.tables import metadata

__all__ = ["access", "evidence", "history", "metadata", "unresolved"]
