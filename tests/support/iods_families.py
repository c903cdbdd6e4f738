"""What makes an instance of one family of SOP classes different from the others."""

from __future__ import annotations

import struct
from collections.abc import Callable

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from tests.support.instances import uid
from tests.support.iods_items import (
    ROOT,
    Values,
    code,
    evidence,
    item,
    reference,
    referenced_series,
)

ROWS, COLUMNS, FRAMES = 6, 8, 3


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
        "ReferencedImageSequence": [reference()],
        **_pixels(),
    }


def _colour(name: str) -> Values:
    return {**_image(name), **_pixels(samples=3, bits=16 if "16 Bit" in name else 8)}


def _cine(name: str) -> Values:
    samples = 3 if "True Color" in name else 1
    bits = 8 if samples == 3 or "Byte" in name or "Ultrasound" in name else 16
    pixels = _pixels(samples, bits, FRAMES)
    return {**_image(name), **pixels, "FrameTime": "33.3"}


def _functional(name: str) -> Values:
    """Multi-frame Functional Groups (PS3.3 C.7.6.16)."""
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=["0.5", "0.5"])],
        ReferencedImageSequence=[reference()],
    )
    return {
        **_image(name),
        **_pixels(frames=FRAMES),
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": [_frame(n) for n in range(FRAMES)],
        "DimensionOrganizationSequence": [item(DimensionOrganizationUID=uid())],
    }


def _coloured(name: str) -> Values:
    return {**_functional(name), **_pixels(samples=3, bits=8, frames=FRAMES)}


def _frame(number: int) -> Dataset:
    place = number + 1
    content = item(StackID="1", InStackPositionNumber=place, DimensionIndexValues=place)
    at = item(ImagePositionPatient=["0", "0", str(number)])
    return item(FrameContentSequence=[content], PlanePositionSequence=[at])


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
        ChannelSourceSequence=[code("2:1", "MDC", "Lead I")],
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
        ReferencedImageSequence=[reference()],
        GraphicLayer="ONE",
        GraphicObjectSequence=[line],
    )
    return {
        "ContentLabel": "STATE",
        "ContentCreatorName": "Müller^Änne",
        "ReferencedSeriesSequence": referenced_series(),
        "GraphicAnnotationSequence": [annotation],
        "GraphicLayerSequence": [item(GraphicLayer="ONE", GraphicLayerOrder=1)],
    }


def _raw(name: str) -> Values:
    return {
        "CreatorVersionUID": uid(),
        "ReferencedRawDataSequence": evidence(),
        "AcquisitionContextSequence": [],
    }


def _registration(name: str) -> Values:
    matrix = item(
        FrameOfReferenceTransformationMatrix=[float(n % 5 == 0) for n in range(16)],
        FrameOfReferenceTransformationMatrixType="RIGID",
    )
    done = item(
        FrameOfReferenceUID=uid(),
        ReferencedImageSequence=[reference()],
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
        MeasurementUnitsCodeSequence=[code("[hnsf'U]", "UCUM", "Hounsfield unit")],
    )
    mapped = item(
        RealWorldValueMappingSequence=[units], ReferencedImageSequence=[reference()]
    )
    return {"ReferencedImageRealWorldValueMappingSequence": [mapped]}


def _stereometric(name: str) -> Values:
    pair = item(
        LeftImageSequence=[reference()],
        RightImageSequence=[reference()],
        StereoBaselineAngle=10.0,
    )
    return {"StereoPairsSequence": [pair]}


def _measured(name: str) -> Values:
    """What ophthalmic instruments measure: nested codes, no bulk."""
    eye = item(
        SpherePower=-1.5,
        AnatomicRegionSequence=[code("81745001", "SCT", "Eye")],
        CylinderSequence=[item(CylinderPower=0.5, CylinderAxis=90.0)],
    )
    return {
        "MeasurementLaterality": "R",
        "AcquisitionContextSequence": [code("1", "99LOCAL", "made")],
        "RightLensSequence": [eye],
        "ReferencedSeriesSequence": referenced_series(),
    }


def _report(name: str) -> Values:
    """SR Document Content (PS3.3 C.17.3), three levels deep."""
    text = item(
        RelationshipType="CONTAINS",
        ValueType="TEXT",
        ConceptNameCodeSequence=[code("121071", "DCM", "Finding")],
        TextValue="Größe: normal",
    )
    person = item(
        RelationshipType="HAS OBS CONTEXT",
        ValueType="PNAME",
        ConceptNameCodeSequence=[code("121008", "DCM", "Person Observer Name")],
        PersonName="HOUSE^GREGORY",
    )
    section = item(
        RelationshipType="CONTAINS",
        ValueType="CONTAINER",
        ConceptNameCodeSequence=[code("121070", "DCM", "Findings")],
        ContinuityOfContent="SEPARATE",
        ContentSequence=[text],
    )
    return {
        "ValueType": "CONTAINER",
        "ConceptNameCodeSequence": [code("126000", "DCM", "Imaging Report")],
        "ContinuityOfContent": "SEPARATE",
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "PerformedProcedureCodeSequence": [],
        "CurrentRequestedProcedureEvidenceSequence": evidence(),
        "ContentSequence": [person, section],
    }


