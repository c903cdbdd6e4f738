"""DCMTK's storescp: a process for each association, a file for each instance.

It knows neither patients nor orders, has no database, and does not wait for the disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import psutil

from bench.identity import Identity
from bench.servers import FASTEST, Program, Sent, Wrong, first_line, free_port
from bench.wire import PDU_BYTES_MAX


class Storescp:
    """`storescp --fork`, with PDUs as long as it can."""

    name, called, expected, fastest = "storescp", "STORESCP", "0000", FASTEST

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "storescp"
        self._program = Program(folder / "storescp.log")
        self._before = 0
        self.port = 0
        self.version = version()

    def start(self) -> None:
        self._folder.mkdir(exist_ok=True)
        self.port = free_port()
        command = ["storescp", "--fork", "--max-pdu", str(PDU_BYTES_MAX)]
        command += ["-aet", self.called, "--output-directory", str(self._folder)]
        self._program.start([*command, str(self.port)], self.port, {})

    def stop(self) -> None:
        self._program.stop()

    def wipe(self) -> None:
        """Its files are deleted, or the disk would fill."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._before = 0

    def prepare(self, studies: Iterable[Identity]) -> None:
        """Nothing: it knows neither patients nor orders."""

    def verify(self, sent: Sent) -> None:
        """A file more for each instance."""
        now = sum(1 for _ in self._folder.iterdir())
        new, self._before = now - self._before, now
        if new < sent.instances:
            raise Wrong(f"{new} files for {sent.instances} instances")

    def processes(self) -> list[psutil.Process]:
        return self._program.processes()

    def receiving(self) -> list[psutil.Process]:
        return self.processes()

    def database(self) -> list[psutil.Process]:
        return []


def version() -> str:
    """Empty: it is not installed."""
    said = first_line(["storescp", "--version"])
    return said.strip("$ ").removeprefix("dcmtk: ")


def missing() -> str:
    """Why it cannot be started; empty: it can."""
    return "" if version() else "DCMTK is not installed"
