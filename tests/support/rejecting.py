"""Rejection notes, as a change requester makes them (IOCM)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset

from reconcile.core.rejection import KEY_OBJECT_SELECTION
from tests.support.instances import instance

PIXELS = (
    *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated"),
    *("BitsStored", "HighBit", "PixelRepresentation", "PixelData"),
)


def note(code: str, rejected: Iterable[Dataset], **attributes: Any) -> Dataset:
    """A Key Object Selection Document with a title of CID 7010, of the first's study."""
    images = list(rejected)
    first = images[0]
    known = {
        keyword: first.get(keyword)
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "PatientBirthDate")
    }
    made = instance(
        **{
            **dict.fromkeys(PIXELS),
            **known,
            "SOPClassUID": KEY_OBJECT_SELECTION,
            "Modality": "KO",
            **attributes,
        }
    )
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator = code, "DCM"
    title.CodeMeaning = "Rejected"
    made.ValueType, made.ConceptNameCodeSequence = "CONTAINER", [title]
    made.CurrentRequestedProcedureEvidenceSequence = [_study(image) for image in images]
    return made


def _study(image: Dataset) -> Dataset:
    study, series, named = Dataset(), Dataset(), Dataset()
    named.ReferencedSOPClassUID = image.SOPClassUID
    named.ReferencedSOPInstanceUID = image.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = (
        image.SeriesInstanceUID,
        [named],
    )
    study.StudyInstanceUID, study.ReferencedSeriesSequence = (
        image.StudyInstanceUID,
        [series],
    )
    return study
