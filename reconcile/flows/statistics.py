"""How often something was coerced or held: the words of the question to the views' own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from reconcile.db import views_statistics
from reconcile.db.database import Connection
from reconcile.db.views_statistics import Coerced, Held
from reconcile.errors import WrongUse
from reconcile.flows.questions import time_of

#: What is counted where nobody says from when.
DAYS = 90


def coerced(
    connection: Connection, by: Sequence[str], said: Mapping[str, str], now: datetime
) -> tuple[Coerced, ...]:
    """Coercions from `from` (90 days before `to`) until `to` (now).

    Raises:
        WrongUse: a time is none, or there is nothing to count by of a name.
    """
    until = time_of("to", said.get("to", "")) or now
    since = time_of("from", said.get("from", "")) or until - timedelta(days=DAYS)
    if since >= until:
        raise WrongUse("from is before to")
    return views_statistics.coerced(connection, by, since, until)


def held(
    connection: Connection, by: Sequence[str], said: Mapping[str, str], now: datetime
) -> tuple[Held, ...]:
    """Items that were opened from `from` until `to`; all, where neither is said.

    Raises:
        WrongUse: a time is none, or there is nothing to count by of a name.
    """
    since = time_of("from", said.get("from", ""))
    until = time_of("to", said.get("to", ""))
    return views_statistics.held(connection, by, now, since, until)
