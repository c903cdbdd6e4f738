"""What comes on a disc: read by the command, judged as what comes over the network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet

from tests.scenarios.acting import Patient, reviews
from tests.scenarios.seen import SUCCESS, assigned_id, look
from tests.support.running import Archive

ONE = Patient("6101^^^A", "MEDIA^MARTHA", "19800102", "F")
OTHER = Patient("6102^^^A", "ROE^ROLAND", "19750506", "M")
DONE = Dataset()
DONE.Status = SUCCESS
CODE = "MULTI-PATIENT-MEDIA"


def read(archive: Archive, folder: Path, source: str) -> str:
    """Import a disc; what is said of it."""
    command = [sys.executable, "-m", "reconcile", "import", str(folder)]
    command += ["--config", str(archive.folder / "hospital.toml")]
    command += ["--data", str(archive.folder / "data"), "--source", source]
    environment = {**os.environ, **archive.environment()}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def disc(folder: Path, *images: Dataset) -> Path:
    """A disc with these images."""
    medium = FileSet()
    for image in images:
        medium.add(image)
    medium.write(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def known(archive: Archive) -> None:
    """Both of them are patients of this hospital."""
    ONE.told(archive)
    OTHER.told(archive)


def test_row_61_each_study_of_a_disc_is_judged_alone(archive: Archive, tmp_path: Path):
    """
    Of a source whose IDs are known each study becomes its own patient's; the disc is
    flagged once, with the first image of each study.
    """
    images = [each.image() for each in (ONE, OTHER)]
    folder = disc(tmp_path / "cd", *images)
    before = len(reviews(archive, CODE))

    assert "2 coerced" in read(archive, folder, "CT_A")

    for patient, image in zip((ONE, OTHER), images, strict=True):
        seen = look(archive, image, DONE)
        assert seen.patient == (assigned_id(archive, patient.first), "E")
        assert seen.holds == set()
    [item] = reviews(archive, CODE)[before:]
    assert set(item["sop_instance_uids"]) == {each.SOPInstanceUID for each in images}
    assert "2 already stored" in read(archive, folder, "CT_A")
    assert len(reviews(archive, CODE)) == before + 1


def test_row_61_a_disc_of_unknown_origin_is_held_and_flagged(
    archive: Archive, tmp_path: Path
):
    """
    Nobody says whose IDs they are: each study waits by itself; the disc is flagged too.
    """
    images = [each.image() for each in (ONE, OTHER)]
    before = len(reviews(archive, CODE))

    assert "2 held" in read(archive, disc(tmp_path / "cd", *images), "IMPORT_CD")

    for image in images:
        seen = look(archive, image, DONE)
        assert seen.holds == {"ISSUER-MISSING"}
        assert seen.patient[1] == "H"
    assert len(reviews(archive, CODE)) == before + 1


def test_row_61_a_disc_of_one_patient_is_not_flagged(archive: Archive, tmp_path: Path):
    """
    However many studies it has, and whatever two hospitals called the patient.
    """
    images = [ONE.image(), ONE.image(), ONE.image(PatientID="77")]
    before = len(reviews(archive, CODE))

    read(archive, disc(tmp_path / "cd", *images), "CT_A")

    assert len(reviews(archive, CODE)) == before
