"""One event loop in a thread of its own, and the way into it from other threads.

What other threads have to say is collected: one wake-up serves all that was said since
the last one. Nothing that blocks may be called in the loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

LOG = logging.getLogger(__name__)

RECEIVE_BYTES = 256 * 1024
"""What is read at a time. One buffer serves all connections, for it is emptied before
the next is read; no larger than a processor's cache."""


class Loop:
    """A thread that runs an event loop; not running until `start`.

    Attributes:
        buffer: for what is received; good until the callback that filled it returns.
    """

    def __init__(self, name: str) -> None:
        self.buffer = memoryview(bytearray(RECEIVE_BYTES))
        self._name = name
        self._running: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._calls: deque[Callable[[], None]] = deque()
        self._woken = False
        self._ended = False

    @property
    def asyncio(self) -> asyncio.AbstractEventLoop:
        """The event loop; only once it is started."""
        assert self._running is not None
        return self._running

    @property
    def started(self) -> bool:
        """Whether it runs, or has run."""
        return self._thread is not None

    def start(self) -> None:
        """Run. Whoever started it has to end it."""
        self._running = asyncio.SelectorEventLoop()
        self._running.set_exception_handler(_unexpected)
        self._thread = threading.Thread(
            target=self._running.run_forever, name=self._name, daemon=True
        )
        self._thread.start()

    def post(self, call: Callable[[], None]) -> bool:
        """Have something called in the loop; from any thread, at any time.

        Returns:
            False where the loop has ended: it will not be called.
        """
        if self._ended:
            return False
        self._calls.append(call)
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # it ends just now, and serves once more
                self.asyncio.call_soon_threadsafe(self._serve)
        return True

    def _serve(self) -> None:
        self._woken = False  # first: what is added from now on wakes again
        while self._calls:
            try:
                self._calls.popleft()()
            except Exception as error:  # noqa: BLE001 - the others are called too
                LOG.error("door failed error=%s", type(error).__name__)

    def wait_for(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the loop, from another thread, to its end."""
        asyncio.run_coroutine_threadsafe(coroutine, self.asyncio).result()

    def end(self) -> None:
        """Call what was posted, then stop for good. From another thread; twice is once."""
        if self._ended:
            return
        self._ended = True
        if self._thread is not None:
            self.asyncio.call_soon_threadsafe(self.asyncio.stop)
            self._thread.join()
            self._serve()
            self.asyncio.close()


def _unexpected(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A bug of ours; what the error says is not logged, for it may hold anything."""
    error = context.get("exception")
    LOG.error("door failed error=%s", type(error).__name__ if error else "unknown")
