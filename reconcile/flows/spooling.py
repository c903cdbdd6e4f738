"""Remember what was asked, beside the answering: a queue, and a thread that empties it.

Whoever answers a query only puts it into the queue and waits for nothing. What a process
had in its queue when it was killed is lost, and so is what comes while the queue or the
spool is full; that is counted and logged. The spool is told to the audit repository.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from reconcile.db import auditing
from reconcile.db.database import Database, DatabaseFault
from reconcile.errors import ReconcileError
from reconcile.flows.auditing import Heard

#: Of one process, that wait to be written.
QUEUE_MAX = 10_000
WRITTEN_MAX = 500
#: Between two writes, where little is asked.
SECONDS = 0.5

Note = Callable[[Heard], None]

log = logging.getLogger(__name__)


def unheard(asked: Heard) -> None:
    """Where there is no audit repository, nobody remembers what was asked."""


class Spooler:
    """The queue of one process; `note` may be called from any thread."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._queue: queue.Queue[Heard] = queue.Queue(QUEUE_MAX)
        self._stop = threading.Event()
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="spooler", daemon=True)
        self._thread.start()

    def note(self, asked: Heard) -> None:
        """Remember it soon; returns at once."""
        try:
            self._queue.put_nowait(replace(asked, at=self._clock()))
        except queue.Full:
            self._lost += 1

    def stop(self) -> None:
        """Write what is in the queue, once, and end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        held: list[Heard] = []
        while not self._stop.wait(SECONDS):
            held = self._write(held)
        while held := [*held, *self._taken(WRITTEN_MAX - len(held))]:
            left = self._write(held)
            if left:  # the database is away, and there is no time to wait for it
                log.error("lost=%d what was asked and not written", len(left))
                return
            held = []

    def _write(self, held: list[Heard]) -> list[Heard]:
        """Write what there is, at most so much at once; what could not be written."""
        while held := [*held, *self._taken(WRITTEN_MAX - len(held))]:
            rows = [each.plain() for each in held]
            try:
                kept = self._database.run(partial(auditing.keep, asked=rows))
            except ReconcileError as error:
                log.warning("what was asked is not written now: %s", error)
                return held
            except DatabaseFault as error:  # it would be refused again
                log.warning("what was asked is not written: %s", type(error).__name__)
                kept = 0
            self._lost += len(rows) - kept
            held = []
        if self._lost:
            log.error("lost=%d what was asked, and there was no room for", self._lost)
            self._lost = 0
        return held

    def _taken(self, most: int) -> list[Heard]:
        taken: list[Heard] = []
        while len(taken) < most:
            try:
                taken.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return taken
