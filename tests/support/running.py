"""The whole archive as it is run: its process tree, a hospital of its own, its peers.

Only public faces are used: C-STORE over a socket, HL7 by a client that is not ours, HTTP.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import hl7
import httpx
import psutil
import pydicom
from hl7.client import MLLPClient
from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity

from reconcile.db.embedded import Urls
from tests.support import fresh
from tests.support.messages import adt

START_SECONDS = 90
STOP_SECONDS = 60

#: The fixture of the scenarios.
HOSPITAL = """
[listen]
dicom = "127.0.0.1:0"
hl7 = "127.0.0.1:0"
http = "127.0.0.1:0"

[serve]
receivers = 1

[[domain]]
name = "A"
universal_id = "1.2.3.1"
universal_id_type = "ISO"
aliases = ["HISA"]
deny = ["0", "999", "UNKNOWN", "TEST", "W/I"]
placeholder_names = ["UNKNOWN", "BABY BOY", "BABY GIRL", "ANONYMIZED"]
placeholder_dates = ["19000101"]
test_ids = ["QC-*"]

[[domain]]
name = "B"
universal_id = "1.2.3.2"
universal_id_type = "ISO"
aliases = ["HISB"]

[[domain]]
name = "T"
temporary = true
placeholder_names = ["UNKNOWN"]
placeholder_dates = ["19000101"]

[[domain]]
name = "X"
test = true

[[domain]]
name = "Z"
fold_case = true
pad_to = 8

[[domain]]
name = "L"
check_digit = "luhn"

[[domain]]
name = "R"
reuse = true

[[domain]]
name = "V"
gate = "off"

[[source]]
ae_title = "CT_A"
domain = "A"
accession_issuer = "A"
charset = "ISO_IR 100"

[[source]]
ae_title = "MR_B"
domain = "B"
accession_issuer = "B"

[[source]]
ae_title = "IMPORT_CD"

[[source]]
ae_title = "CT_HOLD"
domain = "A"
bare_id = "hold"

[[source]]
ae_title = "CT_CX"
cx_in_patient_id = true

[[source]]
ae_title = "AI_NODE"
domain = "A"
deidentified = "trust-source"

[[source]]
ae_title = "CT_NOACC"
domain = "A"

[[feed]]
application = "RIS_A"
authority = ["A", "E", "T"]
accession_issuer = "A"

[[feed]]
application = "RIS_B"
authority = ["B"]
accession_issuer = "B"

