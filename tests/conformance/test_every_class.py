"""PS3.4 Annexes B and GG: every SOP class of the composite IODs, and those unknown.

One instance of each goes through the DICOM door and comes back through the HTTP door.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from reconcile.dataset.iods import NON_PATIENT, SOP_CLASSES, STORABLE, name_of
from tests.support.archive import Archive, Sent, Told, archive, sendable
from tests.support.database import Cluster
from tests.support.hospital import JANE, Hospital
from tests.support.instances import data_offset, instance
from tests.support.iods import instance_of

CLASSES = sorted(STORABLE)
#: Of somebody's own; and one that a coming edition of PS3.4 may bring.
UNKNOWN = ("1.2.826.0.1.3680043.9.9999.1", "1.2.840.10008.5.1.4.1.1.999.1")
COERCED = sorted({*CLASSES, *UNKNOWN} - NON_PATIENT)
SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)

PATIENT_ID, ISSUER, OTHER_IDS = 0x00100020, 0x00100021, 0x00101002
COERCED_AT, ORIGINALS = 0x00080015, 0x04000561
#: Everything that differs between what A:100 sent and what goes out as E:E1.
CHANGED = {PATIENT_ID, ISSUER, OTHER_IDS, COERCED_AT, ORIGINALS}


class Passed(NamedTuple):
    """An instance that went through: what was sent, what was said, by SOP class."""

    dataset: Dataset
    sent: Sent
    told: Told


def made() -> Iterator[Dataset]:
    for number, sop_class in enumerate(CLASSES):
        yield instance_of(sop_class, SYNTAXES[number % len(SYNTAXES)])
    for sop_class in UNKNOWN:
        yield instance(SOPClassUID=sop_class)


@pytest.fixture(scope="module")
def doors(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with cluster.database() as urls:
        folder = tmp_path_factory.mktemp("classes")
        hospital = Hospital.at(urls.writer, folder, urls.reader)
        assert hospital.patient(JANE, "100^^^A", "E1^^^E").acknowledgement == "AA"
        with archive(hospital) as opened:
            yield opened
        hospital.database.close()


@pytest.fixture(scope="module")
def passed(doors: Archive) -> dict[str, Passed]:
    datasets = list(made())
    sent = [sendable(dataset) for dataset in datasets]
    rows = zip(datasets, sent, doors.send(*sent), strict=True)
    return {row[1].sop_class_uid: Passed(*row) for row in rows}


def read(file: bytes) -> FileDataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dcmread(BytesIO(file))
        found.decode()
        return found


def same(dataset: Dataset) -> FileDataset:
    """What pydicom makes of a data set that we wrote."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return read(buffer.getvalue())


@pytest.fixture(scope="module")
def given(doors: Archive, passed: dict[str, Passed]) -> dict[str, FileDataset]:
    """What goes out of everything that has a patient, by SOP class."""
    return {
        sop_class: read(doors.given_out(*uids_of(passed[sop_class].dataset)))
        for sop_class in COERCED
    }


def uids_of(dataset: Dataset) -> tuple[str, str, str]:
    uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    study, series, sop_instance = map(str, uids)
    return study, series, sop_instance


def test_there_are_175() -> None:
    """166 with a patient, nine without."""
    assert (len(CLASSES), len(NON_PATIENT)) == (175, 9)
    assert set(UNKNOWN).isdisjoint(SOP_CLASSES)


@pytest.mark.parametrize("sop_class", [*CLASSES, *UNKNOWN], ids=name_of)
def test_the_status_says_whether_it_was_coerced(
    passed: dict[str, Passed], sop_class: str
) -> None:
    """B000 where it has a patient, 0000 where it has none (PS3.4 B.4.1.3)."""
    told = passed[sop_class].told
    assert told.status == (0x0000 if sop_class in NON_PATIENT else 0xB000), told
    assert bool(told.comment) == (sop_class not in NON_PATIENT)


@pytest.mark.parametrize("sop_class", [*CLASSES, *UNKNOWN], ids=name_of)
def test_what_was_received_can_be_had_back_bit_for_bit(
    doors: Archive, passed: dict[str, Passed], sop_class: str
) -> None:
    """Whatever the class and the transfer syntax."""
    sent = passed[sop_class].sent
    assert doors.received(sent.sop_instance_uid) == sent.data


@pytest.mark.parametrize("sop_class", sorted(NON_PATIENT), ids=name_of)
def test_what_has_no_patient_goes_out_untouched(
    doors: Archive, passed: dict[str, Passed], sop_class: str
) -> None:
    """Byte for byte: PS3.4 Annex GG knows no coercion of patient or study."""
    sent = passed[sop_class].sent
    file = doors.file(sent.sop_instance_uid)
    assert file[data_offset(file) :] == sent.data
    assert read(file).file_meta.MediaStorageSOPClassUID == sop_class


@pytest.mark.parametrize("sop_class", COERCED, ids=name_of)
def test_what_has_a_patient_goes_out_under_the_archives_identity(
    given: dict[str, FileDataset], passed: dict[str, Passed], sop_class: str
) -> None:
    """And everything else, bulk data among it, is element by element what came."""
    out, came = given[sop_class], same(passed[sop_class].dataset)
    assert (out.PatientID, out.IssuerOfPatientID) == ("E1", "E")
    [other] = out.OtherPatientIDsSequence
    assert (other.PatientID, other.IssuerOfPatientID) == ("100", "A")
    assert out.file_meta.TransferSyntaxUID == came.file_meta.TransferSyntaxUID
    assert out.file_meta.MediaStorageSOPInstanceUID == came.SOPInstanceUID
    assert set(out.keys()) - CHANGED == set(came.keys()) - CHANGED
    for tag in set(came.keys()) - CHANGED:
        assert out[tag] == came[tag]


@pytest.mark.parametrize("sop_class", COERCED, ids=name_of)
def test_one_item_says_what_there_was_before(
    given: dict[str, FileDataset], sop_class: str
) -> None:
    """PS3.3 Table C.12.1.1.9-1, with (0008,0015) beside it."""
    [item] = given[sop_class].OriginalAttributesSequence
    assert item.AttributeModificationDateTime == given[sop_class].InstanceCoercionDateTime
    assert str(item.AttributeModificationDateTime)[-5] in "+-"
    assert item.ModifyingSystem == "RECONCILE"
    assert item.SourceOfPreviousValues == "CT_A"
    assert item.ReasonForTheAttributeModification == "COERCE"
    [before] = item.ModifiedAttributesSequence
    assert before.PatientID == "100"
    assert before.IssuerOfPatientID in ("", None)
    assert CHANGED - {ORIGINALS} <= set(before.keys())
