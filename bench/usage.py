"""What a server costs: processor time and memory of its whole process tree."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psutil

#: Reading how much memory is shared costs processor time itself: not often.
EVERY_SECONDS = 1.0
Tree = Callable[[], list[psutil.Process]]


def processor_seconds(processes: list[psutil.Process]) -> float:
    """User and system time, of children that have ended too."""
    total = 0.0
    for process in processes:
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def memory(processes: list[psutil.Process]) -> int:
    """Bytes in memory, what is shared counted once (PSS); RSS where that is not told."""
    total = 0
    for process in processes:
        try:
            told = process.memory_full_info()
            total += getattr(told, "pss", told.rss)
        except psutil.AccessDenied:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


class Watched:
    """Watches a tree while the context lasts: its processor time and its peak."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak_bytes = 0
        self.processor_seconds = 0.0

    def __enter__(self) -> Watched:
        self._before = processor_seconds(self._tree())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.processor_seconds = processor_seconds(self._tree()) - self._before
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            self.peak_bytes = max(self.peak_bytes, memory(self._tree()))
