"""What a server costs: processor time and memory of its processes and its database's."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import psutil

from bench.servers import Server

EVERY_SECONDS = 0.25
#: Looking costs processor time itself, most of all at how much memory is shared.
SHARED_EVERY = 8


def processor_seconds(processes: list[psutil.Process]) -> float:
    """User and system time, of children that have ended too."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
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


def peak_rss(process: psutil.Process) -> int:
    """Bytes that it ever had in memory (VmHWM of proc(5)); 0: it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


class Watched:
    """Watches a server while the context lasts.

    Attributes:
        server_seconds, database_seconds: of processor time in that while.
        peak_bytes: of all processes together, as it was sampled.
        receiver_bytes: the most that one process that receives ever had.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak_bytes = self.receiver_bytes = 0
        self.server_seconds = self.database_seconds = 0.0

    def __enter__(self) -> Watched:
        self._before = self._spent()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        now = self._spent()
        self.server_seconds, self.database_seconds = (
            after - before for after, before in zip(now, self._before, strict=True)
        )
        self._ended.set()
        self._thread.join()
        self._shared()

    def _spent(self) -> tuple[float, float]:
        server = self._server
        return processor_seconds(server.processes()), processor_seconds(server.database())

    def _sample(self) -> None:
        number = 0
        while not self._ended.wait(EVERY_SECONDS):
            number += 1
            peaks = [peak_rss(each) for each in self._server.receiving()]
            self.receiver_bytes = max([self.receiver_bytes, *peaks])
            if number % SHARED_EVERY == 0:
                self._shared()

    def _shared(self) -> None:
        now = memory([*self._server.processes(), *self._server.database()])
        self.peak_bytes = max(self.peak_bytes, now)
