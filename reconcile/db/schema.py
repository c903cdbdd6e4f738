"""The whole schema: every table, wherever it is described."""

from reconcile.db import access, history, unresolved
from reconcile.db.tables import metadata

__all__ = ["access", "history", "metadata", "unresolved"]
