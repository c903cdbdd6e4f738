"""A modality that tells of performed procedure steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from reconcile.dicom.sop_classes import PERFORMED_STEP
from tests.support.instances import uid

WRONG_ENTRY = ("110514", "DCM", "Incorrect worklist entry selected")


def scheduled(
    study: str, accession: str = "", rp_id: str = "", sps_id: str = "", **said: Any
) -> Dataset:
    """An item of Scheduled Step Attributes Sequence."""
    item = Dataset()
    item.StudyInstanceUID, item.AccessionNumber = study, accession
    item.RequestedProcedureID, item.ScheduledProcedureStepID = rp_id, sps_id
    item.ReferencedStudySequence = []
    for keyword, value in said.items():
        setattr(item, keyword, value)
    return item


def begun(*items: Dataset, **said: Any) -> Dataset:
    """The attributes of an N-CREATE of P1's CT; None leaves one out."""
    step = Dataset()
    values: dict[str, Any] = {
        "ScheduledStepAttributesSequence": list(items),
        "PatientName": "DOE^JANE",
        "PatientID": "100",
        "PatientBirthDate": "19800102",
        "PatientSex": "F",
        "PerformedProcedureStepID": "PPS1",
        "PerformedStationAETitle": "CT_A",
        "PerformedProcedureStepStartDate": "20260301",
        "PerformedProcedureStepStartTime": "101500",
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "Modality": "CT",
        "PerformedProcedureStepEndDate": "",
        "PerformedProcedureStepEndTime": "",
        "PerformedSeriesSequence": [],
        **said,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(step, keyword, value)
    return step


def ended(
    state: str = "COMPLETED",
    series: Iterable[str] = (),
    reason: tuple[str, str, str] | None = None,
) -> Dataset:
    """The attributes of the last N-SET."""
    step = Dataset()
    step.PerformedProcedureStepStatus = state
    step.PerformedProcedureStepEndDate = "20260301"
    step.PerformedProcedureStepEndTime = "103000"
    step.PerformedSeriesSequence = [_series(each) for each in series]
    if reason is not None:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = reason
        step.PerformedProcedureStepDiscontinuationReasonCodeSequence = [code]
    return step


def _series(series_uid: str) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID, item.ProtocolName = series_uid, "HEAD"
    item.ReferencedImageSequence = []
    return item


@dataclass
class Step:
    """One performed step of a modality; it answers with what it was answered."""

    port: int
    title: str = "CT_A"
    uid: str = field(default_factory=uid)

    def create(self, said: Dataset) -> Dataset:
        """N-CREATE."""
        with self._association() as association:
            status, made = association.send_n_create(said, PERFORMED_STEP, self.uid or None)
            if made is not None and not self.uid:
                self.uid = str(status.get("AffectedSOPInstanceUID", ""))
            return status

    def set(self, said: Dataset) -> Dataset:
        """N-SET."""
        with self._association() as association:
            return association.send_n_set(said, PERFORMED_STEP, self.uid)[0]

    @contextmanager
    def _association(self) -> Iterator[Association]:
        entity = ApplicationEntity(self.title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
        entity.add_requested_context(
            PERFORMED_STEP, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
        )
        association = entity.associate("127.0.0.1", self.port, ae_title="RECONCILE")
        assert association.is_established
        try:
            yield association
        finally:
            association.release()
