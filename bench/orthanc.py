"""Orthanc with PostgreSQL, made to do what this archive does with each instance.

Its index is in PostgreSQL, its files are synced (its default), and a plug-in coerces on
receipt by an order in a HIS and writes an audit row: `orthanc_plugin.py`. Index and HIS
are two databases of one private cluster. PDUs are as long as DCMTK can.
"""

from __future__ import annotations

import json
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
from psycopg import sql

from bench import cluster
from bench.cluster import Cluster
from bench.http_client import Client
from bench.identity import Identity
from bench.servers import FASTEST, Program, Sent, Wrong, first_line, free_port
from bench.wire import PDU_BYTES_MAX

PLUGIN = Path(__file__).with_name("orthanc_plugin.py")
PLUGINS = Path("/usr/share/orthanc/plugins")
INDEX, PYTHON = "libOrthancPostgreSQLIndex.so", "libOrthancPython.so"
WEB = "libOrthancDicomWeb.so"
#: More than associations at once, or some would wait for others to end.
THREADS = 16
HIS = """\
create table orders (local_id text, accession text, patient_id text not null,
    issuer text not null, study_uid text not null, primary key (local_id, accession));
create table audit (id bigserial primary key, at timestamptz not null default now(),
    sop_uid text, old_patient text, new_patient text, old_study text, new_study text,
    source text);
"""


class Orthanc:
    """Orthanc, its plug-in and its cluster, started and stopped together."""

    name, called, expected, fastest = "orthanc", "ORTHANC", "0000", FASTEST

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "orthanc"
        self._folder.mkdir(mode=0o711)
        # Orthanc puts the folder of its script first where it looks for modules.
        shutil.copy(PLUGIN, self._folder)
        self._cluster = Cluster(self._folder)
        self._program = Program(self._folder / "orthanc.log")
        self._http = 0
        self._clean = False
        self._modalities: dict[str, list[Any]] = {}
        self.port = 0
        self.version = f"{version()}, {self._cluster.version}"

    def sends_to(self, title: str, port: int) -> None:
        """Before it is started: a destination of C-MOVE."""
        self._modalities[title] = [title, "127.0.0.1", port]

    def start(self) -> None:
        self._cluster.start()
        if not self._clean:
            self._make_databases()
        self.port, self._http = free_port(), free_port()
        config = self._folder / "orthanc.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps(self._config(), indent=1))
        environment = {
            "BENCH_HIS": self._cluster.dsn("his"),
            "PYTHONPATH": sysconfig.get_path("purelib"),
        }
        self._program.start(["Orthanc", str(config)], self.port, environment)

    def stop(self) -> None:
        self._program.stop()
        self._cluster.stop()

    def wipe(self) -> None:
        """With the next start its databases are made anew; its files go at once."""
        self._clean = False
        for each in self._folder.glob("store/**/*"):
            if each.is_file():
                each.unlink()

    def prepare(self, studies: Iterable[Identity]) -> None:
        """A row in the HIS for each."""
        with self._cluster.connect("his") as his:
            with his.cursor().copy("copy orders from stdin") as copy:
                for each in studies:
                    known = (each.patient_id, each.accession)
                    given = (each.enterprise_id, "E", each.ordered_study_uid)
                    copy.write_row((*known, *given))
            his.execute("analyze orders")

    def verify(self, sent: Sent) -> None:
        """As many audit rows as instances, and a sample is found coerced."""
        with self._cluster.connect("his") as his:
            row = his.execute("select count(*) from audit").fetchone()
            his.execute("truncate audit")
        if row is None or row[0] < sent.instances:
            raise Wrong(f"{row} audit rows for {sent.instances} instances")
        for identity, counter in sent.sample:
            tags = self._tags(identity.instance_uid(counter))
            given = (tags.get("PatientID"), tags.get("StudyInstanceUID"))
            if given != (identity.enterprise_id, identity.ordered_study_uid):
                raise Wrong("an instance is not coerced")

    def processes(self) -> list[psutil.Process]:
        return self._program.processes()

    def receiving(self) -> list[psutil.Process]:
        return self.processes()

    def database(self) -> list[psutil.Process]:
        return self._cluster.processes()

    def _tags(self, uid: str) -> dict[str, Any]:
        with Client("127.0.0.1", self._http) as peer:
            found = [
                each["ID"]
                for each in peer.post("/tools/lookup", uid.encode())
                if each["Type"] == "Instance"
            ]
            if len(found) != 1:
                raise Wrong(f"{len(found)} instances of one UID")
            tags: dict[str, Any] = peer.get(f"/instances/{found[0]}/simplified-tags")
            return tags

    @property
    def web_port(self) -> int:
        """Of DICOMweb; 0: it has none."""
        return self._http if _web() else 0

    def _make_databases(self) -> None:
        with self._cluster.connect() as server:
            for name in ("index", "his"):
                known = sql.Identifier(name)
                server.execute(sql.SQL("drop database if exists {}").format(known))
                server.execute(sql.SQL("create database {}").format(known))
        with self._cluster.connect("his") as his:
            his.execute(HIS)
        self._clean = True

    def _config(self) -> dict[str, Any]:
        store = str(self._folder / "store")
        return {
            "Name": "BENCH",
            "DicomAet": self.called,
            "DicomPort": self.port,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": self._modalities,
            "DicomThreadsCount": THREADS,
            "MaximumPduLength": PDU_BYTES_MAX,
            "HttpPort": self._http,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "StorageDirectory": store,
            "IndexDirectory": store,
            "Plugins": [str(PLUGINS / each) for each in (INDEX, PYTHON, *_web())],
            "PythonScript": str(self._folder / PLUGIN.name),
            "PostgreSQL": {
                "EnableIndex": True,
                "EnableStorage": False,
                "EnableSsl": False,
                "Host": "127.0.0.1",
                "Port": self._cluster.port,
                "Database": "index",
                "Username": cluster.SUPERUSER,
                "Password": self._cluster.password,
            },
        }


def _web() -> list[str]:
    """The plug-in for DICOMweb, where it is installed."""
    return [WEB] if (PLUGINS / WEB).exists() else []


def version() -> str:
    """Empty: it is not installed."""
    said = first_line(["Orthanc", "--version"])
    index = (PLUGINS / INDEX).resolve().name.partition(".so.")[2]
    return f"{said}, PostgreSQL index {index}" if said else ""


def missing() -> str:
    """Why it cannot be started; empty: it can."""
    if not version():
        return "Orthanc is not installed"
    for each in (INDEX, PYTHON):
        if not (PLUGINS / each).exists():
            return f"Orthanc's plug-in {each} is not installed"
    if cluster.programs() is None:
        return f"PostgreSQL {cluster.OLDEST} or newer is not installed"
    ours = f"libpython{sys.version_info.major}.{sys.version_info.minor}."
    if ours.encode() not in (PLUGINS / PYTHON).read_bytes():
        return "Orthanc's Python is of another version than this one"
    return ""
