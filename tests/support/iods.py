"""One plausible instance of every SOP class that can be stored.

The table says, by the beginning of a SOP Class UID, to which family the class belongs
and what its modality is; a family is the modules that make it different from others.
Plausible, not conformant: modules that no patient, study or bulk depends on are left out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from reconcile.dataset.iods import NON_PATIENT, SOP_CLASSES
from tests.support.instances import uid, with_meta

Values = dict[str, Any]

ROOT = "1.2.840.10008.5.1.4."
MPEG4 = "1.2.840.10008.1.2.4.102"
ROWS, COLUMNS, FRAMES = 6, 8, 3

# UID below ROOT (the longest beginning holds), family, Modality (0008,0060) or "-".
_FAMILIES = """
1.1.1 image CR
1.1.1.1 image DX
1.1.1.2 image MG
1.1.1.3 image IO
1.1.2 image CT
1.1.2.1 functional CT
1.1.2.2 functional CT
1.1.3.1 cine US
1.1.4 image MR
1.1.4.1 functional MR
1.1.4.2 spectroscopy MR
1.1.4.3 functional MR
1.1.4.4 functional MR
1.1.6.1 colour US
1.1.6.2 functional US
1.1.6.3 functional PA
1.1.7 colour OT
1.1.7.1 bits OT
1.1.7.2 cine OT
1.1.7.3 cine OT
1.1.7.4 cine OT
1.1.9.1 waveform ECG
1.1.9.2 waveform HD
1.1.9.3 waveform EPS
1.1.9.4 waveform AU
1.1.9.5 waveform HD
1.1.9.6 waveform RESP
1.1.9.7 waveform EEG
1.1.9.7.2 waveform EMG
1.1.9.7.3 waveform EOG
1.1.9.8 waveform POS
1.1.11 presentation PR
1.1.12.1 cine XA
1.1.12.1.1 functional XA
1.1.12.2 cine RF
1.1.12.2.1 functional RF
1.1.13.1 functional XA
1.1.13.1.3 functional MG
1.1.13.1.4 functional MG
1.1.13.1.5 functional MG
1.1.14 functional IVOCT
1.1.20 cine NM
1.1.30 parametric MR
1.1.66 raw OT
1.1.66.1 registration REG
1.1.66.2 fiducials FID
1.1.66.3 registration REG
1.1.66.4 bits SEG
1.1.66.5 surface SEG
1.1.66.6 tracks MR
1.1.66.7 functional SEG
1.1.67 mapping RWV
1.1.68 surface OSS
1.1.77.1.1 colour ES
1.1.77.1.1.1 video ES
1.1.77.1.2 colour GM
1.1.77.1.2.1 video GM
1.1.77.1.3 colour SM
1.1.77.1.4 colour XC
1.1.77.1.4.1 video XC
1.1.77.1.5 colour OP
1.1.77.1.5.3 stereometric OP
1.1.77.1.5.4 functional OPT
1.1.77.1.5.8 functional OPTBSV
1.1.77.1.6 functional SM
1.1.77.1.7 colour DMS
1.1.77.1.8 colour CFM
1.1.77.1.9 functional CFM
1.1.78.1 measured LEN
1.1.78.2 measured AR
1.1.78.3 measured KER
1.1.78.4 measured SRF
1.1.78.5 measured VA
1.1.78.6 measured SRF
1.1.78.7 measured OAM
1.1.78.8 measured IOL
1.1.79.1 measured OPT
1.1.80.1 measured OPV
1.1.81.1 image OPM
1.1.82.1 image OPM
1.1.88 report SR
1.1.88.59 keys KO
1.1.90.1 assessment ASMT
1.1.91.1 annotations ANN
1.1.104.1 document DOC
1.1.104.2 document SR
1.1.104.3 document M3D
1.1.104.4 document M3D
1.1.104.5 document M3D
1.1.128 image PT
1.1.128.1 functional PT
1.1.130 functional PT
1.1.131 layout PR
1.1.200.1 protocol CT
1.1.200.2 protocol CT
1.1.200.3 approval -
1.1.200.7 protocol XA
1.1.200.8 protocol XA
1.1.201.1 inventory -
1.1.481.1 image RTIMAGE
1.1.481.2 dose RTDOSE
1.1.481.3 structures RTSTRUCT
1.1.481.4 record RTRECORD
1.1.481.5 plan RTPLAN
1.1.481.6 record RTRECORD
1.1.481.7 record RTRECORD
1.1.481.8 plan RTPLAN
1.1.481.9 record RTRECORD
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
38.1 hanging -
39.1 palette -
43.1 implant -
44.1 implant -
45.1 implant -
"""
_ROWS = {
    suffix: (family, modality)
    for suffix, family, modality in map(str.split, _FAMILIES.strip().splitlines())
}


def family_of(sop_class_uid: str) -> tuple[str, str]:
    """(family, modality) of a SOP class; raises KeyError where the table has none."""
    suffix = sop_class_uid.removeprefix(ROOT)
    while suffix not in _ROWS:
        suffix, dot, _ = suffix.rpartition(".")
        if not dot:
            raise KeyError(sop_class_uid)
    return _ROWS[suffix]


def transfer_syntax_of(sop_class_uid: str, wanted: str = ExplicitVRLittleEndian) -> str:
    """The transfer syntax that an instance is made in: video has one of its own."""
    return MPEG4 if family_of(sop_class_uid)[0] == "video" else wanted


def instance_of(
    sop_class_uid: str, transfer_syntax: str = ExplicitVRLittleEndian, **attributes: Any
) -> Dataset:
    """One instance; attributes by keyword, None leaves one out."""
    family, modality = family_of(sop_class_uid)
    values = {"SOPClassUID": sop_class_uid, "SOPInstanceUID": uid(), **_sop_common()}
    if sop_class_uid not in NON_PATIENT:
        values |= _patient() | _study() | _series(modality) | _requested()
    values |= _BUILT[family](SOP_CLASSES[sop_class_uid][0]) | attributes
    dataset = item(**{key: value for key, value in values.items() if value is not None})
    _private_block(dataset)
    return with_meta(dataset, transfer_syntax_of(sop_class_uid, transfer_syntax))


def item(**values: Any) -> Dataset:
    """A data set, or an item of a sequence."""
    dataset = Dataset()
    for keyword, value in values.items():
        assert tag_for_keyword(keyword), keyword
        setattr(dataset, keyword, value)
    return dataset


# -- Modules that all have -----------------------------------------------------------


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
        ScheduledProtocolCodeSequence=[_code("P1", "99LOCAL", "Protocol")],
    )
    return {"RequestAttributesSequence": [request]}


def _private_block(dataset: Dataset) -> None:
    block = dataset.private_block(0x0029, "MAKER 1.0", create=True)
    block.add_new(0x01, "LO", "private")
    nested = item(PatientID="nested", StudyInstanceUID="1.2.3.4")
    block.add_new(0x02, "SQ", Sequence([nested]))
    dataset[0x00291002].is_undefined_length = True


def _code(value: str, designator: str, meaning: str) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=designator, CodeMeaning=meaning)


def _reference(sop_class_uid: str = ROOT + "1.1.2") -> Dataset:
    return item(ReferencedSOPClassUID=sop_class_uid, ReferencedSOPInstanceUID=uid())


def _evidence() -> list[Dataset]:
    series = item(SeriesInstanceUID=uid(), ReferencedSOPSequence=[_reference()])
    return [item(StudyInstanceUID=uid(), ReferencedSeriesSequence=[series])]


def _referenced_series() -> list[Dataset]:
    return [item(SeriesInstanceUID=uid(), ReferencedImageSequence=[_reference()])]


# -- Families ------------------------------------------------------------------------


def _pixels(samples: int = 1, bits: int = 16, frames: int = 1) -> Values:
    size = ROWS * COLUMNS * samples * frames * bits // 8
    return {
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "RGB" if samples == 3 else "MONOCHROME2",
        **({"PlanarConfiguration": 0} if samples == 3 else {}),
        **({"NumberOfFrames": frames} if frames > 1 else {}),
        "Rows": ROWS,
        "Columns": COLUMNS,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "PixelData": (bytes(range(251)) * (size // 251 + 1))[:size],
    }


def _image(name: str) -> Values:
    return {
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "BurnedInAnnotation": "NO",
        "ReferencedImageSequence": [_reference()],
        **_pixels(),
    }


def _colour(name: str) -> Values:
    return {**_image(name), **_pixels(samples=3, bits=8)}


def _cine(name: str) -> Values:
    pixels = _pixels(3, 8, FRAMES) if "True Color" in name else _pixels(frames=FRAMES)
    return {**_image(name), **pixels, "FrameTime": "33.3"}


def _functional(name: str) -> Values:
    """Multi-frame Functional Groups (PS3.3 C.7.6.16)."""
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=["0.5", "0.5"])],
        ReferencedImageSequence=[_reference()],
    )
    return {
        **_image(name),
        **_pixels(frames=FRAMES),
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": [_frame(n) for n in range(FRAMES)],
        "DimensionOrganizationSequence": [item(DimensionOrganizationUID=uid())],
    }


def _frame(number: int) -> Dataset:
    content = item(StackID="1", InStackPositionNumber=number + 1)
    place = item(ImagePositionPatient=["0", "0", str(number)])
    return item(FrameContentSequence=[content], PlanePositionSequence=[place])


def _bits(name: str) -> Values:
    """One bit a pixel, packed (PS3.5 8.1.1)."""
    segment = item(SegmentNumber=1, SegmentLabel="liver", SegmentAlgorithmType="MANUAL")
    values = {**_functional(name), **_pixels(bits=1, frames=FRAMES)}
    return {**values, "SegmentSequence": [segment]} if "Segment" in name else values


def _parametric(name: str) -> Values:
    values = {**_functional(name), "BitsAllocated": 32}
    for unwanted in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        del values[unwanted]
    floats = (n / 7 for n in range(ROWS * COLUMNS * FRAMES))
    return {**values, "FloatPixelData": _packed("f", *floats)}


def _video(name: str) -> Values:
    """A stream in one fragment, as its transfer syntax asks for (PS3.5 8.2.5)."""
    stream = encapsulate([bytes(range(256)) * 9], has_bot=False)
    return {**_colour(name), "NumberOfFrames": 9, "PixelData": stream}


def _packed(kind: str, *numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}{kind}", *numbers)


def _spectroscopy(name: str) -> Values:
    return {
        "DataPointRows": 1,
        "DataPointColumns": 16,
        "SharedFunctionalGroupsSequence": [item()],
        "PerFrameFunctionalGroupsSequence": [_frame(0)],
        "SpectroscopyData": _packed("f", *(n / 3 for n in range(32))),
    }


def _waveform(name: str) -> Values:
    """Waveform Module (PS3.3 C.10.9)."""
    channel = item(
        ChannelSourceSequence=[_code("2:1", "MDC", "Lead I")],
        WaveformBitsStored=16,
        ChannelSensitivity="1.0",
    )
    group = item(
        WaveformOriginality="ORIGINAL",
        NumberOfWaveformChannels=1,
        NumberOfWaveformSamples=100,
        SamplingFrequency="500",
        ChannelDefinitionSequence=[channel],
        WaveformBitsAllocated=16,
        WaveformSampleInterpretation="SS",
        WaveformData=_packed("h", *range(-50, 50)),
    )
    group["WaveformData"].VR = "OW"
    return {
        "WaveformSequence": [group],
        "AcquisitionContextSequence": [],
        "AcquisitionDateTime": "20260301101530+0100",
    }


def _presentation(name: str) -> Values:
    line = item(
        GraphicAnnotationUnits="PIXEL",
        GraphicDimensions=2,
        NumberOfGraphicPoints=2,
        GraphicData=[0.0, 0.0, 5.0, 5.0],
        GraphicType="POLYLINE",
    )
    annotation = item(
        ReferencedImageSequence=[_reference()],
        GraphicLayer="ONE",
        GraphicObjectSequence=[line],
    )
    return {
        "ContentLabel": "STATE",
        "ContentCreatorName": "Müller^Änne",
        "ReferencedSeriesSequence": _referenced_series(),
        "GraphicAnnotationSequence": [annotation],
        "GraphicLayerSequence": [item(GraphicLayer="ONE", GraphicLayerOrder=1)],
    }


def _raw(name: str) -> Values:
    return {
        "CreatorVersionUID": uid(),
        "ReferencedRawDataSequence": _evidence(),
        "AcquisitionContextSequence": [],
    }


def _registration(name: str) -> Values:
    matrix = item(
        FrameOfReferenceTransformationMatrix=[float(n % 5 == 0) for n in range(16)],
        FrameOfReferenceTransformationMatrixType="RIGID",
    )
    done = item(
        FrameOfReferenceUID=uid(),
        ReferencedImageSequence=[_reference()],
        MatrixRegistrationSequence=[item(MatrixSequence=[matrix])],
    )
    if "Deformable" not in name:
        return {"RegistrationSequence": [done]}
    grid = item(
        GridDimensions=[2, 1, 1], VectorGridData=_packed("f", *(n / 9 for n in range(6)))
    )
    done.DeformableRegistrationGridSequence = [grid]
    return {"DeformableRegistrationSequence": [done]}


def _fiducials(name: str) -> Values:
    fiducial = item(FiducialIdentifier="1", ShapeType="POINT", FiducialUID=uid())
    found = item(FrameOfReferenceUID=uid(), FiducialSequence=[fiducial])
    return {"ContentLabel": "FIDUCIALS", "FiducialSetSequence": [found]}


def _surface(name: str) -> Values:
    points = item(
        NumberOfSurfacePoints=3, PointCoordinatesData=_packed("f", *map(float, range(9)))
    )
    mesh = item(
        LongTrianglePointIndexList=_packed("I", 1, 2, 3),
        LongVertexPointIndexList=_packed("I", 1),
    )
    surface = item(
        SurfaceNumber=1,
        SurfacePointsSequence=[points],
        SurfaceMeshPrimitivesSequence=[mesh],
    )
    return {"NumberOfSurfaces": 1, "SurfaceSequence": [surface]}


def _tracks(name: str) -> Values:
    track = item(PointCoordinatesData=_packed("f", *map(float, range(6))))
    tracks = item(TrackSetNumber=1, TrackSetLabel="left", TrackSequence=[track])
    return {"ContentLabel": "TRACKS", "TrackSetSequence": [tracks]}


def _mapping(name: str) -> Values:
    units = item(
        RealWorldValueSlope=2.5,
        RealWorldValueIntercept=0.0,
        MeasurementUnitsCodeSequence=[_code("[hnsf'U]", "UCUM", "Hounsfield unit")],
    )
    mapped = item(
        RealWorldValueMappingSequence=[units], ReferencedImageSequence=[_reference()]
    )
    return {"ReferencedImageRealWorldValueMappingSequence": [mapped]}


def _stereometric(name: str) -> Values:
    pair = item(
        LeftImageSequence=[_reference()],
        RightImageSequence=[_reference()],
        StereoBaselineAngle=10.0,
    )
    return {"StereoPairsSequence": [pair]}


def _measured(name: str) -> Values:
    """What ophthalmic instruments measure: nested codes, no bulk."""
    eye = item(
        SpherePower=-1.5,
        AnatomicRegionSequence=[_code("81745001", "SCT", "Eye")],
        CylinderSequence=[item(CylinderPower=0.5, CylinderAxis=90.0)],
    )
    return {
        "MeasurementLaterality": "R",
        "AcquisitionContextSequence": [_code("1", "99LOCAL", "made")],
        "RightLensSequence": [eye],
        "ReferencedSeriesSequence": _referenced_series(),
    }


def _report(name: str) -> Values:
    """SR Document Content (PS3.3 C.17.3), three levels deep."""
    text = item(
        RelationshipType="CONTAINS",
        ValueType="TEXT",
        ConceptNameCodeSequence=[_code("121071", "DCM", "Finding")],
        TextValue="Größe: normal",
    )
    person = item(
        RelationshipType="HAS OBS CONTEXT",
        ValueType="PNAME",
        ConceptNameCodeSequence=[_code("121008", "DCM", "Person Observer Name")],
        PersonName="HOUSE^GREGORY",
    )
    section = item(
        RelationshipType="CONTAINS",
        ValueType="CONTAINER",
        ConceptNameCodeSequence=[_code("121070", "DCM", "Findings")],
        ContinuityOfContent="SEPARATE",
        ContentSequence=[text],
    )
    return {
        "ValueType": "CONTAINER",
        "ConceptNameCodeSequence": [_code("126000", "DCM", "Imaging Report")],
        "ContinuityOfContent": "SEPARATE",
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "PerformedProcedureCodeSequence": [],
        "CurrentRequestedProcedureEvidenceSequence": _evidence(),
        "ContentSequence": [person, section],
    }


def _keys(name: str) -> Values:
    image = item(
        RelationshipType="CONTAINS", ValueType="IMAGE", ReferencedSOPSequence=[_reference()]
    )
    title = [_code("113000", "DCM", "Of Interest")]
    return {**_report(name), "ConceptNameCodeSequence": title, "ContentSequence": [image]}


def _assessment(name: str) -> Values:
    noted = item(
        AssessmentTypeCodeSequence=[_code("A1", "99LOCAL", "ok")],
        ReferencedSOPSequence=[_reference()],
    )
    return {"AssessmentSummary": "PASSED", "AssessedSOPInstanceSequence": [noted]}


def _annotations(name: str) -> Values:
    group = item(
        AnnotationGroupNumber=1,
        AnnotationGroupUID=uid(),
        GraphicType="POINT",
        NumberOfAnnotations=2,
        DoublePointCoordinatesData=_packed("d", 1.0, 2.0, 3.0, 4.0),
    )
    return {
        "AnnotationCoordinateType": "2D",
        "ReferencedImageSequence": [_reference()],
        "AnnotationGroupSequence": [group],
    }


_MIME = {
    "PDF": ("application/pdf", b"%PDF-1.7\n%%EOF\n"),
    "CDA": ("text/xml", b"<ClinicalDocument><id extension='100'/></ClinicalDocument>"),
    "STL": ("model/stl", bytes(84)),
    "OBJ": ("model/obj", b"v 0 0 0\n"),
    "MTL": ("model/mtl", b"newmtl one\n"),
}


def _document(name: str) -> Values:
    mime, content = _MIME[name.split()[1]]
    return {
        "DocumentTitle": "Arztbrief für Jane",
        "ConceptNameCodeSequence": [],
        "MIMETypeOfEncapsulatedDocument": mime,
        "EncapsulatedDocument": content + b"\0" * (len(content) % 2),
        "EncapsulatedDocumentLength": len(content),
        "SourceInstanceSequence": [_reference()],
    }


def _layout(name: str) -> Values:
    box = item(
        ImageBoxNumber=1,
        ReferencedImageSequence=[_reference()],
        ImageBoxLayoutType="SINGLE",
    )
    return {"HangingProtocolName": "LAYOUT", "StructuredDisplayImageBoxSequence": [box]}


def _protocol(name: str) -> Values:
    element = item(ProtocolElementNumber=1, ParametersSpecificationSequence=[item()])
    return {
        "ProtocolName": "HEAD",
        "PotentialScheduledProtocolCodeSequence": [_code("P1", "99LOCAL", "Head")],
        "AcquisitionProtocolElementSequence": [element],
    }


def _dose(name: str) -> Values:
    values = {**_image(name), **_pixels(bits=32, frames=FRAMES), "DoseGridScaling": "0.001"}
    return {**values, "ReferencedRTPlanSequence": [_reference(ROOT + "1.1.481.5")]}


def _structures(name: str) -> Values:
    """Which hides the study's UID in (3006,0012) > (0008,1155)."""
    study = item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID=uid()
    )
    series = item(SeriesInstanceUID=uid(), ContourImageSequence=[_reference()])
    study.RTReferencedSeriesSequence = [series]
    frame = item(FrameOfReferenceUID=uid(), RTReferencedStudySequence=[study])
    contour = item(
        ContourGeometricType="POINT", NumberOfContourPoints=1, ContourData=["1", "2", "3"]
    )
    return {
        "StructureSetLabel": "SET",
        "ReferencedFrameOfReferenceSequence": [frame],
        "StructureSetROISequence": [
            item(ROINumber=1, ROIName="Hirn", ROIGenerationAlgorithm="")
        ],
        "ROIContourSequence": [item(ReferencedROINumber=1, ContourSequence=[contour])],
    }


