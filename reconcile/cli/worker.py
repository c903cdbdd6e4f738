"""What one process of the archive does: receive, answer HL7 or HTTP, or the jobs.

It is forked with its door loaded and its sockets bound, says when its door is open, and
stops when its supervisor is gone. SIGTERM ends it soon; SIGUSR1 when those who are
talking to it have finished.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from reconcile.cli import wiring
from reconcile.cli.child import Ends
from reconcile.cli.work import Work
from reconcile.settings import Settings

ROLES = {
    "receiver": "reconcile.cli.work_receiver",
    "hl7": "reconcile.cli.work_hl7",
    "web": "reconcile.cli.work_web",
    "jobs": "reconcile.cli.work_jobs",
}

# Connections to the database; PostgreSQL takes 100 as it comes, ours 200.
POOL = {"hl7": 20, "web": 16, "jobs": 6}
RECEIVERS_POOL = 96


@dataclass(frozen=True, slots=True)
class Orders:
    """What a process is told.

    Attributes:
        writer, reader, owner: URLs of the database; owner: empty where none is needed.
        doors: addresses of all doors of the archive, by name.
    """

    role: str
    settings: Settings
    writer: str
    reader: str
    owner: str
    require_keys: bool
    doors: Mapping[str, str]

    def carry_out(self, ends: Ends, sockets: Mapping[str, socket.socket]) -> None:
        """Work until the supervisor says stop, or is gone."""
        stop, at_once = threading.Event(), threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: _set(at_once, stop))
        signal.signal(signal.SIGUSR1, lambda *_: stop.set())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        threading.Thread(
            target=_stop_with_supervisor, args=(ends.leash, at_once, stop), daemon=True
        ).start()
        pool = POOL.get(self.role) or max(
            4, RECEIVERS_POOL // wiring.receiver_count(self.settings)
        )
        parts = wiring.parts(self.settings, self.writer, self.reader, pool_size=pool)
        work = Work(
            parts,
            sockets,
            stop,
            self.owner,
            self.require_keys,
            at_once,
            self.doors,
            ends.say_ready,
        )
        import_module(ROLES[self.role]).run(work)
        parts.database.close()
        logging.shutdown()


def load_all() -> None:
    """Load what any process needs, once for all of them that are forked from this one."""
    gc.disable()
    for module in ROLES.values():
        import_module(module)
    gc.freeze()  # what is shared is not written to by looking for garbage
    gc.enable()


def _stop_with_supervisor(leash: int, *events: threading.Event) -> None:
    os.read(leash, 1)
    _set(*events)


def _set(*events: threading.Event) -> None:
    for event in events:
        event.set()
