"""pynetdicom's requestor, so that it loses no answer.

Whoever sends a request stops the association's own thread first, and takes a flag for that
which may be old: where the thread was let go and stopped again before it could run, it
runs once more, takes the answer, and the sender waits until its time is out. It is rare,
and was seen under load (pynetdicom 3.0.4).
"""

from __future__ import annotations

import threading
from functools import wraps
from typing import Any

from pynetdicom.association import Association


class Checkpoint(threading.Event):
    """Where an association's thread is stopped; `_is_paused` says whether it is."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self._changed = threading.Condition()
        self._is_open, self._waiting = True, 0

    def is_set(self) -> bool:
        """Whether the thread may pass."""
        return self._is_open

    def set(self) -> None:
        """Let it go on."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Stop it where it comes by next; it is paused only if it stands here."""
        with self._changed:
            self._is_open = False
            self._association._is_paused = self._waiting > 0

    def wait(self, timeout: float | None = None) -> bool:
        """Stand here as long as it is closed; also who was let go, and did not yet go."""
        with self._changed:
            self._waiting += 1
            self._association._is_paused = True
            passed = self._changed.wait_for(lambda: self._is_open, timeout)
            self._waiting -= 1
            return passed


def make_steady() -> None:
    """Let every association of this process stop where it is told. May be called again."""
    made: Any = Association.__init__
    if hasattr(made, "__wrapped__"):
        return

    @wraps(made)
    def init(self: Association, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        self._reactor_checkpoint = Checkpoint(self)

    Association.__init__ = init  # type: ignore[method-assign]
