"""What deletes, put together from the settings; and when it is done.

Deletions that are due are looked for again and again; rules are looked at once a day.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

from reconcile.cli.nightly import until
from reconcile.cli.wiring import Parts, now
from reconcile.core.retention import Rule
from reconcile.db.database import DatabaseFault
from reconcile.errors import ReconcileError
from reconcile.flows.deleting import Deleting
from reconcile.flows.removing import Removing
from reconcile.flows.retaining import Retaining

log = logging.getLogger(__name__)

#: Between two looks: one question, where there is nothing to do.
SECONDS = 10.0


def deleting(parts: Parts) -> Deleting:
    """What plans deletions, and lets them be done."""
    two_persons = parts.settings.deletion.two_persons
    return Deleting(parts.database, now, parts.rules.digest, two_persons)


def removing(parts: Parts) -> Removing:
    """What does them."""
    grace = timedelta(minutes=parts.settings.deletion.grace_minutes)
    return Removing(parts.database, parts.storage, now, parts.rules.digest, grace)


def retaining(parts: Parts) -> Retaining:
    """What rules plan."""
    rules = [
        Rule(
            each.name,
            each.after_days,
            each.by,
            frozenset(each.sources),
            frozenset(each.modalities),
            frozenset(each.rejected),
            each.keep,
            each.delay_days,
            each.confirm,
        )
        for each in parts.settings.retention
    ]
    return Retaining(deleting(parts), rules)


def begin(parts: Parts, stop: threading.Event) -> None:
    """Do it, in threads that end with the process: what is cut off goes on at start."""
    flow = removing(parts)
    _start(stop, lambda: SECONDS, lambda: flow.round(stop), at_once=True)
    when, rules = parts.settings.deletion.rules_at, retaining(parts)
    if when and rules.rules:
        zone = ZoneInfo(parts.settings.serve.timezone)
        _start(stop, lambda: until(when, zone, now()), lambda: rules.run(stop))


def _start(
    stop: threading.Event,
    seconds: Callable[[], float],
    step: Callable[[], object],
    *,
    at_once: bool = False,
) -> None:
    def again_and_again() -> None:
        waited = 0.0 if at_once else seconds()
        while not stop.wait(waited):
            try:
                step()
            except (ReconcileError, DatabaseFault) as error:
                log.warning("nothing is deleted now: %s", error)
            waited = seconds()

    threading.Thread(target=again_and_again, daemon=True).start()
