"""Write down associations that have ended, beside what they did.

Whoever receives only hands a row over. A thread writes what has gathered, all of it in one
transaction; while the database is away it waits, and beyond a number the oldest are left
out. Nothing is decided by what stands here, and old rows are deleted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from reconcile.db import associations
from reconcile.db.database import Database
from reconcile.errors import ReconcileError

LOG = logging.getLogger(__name__)

#: Rows that wait to be written, at most; and those that are kept, however young.
WAITING_MAX = 10_000
KEPT_MAX = 1_000_000
#: For so long rows gather before they are written.
SECONDS = 1.0
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Ended:
    """An association that has ended, as its door tells it; `seconds` after it began."""

    name: str
    outcome: str
    reason: str
    address: str
    seconds: float = 0.0
    calling: str = ""
    called: str = ""
    tls: bool = False
    certificate: str = ""
    proposed: int = 0
    accepted: int = 0
    services: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class AssociationLog:
    """Takes what has ended from any thread, and writes it down in one of its own.

    Args:
        database: where to.
        clock: the time, zone aware.
        seconds: for how long rows gather.
    """

    def __init__(
        self, database: Database, clock: Callable[[], datetime], seconds: float = SECONDS
    ) -> None:
        self._database = database
        self._clock = clock
        self._seconds = seconds
        self._waiting: deque[Mapping[str, Any]] = deque(maxlen=WAITING_MAX)
        self._some, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="associations", daemon=True)
        self._thread.start()

    def note(self, ended: Ended) -> None:
        """Have it written; never waits and never fails."""
        self._waiting.append(_row(ended, self._clock()))
        self._some.set()

    def stop(self) -> None:
        """Write what there is, if that can be done now, and end."""
        self._stop.set()
        self._some.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._some.wait()
            self._stop.wait(self._seconds)
            self._some.clear()
            self._write_all()
        self._write_all()  # what was handed over meanwhile

    def _write_all(self) -> None:
        while self._waiting:
            rows = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                self._database.run(partial(associations.keep, rows=rows))
            except ReconcileError as error:
                LOG.warning("associations are not written now: %s", error)
                room = WAITING_MAX - len(self._waiting)
                self._waiting.extendleft(reversed(rows[-room:] if room else []))
                self._some.set()
                return
            except Exception as error:  # noqa: BLE001 - a row that cannot be is no reason
                LOG.error("associations left out: %s", type(error).__name__)


def forget(database: Database, before: datetime, most: int = KEPT_MAX) -> int:
    """Delete associations that ended before a time, and all beyond a number; how many."""
    total = 0
    for step in (
        partial(associations.forget, before=before),
        partial(associations.forget_beyond, most=most),
    ):
        while gone := database.run(step):
            total += gone
    return total


def _row(ended: Ended, now: datetime) -> Mapping[str, Any]:
    return {
        "name": ended.name,
        "began_at": now - timedelta(seconds=ended.seconds),
        "ended_at": now,
        "outcome": ended.outcome,
        "reason": ended.reason,
        "calling": _shown(ended.calling),
        "called": _shown(ended.called),
        "address": ended.address,
        "tls": ended.tls,
        "certificate": _shown(ended.certificate),
        "proposed": ended.proposed,
        "accepted": ended.accepted,
        "services": ended.services,
    }


def _shown(said: str) -> str:
    """What a peer said of itself, bounded, and without what no text can hold."""
    return "".join(each if each.isprintable() else "?" for each in said[:256])
