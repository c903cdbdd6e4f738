"""Queries by the programs of others: DCMTK, pynetdicom, dicomweb-client."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity

from tests.support.asking import PATIENT_ROOT, STUDY_ROOT, find
from tests.support.instances import instance, uid
from tests.support.messages import Ordered, orm
from tests.support.running import HOSPITAL, Archive

MORE = """
[[source]]
ae_title = "DEAF"
query = false

[[destination]]
ae_title = "VIEWER"
host = "127.0.0.1"
port = 11119
domain = "B"
"""


@pytest.fixture(scope="module")
def asked(cluster, tmp_path_factory) -> Iterator[Archive]:
    """An archive with three studies, one of which was ordered under another UID."""
    with (
        cluster.database() as urls,
        Archive(tmp_path_factory.mktemp("asked"), urls, HOSPITAL + MORE) as archive,
    ):
        archive.register()
        for image, ae in IMAGES:
            archive.store(image, ae)
        yield archive


ORDERED = uid()
JANE = instance(StudyDescription="SKULL", StudyDate="20260301")
ANNA = instance(
    PatientName="MEIER^ANNA",
    PatientBirthDate="19900304",
    StudyDate="20260302",
    Modality="MR",
)
MUELLER = instance(
    SpecificCharacterSet="ISO_IR 100",
    PatientID="700",
    PatientName="Müller^Jörg",
    StudyDate="20260303",
)
IMAGES = ((JANE, "CT_A"), (ANNA, "MR_B"), (MUELLER, "CT_A"))


def names(found: Sequence[Dataset]) -> list[str]:
    return [str(each.PatientName) for each in found]


findscu = pytest.mark.skipif(
    shutil.which("findscu") is None, reason="DCMTK is not installed"
)


@findscu
def test_findscu(asked: Archive, tmp_path: Path) -> None:
    """DCMTK asks for the studies of a day range, and writes down what it is told."""
    host, port = asked.doors.dicom
    keys = ["QueryRetrieveLevel=STUDY", "StudyDate=20260302-", "PatientName"]
    keys += ["PatientID", "IssuerOfPatientID", "StudyInstanceUID", "ModalitiesInStudy"]
    command = ["findscu", "-S", "-X", "-aet", "CT_A", "-aec", "RECONCILE"]
    command += [word for key in keys for word in ("-k", key)]
    done = subprocess.run(
        [*command, host, str(port)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found = [dcmread(each, force=True) for each in sorted(tmp_path.glob("rsp*.dcm"))]
    assert names(found) == ["Müller^Jörg", "MEIER^ANNA"]
    assert [each.get("SpecificCharacterSet", "") for each in found] == ["ISO_IR 192", ""]
    assert found[0].IssuerOfPatientID == "A"
    assert (found[1].PatientID, found[1].ModalitiesInStudy) == ("E3", "MR")


@findscu
def test_findscu_cancels(asked: Archive) -> None:
    """After the first response it wants no more; the association ends as it should."""
    host, port = asked.doors.dicom
    command = ["findscu", "-v", "-S", "--cancel", "1", "-aet", "CT_A", "-aec", "RECONCILE"]
    command += ["-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName", host, str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Releasing Association" in done.stdout + done.stderr


def test_pynetdicom_finds_by_every_identifier(asked: Archive) -> None:
    """Received and assigned: the answer is what it has become; FF00, then 0000."""
    keys = {"QueryRetrieveLevel": "STUDY", "PatientName": "", "PatientID": ""}
    for more in (
        {"StudyInstanceUID": str(JANE.StudyInstanceUID)},
        {"PatientID": "100"},
        {"PatientID": "E1"},
        {"PatientID": "100", "IssuerOfPatientID": "A"},
        {"PatientName": "doe^*"},
        {"StudyDescription": "SK?LL"},
        {"StudyDate": "20260301"},
    ):
        found, codes = find(asked, **{**keys, **more})
        assert names(found) == ["DOE^JANE"], more
        assert codes == [0xFF00, 0x0000]
        assert (found[0].QueryRetrieveLevel, found[0].RetrieveAETitle) == (
            "STUDY",
            "RECONCILE",
        )


def test_row_04_a_bare_id_is_of_whoever_asks(asked: Archive) -> None:
    """100 of A and of B; each AE title is shown its own, under its own identifier."""
    keys = {"QueryRetrieveLevel": "STUDY", "PatientName": "", "PatientID": "100"}
    keys["IssuerOfPatientID"] = ""
    [jane], _ = find(asked, title="CT_A", **keys)
    assert (str(jane.PatientName), jane.PatientID) == ("DOE^JANE", "100")
    assert jane.IssuerOfPatientID == "A"
    for title in ("MR_B", "VIEWER"):
        [anna], _ = find(asked, title=title, **keys)
        assert (str(anna.PatientName), anna.IssuerOfPatientID) == ("MEIER^ANNA", "B")
    both, _ = find(asked, title="IMPORT_CD", **keys)
    assert {(e.PatientID, e.IssuerOfPatientID) for e in both} == {("E1", "E"), ("E3", "E")}


def test_patient_and_series_level(asked: Archive) -> None:
    """Patient Root has patients; a study's series are found by the study's UID."""
    keys = {"QueryRetrieveLevel": "PATIENT", "PatientName": "*", "PatientSex": ""}
    found, codes = find(asked, PATIENT_ROOT, **keys)
    assert names(found) == ["Müller^Jörg", "MEIER^ANNA", "DOE^JANE"]
    assert codes[-1] == 0
    keys = {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "", "Modality": "MR"}
    [series], _ = find(asked, StudyInstanceUID=str(ANNA.StudyInstanceUID), **keys)
    assert series.SeriesInstanceUID == ANNA.SeriesInstanceUID


def test_keys_that_are_not_looked_at_are_told(asked: Archive) -> None:
    """FF01, with the attribute there and empty; nothing is filtered by it."""
    found, codes = find(
        asked, QueryRetrieveLevel="STUDY", InstitutionName="X", PatientName="DOE*"
    )
    assert codes == [0xFF01, 0x0000]
    assert found[0].InstitutionName == ""


@pytest.mark.parametrize(
    ("title", "model", "keys", "status"),
    [
        ("DEAF", STUDY_ROOT, {"QueryRetrieveLevel": "STUDY"}, 0x0124),
        ("CT_A", STUDY_ROOT, {"QueryRetrieveLevel": "PATIENT"}, 0xA900),
        ("CT_A", STUDY_ROOT, {"QueryRetrieveLevel": "FRAME"}, 0xA900),
        ("CT_A", STUDY_ROOT, {"PatientName": "DOE*"}, 0xA900),
        ("CT_A", STUDY_ROOT, {"QueryRetrieveLevel": "STUDY", "StudyDate": "x"}, 0xA900),
    ],
)
def test_what_is_no_question_is_refused(
    asked: Archive, title: str, model: str, keys: dict[str, str], status: int
) -> None:
    """Each with its own status, and no answer."""
    found, codes = find(asked, model, title, **keys)
    assert (found, codes) == ([], [status])


def test_a_destination_queries_and_stores_nothing(asked: Archive) -> None:
    """It has no source that says how its instances are read: no storage is agreed on."""
    ae = ApplicationEntity("VIEWER")
    ae.add_requested_context(str(JANE.SOPClassUID))
    ae.add_requested_context(STUDY_ROOT)
    host, port = asked.doors.dicom
    association = ae.associate(host, port, ae_title="RECONCILE")
    assert [c.abstract_syntax for c in association.accepted_contexts] == [STUDY_ROOT]
    association.release()


def test_dicomweb_client(asked: Archive) -> None:
    """Studies with keys, paging and further fields; series; none."""
    client = DICOMwebClient("http://{}:{}/dicom-web".format(*asked.doors.http))
    found = [
        Dataset.from_json(each)
        for each in client.search_for_studies(
            search_filters={"PatientName": "MULLER*"}, fields=["PatientSex"]
        )
    ]
    assert names(found) == ["Müller^Jörg"]
    assert found[0].NumberOfStudyRelatedInstances == 1
    assert len(client.search_for_studies(limit=2)) == 2
    assert len(client.search_for_studies(limit=2, offset=2)) == 1
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []
    series = client.search_for_series(str(ANNA.StudyInstanceUID))
    assert [each["00080060"]["Value"] for each in series] == [["MR"]]


def test_a_study_under_its_orders_uid(asked: Archive) -> None:
    """By the modality's UID and by the order's, the accession number too; row 67, 70."""
    procedure = Ordered(study_uid=ORDERED)
    asked.send(orm("100^^^A", "DOE^JANE", "19800102", "F", procedure, accession="FIND1"))
    image = instance(AccessionNumber="FIND1", StudyDate="20250101")
    asked.store(image)
    for key, value in (
        ("StudyInstanceUID", str(image.StudyInstanceUID)),
        ("StudyInstanceUID", ORDERED),
        ("AccessionNumber", "FIND1"),
    ):
        keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}
        [found], _ = find(asked, **{**keys, key: value})
        assert found.StudyInstanceUID == ORDERED
