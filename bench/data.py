"""What is sent: two objects made by code, the same ones in every run.

A CT slice of 512 x 512 pixels (0.53 MB), and a small one (6 kB) in which everything but
the pixels weighs. Patients, orders and UIDs are numbered by run and association.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from io import BytesIO

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SEED = 20260301
SIZES = {"ct": 512, "small": 48}
COUNTER_DIGITS = 10
#: Header elements beside those that are named below, as a scanner's many.
ORDINARY = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
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
    "StationName": "CT1",
    "StudyDescription": "THORAX",
    "SeriesDescription": "LUNG 1.0 B70f",
    "ManufacturerModelName": "Model 64",
    "PatientAge": "046Y",
    "PatientPosition": "HFS",
    "BodyPartExamined": "CHEST",
    "ScanOptions": "HELICAL",
    "SliceThickness": "1.0",
    "KVP": "120",
    "DataCollectionDiameter": "500",
    "DeviceSerialNumber": "12345",
    "SoftwareVersions": "syngo 2026",
    "ProtocolName": "Thorax routine",
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
    "StudyID": "1",
    "SeriesNumber": "2",
    "AcquisitionNumber": "1",
    "InstanceNumber": "1",
    "ImagePositionPatient": ["-175", "-175", "120.5"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "SliceLocation": "120.5",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "PixelSpacing": ["0.68", "0.68"],
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
    "WindowCenter": "40",
    "WindowWidth": "400",
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """One association's patient, order and study.

    Args:
        run: number of the cell of measurements, from 1; it is in every identifier.
        association: number of the association in it.
    """

    run: int
    association: int

    @property
    def number(self) -> str:
        return f"{self.run * 100 + self.association}"

    @property
    def patient_id(self) -> str:
        return f"P{self.number}"

    @property
    def patient_name(self) -> str:
        return f"BENCH^PATIENT{self.number}"

    @property
    def accession(self) -> str:
        return f"ACC{self.number}"

    @property
    def study_uid(self) -> str:
        return self.uid(1)

    @property
    def series_uid(self) -> str:
        return self.uid(2)

    @property
    def ordered_study_uid(self) -> str:
        return self.uid(3)

    def uid(self, kind: int) -> str:
        """A UID below 2.25: at most 39 digits (PS3.5 B.2)."""
        return f"2.25.{SEED}{self.run:06}{self.association:04}{kind}"

    @property
    def counted(self) -> str:
        """What a SOP Instance UID begins with; COUNTER_DIGITS digits follow."""
        return self.uid(4)


def first_uid(identity: Identity) -> str:
    """The SOP Instance UID whose counter is 0; all others are as long."""
    return identity.counted + "0" * COUNTER_DIGITS


def data_set(kind: str, identity: Identity) -> bytes:
    """An instance's data set in Explicit VR Little Endian, under `first_uid`.

    Args:
        kind: one of SIZES.
        identity: whose it is.
    """
    dataset = Dataset()
    size = SIZES[kind]
    values = {
        **ORDINARY,
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": first_uid(identity),
        "StudyInstanceUID": identity.study_uid,
        "SeriesInstanceUID": identity.series_uid,
        "FrameOfReferenceUID": identity.uid(5),
        "AccessionNumber": identity.accession,
        "Modality": "CT",
        "ReferringPhysicianName": "",
        "PatientName": identity.patient_name,
        "PatientID": identity.patient_id,
        "PatientBirthDate": "19800102",
        "PatientSex": "F",
        "Rows": size,
        "Columns": size,
        "PixelData": pixels(size),
    }
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return _encoded(dataset)


def pixels(size: int) -> bytes:
    """Noise of 12 bits in 16."""
    noise = bytearray(random.Random(SEED).randbytes(size * size * 2))
    noise[1::2] = bytes(each & 0x0F for each in noise[1::2])
    return bytes(noise)


def _encoded(dataset: Dataset) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True)
    return buffer.getvalue()
