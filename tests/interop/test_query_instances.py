"""Instances and the worklist, asked for by the programs of others.

One study that was given another patient ID, study UID and accession number: each door is
asked with what was received, with what was assigned, and after an A40 with what was
subsumed, and answers with the same instances.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.support.asking import PATIENT_ROOT, STUDY_ROOT, find, worklist
from tests.support.instances import instance, uid
from tests.support.messages import Ordered, adt, joined, omi, orm
from tests.support.running import Archive, code

findscu = pytest.mark.skipif(
    shutil.which("findscu") is None, reason="DCMTK is not installed"
)

QUINN = ("710^^^A", "QUINN^QUENTIN", "19710101", "M")


class Stored(NamedTuple):
    """A study as its scanner knows it, and as it was ordered."""

    images: list[Dataset]
    ordered: str

    @property
    def received(self) -> str:
        return str(self.images[0].StudyInstanceUID)

    @property
    def series(self) -> str:
        return str(self.images[0].SeriesInstanceUID)

    @property
    def uids(self) -> list[str]:
        return [str(each.SOPInstanceUID) for each in self.images]


@pytest.fixture(scope="module")
def stored(archive: Archive) -> Stored:
    """Three images of Quinn, whom the enterprise calls EQ, ordered under another UID."""
    identifiers, *rest = QUINN
    told = adt("A28", f"{identifiers}~EQ^^^E", *rest, sender="EMPI")
    assert code(archive.send(told)) == "AA"
    ordered, study, series = uid(), uid(), uid()
    procedure = Ordered(study_uid=ordered)
    assert code(archive.send(orm(*QUINN, procedure, accession="QUINN1"))) == "AA"
    images = [
        instance(
            PatientID="710",
            PatientName="QUINN^QUENTIN",
            PatientBirthDate="19710101",
            PatientSex="M",
            AccessionNumber="QUINN1",
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            InstanceNumber=number,
        )
        for number in (1, 2, 3)
    ]
    archive.store_all(images)
    return Stored(images, ordered)


@pytest.fixture(scope="module")
def merged(archive: Archive, stored: Stored) -> Stored:
    """The same study after Quinn was merged into Rowan."""
    told = adt("A28", "720^^^A~ER^^^E", "QUINN^ROWAN", "19710101", "M", sender="EMPI")
    assert code(archive.send(told)) == "AA"
    merge = joined("A40", "ER^^^E", "EQ^^^E", "QUINN^ROWAN", sender="EMPI")
    assert code(archive.send(merge)) == "AA"
    return stored


def by_every_door(archive: Archive, **keys: str) -> dict[str, list[str]]:
    """SOP Instance UIDs that each door answers with, by its name."""
    wanted = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "", **keys}
    found = {}
    for name, model in (("patient root", PATIENT_ROOT), ("study root", STUDY_ROOT)):
        told, codes = find(archive, model, **wanted)
        assert set(codes) <= {0xFF00, 0x0000}
        found[name] = [str(each.SOPInstanceUID) for each in told]
    client = DICOMwebClient("http://{}:{}/dicom-web".format(*archive.doors.http))
    listed = client.search_for_instances(search_filters=dict(keys))
    found["qido"] = [each["00080018"]["Value"][0] for each in listed]
    return found


def test_received_and_assigned_find_the_same(archive: Archive, stored: Stored) -> None:
    """By study, by patient in every spelling, by accession."""
    for keys in (
        {"StudyInstanceUID": stored.received},
        {"StudyInstanceUID": stored.ordered},
        {"PatientID": "710", "IssuerOfPatientID": "A"},
        {"PatientID": "EQ", "IssuerOfPatientID": "E"},
        {"SeriesInstanceUID": stored.series},
        {"AccessionNumber": "QUINN1"},
    ):
        for door, told in by_every_door(archive, **keys).items():
            assert told == stored.uids, (door, keys)


def test_after_a_merge_the_subsumed_find_them_too(archive: Archive, merged: Stored) -> None:
    """And each is told as the survivor's, with both changes in its header."""
    for keys in (
        {"PatientID": "710", "IssuerOfPatientID": "A"},
        {"PatientID": "EQ", "IssuerOfPatientID": "E"},
        {"PatientID": "ER", "IssuerOfPatientID": "E"},
        {"StudyInstanceUID": merged.received},
        {"StudyInstanceUID": merged.ordered},
    ):
        for door, told in by_every_door(archive, **keys).items():
            assert told == merged.uids, (door, keys)
    wanted = dict.fromkeys(("PatientID", "PatientName", "OriginalAttributesSequence"), "")
    wanted |= {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": merged.uids[0]}
    [answer], codes = find(archive, title="IMPORT_CD", **wanted)
    given = archive.given_out(merged.uids[0])
    assert codes == [0xFF00, 0x0000]
    assert (answer.PatientID, answer.PatientName) == ("ER", "QUINN^ROWAN")
    assert answer.OriginalAttributesSequence == given.OriginalAttributesSequence
    assert len(answer.OriginalAttributesSequence) == 2


def test_a_list_of_uids_and_keys_of_instances(archive: Archive, stored: Stored) -> None:
    """Several SOP Instance UIDs at once; what an image says of its pixels."""
    keys = dict.fromkeys(("Rows", "Columns", "BitsAllocated", "SOPClassUID"), "")
    keys["SOPInstanceUID"] = "\\".join(stored.uids[:2])
    told, _ = find(archive, QueryRetrieveLevel="IMAGE", InstanceNumber="2", **keys)
    [second] = told
    assert (second.Rows, second.Columns, second.BitsAllocated) == (4, 4, 16)
    assert second.SOPInstanceUID == stored.uids[1]
    assert second.SOPClassUID == stored.images[0].SOPClassUID


def test_dicomweb_client_lists_a_study_and_a_series(
    archive: Archive, stored: Stored
) -> None:
    """By the paths of PS3.18 Table 10.6.1-2, page by page."""
    client = DICOMwebClient("http://{}:{}/dicom-web".format(*archive.doors.http))
    for study in (stored.received, stored.ordered):
        for series in (None, stored.series):
            told = client.search_for_instances(study, series)
            assert [each["00080018"]["Value"][0] for each in told] == stored.uids
    told = client.search_for_instances(
        stored.ordered, limit=1, offset=1, fields=["OriginalAttributesSequence"]
    )
    [item] = told[0]["04000561"]["Value"][:1]
    assert item["04000550"]["Value"][0]["00100020"]["Value"] == ["710"]
    assert client.search_for_instances(stored.ordered, stored.series, offset=3) == []


def dcmtk(archive: Archive, folder: Path, *words: str) -> list[Dataset]:
    """What findscu writes down."""
    host, port = archive.doors.dicom
    command = ["findscu", "-X", "-aet", "CT_A", "-aec", "RECONCILE", *words]
    done = subprocess.run(
        [*command, host, str(port)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [dcmread(each, force=True) for each in sorted(folder.glob("rsp*.dcm"))]


@findscu
@pytest.mark.parametrize("model", ["-P", "-S"])
def test_findscu_at_image_level(
    archive: Archive, stored: Stored, tmp_path: Path, model: str
) -> None:
    """Under both roots; hierarchical, as it asks."""
    keys = ["QueryRetrieveLevel=IMAGE", f"StudyInstanceUID={stored.received}"]
    keys += [f"SeriesInstanceUID={stored.series}", "SOPInstanceUID", "InstanceNumber"]
    keys += ["OriginalAttributesSequence"]
    told = dcmtk(archive, tmp_path, model, *(word for key in keys for word in ("-k", key)))
    assert [str(each.SOPInstanceUID) for each in told] == stored.uids
    assert [each.InstanceNumber for each in told] == [1, 2, 3]
    assert {each.StudyInstanceUID for each in told} == {stored.ordered}
    assert all(each.OriginalAttributesSequence for each in told)


@findscu
def test_findscu_cancels_at_image_level(archive: Archive, stored: Stored) -> None:
    """After the first response it wants no more; the association ends as it should."""
    host, port = archive.doors.dicom
    command = ["findscu", "-v", "-S", "--cancel", "1", "-aet", "CT_A", "-aec", "RECONCILE"]
    keys = ["QueryRetrieveLevel=IMAGE", f"StudyInstanceUID={stored.ordered}", "Rows"]
    command += [word for key in keys for word in ("-k", key)]
    done = subprocess.run(
        [*command, host, str(port)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Releasing Association" in done.stdout + done.stderr


# -- The worklist ----------------------------------------------------------------------

MOELLER = ("730^^^A", "MÖLLER^JÜRGEN", "19730303", "M")
STEP = {
    "accession": "MOEL1",
    "start": "20261201093000",
    "stations": "CT_A~CT_B",
    "visit": "V730",
}


@pytest.fixture(scope="module")
def scheduled(archive: Archive) -> None:
    """A step for Möller, whom the enterprise calls EM."""
    told = adt("A28", "730^^^A~EM^^^E", *MOELLER[1:], sender="EMPI")
    assert code(archive.send(told)) == "AA"
    assert code(archive.send(omi(*MOELLER, **STEP))) == "AA"


@findscu
def test_findscu_asks_for_the_worklist(
    archive: Archive, scheduled: None, tmp_path: Path
) -> None:
    """By station, day and modality; an image made of the answer is the order's."""
    inside = "ScheduledProcedureStepSequence[0]."
    keys = [
        *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate"),
        *("PatientSex", "StudyInstanceUID", "AccessionNumber", "AdmissionID=V730"),
        *("RequestedProcedureID", "RequestedProcedureDescription"),
        inside + "ScheduledStationAETitle=CT_B",
        inside + "ScheduledProcedureStepStartDate=20261130-20261202",
        inside + "ScheduledProcedureStepStartTime",
        inside + "Modality=CT",
        inside + "ScheduledProcedureStepID",
    ]
    words = ["-W", *(word for key in keys for word in ("-k", key))]
    [entry] = dcmtk(archive, tmp_path, *words)
    assert entry.SpecificCharacterSet == "ISO_IR 192"
    assert str(entry.PatientName) == "MÖLLER^JÜRGEN"
    assert (entry.PatientID, entry.IssuerOfPatientID) == ("730", "A")
    assert (entry.AccessionNumber, entry.RequestedProcedureID) == ("MOEL1", "RP1")
    [step] = entry.ScheduledProcedureStepSequence
    assert list(step.ScheduledStationAETitle) == ["CT_A", "CT_B"]
    assert step.ScheduledProcedureStepStartTime == "093000"
    image = instance(
        SpecificCharacterSet="ISO_IR 100",
        PatientID=entry.PatientID,
        PatientName="MÖLLER^JÜRGEN",
        PatientBirthDate=entry.PatientBirthDate,
        PatientSex=entry.PatientSex,
        StudyInstanceUID=entry.StudyInstanceUID,
    )
    archive.store(image)
    given = archive.given_out(str(image.SOPInstanceUID))
    assert (given.PatientID, given.AccessionNumber) == ("EM", "MOEL1")
    assert given.StudyInstanceUID == entry.StudyInstanceUID


def test_the_worklist_by_every_identifier(archive: Archive, scheduled: None) -> None:
    """Local, assigned, and after an A40 subsumed; to each peer in its own domain."""
    wanted = {"PatientName": "", "IssuerOfPatientID": "", "StudyInstanceUID": ""}
    told = []
    for title, patient_id in (("CT_A", "730"), ("CT_A", "EM"), ("MR_B", "EM")):
        [entry], codes = worklist(archive, title, PatientID=patient_id, **wanted)
        assert codes == [0xFF00, 0x0000]
        told.append(entry)
    assert [each.PatientID for each in told] == ["730", "730", "EM"]
    assert [each.IssuerOfPatientID for each in told] == ["A", "A", "E"]
    survivor = adt("A28", "740^^^A~EN^^^E", "MÖLLER^JÖRG", "19730303", "M", sender="EMPI")
    assert code(archive.send(survivor)) == "AA"
    merge = joined("A40", "EN^^^E", "EM^^^E", "MÖLLER^JÖRG", sender="EMPI")
    assert code(archive.send(merge)) == "AA"
    for patient_id in ("730", "EM", "740", "EN"):
        [entry], _ = worklist(archive, "IMPORT_CD", PatientID=patient_id, **wanted)
        assert (entry.PatientID, str(entry.PatientName)) == ("EN", "MÖLLER^JÖRG")
        assert entry.StudyInstanceUID == told[0].StudyInstanceUID


def test_a_step_that_was_done_is_not_told(archive: Archive) -> None:
    """Completed or cancelled by the RIS: no scanner is sent there again."""
    step = {**STEP, "accession": "MOEL2"}
    assert code(archive.send(omi(*MOELLER, **step))) == "AA"
    assert len(worklist(archive, AccessionNumber="MOEL2")[0]) == 1
    done = {**step, "status": "CM", "control": "SC"}
    assert code(archive.send(omi(*MOELLER, **done))) == "AA"
    assert worklist(archive, AccessionNumber="MOEL2") == ([], [0x0000])


def test_odd_questions_about_the_worklist(archive: Archive) -> None:
    """A key that is not known: FF01. No day: A900."""
    keys = {"AccessionNumber": "MOEL3", "InstitutionName": "X"}
    assert code(archive.send(omi(*MOELLER, **{**STEP, "accession": "MOEL3"}))) == "AA"
    [entry], codes = worklist(archive, **keys)
    assert (codes, entry.InstitutionName) == ([0xFF01, 0x0000], "")
    assert worklist(archive, step={"ScheduledProcedureStepStartDate": "x"})[1] == [0xA900]
