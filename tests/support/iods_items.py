"""The parts that instances are made of: items, codes, references."""

from __future__ import annotations

from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from tests.support.instances import uid

Values = dict[str, Any]

ROOT = "1.2.840.10008.5.1.4."


def item(**values: Any) -> Dataset:
    """A data set, or an item of a sequence."""
    dataset = Dataset()
    for keyword, value in values.items():
        assert tag_for_keyword(keyword), keyword
        setattr(dataset, keyword, value)
    return dataset


def code(value: str, designator: str, meaning: str) -> Dataset:
    """An item of a code sequence (PS3.3 Table 8.8-1)."""
    return item(CodeValue=value, CodingSchemeDesignator=designator, CodeMeaning=meaning)


def reference(sop_class_uid: str = ROOT + "1.1.2", sop_instance_uid: str = "") -> Dataset:
    """A reference to an instance (PS3.3 Table 10-11)."""
    return item(
        ReferencedSOPClassUID=sop_class_uid,
        ReferencedSOPInstanceUID=sop_instance_uid or uid(),
    )


def evidence(reference: Dataset | None = None) -> list[Dataset]:
    """One instance with its series and study (PS3.3 Table C.17-3)."""
    series = item(SeriesInstanceUID=uid(), ReferencedSOPSequence=[reference or _any()])
    return [item(StudyInstanceUID=uid(), ReferencedSeriesSequence=[series])]


def referenced_series() -> list[Dataset]:
    """An image with its series, in the study at hand (PS3.3 Table C.11.11-1b)."""
    return [item(SeriesInstanceUID=uid(), ReferencedImageSequence=[_any()])]


def _any() -> Dataset:
    return reference()
