"""What is sent: three objects made by code, the same ones in every run.

A CT slice of 512 x 512 pixels (0.53 MB) with a scanner's header, a small secondary capture
(5.6 kB) in which everything but the pixels weighs, and a multi-frame of 210 MB. All are in
Explicit VR Little Endian.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from bench.identity import SEED, Identity

#: Whose the objects are before they are anybody's: digits that are nowhere else in them.
NOBODY = Identity(987_654, 3217)
FRAMES = 400

COMMON: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 100",
    "InstanceCreationDate": "20260301",
    "InstanceCreationTime": "101702.25",
    "StudyDate": "20260301",
    "SeriesDate": "20260301",
    "AcquisitionDate": "20260301",
    "ContentDate": "20260301",
    "StudyTime": "101500",
    "SeriesTime": "101600",
    "AcquisitionTime": "101700",
    "ContentTime": "101701.5",
    "Manufacturer": "Maker of Scanners",
    "InstitutionName": "Hospital",
    "ReferringPhysicianName": "HOUSE^GREGORY",
    "StationName": "CT1",
    "StudyDescription": "THORAX",
    "SeriesDescription": "LUNG 1.0 B70f",
    "OperatorsName": "MEIER^A",
    "ManufacturerModelName": "Model 64",
    "PatientBirthDate": "19800102",
    "PatientSex": "F",
    "PatientAge": "046Y",
    "PatientWeight": "70",
    "BodyPartExamined": "CHEST",
    "DeviceSerialNumber": "12345",
    "SoftwareVersions": "VA 2026",
    "ProtocolName": "Thorax routine",
    "PatientPosition": "HFS",
    "StudyID": "1",
    "SeriesNumber": "2",
    "AcquisitionNumber": "1",
    "InstanceNumber": "1",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "PixelRepresentation": 0,
    "PerformedProcedureStepStartDate": "20260301",
    "PerformedProcedureStepStartTime": "101500",
    "PerformedProcedureStepID": "PPS1",
    "PerformedProcedureStepDescription": "CT THORAX",
}
SCANNED: dict[str, Any] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "ScanOptions": "HELICAL",
    "SliceThickness": "1.0",
    "KVP": "120",
    "DataCollectionDiameter": "500",
    "ReconstructionDiameter": "350",
    "DistanceSourceToDetector": "1040",
    "DistanceSourceToPatient": "570",
    "GantryDetectorTilt": "0",
    "TableHeight": "150",
    "RotationDirection": "CW",
    "ExposureTime": "500",
    "XRayTubeCurrent": "200",
    "Exposure": "100",
    "FilterType": "FLAT",
    "GeneratorPower": "24",
    "FocalSpots": "1.2",
    "ConvolutionKernel": "B70f",
    "SpiralPitchFactor": 1.2,
    "ImagePositionPatient": ["-175", "-175", "120.5"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "PositionReferenceIndicator": "",
    "SliceLocation": "120.5",
    "PixelSpacing": ["0.683594", "0.683594"],
    "WindowCenter": "40",
    "WindowWidth": "400",
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
    "RescaleType": "HU",
}
CAPTURED: dict[str, Any] = {
    "ImageType": ["DERIVED", "SECONDARY"],
    "ConversionType": "WSD",
    "SecondaryCaptureDeviceManufacturer": "Maker of Workstations",
    "SecondaryCaptureDeviceManufacturerModelName": "Workstation 7",
    "SecondaryCaptureDeviceSoftwareVersions": "7.2.1.4410",
    "DateOfSecondaryCapture": "20260301",
    "TimeOfSecondaryCapture": "101701.5",
    "DerivationDescription": "Window 40/400, magnified, annotated and captured",
    "InstitutionAddress": "Street of the Hospital 1, 12345 Town",
    "ImageComments": "Key image: nodule of the right upper lobe, 8 mm, to be followed up",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the objects: its name in a table, its class, and what makes it."""

    title: str
    sop_class: str
    make: Callable[[], Dataset]


