"""Questions over DIMSE, by an SCU that is not ours."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity

from tests.support.running import Archive

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"


def find(
    archive: Archive, model: str = STUDY_ROOT, title: str = "CT_A", **keys: str
) -> tuple[list[Dataset], list[int]]:
    """What pynetdicom's SCU is answered: identifiers, and every status."""
    ae = ApplicationEntity(title)
    ae.add_requested_context(model)
    host, port = archive.doors.dicom
    association = ae.associate(host, port, ae_title="RECONCILE")
    assert association.is_established
    identifier = Dataset()
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    try:
        told = list(association.send_c_find(identifier, model))
    finally:
        association.release()
    codes = [int(status.Status) for status, _ in told]
    return [each for _, each in told if each is not None], codes
