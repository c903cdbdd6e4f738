"""This archive as its user runs it, or another checkout of it beside.

`reconcile serve` over its embedded PostgreSQL, with the default number of receivers and
every check on. Each patient and order is told to it over HL7 before; so each instance is
coerced and has its audit row.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
import pydicom
from pydicom.filebase import DicomBytesIO

from bench import ris
from bench.http_client import Client
from bench.identity import CALLING, Identity
from bench.machine import commit
from bench.servers import Sent, Wrong, kill, tree, working_in

ROOT = Path(__file__).parents[1]
STOP_SECONDS = 120
#: Instances per second, in all: a study of twenty costs an order.
FASTEST = {"ct": 900, "small": 2_500, "multiframe": 10}
#: Role of the processes that hold associations, the last word of their command.
RECEIVER = "receiver"

CONFIG = f"""\
[listen]
dicom = "127.0.0.1:0"
hl7 = "127.0.0.1:0"
http = "127.0.0.1:0"

[[domain]]
name = "A"

[[source]]
ae_title = "{CALLING}"
domain = "A"
accession_issuer = "A"

[[feed]]
application = "RIS"
authority = ["A", "E"]
accession_issuer = "A"
"""


class Reconcile:
    """One archive over a folder of its own; what is stored in it stays.

    Args:
        folder: for its data, its configuration and its log.
        checkout: with an environment of its own; this one if none is named.
    """

    called, expected = "RECONCILE", "B000"
    fastest = FASTEST

    def __init__(
        self, folder: Path, name: str = "reconcile", checkout: Path | None = None
    ) -> None:
        self.name = name
        self.folder = folder / name.replace(" ", "-")
        self.folder.mkdir(mode=0o711, exist_ok=True)
        self.data = self.folder / "data"
        self.config = self.folder / "bench.toml"
        self.config.write_text(CONFIG, encoding="utf-8")
        self._checkout = checkout or ROOT
        own = self._checkout / ".venv/bin/python"
        self._python = str(own) if checkout else sys.executable
        self._process: subprocess.Popen[str] | None = None
        self._addresses: dict[str, int] = {}
        self.version = commit(self._checkout)

    def sends_to(self, title: str, port: int) -> None:
        """Before it is started: a destination of C-MOVE."""
        with self.config.open("a", encoding="utf-8") as config:
            config.write(f'\n[[destination]]\nae_title = "{title}"\n')
            config.write(f'host = "127.0.0.1"\nport = {port}\n')

    def start(self) -> None:
        """Until it says `ready`; where it died before, it takes up what was left."""
        with (self.folder / "reconcile.log").open("a") as log:
            self._process = subprocess.Popen(
                self.command("serve"),
                cwd=self._checkout,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        if not said.startswith("ready "):
            why = (self.folder / "reconcile.log").read_text()[-2000:]
            raise RuntimeError(f"the archive did not start:\n{why}")
        told = (word.split("=") for word in said.split()[1:])
        self._addresses = {door: int(at.rpartition(":")[2]) for door, at in told}
        if not self.receiving():
            raise RuntimeError("none of its processes is called a receiver")

    def stop(self) -> None:
        """In order, and at once where that does not happen."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._forget()

    def kill(self) -> None:
        """SIGKILL to every process of it and of its database, who starts others first."""
        kill([*self.processes(), *self.database()])
        # One that was started while we looked.
        kill(working_in(self.data))
        self._forget()

    def _forget(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.wait()
            self._process.stdout.close()
        self._process = None

    def command(self, *words: str) -> list[str]:
        """A command of its command line, over its folder."""
        where = ["--config", str(self.config), "--data", str(self.data)]
        return [self._python, "-m", "reconcile", *words, *where]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*words),
            cwd=self._checkout,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def port(self) -> int:
        return self._addresses["dicom"]

    @property
    def hl7(self) -> int:
        """Port of its HL7 door."""
        return self._addresses["hl7"]

    @property
    def web_port(self) -> int:
        """Of DICOMweb."""
        return self._addresses["http"]

    def client(self) -> Client:
        """Of its HTTP door."""
        return Client("127.0.0.1", self._addresses["http"])

    def wipe(self) -> None:
        """What is stored stays: an archive fills."""

    def prepare(self, studies: Iterable[Identity]) -> None:
        """An order for each, which makes its patient known too."""
        ris.tell(self._addresses["hl7"], studies)

    def verify(self, sent: Sent) -> None:
        """Nothing is held; a sample is there, coerced, and has its event."""
        with self.client() as peer:
            if peer.get("/api/v1/holds", state="open", limit="1")["items"]:
                raise Wrong("something is held")
            for identity, counter in sent.sample:
                _verify(peer, identity, identity.instance_uid(counter))

    def processes(self) -> list[psutil.Process]:
        return tree(self._process.pid) if self._process else []

    def receiving(self) -> list[psutil.Process]:
        return [each for each in self.processes() if _last_word(each) == RECEIVER]

    def database(self) -> list[psutil.Process]:
        """Not its children: the server outlives an owner that was killed."""
        for lock in self.data.glob("pg*/postmaster.pid"):
            return tree(int(lock.read_text().split("\n", 1)[0]))
        return []


def _verify(peer: Client, identity: Identity, uid: str) -> None:
    given = pydicom.dcmread(DicomBytesIO(peer.read(f"/api/v1/instances/{uid}/file")))
    if given.PatientID != identity.enterprise_id:
        raise Wrong("an instance is given out under another Patient ID")
    if given.StudyInstanceUID != identity.ordered_study_uid:
        raise Wrong("an instance is given out in another study")
    events: list[Any] = peer.get(f"/api/v1/instances/{uid}/history")["items"]
    if not any("PatientID" in each["attributes"] for each in events):
        raise Wrong("an instance has no event")


def _last_word(process: psutil.Process) -> str:
    try:
        return (" ".join(process.cmdline()).split() or [""])[-1]
    except psutil.NoSuchProcess:
        return ""


def _environment() -> dict[str, str]:
    """Ours, without what would tell the archive to be another one."""
    known = os.environ.items()
    return {name: value for name, value in known if not name.startswith("RECONCILE_")}
