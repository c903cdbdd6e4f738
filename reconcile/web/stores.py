"""The threads behind STOW-RS: all requests of this process share them, and their groups.

How many requests may store at once is bounded, since each holds some parts in memory.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from reconcile.flows.arrival import Arrival
from reconcile.flows.settling import Settled, Settler
from reconcile.flows.store import StoreFlow

#: Each holds at most five parts of 2 MiB in memory.
REQUESTS_MAX = 16


class Busy(Exception):
    """As many requests store as may."""


class Stores:
    """Stores arrivals for whoever runs the loop; its threads begin with the first one."""

    def __init__(self, flow: StoreFlow) -> None:
        self._flow = flow
        self._lock = threading.Lock()
        self._settler: Settler | None = None
        self._inside = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one request. Used in the loop only.

        Raises:
            Busy: there is none.
        """
        if self._inside >= REQUESTS_MAX:
            raise Busy
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    def submit(self, arrival: Arrival) -> asyncio.Future[Settled]:
        """Let an arrival be stored; what becomes of it. Its file is removed then."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Settled] = loop.create_future()

        def answer(settled: Settled) -> None:
            with suppress(OSError):
                arrival.content.discard()
            with suppress(RuntimeError):  # nobody is there any more
                loop.call_soon_threadsafe(_tell, told, settled)

        self._begun().submit(arrival, answer)
        return told

    def stop(self) -> None:
        """Finish what was submitted; nothing may be submitted afterwards."""
        with self._lock:
            if self._settler is not None:
                self._settler.stop()

    def _begun(self) -> Settler:
        with self._lock:
            if self._settler is None:
                self._settler = Settler(self._flow.begin)
            return self._settler


def _tell(told: asyncio.Future[Settled], settled: Settled) -> None:
    if not told.done():
        told.set_result(settled)
