"""Small instances, made by code: a header and a few pixels."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from reconcile.core.facts import Source
from reconcile.flows.arrival import Arrival
from reconcile.storage.content import InMemory

CT = "1.2.840.10008.5.1.4.1.1.2"


def uid() -> str:
    """A new UID."""
    return str(generate_uid(prefix=None))


def instance(**attributes: Any) -> Dataset:
    """A CT image of 4 x 4 pixels; attributes by keyword, None leaves one out."""
    dataset = Dataset()
    values: dict[str, Any] = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid(),
        "StudyInstanceUID": uid(),
        "SeriesInstanceUID": uid(),
        "StudyDate": "20260301",
        "StudyTime": "101500",
        "AccessionNumber": "",
        "Modality": "CT",
        "Manufacturer": "Maker",
        "ReferringPhysicianName": "",
        "PatientName": "DOE^JANE",
        "PatientID": "100",
        "PatientBirthDate": "19800102",
        "PatientSex": "F",
        "StudyID": "1",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": 4,
        "Columns": 4,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "PixelData": bytes(range(32)),
        **attributes,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    return with_meta(dataset)


def with_meta(dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> Dataset:
    """The data set with the meta information that its UIDs ask for."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = pydicom.uid.UID(transfer_syntax)
    dataset.file_meta = meta
    return dataset


def part10(dataset: Dataset) -> bytes:
    """The data set as a file."""
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def data_offset(file: bytes) -> int:
    """Where the data set begins in a file that we wrote (PS3.10 section 7.1)."""
    return 132 + 12 + int.from_bytes(file[140:144], "little")


def arrive(
    dataset: Dataset, source: Source, association: str = "test", number: int = 1
) -> Arrival:
    """The data set as a door hands it over."""
    file = part10(dataset)
    offset = data_offset(file)
    return Arrival(
        InMemory(file[:offset], file[offset:]),
        sha256(file[offset:]).hexdigest(),
        len(file) - offset,
        str(dataset.SOPClassUID),
        str(dataset.SOPInstanceUID),
        str(dataset.file_meta.TransferSyntaxUID),
        source,
        "127.0.0.1",
        association,
        number,
    )
