"""One process of the archive: a receiver, the HL7 door, the web door, or the jobs.

It is told on standard input what to do, on sockets that are bound already, says "ready"
on standard output when its door is open, and stops when standard input ends: so no child
outlives its supervisor, whatever killed it. SIGTERM ends it soon; SIGUSR1 when those who
are talking to it have finished.
"""

from __future__ import annotations

import json
import logging
import signal
import socket
import sys
import threading
from importlib import import_module

from reconcile.cli import wiring
from reconcile.cli.logs import configure_logging
from reconcile.cli.work import Work
from reconcile.settings import Settings

# A process loads its own door only: what it does not load, it does not wait for.
ROLES = {
    "receiver": "reconcile.cli.work_receiver",
    "hl7": "reconcile.cli.work_hl7",
    "web": "reconcile.cli.work_web",
    "jobs": "reconcile.cli.work_jobs",
}

# Connections to the database; PostgreSQL takes 100 as it comes, ours 200.
POOL = {"hl7": 20, "web": 16, "jobs": 6}
RECEIVERS_POOL = 96


def main() -> None:
    """Do what the supervisor says, until it says stop or is gone."""
    role = sys.argv[1]
    configure_logging()
    stop, at_once = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: _set(at_once, stop))
    signal.signal(signal.SIGUSR1, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    door = import_module(ROLES[role])
    orders = json.loads(sys.stdin.readline())
    ended = threading.Thread(
        target=_stop_with_supervisor, args=(at_once, stop), daemon=True
    )
    ended.start()
    settings = Settings.model_validate_json(orders["settings"])
    pool = POOL.get(role) or max(4, RECEIVERS_POOL // wiring.receiver_count(settings))
    parts = wiring.parts(settings, orders["writer"], orders["reader"], pool_size=pool)
    sockets = {name: socket.socket(fileno=fd) for name, fd in orders["fds"].items()}
    work = Work(
        parts,
        sockets,
        stop,
        orders["owner"],
        orders["require_keys"],
        at_once,
        orders["doors"],
    )
    door.run(work)
    parts.database.close()
    logging.shutdown()


def _stop_with_supervisor(*events: threading.Event) -> None:
    sys.stdin.read()
    _set(*events)


def _set(*events: threading.Event) -> None:
    for event in events:
        event.set()


if __name__ == "__main__":
    main()