def _plan(name: str) -> Values:
    point = item(ControlPointIndex=0, NominalBeamEnergy="6")
    beam = item(BeamNumber=1, BeamName="B1", ControlPointSequence=[point])
    return {
        "RTPlanLabel": "PLAN",
        "RTPlanGeometry": "PATIENT",
        "ReferencedStructureSetSequence": [_reference(ROOT + "1.1.481.3")],
        "BeamSequence": [beam],
    }


def _record(name: str) -> Values:
    session = item(ReferencedBeamNumber=1, CurrentFractionNumber=1)
    return {
        "TreatmentDate": "20260301",
        "ReferencedRTPlanSequence": [_reference(ROOT + "1.1.481.5")],
        "TreatmentSessionBeamSequence": [session],
    }


def _radiation(name: str) -> Values:
    """Second generation RT: references by conceptual volume, dates with an offset."""
    volume = item(ConceptualVolumeUID=uid(), ReferencedSOPSequence=[_reference()])
    return {
        "ContentLabel": "RADIATION",
        "UserContentLabel": "first",
        "InstanceCreationTime": "101530.25",
        "ConceptualVolumeSequence": [volume],
        "ReferencedRTInstanceSequence": [_reference(ROOT + "1.1.481.12")],
    }


# -- Families without a patient (PS3.4 Annex GG) ----------------------------------------


