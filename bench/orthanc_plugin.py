"""Runs inside Orthanc, not here: coercion on receipt as its users write it.

Each instance is looked up in the HIS by Patient ID and Accession Number, given the
identity of the order with an item of Original Attributes Sequence, and told of in an
audit table. `orthanc` is a module of Orthanc's own Python; pydicom and psycopg are those
of the environment that runs the bench.
"""

from __future__ import annotations

import io
import os
from typing import Any

import orthanc  # type: ignore[import-not-found]
import psycopg
import pydicom
from pydicom.dataset import Dataset

ORDER = (
    "select patient_id, issuer, study_uid from orders"
    " where local_id = %s and accession = %s"
)
AUDIT = (
    "insert into audit (sop_uid, old_patient, new_patient, old_study, new_study, source)"
    " values (%s, %s, %s, %s, %s, %s)"
)
ACTION = orthanc.ReceivedInstanceAction
his = psycopg.connect(os.environ["BENCH_HIS"], autocommit=True)
his.prepare_threshold = 1


def received(data: bytes, origin: Any) -> tuple[Any, bytes | None]:
    """What Orthanc calls for each instance before it stores it."""
    instance = pydicom.dcmread(io.BytesIO(data))
    known = (str(instance.PatientID), str(instance.AccessionNumber))
    order = his.execute(ORDER, known).fetchone()
    if order is None:
        return ACTION.KEEP_AS_IS, None
    previous = Dataset()
    previous.PatientID = instance.PatientID
    previous.StudyInstanceUID = instance.StudyInstanceUID
    if "IssuerOfPatientID" in instance:
        previous.IssuerOfPatientID = instance.IssuerOfPatientID
    originals = list(instance.get("OriginalAttributesSequence", []))
    instance.OriginalAttributesSequence = [*originals, item_of(previous)]
    instance.PatientID, instance.IssuerOfPatientID, instance.StudyInstanceUID = order
    patients = (previous.PatientID, instance.PatientID)
    studies = (previous.StudyInstanceUID, instance.StudyInstanceUID)
    his.execute(AUDIT, (instance.SOPInstanceUID, *patients, *studies, "BENCH"))
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, instance)
    return ACTION.MODIFY, buffer.getvalue()


def item_of(previous: Dataset) -> Dataset:
    item = Dataset()
    item.SourceOfPreviousValues = "BENCH"
    item.AttributeModificationDateTime = "20260301101010"
    item.ModifyingSystem = "ORTHANC"
    item.ReasonForTheAttributeModification = "COERCE"
    item.ModifiedAttributesSequence = [previous]
    return item


orthanc.RegisterReceivedInstanceCallback(received)
