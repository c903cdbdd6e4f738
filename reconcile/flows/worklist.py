"""What is on the worklist, and what is not yet."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconcile.db.views_holds import Grace
from reconcile.flows.rules import Rules


def grace(rules: Rules, now: datetime) -> Grace:
    """Whom nobody has to look at yet: "TRAUMA 17" will be known by the next day."""
    temporary = [name for name, domain in rules.domains.items() if domain.temporary]
    return Grace(temporary, now - timedelta(hours=rules.temporary_hours))