@dataclass(frozen=True, slots=True)
class Encoded:
    """The data set of NOBODY's first instance, and how far its header reaches."""

    sop_class: str
    data: bytes
    header_bytes: int


@cache
def encoded(kind: str) -> Encoded:
    """An object as bytes; `kind` is one of KINDS."""
    made = KINDS[kind]
    dataset = made.make()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pixels = dataset.PixelData
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True)
    data = buffer.getvalue()
    return Encoded(made.sop_class, data, len(data) - len(pixels))


def _ct() -> Dataset:
    dataset = _described(CTImageStorage, "CT", SCANNED)
    # As the makers keep a header of their own in every slice.
    block = dataset.private_block(0x0019, "BENCH ACQUISITION", create=True)
    for element in range(0x10, 0x18):
        block.add_new(element, "DS", f"{element}.5")
    block = dataset.private_block(0x0029, "BENCH HEADER", create=True)
    block.add_new(0x08, "CS", "IMAGE NUM 4")
    block.add_new(0x10, "OB", _noise(512))
    return _with_pixels(dataset, 512, stored=12)


def _small() -> Dataset:
    return _with_pixels(
        _described(SecondaryCaptureImageStorage, "OT", CAPTURED), 64, stored=8
    )


def _multiframe() -> Dataset:
    dataset = _described(
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage, "OT", CAPTURED
    )
    dataset.BurnedInAnnotation = "NO"
    dataset.NumberOfFrames = str(FRAMES)
    dataset.FrameTime = "33"
    dataset.FrameIncrementPointer = 0x00181063
    return _with_pixels(dataset, 512, stored=12, frames=FRAMES)


def _described(sop_class: str, modality: str, more: dict[str, Any]) -> Dataset:
    dataset = Dataset()
    named = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": NOBODY.instance_uid(1),
        "StudyInstanceUID": NOBODY.study_uid,
        "SeriesInstanceUID": NOBODY.series_uid,
        "FrameOfReferenceUID": NOBODY.uid(5),
        "AccessionNumber": NOBODY.accession,
        "PatientName": NOBODY.patient_name,
        "PatientID": NOBODY.patient_id,
        "Modality": modality,
        "ReferencedStudySequence": [],
        "ProcedureCodeSequence": [_code("CTCH", "CT of the chest")],
        "RequestAttributesSequence": [_requested()],
    }
    for keyword, value in {**COMMON, **more, **named}.items():
        setattr(dataset, keyword, value)
    return dataset


def _requested() -> Dataset:
    item = Dataset()
    item.ScheduledProtocolCodeSequence = [_code("P1", "Chest protocol")]
    item.ScheduledProcedureStepID = "SPS1"
    item.RequestedProcedureID = "RP1"
    return item


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodeMeaning = value, meaning
    item.CodingSchemeDesignator = "99RIS"
    return item


def _with_pixels(dataset: Dataset, size: int, stored: int, frames: int = 1) -> Dataset:
    dataset.Rows = dataset.Columns = size
    dataset.BitsAllocated = 16 if stored > 8 else 8
    dataset.BitsStored, dataset.HighBit = stored, stored - 1
    noise = _noise(size * size * dataset.BitsAllocated // 8)
    if stored == 12:
        high = bytes(each & 0x0F for each in noise[1::2])
        mixed = bytearray(noise)
        mixed[1::2] = high
        noise = bytes(mixed)
    dataset.add_new("PixelData", "OW" if stored > 8 else "OB", noise * frames)
    return dataset


def _noise(length: int) -> bytes:
    return random.Random(SEED).randbytes(length)


KINDS = {
    "ct": Kind("CT 0.53 MB", CTImageStorage, _ct),
    "small": Kind("small 5.6 kB", SecondaryCaptureImageStorage, _small),
    "multiframe": Kind(
        "multi-frame 210 MB",
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        _multiframe,
    ),
}
