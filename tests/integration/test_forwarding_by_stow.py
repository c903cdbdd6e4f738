"""Instances get to a DICOMweb server by STOW-RS: our own, and Orthanc where it is there."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from reconcile.db.outgoing import Wanted
from reconcile.flows.forward import Recipient
from reconcile.flows.keys import make_key
from reconcile.web.forwarding import Server, stow
from reconcile.web.parts import Parts
from tests.integration.test_forward import (
    NEVER,
    Clock,
    clock,
    flow,
    hospital,
    listed,
    rounds,
    several,
    store_all,
)
from tests.support.archive import open_door
from tests.support.database import Cluster
from tests.support.given import given as given_out
from tests.support.hospital import CT_A, JANE, RICHARD, Hospital
from tests.support.instances import instance, uid, with_meta

__all__ = ["clock", "hospital"]

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def to(server: Server, **said: Any) -> Recipient:
    return Recipient("WEB", stow(server), (Wanted("WEB"),), **said)


def test_to_an_archive_of_ours(
    hospital: Hospital, clock: Clock, cluster: Cluster, tmp_path: Path
) -> None:
    """Coerced, all, under a key from a file; what it coerces is no failure."""
    key_file = tmp_path / "key"
    with cluster.database() as urls:
        other = Hospital.at(urls.writer, tmp_path / "other", urls.reader)
        other.patient(JANE, "E1^^^E")
        other.patient(RICHARD, "E2^^^E")
        parts = Parts(
            other.database, other.storage, other.rules, True, listed={"CT_A": CT_A}.get
        )
        with open_door(parts) as client:
            url = f"{client.base_url}/dicom-web"
            forwarding = flow(hospital, clock, to(Server(url, str(key_file))))
            study = uid()
            more = {"PixelData": bytes(3 << 20), "Rows": 1024, "Columns": 1536}
            [large] = several(1, study, **more)
            uids = store_all(hospital, [*several(3, study), large])
            rounds(forwarding)
            assert {each.error for each in listed(hospital)} == {"its key cannot be read"}
            key_file.write_text("wrong\n")
            clock.ahead += timedelta(hours=7)
            rounds(forwarding)
            assert {each.error for each in listed(hospital)} == {"STOW-RS was answered 401"}
            key = make_key(other.database, name="x", role="reader", source="CT_A")
            key_file.write_text(f"{key}\n")
            clock.ahead += timedelta(hours=7)
            rounds(forwarding)
        assert sum(each.sent for each in listed(hospital)) == 4
        given = [given_out(other, each) for each in uids]
        assert {(each.PatientID, each.IssuerOfPatientID) for each in given} == {("E1", "E")}
        assert given[3].PixelData == large.PixelData
        other.database.close()


@dataclass
class Web:
    """A server that answers what it is told to; `says`: status and JSON, in order."""

    says: list[tuple[int, Any]] = field(default_factory=list)
    got: list[bytes] = field(default_factory=list)
    url: str = ""


@contextmanager
def web() -> Iterator[Web]:
    made = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            made.got.append(body)
            status, said = made.says.pop(0)
            raw = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/dicom-web/"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def failed(reason: int) -> Any:
    return {
        "00081198": {
            "vr": "SQ",
            "Value": [{"00081197": {"vr": "US", "Value": [reason]}}],
        }
    }


def warned(reason: int) -> Any:
    return {
        "00081199": {
            "vr": "SQ",
            "Value": [{"00081196": {"vr": "US", "Value": [reason]}}],
        }
    }


def test_what_an_answer_means(hospital: Hospital, clock: Clock) -> None:
    """Taken, with a warning, refused, or another time; by status and Failure Reason."""
    with web() as peer:
        forwarding = flow(hospital, clock, to(Server(peer.url)))
        store_all(hospital, several(5))
        peer.says = [(200, {}), (202, warned(0xB000)), (409, failed(0x0122)), (503, {})]
        rounds(forwarding)
        [row] = listed(hospital)
        counts = (row.sent, row.refused, row.waiting, row.error)
        assert counts == (2, 1, 2, "STOW-RS was answered 503")
        peer.says = [(409, failed(0xA700))]
        clock.ahead += timedelta(hours=7)
        rounds(forwarding)
        [row] = listed(hospital)
        assert (row.waiting, row.error[-4:]) == (2, "A700")
        peer.says = [(202, failed(0xC000)), (413, "")]
        clock.ahead += timedelta(hours=7)
        rounds(forwarding)
        [row] = listed(hospital)
        assert (row.sent, row.refused, row.waiting) == (2, 3, 0)
        assert all(body.count(b"Content-Type: application/dicom") == 1 for body in peer.got)


def test_it_is_converted_for_who_takes_it_otherwise(
    hospital: Hospital, clock: Clock
) -> None:
    """A server that does not take the transfer syntax gets Explicit VR Little Endian."""
    with web() as peer:
        forwarding = flow(hospital, clock, to(Server(peer.url)))
        store_all(hospital, [with_meta(instance(), ImplicitVRLittleEndian)])
        peer.says = [(409, failed(0xC122)), (200, {})]
        rounds(forwarding)
        [row] = listed(hospital)
        assert (row.sent, row.refused) == (1, 0)
        assert [b"1.2.840.10008.1.2.1\0" in body for body in peer.got] == [False, True]


@contextmanager
def orthanc(folder: Path) -> Iterator[str]:
    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, dicom = free.getsockname()[1], other.getsockname()[1]
    store = str(folder / "orthanc")
    config = folder / "orthanc.json"
    config.write_text(
        json.dumps(
            {
                "HttpPort": port,
                "DicomPort": dicom,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
                "StorageDirectory": store,
                "IndexDirectory": store,
                "Plugins": [str(PLUGIN)],
            }
        )
    )
    with (folder / "orthanc.log").open("w") as log:
        process = subprocess.Popen(["Orthanc", str(config)], stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                httpx.get(f"{url}/system").raise_for_status()
                break
            except httpx.HTTPError:
                NEVER.wait(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.skipif(
    shutil.which("Orthanc") is None or not PLUGIN.exists(),
    reason="Orthanc's DICOMweb is not installed",
)
def test_to_orthanc(hospital: Hospital, clock: Clock, tmp_path: Path) -> None:
    """All of a study, coerced, as it tells itself."""
    with orthanc(tmp_path) as url:
        study = uid()
        forwarding = flow(hospital, clock, to(Server(f"{url}/dicom-web")))
        store_all(hospital, several(3, study))
        rounds(forwarding)
        [row] = listed(hospital)
        assert (row.sent, row.waiting, row.refused) == (3, 0, 0), row
        query = {"Level": "Instance", "Query": {}, "Expand": True}
        found = httpx.post(f"{url}/tools/find", json=query, timeout=60).json()
        assert len(found) == 3
        tags = httpx.get(f"{url}/instances/{found[0]['ID']}/simplified-tags").json()
        assert (tags["PatientID"], tags["IssuerOfPatientID"]) == ("E1", "E")