[[feed]]
application = "EMPI"
authority = ["A", "B", "E", "T", "X", "Z", "L", "R", "V"]
"""

#: The same, with scanners spread over two processes.
SPREAD = HOSPITAL.replace("receivers = 1", "receivers = 2")

#: P1 to P5, each with the ID that the enterprise gives them.
REGISTRATION = (
    adt("A28", "100^^^A~E1^^^E", "DOE^JANE", "19800102", "F"),
    adt("A28", "200^^^A~555^^^B~E2^^^E", "ROE^RICHARD", "19750506", "M", sender="EMPI"),
    adt("A28", "100^^^B~E3^^^E", "MEIER^ANNA", "19900304", "F", sender="EMPI"),
    adt("A28", "401^^^A~E4^^^E", "KOCH^LEA", "20240110", "F", multiple_birth="Y"),
    adt("A28", "402^^^A~E5^^^E", "KOCH^LEO", "20240110", "M", multiple_birth="Y"),
)


class Doors(NamedTuple):
    """Where the doors of a running archive are: (host, port) of each."""

    dicom: tuple[str, int]
    hl7: tuple[str, int]
    http: tuple[str, int]


class Archive:
    """One archive: `reconcile serve` over a database and a data folder.

    Args:
        folder: of its configuration and its data; made if it is not there.
        urls: of a database of its own; None: its own embedded server.
        config: the TOML of its hospital.
    """

    def __init__(self, folder: Path, urls: Urls | None = None, config: str = HOSPITAL):
        self.folder = folder
        self.urls = urls
        self.config = config
        self.doors: Doors
        self.http: httpx.Client
        self._process: subprocess.Popen[str] | None = None
        self._control_id = 0

    def __enter__(self) -> Archive:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- its life ----------------------------------------------------------------------

    def start(self) -> None:
        """Start the process tree and wait until its doors are open."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.urls is None:
            fresh.copy(self.folder / "data")
        config = self.folder / "hospital.toml"
        config.write_text(self.config, encoding="utf-8")
        command = [sys.executable, "-m", "reconcile", "serve"]
        command += ["--config", str(config), "--data", str(self.folder / "data")]
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **self.environment()},
                start_new_session=True,
            )
        self.doors = _doors(self._first_line())
        url = "http://{}:{}".format(*self.doors.http)
        self.http = httpx.Client(base_url=url, timeout=60)

    def stop(self) -> int:
        """Let it finish what it began; its exit code."""
        if self._process is None:
            return 0
        self.http.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._process = None
        return code

    def kill(self) -> None:
        """Cut off its power: the whole tree, at once."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)
        self.http.close()
        self._process = None

    @property
    def pid(self) -> int:
        """Of the supervisor; all but the database are its children."""
        assert self._process is not None
        return self._process.pid

    def environment(self) -> dict[str, str]:
        """What names its database to `reconcile`."""
        if self.urls is None:
            return {}
        return {
            "RECONCILE_DATABASE_URL": self.urls.writer,
            "RECONCILE_DATABASE_OWNER_URL": self.urls.owner,
            "RECONCILE_DATABASE_READER_URL": self.urls.reader,
        }

    def _first_line(self) -> str:
        """What it prints when it is ready; a thread waits for it, and goes on reading."""
        assert self._process is not None
        lines: queue.Queue[str] = queue.Queue()
        reading = threading.Thread(
            target=_read_all, args=(self._process.stdout, lines), daemon=True
        )
        reading.start()
        try:
            said = lines.get(timeout=START_SECONDS)
        except queue.Empty:
            said = ""
        if not said.startswith("ready "):
            self._process.kill()
            raise AssertionError(f"it did not start:\n{self.log()[-4000:]}")
        return said

    def workers(self, role: str) -> list[psutil.Process]:
        """Its living processes of one role; what was killed may still be listed."""
        tree = psutil.Process(self.pid).children(recursive=True)
        return [process for process in tree if _works_as(process, role)]

    def log(self) -> str:
        """What it has logged."""
        return (self.folder / "log").read_text(errors="replace")

    # -- its doors ---------------------------------------------------------------------

    def store(self, dataset: Dataset, ae: str = "CT_A") -> Dataset:
        """C-STORE an instance; the response's status and related fields."""
        return self.store_all([dataset], ae)[0]

    def store_all(self, datasets: list[Dataset], ae: str = "CT_A") -> list[Dataset]:
        """C-STORE several instances over one association."""
        scu = ApplicationEntity(ae)
        scu.acse_timeout = scu.dimse_timeout = scu.network_timeout = 60
        wanted = {(each.SOPClassUID, each.file_meta.TransferSyntaxUID) for each in datasets}
        for sop_class, syntax in sorted(wanted):
            scu.add_requested_context(sop_class, syntax)
        host, port = self.doors.dicom
        association = scu.associate(host, port, ae_title="RECONCILE")
        assert association.is_established, f"{ae} was not let in"
        try:
            return [association.send_c_store(each) for each in datasets]
        finally:
            association.release()

    def send(self, message: str, encoding: str = "utf-8") -> hl7.Message:
        """Send a message over MLLP, with a control id of its own if it has none."""
        with MLLPClient(*self.doors.hl7, encoding=encoding) as client:
            client.socket.settimeout(60)
            answer = client.send_message(self.numbered(message))
        return hl7.parse(answer.decode(encoding).strip("\x0b\x1c\r"))

    def numbered(self, message: str) -> str:
        """A message with the next control id in the place of "{id}"."""
        self._control_id += 1
        return message.replace("{id}", f"{id(self) % 10_000}-{self._control_id}")

    def register(self) -> None:
        """Let the feeds tell of P1 to P5."""
        for message in REGISTRATION:
            answer = self.send(message)
            assert code(answer) == "AA", str(answer)

    def get(self, path: str, **parameters: Any) -> Any:
        """What the HTTP door answers, as JSON."""
        return self.http.get(path, params=parameters).raise_for_status().json()

    def items(self, path: str, **parameters: Any) -> list[Any]:
        """All rows of a list."""
        found: list[Any] = []
        while True:
            page = self.get(path, limit=1000, **parameters)
            found += page["items"]
            if not page["next"]:
                return found
            parameters["cursor"] = page["next"]

    def given_out(self, sop_instance_uid: str) -> Dataset:
        """An instance as given out today."""
        path = f"/api/v1/instances/{sop_instance_uid}/file"
        return pydicom.dcmread(BytesIO(self.http.get(path).raise_for_status().content))

    def received(self, sop_instance_uid: str) -> Dataset:
        """An instance as it came."""
        path = f"/api/v1/instances/{sop_instance_uid}/received"
        return pydicom.dcmread(BytesIO(self.http.get(path).raise_for_status().content))

    def retrieve(self, study: str, series: str, instance: str) -> httpx.Response:
        """An instance over DICOMweb, by received or assigned UIDs, as a single file."""
        path = f"/dicom-web/studies/{study}/series/{series}/instances/{instance}"
        return self.http.get(path, headers={"Accept": "application/dicom"})


def _works_as(process: psutil.Process, role: str) -> bool:
    try:
        return " ".join(process.cmdline()).strip() == f"reconcile {role}"
    except psutil.Error:  # it has just died
        return False


def code(answer: hl7.Message) -> str:
    """MSA-1 of an acknowledgement."""
    return str(answer["MSA.F1"])


@contextlib.contextmanager
def archive(
    folder: Path, urls: Urls | None = None, config: str = HOSPITAL
) -> Iterator[Archive]:
    """A running archive in which P1 to P5 are registered."""
    with Archive(folder, urls, config) as running:
        running.register()
        yield running


def _read_all(stream: Any, lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def _doors(line: str) -> Doors:
    """ "ready dicom=HOST:PORT hl7=HOST:PORT http=HOST:PORT", or the same over TLS."""
    said = dict(word.split("=") for word in line.split()[1:])
    open_at = (said.get(door) or said[f"{door}_tls"] for door in Doors._fields)
    found = (at.rpartition(":") for at in open_at)
    return Doors(*((host, int(port)) for host, _, port in found))
