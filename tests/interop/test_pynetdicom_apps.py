"""The programs that come with pynetdicom, each in a process of its own.

What arrives is compared with what the HTTP door gives out, value by value. One of them
takes Implicit VR Little Endian and nothing else.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from tests.interop.conftest import APPS
from tests.support.door import eventually
from tests.support.instances import instance, part10, uid
from tests.support.messages import omi
from tests.support.retrieving import EXPLICIT, IMPLICIT, answers, taken
from tests.support.running import Archive, code
from tests.support.transcoded import transcoded

JANE = ("100^^^A", "DOE^JANE", "19800102", "F")


def run(archive: Archive, program: str, *words: str, folder: Path) -> str:
    """Run a client that has to succeed; what it said."""
    host, port = archive.doors.dicom
    titles = ["-v", "-aet", "CT_A", "-aec", "RECONCILE", host, str(port)]
    done = subprocess.run(
        [sys.executable, "-m", "pynetdicom", program, *titles, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[Path]:
    """The storage SCP among them, at the destination APPS."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pynetdicom", "storescp", str(APPS)]
    with subprocess.Popen([*command, "-od", str(folder), *options]) as running:
        try:
            assert eventually(lambda: answers(APPS), 60)
            yield folder
        finally:
            running.terminate()


@pytest.fixture(scope="module")
def stored(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """Two images of Jane, sent by storescu from files, one Implicit VR Little Endian."""
    folder = tmp_path_factory.mktemp("sent")
    study, series = uid(), uid()
    same = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
    images = [instance(InstanceNumber=number, **same) for number in (1, 2)]
    images[1] = transcoded(images[1], ImplicitVRLittleEndian)
    for number, image in enumerate(images):
        (folder / f"{number}.dcm").write_bytes(part10(image))
    said = run(archive, "storescu", str(folder), "-cx", folder=folder)
    assert said.count("0xB000") == 2, said
    return images


def keys(image: Dataset, level: str = "STUDY") -> list[str]:
    study = f"StudyInstanceUID={image.StudyInstanceUID}"
    return ["-S", "-k", f"QueryRetrieveLevel={level}", "-k", study]


def same_as_http(archive: Archive, came: dict[str, Dataset], syntaxes: set[str]) -> None:
    assert {str(each.file_meta.TransferSyntaxUID) for each in came.values()} == syntaxes
    for sop_instance_uid, dataset in came.items():
        given = archive.given_out(sop_instance_uid)
        given.decode()
        dataset.decode()
        assert dataset == given


def test_the_echoscu_of_pynetdicom(archive: Archive, tmp_path: Path) -> None:
    """0000."""
    assert "0x0000" in run(archive, "echoscu", folder=tmp_path)


def test_the_storescu_of_pynetdicom(archive: Archive, stored: list[Dataset]) -> None:
    """It is told of coercion; what it sent is kept as it was, and given out coerced."""
    for image in stored:
        name = str(image.SOPInstanceUID)
        assert archive.received(name) == image
        assert archive.given_out(name).PatientID == "E1"


def test_the_findscu_of_pynetdicom(
    archive: Archive, stored: list[Dataset], tmp_path: Path
) -> None:
    """What it writes down is the study, as its patient is known to whoever asks."""
    wanted = ["-k", "PatientID", "-k", "NumberOfStudyRelatedInstances"]
    run(archive, "findscu", "-w", *keys(stored[0]), *wanted, folder=tmp_path)
    [found] = [dcmread(each, force=True) for each in sorted(tmp_path.glob("rsp*.dcm"))]
    assert found.StudyInstanceUID == stored[0].StudyInstanceUID
    assert (found.PatientID, found.NumberOfStudyRelatedInstances) == ("100", 2)


def test_the_findscu_of_pynetdicom_asks_for_the_worklist(
    archive: Archive, tmp_path: Path
) -> None:
    """One step, by its accession number."""
    step = {"start": "20261201093000", "stations": "CT_A"}
    assert code(archive.send(omi(*JANE, accession="APPS1", **step))) == "AA"
    wanted = ["-k", "AccessionNumber=APPS1", "-k", "PatientName", "-k", "StudyInstanceUID"]
    run(archive, "findscu", "-W", "-w", *wanted, folder=tmp_path)
    [found] = [dcmread(each, force=True) for each in tmp_path.glob("rsp*.dcm")]
    assert (found.AccessionNumber, found.PatientName) == ("APPS1", "DOE^JANE")


def test_the_getscu_of_pynetdicom(
    archive: Archive, stored: list[Dataset], tmp_path: Path
) -> None:
    """Over one association, each as the HTTP door gives it out."""
    run(archive, "getscu", *keys(stored[0]), "-od", "came", folder=tmp_path)
    came = taken(tmp_path / "came")
    assert came.keys() == {str(image.SOPInstanceUID) for image in stored}
    for each in came.values():  # CT_A is shown the patient in its own domain
        assert (each.PatientID, each.IssuerOfPatientID) == ("100", "A")
        assert each.PixelData == stored[0].PixelData


@pytest.mark.parametrize(
    ("options", "syntaxes"), [(("-xi",), {IMPLICIT}), (("-xe",), {EXPLICIT, IMPLICIT})]
)
def test_the_movescu_and_storescp_of_pynetdicom(
    archive: Archive,
    stored: list[Dataset],
    tmp_path: Path,
    options: tuple[str, ...],
    syntaxes: set[str],
) -> None:
    """To one that takes Implicit VR Little Endian only, and to one that takes all."""
    with storescp(tmp_path / "came", *options) as folder:
        run(archive, "movescu", "-aem", "APPS", *keys(stored[0]), folder=tmp_path)
        came = taken(folder)
    assert came.keys() == {str(image.SOPInstanceUID) for image in stored}
    same_as_http(archive, came, syntaxes)
