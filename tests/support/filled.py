"""A hospital in which some things have happened already, to be asked about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydicom.dataset import Dataset

from reconcile.core.order import RequestedProcedure
from reconcile.db.embedded import Urls
from tests.support.hospital import CT_A, JANE, MR_B, RICHARD, Hospital
from tests.support.instances import instance, uid


@dataclass(frozen=True)
class Filled:
    """The hospital, and what to ask for: six instances, each with one event.

    `ordered` is the received UID of a study of three with an order; `bare` has none;
    `held` contradicts its patient.
    """

    hospital: Hospital
    ordered: str
    ordered_series: str
    images: tuple[Dataset, ...]
    bare: str
    held: str
    began: datetime

    @property
    def ordered_instances(self) -> list[str]:
        """SOP Instance UIDs of the ordered study."""
        return [str(image.SOPInstanceUID) for image in self.images]


def fill(urls: Urls, folder: Path) -> Filled:
    """Play it: two patients, an order, images of two scanners that share a bare ID."""
    began = datetime.now(UTC)
    hospital = Hospital.at(urls.writer, folder, urls.reader)
    hospital.patient(JANE, "100^^^A")
    hospital.patient(RICHARD, "200^^^A")
    procedure = RequestedProcedure("RP1", uid(), "CT Thorax")
    hospital.order(JANE, "100^^^A", accession="ACC1", procedures=(procedure,))
    ordered, series = uid(), uid()
    images = tuple(
        instance(StudyInstanceUID=ordered, SeriesInstanceUID=series, AccessionNumber="ACC1")
        for _ in range(3)
    )
    bare = instance()
    held = instance(PatientID="200", PatientName="OTHER^BODY", PatientBirthDate="20010101")
    for image in (*images, bare, held):
        hospital.store(image, CT_A)
    hospital.store(instance(PatientID="100", Modality="MR"), MR_B)
    return Filled(
        hospital,
        ordered,
        series,
        images,
        str(bare.StudyInstanceUID),
        str(held.StudyInstanceUID),
        began,
    )
