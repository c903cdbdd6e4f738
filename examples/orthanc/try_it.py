"""`make orthanc`: Debian's Orthanc with the plug-in, and `reconcile` behind it.

Scanners send to Orthanc; what Orthanc has then is compared with what the engine itself
would give out, for instances that are coerced, held, and given a mapped Study UID, and for
one that comes while the engine is away. Prints a verdict for each, and exits 1 where one
is not as it must be. Needs the Debian packages orthanc and orthanc-python.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pydicom
from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity

from tests.support.instances import instance
from tests.support.messages import Ordered, orm
from tests.support.running import HOSPITAL, Archive

PLUGIN = Path(__file__).with_name("reconcile_plugin.py")
LIBRARY = Path("/usr/share/orthanc/plugins/libOrthancPython.so")


def main() -> int:
    """Try it; the exit code."""
    if shutil.which("Orthanc") is None or not LIBRARY.exists():
        print("Orthanc and its Python plug-in are not installed", file=sys.stderr)
        return 3
    folder = Path(tempfile.mkdtemp(prefix="orthanc-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        with Archive(folder / "archive", None, HOSPITAL) as engine:
            engine.register()
            with orthanc(folder, engine) as (port, http):
                return judged(engine, port, http)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def judged(engine: Archive, port: int, http: httpx.Client) -> int:
    """How many things are not as they must be, told one by one; 1 if any."""
    coerced = instance()
    umlaut = instance(SpecificCharacterSet="ISO_IR 100", InstitutionName="Höpital")
    held = instance(PatientName="OTHER^BODY", PatientBirthDate="20010101")
    ordered_as = Ordered(study_uid="1.2.3.4.5.6")
    jane = ("100^^^A", "DOE^JANE", "19800102", "F")
    engine.send(orm(*jane, ordered_as, accession="ACC1"))
    ordered = [
        instance(AccessionNumber="ACC1", StudyInstanceUID="1.2.9.9") for _ in range(2)
    ]
    wrong = 0
    for name, image in (
        ("a known patient", coerced),
        ("text beyond ASCII", umlaut),
        ("held", held),
        ("a mapped Study UID", ordered[0]),
        ("the same again", ordered[1]),
    ):
        status = send(port, image)
        there = stored(http, str(image.SOPInstanceUID))
        here = engine.given_out(str(image.SOPInstanceUID))
        differs = "it is not there" if there is None else difference(here, there, image)
        wrong += tell(name, f"{status:04X} {differs}".strip(), bool(status or differs))
    engine.kill()
    lost = instance()
    status = send(port, lost)
    kept = stored(http, str(lost.SOPInstanceUID)) is not None
    wrong += tell("the engine is away", f"{status:04X}", status == 0 or kept)
    return int(wrong > 0)


def tell(name: str, what: str, bad: bool) -> bool:
    """One line of the table."""
    print(f"{'FAILS' if bad else 'holds':<6} {name}: {what or '0000'}", flush=True)
    return bad


def difference(here: Dataset, there: Dataset, sent: Dataset) -> str:
    """Where Orthanc's copy is not what the engine gives out, with the pixels sent."""
    for element in here:
        if element.keyword in ("SpecificCharacterSet", "PixelData"):
            continue
        if there.get(element.tag) != element:
            return f"{element.keyword} differs"
    return "" if there.PixelData == sent.PixelData else "pixels differ"


def send(port: int, image: Dataset) -> int:
    """C-STORE to Orthanc; the status, -1 for none."""
    scanner = ApplicationEntity("CT_A")
    scanner.add_requested_context(image.SOPClassUID, image.file_meta.TransferSyntaxUID)
    association = scanner.associate("127.0.0.1", port, ae_title="ORTHANC")
    if not association.is_established:
        return -1
    try:
        return int(association.send_c_store(image).get("Status", -1))
    finally:
        association.release()


def stored(http: httpx.Client, sop_instance_uid: str) -> Dataset | None:
    """What Orthanc has of an instance."""
    found = http.post("/tools/lookup", content=sop_instance_uid).json()
    if not found:
        return None
    file = http.get(f"/instances/{found[0]['ID']}/file").raise_for_status().content
    return pydicom.dcmread(BytesIO(file))


@contextlib.contextmanager
def orthanc(folder: Path, engine: Archive) -> Iterator[tuple[int, httpx.Client]]:
    """Orthanc with the plug-in: its DICOM port, and a client of its HTTP."""
    dicom, http = free_port(), free_port()
    shutil.copy(PLUGIN, folder / PLUGIN.name)
    (folder / "orthanc.json").write_text(json.dumps(configuration(folder, dicom, http)))
    host, port = engine.doors.http
    environment = {
        **os.environ,
        "RECONCILE_URL": f"http://{host}:{port}",
        "RECONCILE_SOURCE": "CT_A",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if "site-packages" in path),
    }
    with (folder / "orthanc.log").open("w") as log:
        process = subprocess.Popen(
            ["Orthanc", str(folder / "orthanc.json")],
            stdout=log,
            stderr=log,
            env=environment,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{http}", timeout=30) as client:
            wait_for(client, folder / "orthanc.log")
            yield dicom, client
    finally:
        process.terminate()
        process.wait(30)


def configuration(folder: Path, dicom: int, http: int) -> dict[str, Any]:
    """An Orthanc of its own, with SQLite."""
    return {
        "DicomAet": "ORTHANC",
        "DicomPort": dicom,
        "DicomAlwaysAllowStore": True,
        "HttpPort": http,
        "AuthenticationEnabled": False,
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "Plugins": [str(LIBRARY)],
        "PythonScript": str(folder / PLUGIN.name),
    }


def wait_for(client: httpx.Client, log: Path) -> None:
    """Until Orthanc answers."""
    for _ in range(200):
        with contextlib.suppress(httpx.TransportError):
            if client.get("/system").status_code == 200:
                return
        time.sleep(0.2)
    raise SystemExit(log.read_text()[-2000:])


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
