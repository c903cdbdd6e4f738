"""Reading the history is itself recorded: who asked what, when.

Whoever asks does not wait for it. What is told within a moment is written down together,
by a thread that ends when there is nothing more; what a crash takes is a second's worth.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from reconcile.db import readings
from reconcile.db.database import Database
from reconcile.db.readings import Reading
from reconcile.errors import ReconcileError

log = logging.getLogger(__name__)

#: Between two batches.
SECONDS = 1.0
#: Readings that wait while the database is away; more are lost, and it is said.
WAITING_MAX = 10_000


def _text(value: Any) -> str:
    """A value as PostgreSQL keeps text: without NUL, and of whole characters."""
    return (
        str(value)
        .encode(errors="replace")
        .decode()
        .replace("\0", "\N{REPLACEMENT CHARACTER}")
    )


class Readings:
    """What is told of readings in one process, on its way into the database."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        *,
        seconds: float = SECONDS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._one_writes = threading.Lock()
        self._waiting: list[Reading] = []
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def tell(self, actor: str, door: str, what: str, asked: Mapping[str, Any]) -> None:
        """Somebody reads: `asked` is kept in the database, and nowhere else."""
        said = {name: _text(value) for name, value in asked.items()}
        reading = Reading(self._clock(), actor, door, what, said)
        with self._lock:
            if len(self._waiting) >= WAITING_MAX:
                log.error("reading=lost actor=%s what=%s", actor, what)
                return
            self._waiting.append(reading)
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._write_on, daemon=True)
                self._thread.start()

    def write(self) -> None:
        """Write down what was told until now.

        Raises:
            ReconcileError: it could not be; it waits for the next time.
        """
        with self._one_writes:
            with self._lock:
                told = list(self._waiting)
            self._database.run(lambda connection: readings.keep(connection, told))
            with self._lock:
                del self._waiting[: len(told)]

    def stop(self) -> None:
        """Write the rest, as far as that is possible."""
        self._stopped.set()
        thread = self._thread
        if thread is not None:
            thread.join()
        self._tried()

    def _write_on(self) -> None:
        while True:
            self._stopped.wait(self._seconds)
            written = self._tried()
            with self._lock:
                if not self._waiting or self._stopped.is_set():
                    self._thread = None
                    return
            if not written:
                self._stopped.wait(10 * self._seconds)

    def _tried(self) -> bool:
        try:
            self.write()
        except ReconcileError as error:
            log.warning("readings of the history wait: %s", error)
            return False
        return True
