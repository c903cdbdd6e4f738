"""References to studies that this archive renamed: at storing, and when they come later."""

from __future__ import annotations

import threading
from dataclasses import replace

import pydicom
import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select

from reconcile.core.order import RequestedProcedure
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.unresolved import unmet_reference
from reconcile.flows.check import CheckFlow
from reconcile.flows.doctor import Doctor
from reconcile.flows.retrieve import RetrieveFlow
from tests.support.hospital import CT_A, JANE, Hospital, clock
from tests.support.instances import instance, uid

KOS = "1.2.840.10008.5.1.4.1.1.88.59"
ORDERED = "1.2.3.4.5"


@pytest.fixture
def hospital(database_urls, tmp_path):
    """A hospital that knows Jane, and has ordered a study for her."""
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    ordered = RequestedProcedure("RP1", study_instance_uid=ORDERED)
    hospital.order(JANE, "100^^^A", "E1^^^E", accession="ACC1", procedures=(ordered,))
    return hospital


def selection(study: str, series: str = "") -> Dataset:
    """A key object selection that points to a study, in a study of its own."""
    item = Dataset()
    item.StudyInstanceUID = study
    within = Dataset()
    within.SeriesInstanceUID = series or uid()
    item.ReferencedSeriesSequence = [within]
    return instance(
        SOPClassUID=KOS, CurrentRequestedProcedureEvidenceSequence=[item], Modality="KO"
    )


def ordered_image(**attributes) -> Dataset:
    """An image that the order claims: its study is given out under the order's UID."""
    return instance(AccessionNumber="ACC1", **attributes)


def given(hospital: Hospital, dataset: Dataset) -> Dataset:
    """An instance as it is given out."""
    outgoing = RetrieveFlow(hospital.database, hospital.storage).instance(
        str(dataset.SOPInstanceUID)
    )
    file = b"".join(outgoing.file())
    return pydicom.dcmread(pydicom.filebase.DicomBytesIO(file))


def evidence(dataset: Dataset) -> tuple[str, str]:
    """(study, series) that a selection points to."""
    item = dataset.CurrentRequestedProcedureEvidenceSequence[0]
    series = item.ReferencedSeriesSequence[0].SeriesInstanceUID
    return str(item.StudyInstanceUID), str(series)


def events(hospital: Hospital, dataset: Dataset) -> int:
    e = h.coercion_event.c
    with hospital.database.read_only() as connection:
        query = select(e.id).where(e.sop_instance_uid == dataset.SOPInstanceUID)
        return len(connection.execute(query).all())


def test_a_reference_to_a_renamed_study_follows_at_storing(hospital):
    """
    What points to the scanner's UID is given out pointing to the archive's.
    """
    image = ordered_image()
    kos = selection(image.StudyInstanceUID, image.SeriesInstanceUID)
    hospital.store(image)
    stored = hospital.store(kos)

    assert "0040A375" in stored.coerced
    assert (ORDERED, image.SeriesInstanceUID) == evidence(given(hospital, kos))


def test_a_reference_follows_what_comes_later(hospital):
    """
    The selection came first: when its study comes, it is coerced by an event of its own.
    """
    image = ordered_image()
    kos = selection(image.StudyInstanceUID, image.SeriesInstanceUID)
    before = hospital.store(kos)
    assert "0040A375" not in before.coerced
    assert evidence(given(hospital, kos)) == evidence(kos)
    came = events(hospital, kos)
    hospital.store(image)

    now = given(hospital, kos)
    assert (ORDERED, image.SeriesInstanceUID) == evidence(now)
    assert came + 1 == events(hospital, kos) == len(now.OriginalAttributesSequence)
    last = now.OriginalAttributesSequence[-1].ModifiedAttributesSequence[0]
    assert evidence(last) == evidence(kos)
    with hospital.database.read_only() as connection:
        waiting = connection.execute(select(unmet_reference)).all()
    assert [] == waiting
    assert [] == list(Doctor(hospital.database, hospital.storage, clock).findings())
    verdicts = CheckFlow(hospital.database, hospital.storage).instances()
    assert all(verdict.ok for verdict in verdicts)


