"""Questions over DIMSE, by an SCU that is not ours."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom.ae import ApplicationEntity

from tests.support.running import Archive

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
WORKLIST = "1.2.840.10008.5.1.4.31"


def find(
    archive: Archive, model: str = STUDY_ROOT, title: str = "CT_A", **keys: str
) -> tuple[list[Dataset], list[int]]:
    """What pynetdicom's SCU is answered: identifiers, and every status."""
    return _asked(archive, model, title, _data_set(keys))


def worklist(
    archive: Archive, title: str = "CT_A", step: Any = None, **keys: str
) -> tuple[list[Dataset], list[int]]:
    """What a scanner is answered from the worklist; as `find`.

    `step`: keys inside of Scheduled Procedure Step Sequence; None: all are asked for.
    """
    identifier = _data_set(keys)
    identifier.ScheduledProcedureStepSequence = Sequence([_data_set(step)] if step else [])
    return _asked(archive, WORKLIST, title, identifier)


def _data_set(keys: dict[str, str]) -> Dataset:
    found = Dataset()
    for keyword, value in keys.items():
        setattr(found, keyword, value)
    return found


def _asked(
    archive: Archive, model: str, title: str, identifier: Dataset
) -> tuple[list[Dataset], list[int]]:
    ae = ApplicationEntity(title)
    ae.add_requested_context(model)
    host, port = archive.doors.dicom
    association = ae.associate(host, port, ae_title="RECONCILE")
    assert association.is_established
    try:
        told = list(association.send_c_find(identifier, model))
    finally:
        association.release()
    codes = [int(status.Status) for status, _ in told]
    return [each for _, each in told if each is not None], codes
