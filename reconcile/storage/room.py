"""How much room is left on the disk; below a floor nothing is taken any more.

A disk that is really full stops more than the taking of instances: the database on it,
logs, and the deleting that would make room. So the doors say "out of resources" before,
and take again as soon as there is room. It is looked at once a second, whoever asks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from reconcile.errors import LowOnRoom

SECONDS = 1.0


def free_bytes(folder: Path) -> int:
    """What is free on the file system of a folder, for who is no administrator.

    Raises:
        OSError: it cannot be looked at.
    """
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


class Room:
    """The room on one file system. Safe for many threads: at worst two look at once."""

    def __init__(
        self,
        folder: Path,
        free_bytes_min: int = 0,
        *,
        look: Callable[[Path], int] = free_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.free_bytes_min = free_bytes_min
        self._folder = folder
        self._look = look
        self._clock = clock
        self._seen: tuple[float, int] | None = None

    @property
    def free(self) -> int:
        """Bytes that were free at most a second ago; -1: it cannot be looked at."""
        seen, now = self._seen, self._clock()
        if seen is None or not 0 <= now - seen[0] < SECONDS:
            seen = self._seen = now, self._looked()
        return seen[1]

    def _looked(self) -> int:
        try:
            return self._look(self._folder)
        except OSError:
            return -1  # whoever writes is told what is wrong

    @property
    def is_low(self) -> bool:
        """Whether nothing is to be taken."""
        return self.free_bytes_min > 0 and 0 <= self.free < self.free_bytes_min

    def require(self) -> None:
        """Go on, if one may.

        Raises:
            LowOnRoom: less is free than is to stay free.
        """
        if self.is_low:
            raise LowOnRoom("the disk of the storage is nearly full: nothing is taken")
