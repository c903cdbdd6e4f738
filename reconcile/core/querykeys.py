"""The attributes that queries know, level by level.

What is matched, and what is only answered, is said by their VR: a sequence is answered.

Source:
    PS3.4 section C.6.1 and C.6.2 (Query/Retrieve), Table K.6-1 (Modality Worklist);
    PS3.18 section 10.6.1 and 10.6.3. Inventories: PS3.4 Annex JJ, whose text was
    not read: their keys are what the IOD has above its records. VRs: PS3.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from reconcile.core import attributes as at
from reconcile.core.attributes import Tag


class Level(StrEnum):
    """What is answered: of Query/Retrieve Level (0008,0052), from the top; others."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"
    WORKLIST = "WORKLIST"
    INVENTORY = "INVENTORY"


PATIENT_RELATED_STUDIES = "00201200"
PATIENT_RELATED_SERIES = "00201202"
PATIENT_RELATED_INSTANCES = "00201204"
#: Whose something is.
WHO = {
    at.PATIENT_NAME: "PN",
    at.PATIENT_ID: "LO",
    at.ISSUER_OF_PATIENT_ID: "LO",
    at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE: "SQ",
    at.PATIENT_BIRTH_DATE: "DA",
    at.PATIENT_SEX: "CS",
    at.OTHER_PATIENT_IDS_SEQUENCE: "SQ",
}
_PATIENT = {
    at.SPECIFIC_CHARACTER_SET: "CS",
    **WHO,
    "00100032": "TM",  # Patient's Birth Time
    "00101001": "PN",  # Other Patient Names
    "00102160": "SH",  # Ethnic Group
    "00104000": "LT",  # Patient Comments
    PATIENT_RELATED_STUDIES: "IS",
    PATIENT_RELATED_SERIES: "IS",
    PATIENT_RELATED_INSTANCES: "IS",
}
STUDY_TIME = "00080030"
MODALITIES_IN_STUDY = "00080061"
SOP_CLASSES_IN_STUDY = "00080062"
STUDY_ID = "00200010"
STUDY_RELATED_SERIES = "00201206"
STUDY_RELATED_INSTANCES = "00201208"
SERIES_RELATED_INSTANCES = "00201209"
_STUDY = {
    at.STUDY_INSTANCE_UID: "UI",
    at.STUDY_DATE: "DA",
    STUDY_TIME: "TM",
    at.ACCESSION_NUMBER: "SH",
    at.ISSUER_OF_ACCESSION_NUMBER_SEQUENCE: "SQ",
    at.REFERRING_PHYSICIAN_NAME: "PN",
    at.STUDY_DESCRIPTION: "LO",
    STUDY_ID: "SH",
    MODALITIES_IN_STUDY: "CS",
    SOP_CLASSES_IN_STUDY: "UI",
    STUDY_RELATED_SERIES: "IS",
    STUDY_RELATED_INSTANCES: "IS",
    "00080201": "SH",  # Timezone Offset From UTC
    "00081032": "SQ",  # Procedure Code Sequence
    "00081060": "PN",  # Name of Physician(s) Reading Study
    "00081080": "LO",  # Admitting Diagnoses Description
    "00101010": "AS",  # Patient's Age
    "00101020": "DS",  # Patient's Size
    "00101030": "DS",  # Patient's Weight
    "00102180": "SH",  # Occupation
    "001021B0": "LT",  # Additional Patient History
}
_SERIES = {
    at.SERIES_INSTANCE_UID: "UI",
    at.MODALITY: "CS",
    "00080021": "DA",  # Series Date
    "00080031": "TM",  # Series Time
    "0008103E": "LO",  # Series Description
    "00180015": "CS",  # Body Part Examined
    "00181030": "LO",  # Protocol Name
    "00200011": "IS",  # Series Number
    "00200060": "CS",  # Laterality
    "00400244": "DA",  # Performed Procedure Step Start Date
    "00400245": "TM",  # Performed Procedure Step Start Time
    at.REQUEST_ATTRIBUTES_SEQUENCE: "SQ",
    SERIES_RELATED_INSTANCES: "IS",
}
SOP_CLASS_UID, SOP_INSTANCE_UID = "00080016", "00080018"
ORIGINAL_ATTRIBUTES = "04000561"
_IMAGE = {
    SOP_CLASS_UID: "UI",
    SOP_INSTANCE_UID: "UI",
    "00080008": "CS",  # Image Type
    "00080022": "DA",  # Acquisition Date
    "00080023": "DA",  # Content Date
    "00080032": "TM",  # Acquisition Time
    "00080033": "TM",  # Content Time
    "00200012": "IS",  # Acquisition Number
    "00200013": "IS",  # Instance Number
    "00280008": "IS",  # Number of Frames
    "00280010": "US",  # Rows
    "00280011": "US",  # Columns
    "00280100": "US",  # Bits Allocated
    "0040A043": "SQ",  # Concept Name Code Sequence
    "0040A491": "CS",  # Completion Flag
    "0040A493": "CS",  # Verification Flag
    ORIGINAL_ATTRIBUTES: "SQ",
}

