"""The history in DICOM's own form: an inventory, found and retrieved by its own classes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity

from reconcile.core.identity import PatientIdentifier
from reconcile.db.ids import new_uid
from reconcile.dicom.acceptor import DicomDoor, listen
from reconcile.dicom.destinations import Giving, Remote
from reconcile.dicom.identifiers import read_identifier
from reconcile.dicom.policy import Peer, Policy
from reconcile.errors import NotFound, WrongUse
from reconcile.flows import inventory
from reconcile.flows.auditing import QUERY, Heard
from reconcile.flows.inventory import InventoryFlow, Scope
from reconcile.flows.query import QueryFlow
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.several import SeveralFlow
from reconcile.flows.store import StoreFlow
from tests.support import dciodvfy
from tests.support.filled import fill
from tests.support.hospital import CT_A, clock
from tests.support.retrieving import free_port, get, move, taker

ROOT = "1.2.840.10008.5.1.4.1.1.201."
STORAGE, FIND, MOVE, GET = (f"{ROOT}{number}" for number in (1, 2, 3, 4))
HEARD: list[Heard] = []
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"

# PS3.3 Tables C.7-8, C.12-1 and C.38.1-1: what is of type 1, and of type 2, in all cases,
# by the record that it is required in.
ONE = {
    "top": "SOPClassUID SOPInstanceUID ContentDate ContentTime InventoryLevel"
    " InventoryCompletionStatus NumberOfStudyRecordsInInstance TotalNumberOfStudyRecords",
    "study": "ItemInventoryDateTime StudyInstanceUID",
    "series": "Modality SeriesInstanceUID",
    "instance": "SOPClassUID SOPInstanceUID",
    "item": "ModifiedAttributesSequence AttributeModificationDateTime ModifyingSystem"
    " ReasonForTheAttributeModification",
}
TWO = {
    "top": "Manufacturer ScopeOfInventorySequence InventoryPurpose"
    " IncorporatedInventoryInstanceSequence InventoriedStudiesSequence",
    "study": "StudyDate StudyTime AccessionNumber ModalitiesInStudy StudyUpdateDateTime"
    " PatientName StudyDescription PatientID PatientBirthDate PatientSex StudyID"
    " NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances InventoriedSeriesSequence",
    "series": "SeriesNumber InventoriedInstancesSequence",
    "instance": "InstanceNumber",
    "item": "SourceOfPreviousValues",
}


@pytest.fixture(scope="module")
def filled(cluster, tmp_path_factory):
    """A filled hospital."""
    with cluster.database() as urls:
        yield fill(urls, tmp_path_factory.mktemp("instances"))


def flow_of(hospital):
    return InventoryFlow(
        QueryFlow(hospital.database, hospital.rules, hospital.storage),
        StoreFlow(hospital.database, hospital.storage, hospital.rules, clock, "inventory"),
        "RECONCILE",
        clock,
        partial(new_uid, "2.25"),
    )


@pytest.fixture(scope="module")
def door(filled):
    """Its DICOM door, and where VIEWER listens."""
    hospital, viewer = filled.hospital, free_port()
    retrieve = RetrieveFlow(hospital.database, hospital.storage)
    query = QueryFlow(hospital.database, hospital.rules, hospital.storage)
    remote = Remote("VIEWER", "127.0.0.1", viewer)
    opened = DicomDoor(
        Policy("RECONCILE", {"CT_A": Peer(CT_A)}.get),
        lambda arrival, answer: None,
        hospital.storage.spool_dir,
        find=query.pages,
        giving=Giving(SeveralFlow(retrieve, query), "RECONCILE", {"VIEWER": remote}.get),
        heard=HEARD.append,
    )
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    opened.serve(listening)
    yield port, viewer
    opened.stop(grace=0.2)


def file_of(hospital, uid):
    given = RetrieveFlow(hospital.database, hospital.storage).instance(uid)
    return b"".join(given.file())


def missing(dataset: Dataset, where: str) -> Iterator[str]:
    """What is required and is not there."""
    ones, twos = ONE[where].split(), TWO[where].split()
    yield from (f"{where} {name}" for name in (*ones, *twos) if name not in dataset)
    yield from (
        f"{where} {name}: empty" for name in ones if dataset.get(name) in ("", None)
    )


def problems(dataset: Dataset) -> list[str]:
    """What an inventory lacks, of all that it always needs."""
    found = list(missing(dataset, "top"))
    for study in dataset.InventoriedStudiesSequence:
        found += missing(study, "study")
        for series in study.InventoriedSeriesSequence:
            found += missing(series, "series")
            for instance in series.InventoriedInstancesSequence:
                found += missing(instance, "instance")
                for item in instance.get("OriginalAttributesSequence", ()):
                    found += missing(item, "item")
    return found


def instances_in(dataset: Dataset) -> dict[str, Dataset]:
    return {
        str(instance.SOPInstanceUID): instance
        for study in dataset.InventoriedStudiesSequence
        for series in study.InventoriedSeriesSequence
        for instance in series.InventoriedInstancesSequence
    }


def test_an_inventory_tells_of_each_instance_what_was_coerced(filled):
    """
    It names all that is given out, and the items of each instance are those that the
    instance itself is given out with.
    """
    hospital = filled.hospital
    made = flow_of(hospital).make(Scope(), purpose="migration")
    inventoried = dcmread(BytesIO(file_of(hospital, made.sop_instance_uid)))

    assert problems(inventoried) == []
    told = instances_in(inventoried)
    assert made.instances == len(told) == 6
    assert inventoried.NumberOfStudyRecordsInInstance == made.studies
    for uid, record in told.items():
        given = dcmread(BytesIO(file_of(hospital, uid)))
        assert record.get("OriginalAttributesSequence") == given.get(
            "OriginalAttributesSequence"
        )
    image = told[filled.ordered_instances[0]]
    (item,) = image.OriginalAttributesSequence
    assert item.ModifiedAttributesSequence[0].PatientID == "100"
    assert item.ModifiedAttributesSequence[0].StudyInstanceUID == filled.ordered
    assert item.ReasonForTheAttributeModification == "COERCE"


def test_a_scope_says_which_studies(filled):
    """
    Of one study, of one patient, of some days; what there is nothing of is no inventory.
    """
    flow = flow_of(filled.hospital)
    assert flow.make(Scope(study=filled.ordered)).instances == 3
    one = flow.make(Scope(patient=PatientIdentifier("100", "A")), "STUDY")
    assert (one.series, one.instances) == (0, 0)
    scoped = dcmread(BytesIO(file_of(filled.hospital, one.sop_instance_uid)))
    (scope,) = scoped.ScopeOfInventorySequence
    assert (scope.PatientID, scope.IssuerOfPatientID) == ("100", "A")
    assert len({study.PatientID for study in scoped.InventoriedStudiesSequence}) == 1
    with pytest.raises(NotFound):
        flow.make(Scope(dates="19000101"))
    with pytest.raises(WrongUse):
        flow.make(Scope(), "IMAGE")


def test_too_much_for_one_inventory_is_refused(filled, monkeypatch):
    """
    It is made in memory: a scope of more records than that is told, and nothing stored.
    """
    monkeypatch.setattr(inventory, "RECORDS_MAX", 3)
    with pytest.raises(WrongUse):
        flow_of(filled.hospital).make(Scope())


@pytest.mark.skipif(not dciodvfy.IS_INSTALLED, reason="dicom3tools is not installed")
def test_tools_of_others_read_it(filled, tmp_path):
    """
    dciodvfy of Debian knows no inventory and says so; DCMTK reads it to its end.
    """
    made = flow_of(filled.hospital).make(Scope())
    file = file_of(filled.hospital, made.sop_instance_uid)

    found = dciodvfy.errors(file, tmp_path)
    assert found is None or not found
    path = tmp_path / "inventory.dcm"
    path.write_bytes(file)
    done = subprocess.run(["dcmdump", "+P", "0400,0561", str(path)], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"(0400,0561)") == 6


def test_it_is_found_by_its_own_class(filled, door):
    """
    Inventory - FIND answers by level, purpose, date and UID, and no other instance.
    """
    made = flow_of(filled.hospital).make(Scope(study=filled.bare), "SERIES", "just this")
    uid = made.sop_instance_uid

    def find(**keys: str) -> list[Dataset]:
        entity = ApplicationEntity("CT_A")
        entity.add_requested_context(FIND)
        association = entity.associate("127.0.0.1", door[0], ae_title="RECONCILE")
        assert association.is_established
        asked = Dataset()
        for name, value in {"SOPInstanceUID": "", **keys}.items():
            setattr(asked, name, value)
        try:
            told = list(association.send_c_find(asked, FIND))
        finally:
            association.release()
        assert told[-1][0].Status == 0x0000
        return [each for _, each in told if each is not None]

    (answer,) = find(
        InventoryPurpose="just*", InventoryLevel="", ScopeOfInventorySequence=""
    )
    assert answer.SOPInstanceUID == uid
    assert answer.InventoryLevel == "SERIES"
    assert answer.ScopeOfInventorySequence[0].StudyInstanceUID == filled.bare
    assert answer.RetrieveAETitle == "RECONCILE"
    assert "QueryRetrieveLevel" not in answer
    assert len(find()) > 1
    assert [each.SOPInstanceUID for each in find(SOPInstanceUID=uid)] == [uid]
    assert find(InventoryLevel="STUDY", SOPInstanceUID=uid) == []
    assert find(SOPInstanceUID=filled.ordered_instances[0]) == []
    assert uid in [each.SOPInstanceUID for each in find(ContentDate="20200101-")]
    last = HEARD[-1]
    assert (last.what, last.actor, last.object_id) == (QUERY, "CT_A", FIND)
    assert read_identifier(last.query, last.transfer_syntax)["00080023"]["Value"]


def test_it_is_retrieved_by_its_own_classes(filled, door):
    """
    Inventory - GET and MOVE send it, byte for byte as it is kept; no image is.
    """
    port, viewer = door
    made = flow_of(filled.hospital).make(Scope(study=filled.ordered))
    uid = made.sop_instance_uid
    asked, came = get(port, [(STORAGE, EXPLICIT)], GET, SOPInstanceUID=uid)
    assert (asked.status, asked.counts) == (0x0000, (1, 0, 0))
    assert set(instances_in(came[0])) == set(filled.ordered_instances)

    with taker(viewer, "VIEWER", {STORAGE: [IMPLICIT]}) as there:
        moved = move(port, "VIEWER", MOVE, SOPInstanceUID=uid)
    assert (moved.status, moved.counts) == (0x0000, (1, 0, 0))
    assert (
        there.datasets[0].InventoriedStudiesSequence == came[0].InventoriedStudiesSequence
    )

    image = filled.ordered_instances[0]
    none, _ = get(port, [(STORAGE, EXPLICIT)], GET, SOPInstanceUID=image)
    assert none.counts == (0, 0, 0)