def test_a_series_that_is_renamed_later_is_followed(hospital):
    """
    A Series UID that was taken gets another: who named it before goes along.
    """
    taken = uid()
    hospital.store(instance(SeriesInstanceUID=taken))
    image = ordered_image(SeriesInstanceUID=taken)
    kos = selection(image.StudyInstanceUID, taken)
    hospital.store(kos)
    hospital.store(image)

    study, series = evidence(given(hospital, kos))
    assert ORDERED == study
    assert series not in (taken, "")
    assert series == given(hospital, image).SeriesInstanceUID


def test_a_study_and_what_names_it_may_come_at_once(hospital):
    """
    Whichever of two stores comes first, the reference is right once both have come.
    """
    for _ in range(10):
        study, accession = uid(), f"R{uid()[-12:]}"
        ordered = RequestedProcedure("RP", study_instance_uid=uid())
        hospital.order(JANE, "100^^^A", accession=accession, procedures=(ordered,))
        image = instance(AccessionNumber=accession, StudyInstanceUID=study)
        kos = selection(study, image.SeriesInstanceUID)
        both = threading.Barrier(2)

        def store(dataset, both=both):
            both.wait()
            hospital.store(dataset)

        threads = [threading.Thread(target=store, args=(each,)) for each in (image, kos)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert ordered.study_instance_uid == evidence(given(hospital, kos))[0]


def test_an_authorised_original_goes_out_as_a_copy(hospital):
    """
    What is changed is no longer the original: AO becomes AC, and the item says so.
    """
    image = ordered_image(SOPInstanceStatus="AO")
    hospital.store(image)

    now = given(hospital, image)
    assert "AC" == now.SOPInstanceStatus
    item = now.OriginalAttributesSequence[-1].ModifiedAttributesSequence[0]
    assert "AO" == item.SOPInstanceStatus


def test_an_encapsulated_document_is_flagged(hospital):
    """
    A document inside an instance keeps what it says of the patient: a person is told.
    """
    hospital.store(
        instance(
            SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1",
            EncapsulatedDocument=b"%PDF-1.4 ",
            PatientName="DOE^JAN",
            PixelData=None,
        )
    )

    with hospital.database.read_only() as connection:
        codes = set(connection.execute(select(t.hold.c.code)).scalars())
    assert "DOCUMENT-KEPT" in codes


def test_codes_become_sct_and_what_has_no_pair_is_counted(hospital):
    """
    A code of SRT is said in SCT with an event; one without a pair stays, and is counted.
    """
    codes = []
    for value in ("T-62000", "X-LOCAL"):
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SRT", "x"
        codes.append(item)
    image = instance(AnatomicRegionSequence=codes)
    stored = hospital.store(image)

    assert "00082218" in stored.coerced
    now = given(hospital, image).AnatomicRegionSequence
    assert [("10200004", "SCT"), ("X-LOCAL", "SRT")] == [
        (item.CodeValue, item.CodingSchemeDesignator) for item in now
    ]
    with hospital.database.read_only() as connection:
        told = connection.execute(select(h.happening.c.explanation)).scalars().all()
    assert [1] == [each["codes_unmapped"] for each in told if "codes_unmapped" in each]


def test_a_source_may_keep_its_codes(hospital):
    """
    codes = "off": nothing is recoded; an authorised original may be left as received.
    """
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = "T-62000", "SRT"
    kept = replace(CT_A, codes="off")
    stored = hospital.store(instance(AnatomicRegionSequence=[item]), kept)
    original = instance(SOPInstanceStatus="AO", AccessionNumber="ACC1")
    left = hospital.store(original, replace(CT_A, authorised="as-received"))

    assert "00082218" not in stored.coerced
    assert () == left.coerced
    assert original.PatientID == given(hospital, original).PatientID
