"""Images of the sample hospital: pydicom's own test files under new headers.

Every patient in them is invented. A start makes new UIDs; nothing else differs between
two of them.
"""

from __future__ import annotations

from typing import Any

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

CT_FILE = "CT_small.dcm"
MR_FILE = "MR_small.dcm"


def new_uid() -> str:
    """A UID made from a UUID (PS3.5 B.2)."""
    return str(generate_uid(prefix=None))


def image(file: str, **attributes: Any) -> Dataset:
    """A test file as one instance, new unless told otherwise.

    Args:
        file: name of a file that pydicom is shipped with.
        attributes: by keyword, as the scanner sends them.

    Raises:
        OSError: pydicom was installed without its files.
    """
    path = get_testdata_file(file, download=False)
    if not isinstance(path, str):
        raise FileNotFoundError(f"pydicom was installed without {file}")
    dataset = pydicom.dcmread(path)
    for keyword in ("OtherPatientIDs", "OtherPatientIDsSequence", "IssuerOfPatientID"):
        if keyword in dataset:
            delattr(dataset, keyword)
    values = {"SOPInstanceUID": new_uid(), "AccessionNumber": "", **attributes}
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def patient(number: str, name: str, birth_date: str, sex: str) -> dict[str, str]:
    """How a scanner writes its patient: a bare ID that names no issuer."""
    return {
        "PatientID": number,
        "PatientName": name,
        "PatientBirthDate": birth_date,
        "PatientSex": sex,
    }


def study() -> dict[str, str]:
    """Study and Series Instance UID as a scanner makes them."""
    return {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
