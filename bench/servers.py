"""Who receives: this archive as a user runs it, and DCMTK's storescp beside it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import psutil

from bench.data import Identity
from reconcile.cli.demo_doors import Doors

START_SECONDS = 120
CALLING = "BENCH"

CONFIG = """\
[listen]
dicom = "127.0.0.1:0"
hl7 = "127.0.0.1:0"
http = "127.0.0.1:0"

[[domain]]
name = "A"

[[source]]
ae_title = "BENCH"
domain = "A"
accession_issuer = "A"

[[feed]]
application = "RIS"
authority = ["A", "E"]
accession_issuer = "A"
"""


class Server(Protocol):
    """What a round needs to know of a server."""

    name: str
    called: str
    port: int
    #: Status that every instance is to be answered with.
    expected: str

    def prepare(self, identities: Iterable[Identity]) -> None:
        """Before a cell, untimed."""

    def tidy(self) -> None:
        """After a cell, untimed."""

    def processes(self) -> list[psutil.Process]:
        """All processes of it that live."""

    def stop(self) -> None:
        """End it."""


class Reconcile:
    """`reconcile serve` over its embedded PostgreSQL; every instance has an order."""

    name, called, expected = "reconcile", "RECONCILE", "B000"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        config = folder / "bench.toml"
        config.write_text(CONFIG, encoding="utf-8")
        command = [sys.executable, "-m", "reconcile", "serve"]
        command += ["--config", str(config), "--data", str(folder / "data")]
        self._log = (folder / "reconcile.log").open("w")
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        said = self._first_line()
        addresses = dict(word.split("=") for word in said.split()[1:])
        self.doors = Doors(addresses, self.called)
        self.port = int(addresses["dicom"].rpartition(":")[2])

    def _first_line(self) -> str:
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        if not said.startswith("ready "):
            self._log.flush()
            why = (self._folder / "reconcile.log").read_text()[-2000:]
            raise RuntimeError(f"the archive did not start:\n{why}")
        return said

    def prepare(self, identities: Iterable[Identity]) -> None:
        """Register each patient and order each study."""
        for identity in identities:
            for message in (_patient(identity), _order(identity)):
                answer = self.doors.tell(message)
                if answer != "AA":
                    raise RuntimeError(f"the archive answered {answer} to the RIS")

    def tidy(self) -> None:
        """What is stored stays: an archive fills."""

    def processes(self) -> list[psutil.Process]:
        tree = _tree(self._process.pid)
        lock = next((self._folder / "data").glob("pg*/postmaster.pid"), None)
        if lock is not None:
            # Not its child: a server outlives an owner that was killed.
            tree += _tree(int(lock.read_text().split("\n", 1)[0]))
        return tree

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(90)
        self._log.close()


class Storescp:
    """DCMTK's storescp: a process for each association, files without fsync."""

    name, called, expected = "storescp", "STORESCP", "0000"

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "storescp"
        self._folder.mkdir()
        self.port = _free_port()
        command = ["storescp", "--fork", "--max-pdu", "131072", "-aet", self.called]
        command += ["--output-directory", str(self._folder), str(self.port)]
        # Without it each response waits for a delayed acknowledgement, some 40 ms.
        environment = {**os.environ, "TCP_NODELAY": "1"}
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait_for(self.port)

    def prepare(self, identities: Iterable[Identity]) -> None:
        """It knows neither patients nor orders."""

    def tidy(self) -> None:
        """Its files are deleted, or the disk would fill."""
        shutil.rmtree(self._folder)
        self._folder.mkdir()

    def processes(self) -> list[psutil.Process]:
        return _tree(self._process.pid)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


def storescp_version() -> str:
    """Empty: it is not installed."""
    if shutil.which("storescp") is None:
        return ""
    said = subprocess.run(
        ["storescp", "--version"], capture_output=True, text=True, check=False
    )
    lines = said.stdout.splitlines()
    return lines[0].strip("$ ").removeprefix("dcmtk: ") if lines else "unknown"


def _tree(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("storescp did not start")


def _patient(identity: Identity) -> str:
    return _segments(
        _msh("ADT^A04^ADT_A01", f"A{identity.number}"),
        "EVN||20260301080000",
        _pid(identity),
        "PV1|1|O",
    )


def _order(identity: Identity) -> str:
    uid = identity.ordered_study_uid
    number = identity.number
    return _segments(
        _msh("OMI^O23^OMI_O23", f"O{number}"),
        _pid(identity),
        "PV1|1|O||||||77^HOUSE^GREGORY^^^DR",
        f"ORC|NW|PL{number}^HIS|FI{number}^RIS||SC",
        "TQ1|1||||||20260301081500",
        f"OBR|1|PL{number}^HIS|FI{number}^RIS|CTCH^CT of the chest^99RIS",
        f"IPC|{identity.accession}^A|RP{number}|{uid}|SPS{number}|CT|CT^CT^99RIS|||BENCH",
    )


def _pid(identity: Identity) -> str:
    ids = f"{identity.patient_id}^^^A~E{identity.number}^^^E"
    return f"PID|1||{ids}||{identity.patient_name}||19800102|F"


def _msh(event: str, control_id: str) -> str:
    now = datetime.now(UTC).strftime("%Y%m%d%H%M%S+0000")
    head = f"MSH|^~\\&|RIS|HOSPITAL|RECONCILE|HOSPITAL|{now}||{event}|{control_id}"
    return f"{head}|P|2.5.1||||||UNICODE UTF-8"


def _segments(*segments: str) -> str:
    return "".join(f"{each}\r" for each in segments)
