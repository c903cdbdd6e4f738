"""One realistic instance of every SOP class that can be stored.

The table says, by the beginning of a SOP Class UID, to which family the class belongs,
what its modality is, and which modules are filled in: as far as a checker of IODs knows
the class, most instances satisfy it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from reconcile.dataset.iods import NON_PATIENT, SOP_CLASSES
from tests.support.instances import uid, with_meta
from tests.support.iods_families import BUILT
from tests.support.iods_items import ROOT, Values, code, item
from tests.support.iods_modules import fill

MPEG4 = "1.2.840.10008.1.2.4.102"

# UID below ROOT (the longest beginning holds), family, Modality (0008,0060) or "-", and
# the modules that are filled in.
_FAMILIES = """
1.1.1 image CR | general image, cr
1.1.1.1 image DX | general image, dx
1.1.1.1.1 image DX | general image, dx, processing
1.1.1.2 image MG | general image, mg
1.1.1.2.1 image MG | general image, mg, processing
1.1.1.3 image IO | general image, io
1.1.1.3.1 image IO | general image, io, processing
1.1.2 image CT | ct
1.1.2.1 functional CT | enhanced ct
1.1.2.2 functional CT | legacy ct
1.1.3.1 cine US | us frames
1.1.4 image MR | mr
1.1.4.1 functional MR | enhanced mr
1.1.4.2 spectroscopy MR | spectroscopy
1.1.4.3 coloured MR | enhanced mr colour
1.1.4.4 functional MR | legacy mr
1.1.6.1 colour US | us
1.1.6.2 functional US
1.1.6.3 functional PA
1.1.7 colour OT | sc
1.1.7.1 bits OT | sc bit
1.1.7.2 cine OT | sc frames
1.1.7.3 cine OT | sc frames
1.1.7.4 cine OT | sc bit
1.1.9.1 waveform ECG | channels
1.1.9.2 waveform HD | channels, general series
1.1.9.3 waveform EPS | channels
1.1.9.4 waveform AU | channels
1.1.9.5 waveform HD
1.1.9.6 waveform RESP
1.1.9.7 waveform EEG
1.1.9.7.2 waveform EMG
1.1.9.7.3 waveform EOG
1.1.9.8 waveform POS
1.1.11 presentation PR | state
1.1.11.1 presentation PR | grayscale state
1.1.11.2 presentation PR | colour state
1.1.11.3 presentation PR | pseudo state
1.1.11.4 presentation PR | blending state
1.1.11.8 presentation PR | advanced state
1.1.12.1 cine XA | xa
1.1.12.1.1 functional XA
1.1.12.2 cine RF | xa
1.1.12.2.1 functional RF
1.1.13.1 functional XA | x-ray 3d
1.1.13.1.3 functional MG | tomosynthesis
1.1.13.1.4 functional MG
1.1.13.1.5 functional MG
1.1.14 functional IVOCT
1.1.20 cine NM | nm
1.1.30 parametric MR | parametric
1.1.66 raw OT | context
1.1.66.1 registration REG | registration
1.1.66.2 fiducials FID | fiducials
1.1.66.3 registration REG | deformable
1.1.66.4 bits SEG | segmentation
1.1.66.5 surface SEG | surface
1.1.66.6 tracks MR | tracks
1.1.66.7 functional SEG
1.1.67 mapping RWV | mapping
1.1.68 surface OSS
1.1.77.1.1 colour ES | vl
1.1.77.1.1.1 video ES | video
1.1.77.1.2 colour GM | vl
1.1.77.1.2.1 video GM | video
1.1.77.1.3 colour SM | slide
1.1.77.1.4 colour XC | vl
1.1.77.1.4.1 video XC | video
1.1.77.1.5 colour OP | ophthalmic
1.1.77.1.5.3 stereometric SMR
1.1.77.1.5.4 functional OPT
1.1.77.1.5.7 functional OPT | en face
1.1.77.1.5.8 functional OPTBSV
1.1.77.1.6 functional SM
1.1.77.1.7 colour DMS | dermoscopic
1.1.77.1.8 colour CFM
1.1.77.1.9 functional CFM
1.1.78.1 measured LEN | eye measured
1.1.78.2 measured AR | refraction
1.1.78.3 measured KER | refraction
1.1.78.4 measured SRF | refraction
1.1.78.5 measured VA | acuity
1.1.78.6 measured SRF | spectacles
1.1.78.7 measured OAM | axial
1.1.78.8 measured IOL | refraction
1.1.79.1 measured OPT
1.1.80.1 measured OPV
1.1.81.1 image OPM
1.1.82.1 image OPM
1.1.88 report SR
1.1.88.40 report SR | log
1.1.88.59 keys KO
1.1.90.1 assessment ASMT
1.1.91.1 annotations ANN | annotations
1.1.104.1 document DOC | document
1.1.104.2 document SR | document, cda
1.1.104.3 document M3D | document, stl
1.1.104.4 document M3D | document, stl
1.1.104.5 document M3D | document, stl
1.1.128 image PT | pt
1.1.128.1 functional PT | legacy pt
1.1.130 functional PT
1.1.131 layout PR | layout
1.1.200.1 protocol CT
1.1.200.2 protocol CT | synthetic
1.1.200.3 approval -
1.1.200.7 protocol XA
1.1.200.8 protocol XA
1.1.201.1 inventory -
1.1.481.1 image RTIMAGE | rt image
1.1.481.2 dose RTDOSE
1.1.481.3 structures RTSTRUCT | structures
1.1.481.4 record RTRECORD | delivered
1.1.481.5 plan RTPLAN | beams
1.1.481.6 record RTRECORD | brachy
1.1.481.7 record RTRECORD | summary
1.1.481.8 plan RTPLAN | plan
1.1.481.9 record RTRECORD | ion delivered
1.1.481.10 radiation RTINTENT
1.1.481.11 radiation RTSEGANN
1.1.481.12 radiation RTRAD
1.1.481.13 radiation RTRAD
1.1.481.14 radiation RTRAD
1.1.481.15 radiation RTRAD
1.1.481.16 radiation RTRECORD
1.1.481.17 radiation RTRECORD
1.1.481.18 radiation RTRECORD
1.1.481.19 radiation RTRECORD
1.1.481.20 radiation RTRECORD
1.1.481.21 radiation RTPLAN
1.1.481.22 radiation RTPLAN
1.1.481.23 functional RTIMAGE
1.1.481.24 functional RTIMAGE
1.1.481.25 radiation RTPLAN
34.7 plan RTPLAN
34.10 plan RTPLAN
38.1 hanging - | hanging
39.1 palette - | icc
43.1 implant -
44.1 implant -
45.1 implant -
"""


class Kind(NamedTuple):
    """Of which kind the instances of a SOP class are."""

    family: str
    modality: str
    modules: tuple[str, ...]


def _kind(row: str) -> tuple[str, Kind]:
    first, _, modules = row.partition(" | ")
    suffix, family, modality = first.split()
    return suffix, Kind(family, modality, tuple(filter(None, modules.split(", "))))


_ROWS = dict(map(_kind, _FAMILIES.strip().splitlines()))


def family_of(sop_class_uid: str) -> Kind:
    """The kind of a SOP class; raises KeyError where the table has none."""
    suffix = sop_class_uid.removeprefix(ROOT)
    while suffix not in _ROWS:
        suffix, dot, _ = suffix.rpartition(".")
        if not dot:
            raise KeyError(sop_class_uid)
    return _ROWS[suffix]


def transfer_syntax_of(sop_class_uid: str, wanted: str = ExplicitVRLittleEndian) -> str:
    """The transfer syntax that an instance is made in: video has one of its own."""
    return MPEG4 if family_of(sop_class_uid).family == "video" else wanted


def instance_of(
    sop_class_uid: str, transfer_syntax: str = ExplicitVRLittleEndian, **attributes: Any
) -> Dataset:
    """One instance; attributes by keyword, None leaves one out."""
    kind = family_of(sop_class_uid)
    values = {"SOPClassUID": sop_class_uid, "SOPInstanceUID": uid(), **_sop_common()}
    if sop_class_uid not in NON_PATIENT:
        values |= _patient() | _study() | _series(kind.modality) | _requested()
    values |= BUILT[kind.family](SOP_CLASSES[sop_class_uid][0])
    dataset = item(**values)
    fill(dataset, *(() if sop_class_uid in NON_PATIENT else _GENERAL), *kind.modules)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
        if value is None:
            delattr(dataset, keyword)
    _private_block(dataset)
    return with_meta(dataset, transfer_syntax_of(sop_class_uid, transfer_syntax))


_GENERAL = ("general series",)


def _sop_common() -> Values:
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "InstanceCreationDate": "20260301",
        "InstanceCreationTime": "101530",
        "Manufacturer": "Maker",
        "InstitutionName": "Hôpital Général",
        "ContentDate": "20260301",
        "ContentTime": "101530",
        "InstanceNumber": 1,
    }


def _patient() -> Values:
    return {
        "PatientName": "DOE^JANE",
        "PatientID": "100",
        "PatientBirthDate": "19800102",
        "PatientSex": "F",
        "PatientComments": "née Müller",
    }


def _study() -> Values:
    return {
        "StudyInstanceUID": uid(),
        "StudyDate": "20260301",
        "StudyTime": "101500",
        "ReferringPhysicianName": "HOUSE^GREGORY",
        "StudyID": "1",
        "AccessionNumber": "",
        "StudyDescription": "Étude",
    }


def _series(modality: str) -> Values:
    performed = item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.3", ReferencedSOPInstanceUID=uid()
    )
    return {
        "Modality": modality,
        "SeriesInstanceUID": uid(),
        "SeriesNumber": 1,
        "ReferencedPerformedProcedureStepSequence": [performed],
    }


def _requested() -> Values:
    request = item(
        ScheduledProcedureStepID="SPS1",
        ScheduledProtocolCodeSequence=[code("P1", "99LOCAL", "Protocol")],
    )
    return {"RequestAttributesSequence": [request]}


def _private_block(dataset: Dataset) -> None:
    block = dataset.private_block(0x0029, "MAKER 1.0", create=True)
    block.add_new(0x01, "LO", "private")
    nested = item(PatientID="nested", StudyInstanceUID="1.2.3.4")
    block.add_new(0x02, "SQ", Sequence([nested]))
    dataset[0x00291002].is_undefined_length = True