STEPS = "00400100"
"""Scheduled Procedure Step Sequence: what is in its item is named `STEPS.tag`."""
_STEP = {
    at.MODALITY: "CS",
    "00321070": "LO",  # Requested Contrast Agent
    "00400001": "AE",  # Scheduled Station AE Title
    "00400002": "DA",  # Scheduled Procedure Step Start Date
    "00400003": "TM",  # Scheduled Procedure Step Start Time
    "00400004": "DA",  # Scheduled Procedure Step End Date
    "00400005": "TM",  # Scheduled Procedure Step End Time
    "00400006": "PN",  # Scheduled Performing Physician's Name
    "00400007": "LO",  # Scheduled Procedure Step Description
    "00400008": "SQ",  # Scheduled Protocol Code Sequence
    "00400009": "SH",  # Scheduled Procedure Step ID
    "00400010": "SH",  # Scheduled Station Name
    "00400011": "SH",  # Scheduled Procedure Step Location
    "00400012": "LO",  # Pre-Medication
    "00400020": "CS",  # Scheduled Procedure Step Status
    "00400400": "LT",  # Comments on the Scheduled Procedure Step
}
_REQUESTED = {
    at.STUDY_INSTANCE_UID: "UI",
    at.ACCESSION_NUMBER: "SH",
    at.ISSUER_OF_ACCESSION_NUMBER_SEQUENCE: "SQ",
    at.REFERRING_PHYSICIAN_NAME: "PN",
    at.REQUESTED_PROCEDURE_DESCRIPTION: "LO",
    at.REQUESTED_PROCEDURE_CODE_SEQUENCE: "SQ",
    at.REQUESTED_PROCEDURE_ID: "SH",
    "00081110": "SQ",  # Referenced Study Sequence
    "00081120": "SQ",  # Referenced Patient Sequence
    "00321032": "PN",  # Requesting Physician
    "00321033": "LO",  # Requesting Service
    "00380010": "LO",  # Admission ID
    "00380014": "SQ",  # Issuer of Admission ID Sequence
    "00380300": "LO",  # Current Patient Location
    "00401002": "LO",  # Reason for the Requested Procedure
    "00401003": "SH",  # Requested Procedure Priority
    "00401004": "LO",  # Patient Transport Arrangements
    "00401400": "LT",  # Requested Procedure Comments
    "00402016": "LO",  # Placer Order Number / Imaging Service Request
    "00402017": "LO",  # Filler Order Number / Imaging Service Request
    "00402400": "LT",  # Imaging Service Request Comments
}
_ABOUT = {
    "00101030": "DS",  # Patient's Weight
    "00102000": "LO",  # Medical Alerts
    "00102110": "LO",  # Allergies
    "001021C0": "US",  # Pregnancy Status
    "00380050": "LO",  # Special Needs
    "00380500": "LO",  # Patient State
    "00403001": "LO",  # Confidentiality Constraint on Patient Data Description
}

# PS3.3 Table C.38.1-1, without what is inventoried
_INVENTORY = {
    SOP_CLASS_UID: "UI",
    SOP_INSTANCE_UID: "UI",
    "00080023": "DA",  # Content Date
    "00080033": "TM",  # Content Time
    "00080400": "SQ",  # Scope of Inventory Sequence
    "00080401": "LT",  # Inventory Purpose
    "00080402": "LT",  # Inventory Instance Description
    "00080403": "CS",  # Inventory Level
    "00080426": "CS",  # Inventory Completion Status
    "00080427": "UL",  # Number of Study Records in Instance
    "00080428": "UV",  # Total Number of Study Records
    "00081195": "UI",  # Transaction UID
}

KEYS: Mapping[Level, Mapping[Tag, str]] = {
    Level.PATIENT: _PATIENT,
    Level.STUDY: _PATIENT | _STUDY,
    Level.SERIES: _PATIENT | _STUDY | _SERIES,
    Level.IMAGE: _PATIENT | _STUDY | _SERIES | _IMAGE,
    Level.INVENTORY: _INVENTORY,
    Level.WORKLIST: WHO
    | _ABOUT
    | _REQUESTED
    | {f"{STEPS}.{tag}": vr for tag, vr in _STEP.items()},
}
OF_PATIENT = frozenset(
    {PATIENT_RELATED_STUDIES, PATIENT_RELATED_SERIES, PATIENT_RELATED_INSTANCES}
)
_COUNTED = OF_PATIENT | {
    at.SPECIFIC_CHARACTER_SET,
    at.STUDY_INSTANCE_UID,
    at.SERIES_INSTANCE_UID,
    MODALITIES_IN_STUDY,
    SOP_CLASSES_IN_STUDY,
    STUDY_RELATED_SERIES,
    STUDY_RELATED_INSTANCES,
    SERIES_RELATED_INSTANCES,
}
#: What is kept of the header of each series, as it came.
KEPT: tuple[Tag, ...] = tuple(sorted(KEYS[Level.SERIES].keys() - _COUNTED))
#: What is read of each instance, as it is given out, when it is asked for.
READ = frozenset(_IMAGE.keys() - {SOP_CLASS_UID, SOP_INSTANCE_UID})
#: About the answer itself, or about where it can be had: never matched, always allowed.
ASIDE = frozenset({"00080005", "00080052", "00080054", "00080056", "00081190", "00080053"})