def _keys(name: str) -> Values:
    shown = reference()
    image = item(
        RelationshipType="CONTAINS", ValueType="IMAGE", ReferencedSOPSequence=[shown]
    )
    return {
        **_report(name),
        "ConceptNameCodeSequence": [code("113000", "DCM", "Of Interest")],
        "CurrentRequestedProcedureEvidenceSequence": evidence(shown),
        "ContentSequence": [image],
    }


def _assessment(name: str) -> Values:
    noted = item(
        AssessmentTypeCodeSequence=[code("A1", "99LOCAL", "ok")],
        ReferencedSOPSequence=[reference()],
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
        "ReferencedImageSequence": [reference()],
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
        "SourceInstanceSequence": [reference()],
    }


def _layout(name: str) -> Values:
    box = item(
        ImageBoxNumber=1,
        ReferencedImageSequence=[reference()],
        ImageBoxLayoutType="SINGLE",
    )
    return {"HangingProtocolName": "LAYOUT", "StructuredDisplayImageBoxSequence": [box]}


def _protocol(name: str) -> Values:
    element = item(ProtocolElementNumber=1, ParametersSpecificationSequence=[item()])
    return {
        "ProtocolName": "HEAD",
        "PotentialScheduledProtocolCodeSequence": [code("P1", "99LOCAL", "Head")],
        "AcquisitionProtocolElementSequence": [element],
    }


def _dose(name: str) -> Values:
    values = {**_image(name), **_pixels(bits=32, frames=FRAMES), "DoseGridScaling": "0.001"}
    return {**values, "ReferencedRTPlanSequence": [reference(ROOT + "1.1.481.5")]}


def _structures(name: str) -> Values:
    """Which hides the study's UID in (3006,0012) > (0008,1155)."""
    study = item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID=uid()
    )
    series = item(SeriesInstanceUID=uid(), ContourImageSequence=[reference()])
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
        "ReferencedStructureSetSequence": [reference(ROOT + "1.1.481.3")],
        "BeamSequence": [beam],
    }


def _record(name: str) -> Values:
    session = item(ReferencedBeamNumber=1, CurrentFractionNumber=1)
    return {
        "TreatmentDate": "20260301",
        "ReferencedRTPlanSequence": [reference(ROOT + "1.1.481.5")],
        "TreatmentSessionBeamSequence": [session],
    }


def _radiation(name: str) -> Values:
    """Second generation RT: references by conceptual volume, dates with an offset."""
    volume = item(ConceptualVolumeUID=uid(), ReferencedSOPSequence=[reference()])
    return {
        "ContentLabel": "RADIATION",
        "UserContentLabel": "first",
        "InstanceCreationTime": "101530.25",
        "ConceptualVolumeSequence": [volume],
        "ReferencedRTInstanceSequence": [reference(ROOT + "1.1.481.12")],
    }


# -- Families without a patient (PS3.4 Annex GG) ----------------------------------------


def _approval(name: str) -> Values:
    approved = item(ApprovalSubjectSequence=[reference(ROOT + "1.1.200.1")])
    return {"ApprovalSequence": [approved]}


def _inventory(name: str) -> Values:
    """Which names studies and patients of others, all of them in sequences."""
    study = item(PatientName="DOE^JANE", PatientID="100", StudyInstanceUID=uid())
    return {
        "InventoryPurpose": "TEST",
        "InventoriedStudiesSequence": [study],
        "InventoryLevel": "STUDY",
    }


def _hanging(name: str) -> Values:
    wanted = item(Modality="CT", AnatomicRegionSequence=[code("69536005", "SCT", "Head")])
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
        "ImplantTypeCodeSequence": [code("I1", "99LOCAL", "hip")],
        "InformationFromManufacturerSequence": [reference(ROOT + "1.1.104.1")],
        "ReplacedImplantTemplateSequence": [part],
    }


BUILT: dict[str, Callable[[str], Values]] = {
    build.__name__.removeprefix("_"): build
    for build in (
        *(_image, _colour, _cine, _functional, _coloured, _bits, _parametric, _video),
        *(_spectroscopy, _waveform, _presentation, _raw, _registration, _fiducials),
        *(_surface, _tracks, _mapping, _stereometric, _measured, _report, _keys),
        *(_assessment, _annotations, _document, _layout, _protocol, _dose, _structures),
        *(_plan, _record, _radiation),
        *(_approval, _inventory, _hanging, _palette, _implant),
    )
}
