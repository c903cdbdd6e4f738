"""Two scanners, one bare Patient ID: the case that reconciliation is for.

Real images stand beside a development checkout (40 of a GE, 8 of a Siemens scanner, both
of patient "DEV" without issuer, accession or common Study UID). Where they do not, the
same situation is made by code.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from sqlalchemy import func, select

from reconcile.core.facts import Source
from reconcile.core.identity import Demographics, PersonName
from reconcile.core.order import RequestedProcedure
from reconcile.db import history as h
from reconcile.db import tables as t
from tests.support.archive import Archive, archive
from tests.support.hospital import Hospital
from tests.support.instances import instance, part10, uid

REAL = Path(__file__).parents[3] / "shared" / "data" / "mr"
MR = "1.2.840.10008.5.1.4.1.1.4"
ASSIGNED = "1.2.3.4.5.6"
SIEMENS = Source("SIEMENS", domain="A", accession_issuer="A")
GE = Source("GE", domain="B", accession_issuer="B")
PATIENT = Demographics(PersonName("Test^Regression"), "19700101", "O")


def made() -> tuple[list[Dataset], list[Dataset]]:
    """What the scanners would have sent: (8 Siemens, 40 GE)."""
    common = {
        "SOPClassUID": MR,
        "Modality": "MR",
        "PatientID": "DEV",
        "PatientName": "Test^Regression",
        "AccessionNumber": "",
    }
    ours = _study("1.3.12.2.1107", 4, 2, common | {"PatientBirthDate": "19700101"})
    theirs = _study("1.2.840.113619", 4, 10, common | {"PatientBirthDate": ""})
    for dataset in ours:
        dataset.PatientSex = "O"
    return ours, theirs


def _study(root: str, series: int, images: int, common: dict[str, str]) -> list[Dataset]:
    study = f"{root}.1{uid()[-20:]}"
    return [
        instance(
            StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.{number + 1}",
            SeriesNumber=number + 1,
            InstanceNumber=image + 1,
            **common,
        )
        for number in range(series)
        for image in range(images)
    ]


def real() -> tuple[list[Dataset], list[Dataset]]:
    return _folder(REAL / "siemens"), _folder(REAL / "ge")


def _folder(folder: Path) -> list[Dataset]:
    return [dcmread(path) for path in sorted(folder.rglob("*.dcm"))]


@pytest.fixture
def doors(database_urls, tmp_path) -> Iterator[Archive]:
    hospital = Hospital.at(database_urls.writer, tmp_path / "archive", database_urls.reader)
    with archive(hospital, SIEMENS, GE) as opened:
        yield opened
    hospital.database.close()


#: The made images are used everywhere, the real ones where they are.
Way = Callable[[], tuple[list[Dataset], list[Dataset]]]
WAYS: list[Way] = [made, *([real] if REAL.is_dir() else [])]


@pytest.fixture(params=WAYS)
def scanned(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """(folder of the Siemens images with the order's accession, folder of the GE's)."""
    ours, theirs = request.param()
    assert (len(ours), len(theirs)) == (8, 40)
    for dataset in ours:
        dataset.AccessionNumber = "ACC1"
    return _written(tmp_path / "siemens", ours), _written(tmp_path / "ge", theirs)


def _written(folder: Path, datasets: list[Dataset]) -> Path:
    folder.mkdir()
    for number, dataset in enumerate(datasets):
        (folder / f"{number:03}.dcm").write_bytes(part10(dataset))
    return folder


def storescu(doors: Archive, folder: Path, title: str) -> str:
    program = shutil.which("storescu")
    assert program, "DCMTK's storescu is needed"
    to = ("-aet", title, "-aec", "RECONCILE", "127.0.0.1", str(doors.dicom))
    done = subprocess.run(
        [program, "-v", "+sd", "-xs", *to, str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def count(doors: Archive, *tables) -> list[int]:
    with doors.hospital.database.read_only() as connection:
        queries = (select(func.count()).select_from(table) for table in tables)
        return [connection.execute(query).scalar_one() for query in queries]


def given_out(doors: Archive, folder: Path, study: str) -> list[FileDataset]:
    """What of these files is in a study today."""
    found = []
    for path in sorted(folder.iterdir()):
        sent = dcmread(path, stop_before_pixels=True)
        uids = (study, str(sent.SeriesInstanceUID), str(sent.SOPInstanceUID))
        found.append(dcmread(BytesIO(doors.given_out(*uids))))
    return found


def events_of(doors: Archive, dataset: Dataset) -> list[object]:
    answer = doors.get(f"/api/v1/instances/{dataset.SOPInstanceUID}/history")
    return list(answer.raise_for_status().json()["items"])


def test_the_ordered_study_takes_the_orders_uid_and_the_other_stays_anothers(
    doors: Archive, scanned: tuple[Path, Path]
) -> None:
    """
    Eight images come out under the assigned Study UID, with one event each and B000; the
    forty of the same bare ID are another person's; the same again changes nothing.
    """
    hospital, (ours, theirs) = doors.hospital, scanned
    hospital.patient(PATIENT, "DEV^^^A", "E1^^^E")
    wanted = RequestedProcedure("RP1", ASSIGNED)
    hospital.order(PATIENT, "DEV^^^A", accession="ACC1", procedures=(wanted,))

    said = storescu(doors, ours, "SIEMENS"), storescu(doors, theirs, "GE")

    assert said[0].count("CoercionOfDataElements") == 8
    assert said[1].count("CoercionOfDataElements") == 40
    _are_the_patients(doors, ours)
    _are_anothers(doors, theirs)
    assert count(doors, t.person, t.study, t.instance, h.coercion_event) == [2, 2, 48, 48]

    storescu(doors, ours, "SIEMENS")
    storescu(doors, theirs, "GE")
    assert count(doors, t.person, t.study, t.instance, h.coercion_event) == [2, 2, 48, 48]
    assert count(doors, t.receipt) == [96]
    _are_the_patients(doors, ours)


def _are_the_patients(doors: Archive, folder: Path) -> None:
    sent = [dcmread(path) for path in sorted(folder.iterdir())]
    for came, out in zip(sent, given_out(doors, folder, ASSIGNED), strict=True):
        assert out.StudyInstanceUID == ASSIGNED != came.StudyInstanceUID
        assert (out.PatientID, out.IssuerOfPatientID) == ("E1", "E")
        assert (out.AccessionNumber, out.PixelData) == ("ACC1", came.PixelData)
        *_, item = out.OriginalAttributesSequence
        [before] = item.ModifiedAttributesSequence
        assert before.StudyInstanceUID == came.StudyInstanceUID
        assert before.PatientID == "DEV"
        assert len(events_of(doors, came)) == 1


def _are_anothers(doors: Archive, folder: Path) -> None:
    sent = [dcmread(path) for path in sorted(folder.iterdir())]
    study = str(sent[0].StudyInstanceUID)
    for came, out in zip(sent, given_out(doors, folder, study), strict=True):
        assert out.StudyInstanceUID == came.StudyInstanceUID
        assert (out.PatientID, out.IssuerOfPatientID) == ("DEV", "B")
        assert len(events_of(doors, came)) == 1


@pytest.mark.parametrize("way", WAYS)
def test_the_situation_is_the_same_made_or_real(way: Way) -> None:
    """So that the test means the same where the images are not at hand."""
    ours, theirs = way()
    assert (len(ours), len(theirs)) == (8, 40)
    assert {str(d.PatientID) for d in (*ours, *theirs)} == {"DEV"}
    assert {d.get("IssuerOfPatientID", "") for d in (*ours, *theirs)} == {""}
    assert {str(d.get("AccessionNumber") or "") for d in (*ours, *theirs)} == {""}
    assert {str(d.PatientBirthDate) for d in ours} == {"19700101"}
    assert {str(d.get("PatientBirthDate") or "") for d in theirs} == {""}
    assert len({str(d.StudyInstanceUID) for d in ours}) == 1
    assert len({str(d.StudyInstanceUID) for d in theirs}) == 1
