"""What runs once a night beside everything else: the hunt for duplicates."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from reconcile.cli.wiring import Parts, now
from reconcile.errors import ReconcileError
from reconcile.flows.hunt import HuntFlow

log = logging.getLogger(__name__)


def until(time_of_day: str, zone: tzinfo, at: datetime) -> float:
    """Seconds until it is this time of day next ("02:30"); never none."""
    hour, _, minute = time_of_day.partition(":")
    here = at.astimezone(zone)
    next_one = here.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
    if next_one <= here:
        next_one += timedelta(days=1)
    return (next_one.astimezone(at.tzinfo) - at).total_seconds()


def begin(parts: Parts, stop: threading.Event) -> None:
    """Run it every night, in a thread that ends with the process."""
    when = parts.settings.serve.hunt
    if not when:
        return
    zone = ZoneInfo(parts.settings.serve.timezone)
    wait = _waiting(stop, lambda: until(when, zone, now()))
    threading.Thread(target=_every_night, args=(parts, wait), daemon=True).start()


def _waiting(stop: threading.Event, seconds: Callable[[], float]) -> Callable[[], bool]:
    """Waits; whether it is time, and not the end."""
    return lambda: not stop.wait(seconds())


def _every_night(parts: Parts, it_is_time: Callable[[], bool]) -> None:
    while it_is_time():
        try:
            found = HuntFlow(parts.database, parts.rules, now).run()
            log.info("hunt: %d pairs, %d suggested", found.pairs, found.suggested)
        except ReconcileError as error:
            log.warning("no hunt tonight: %s", error)
