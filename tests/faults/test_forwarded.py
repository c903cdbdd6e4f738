"""A destination that was down gets everything once it is back; a real one, by sockets."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom

from reconcile.db.embedded import Urls
from tests.support.instances import instance, uid
from tests.support.messages import joined
from tests.support.running import HOSPITAL, Archive, code

CONFIG = """
[[destination]]
ae_title = "VIEWER"
host = "127.0.0.1"
port = {port}
on_correction = "resend"

[[forward]]
to = "VIEWER"
sources = ["CT_A"]
"""
IMPLICIT = "1.2.840.10008.1.2"


def wait_until(holds: Callable[[], bool], seconds: float = 200) -> bool:
    """Whether something holds within some time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.2)
    return False


@contextmanager
def viewer(port: int, folder: Path, log: Path) -> Iterator[None]:
    """DCMTK's storescp, one that takes Implicit VR Little Endian only."""
    folder.mkdir(exist_ok=True)
    command = ["storescp", "-v", "+xi", "-aet", "VIEWER", "-od", str(folder), str(port)]
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def test_all_of_a_study_arrives_after_the_destination_was_away(
    database_urls: Urls, tmp_path: Path
) -> None:
    """
    Down while two studies come and one patient is merged, and the archive is killed
    meanwhile: then each instance arrives once, in its order, as it is given out now, in
    a transfer syntax that is taken. A later correction is sent, too.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    archive = Archive(tmp_path, database_urls, HOSPITAL + CONFIG.format(port=port))
    got, log = tmp_path / "got", tmp_path / "storescp.log"
    with archive:
        archive.register()
        first, second = uid(), uid()
        images = [instance(StudyInstanceUID=first) for _ in range(4)]
        images += [instance(StudyInstanceUID=second) for _ in range(3)]
        archive.store_all(images[:5])
        assert wait_until(lambda: bool(archive.get("/api/v1/deliveries")["items"]))
        archive.kill()
        archive.start()
        archive.store_all(images[5:])
        assert code(archive.send(joined("A40", "200^^^A", "100^^^A"))) == "AA"
        wanted = {str(each.SOPInstanceUID) for each in images}

        def waiting() -> int:
            items = archive.get("/api/v1/deliveries")["items"]
            return sum(each["waiting"] for each in items)

        assert wait_until(lambda: waiting() == 7)
        with viewer(port, got, log):
            done = archive.http.post(
                "/api/v1/deliveries/retry", json={"destination": "VIEWER"}
            )
            assert done.json() == {"instances": 7}
            assert wait_until(lambda: waiting() == 0)
            files = {path: pydicom.dcmread(path) for path in got.iterdir()}
            assert {str(each.SOPInstanceUID) for each in files.values()} == wanted
            assert {str(each.PatientID) for each in files.values()} == {"E2"}
            for each in files.values():
                assert each.file_meta.TransferSyntaxUID == IMPLICIT
                now = archive.given_out(each.SOPInstanceUID)
                assert now.PixelData == each.PixelData
                assert now.OriginalAttributesSequence == each.OriginalAttributesSequence
            assert log.read_text().count("storing DICOM file") == 7
            order = [str(each.SOPInstanceUID) for each in images]
            for study in (first, second):
                of_it = [u for u in _order(log) if u in order and _in(images, u, study)]
                assert of_it == [u for u in order if _in(images, u, study)]

            assert (
                code(archive.send(joined("A40", "100^^^B", "200^^^A", sender="EMPI")))
                == "AA"
            )
            assert wait_until(
                lambda: {str(pydicom.dcmread(p).PatientID) for p in got.iterdir()} == {"E3"}
            )
        assert archive.stop() == 0


def _order(log: Path) -> list[str]:
    """SOP Instance UIDs in the order in which they were stored; names hold them."""
    said = [line for line in log.read_text().splitlines() if "storing DICOM file" in line]
    return [line.rpartition("/")[2].split(".", 1)[1] for line in said]


def _in(images: list[pydicom.Dataset], sop_instance_uid: str, study: str) -> bool:
    return any(
        (each.SOPInstanceUID, each.StudyInstanceUID) == (sop_instance_uid, study)
        for each in images
    )