def _approval(name: str) -> Values:
    approved = item(ApprovalSubjectSequence=[_reference(ROOT + "1.1.200.1")])
    return {"ApprovalSequence": [approved]}


def _inventory(name: str) -> Values:
    """Which names studies and patients of others, all of them in sequences."""
    study = item(**{**_patient(), **_study()})
    return {
        "InventoryPurpose": "TEST",
        "InventoriedStudiesSequence": [study],
        "InventoryLevel": "STUDY",
    }


def _hanging(name: str) -> Values:
    wanted = item(Modality="CT", AnatomicRegionSequence=[_code("69536005", "SCT", "Head")])
    return {
        "HangingProtocolName": "HEAD",
        "HangingProtocolLevel": "SITE",
        "HangingProtocolDefinitionSequence": [wanted],
        "NumberOfScreens": 2,
    }


def _palette(name: str) -> Values:
    values: Values = {"ContentLabel": "HOT", "ContentDescription": "warm"}
    for colour in ("Red", "Green", "Blue"):
        values[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        values[f"{colour}PaletteColorLookupTableData"] = bytes(range(256))
    return values


def _implant(name: str) -> Values:
    part = item(ImplantPartNumber="P1", ImplantName="Hüfte")
    return {
        "ImplantName": "Hüfte links",
        "EffectiveDateTime": "20260301000000",
        "ImplantTypeCodeSequence": [_code("I1", "99LOCAL", "hip")],
        "InformationFromManufacturerSequence": [_reference(ROOT + "1.1.104.1")],
        "ReplacedImplantTemplateSequence": [part],
    }


_BUILT: dict[str, Callable[[str], Values]] = {
    build.__name__.removeprefix("_"): build
    for build in (
        *(_image, _colour, _cine, _functional, _bits, _parametric, _video),
        *(_spectroscopy, _waveform, _presentation, _raw, _registration, _fiducials),
        *(_surface, _tracks, _mapping, _stereometric, _measured, _report, _keys),
        *(_assessment, _annotations, _document, _layout, _protocol, _dose, _structures),
        *(_plan, _record, _radiation),
        *(_approval, _inventory, _hanging, _palette, _implant),
    )
}
