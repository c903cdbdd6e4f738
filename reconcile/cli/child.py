"""A process of a running archive: forked from a supervisor that has loaded all of them.

Rule 1: whoever forks has one thread, no connection to a database and no event loop.
Rule 2: a child holds nothing that its supervisor has open but its own sockets and pipes.
Rule 3: a child stops when its leash ends, whose other end only the supervisor holds: so
        none outlives it, whatever killed it.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from setproctitle import setproctitle

from reconcile.errors import ReconcileError

log = logging.getLogger(__name__)

#: Both sides handle these otherwise; none may come while a child is neither.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
_READY = b"ready"
#: Input, output, errors.
_STANDARD = 2


@dataclass(frozen=True, slots=True)
class Ends:
    """What a child holds besides its sockets.

    Attributes:
        leash: a file descriptor at whose end it stops.
        ready: one to say on that its door is open.
    """

    leash: int
    ready: int

    def say_ready(self) -> None:
        """Tell the supervisor that the door is open."""
        os.write(self.ready, _READY)


class Child:
    """One process, and how to start it again.

    Args:
        role: what it is called.
        work: what it does until its leash ends.
        sockets: bound and listening, by the name of the door.
    """

    def __init__(
        self,
        role: str,
        work: Callable[[Ends, Mapping[str, socket.socket]], None],
        sockets: Mapping[str, socket.socket],
    ) -> None:
        self.role = role
        self.sockets = sockets
        self.deaths = 0
        self.start_at = 0.0
        self.started_at = 0.0
        self.code: int | None = None
        self._work = work
        self._pid: int | None = None
        self._leash, self._told = -1, -1
        self._ready = False

    # -- its life ------------------------------------------------------------------------

    def start(self, sockets: Collection[socket.socket]) -> None:
        """Begin; `sockets`: all that the archive has open."""
        self._drop()
        self.started_at, self.code, self._ready = time.monotonic(), None, False
        leash, self._leash = os.pipe()
        self._told, ready = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            self._become(Ends(leash, ready), sockets)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._pid = pid
        os.close(leash)
        os.close(ready)

    def _become(self, ends: Ends, sockets: Collection[socket.socket]) -> None:
        """Be the child, to its end."""
        code = 1
        try:
            setproctitle(f"reconcile {self.role}")
            own = self.sockets.values()
            for opened in sockets:
                if opened not in own:
                    opened.close()
            _close_all_but({ends.leash, ends.ready, *(each.fileno() for each in own)})
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
            self._work(ends, self.sockets)
            code = 0
        except BaseException as error:  # noqa: BLE001 - nobody above is this process's
            # Where it was, and not what it says: that may quote values of patients.
            traceback.print_tb(error.__traceback__)
            said = str(error) if isinstance(error, ReconcileError) else ""
            log.error("process=%s failed=%s %s", self.role, type(error).__name__, said)
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _drop(self) -> None:
        """Let go of its pipes, if there are any: it stops."""
        for descriptor in (self._leash, self._told):
            if descriptor >= 0:
                os.close(descriptor)
        self._leash = self._told = -1

    # -- what the supervisor sees --------------------------------------------------------

    @property
    def started(self) -> bool:
        """Whether there is one, be it dead."""
        return self._pid is not None

    @property
    def alive(self) -> bool:
        """Whether it runs; `code` tells how it ended."""
        if self._pid is None or self.code is not None:
            return False
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self.code = os.waitstatus_to_exitcode(status)
        return not pid

    def is_ready(self, seconds: float) -> bool:
        """Whether its door is open, or is within some seconds."""
        if not self._ready and select.select([self._told], [], [], seconds)[0]:
            self._ready = os.read(self._told, len(_READY)) == _READY
        return self._ready

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self._pid is not None and self.alive:
            os.kill(self._pid, number)

    def ends_within(self, seconds: float) -> bool:
        """Whether it has ended, or does within some seconds."""
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def forget(self) -> None:
        """It is dead: what there was of it is let go of."""
        self._drop()
        self._pid = None


def _close_all_but(kept: Collection[int]) -> None:
    """Let go of what was open before the fork: others' pipes, the database's lock."""
    opened = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    for descriptor in map(int, os.listdir(opened)):
        if descriptor > _STANDARD and descriptor not in kept:
            with suppress(OSError):  # the listing itself
                os.close(descriptor)
