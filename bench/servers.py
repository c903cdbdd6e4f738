"""What a server is to the bench, and what servers have in common.

Each is started as its user would start it, in a folder of its own, on a free port.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from bench.identity import Identity

START_SECONDS = 120
STOP_SECONDS = 60
#: Instances per second for which enough is prepared, where a study costs nothing.
FASTEST = {"ct": 5_000, "small": 30_000, "multiframe": 50}
#: Without it each response of DCMTK's waits for a delayed acknowledgement, some 40 ms.
NO_DELAY = {"TCP_NODELAY": "1"}


class Wrong(RuntimeError):
    """A server has not done what it was there for: its figures are worth nothing."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a server was sent and has answered: a sample, and how many in all."""

    instances: int
    sample: tuple[tuple[Identity, int], ...]


class Server(Protocol):
    """A server that can be started again and again over the same folder."""

    @property
    def name(self) -> str:
        """In a table."""

    @property
    def version(self) -> str:
        """What it calls itself."""

    @property
    def called(self) -> str:
        """Its AE title."""

    @property
    def port(self) -> int:
        """Where it listens, once it was started."""

    @property
    def expected(self) -> str:
        """Status that every instance is to be answered with."""

    @property
    def fastest(self) -> Mapping[str, int]:
        """Instances per second, by kind, for which orders are prepared."""

    def start(self) -> None:
        """Start it; it listens."""

    def stop(self) -> None:
        """End what there is of it."""

    def wipe(self) -> None:
        """While it does not run: forget what was stored, where it is not to stay."""

    def prepare(self, studies: Iterable[Identity]) -> None:
        """Let it know of patients and orders."""

    def verify(self, sent: Sent) -> None:
        """Look at what has become of it; raises Wrong."""

    def processes(self) -> list[psutil.Process]:
        """All processes of it that live, without its database's."""

    def receiving(self) -> list[psutil.Process]:
        """Those of them that hold associations."""

    def database(self) -> list[psutil.Process]:
        """All processes of its database."""


@contextmanager
def running(server: Server) -> Iterator[None]:
    """Started, and stopped whatever happens."""
    try:
        server.start()
        yield
    finally:
        server.stop()


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that come from it; none where it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def kill(doomed: list[psutil.Process]) -> None:
    """SIGKILL, one after the other; all have ended then.

    Raises:
        RuntimeError: one has not.
    """
    for each in doomed:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    _, alive = psutil.wait_procs(doomed, STOP_SECONDS)
    for each in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            if each.status() != psutil.STATUS_ZOMBIE:
                raise RuntimeError("a process outlived SIGKILL")


def working_in(folder: Path) -> list[psutil.Process]:
    """Processes whose working folder is in there, as a database server's are."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[str], log: Path) -> None:
    """Until somebody listens there.

    Raises:
        RuntimeError: the process ended, or time is up.
    """
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    said = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{process.args!r} did not start:\n{said}")


class Program:
    """A process of somebody else's server, its output in a file."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def start(self, command: list[str], port: int, environment: Mapping[str, str]) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **NO_DELAY, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )
        wait_for(port, self._process, self._log)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def processes(self) -> list[psutil.Process]:
        return tree(self._process.pid) if self._process else []


def first_line(command: list[str], wanted: Callable[[str], bool] = bool) -> str:
    """The first line that a program says and that is wanted; empty: not installed."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return next((line for line in done.stdout.splitlines() if wanted(line)), "unknown")
