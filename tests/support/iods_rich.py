"""An instance of every SOP class with all that makes giving it out under another identity
hard: every reference that its class allows, codes of SNOMED RT, text in several character
sets, SOP Common attributes that few objects have.

Which of them an instance has follows from its place in the list of classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sr._snomed_dict import mapping
from pydicom.uid import ExplicitVRLittleEndian

from reconcile.core.identity import Demographics, PersonName
from reconcile.dataset.iods import NON_PATIENT, STORABLE
from tests.support.instances import uid
from tests.support.iods import instance_of
from tests.support.iods_modules import MODULES, fill
from tests.support.iods_references import Named, refer


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag, keyword
    return tag


CLASSES = sorted(STORABLE, key=lambda each: [int(part) for part in each.split(".")])
COMMON = [name for name in MODULES if name.startswith("common ")]
#: PS3.3 Table C.12-1.
SOP_COMMON = frozenset(
    map(
        _tag,
        """
        SpecificCharacterSet InstanceCreationDate InstanceCreationTime InstanceCreatorUID
        InstanceCoercionDateTime SOPClassUID SOPInstanceUID RelatedGeneralSOPClassUID
        OriginalSpecializedSOPClassUID SyntheticData QueryRetrieveView
        CodingSchemeIdentificationSequence ContextGroupIdentificationSequence
        MappingResourceIdentificationSequence TimezoneOffsetFromUTC
        PrivateDataElementCharacteristicsSequence ContentQualification
        ReferencedDefinedProtocolSequence ReferencedPerformedProtocolSequence
        ContributingEquipmentSequence InstanceNumber ConversionSourceAttributesSequence
        LongitudinalTemporalInformationModified HL7StructuredDocumentReferenceSequence
        SOPInstanceStatus SOPAuthorizationDateTime SOPAuthorizationComment
        AuthorizationEquipmentCertificationNumber EncryptedAttributesSequence
        OriginalAttributesSequence InstanceOriginStatus BarcodeValue MACParametersSequence
        DigitalSignaturesSequence
        """.split(),  # noqa: SIM905  a wall of quotes
    )
)
#: So many Series UIDs for all of them: each is in many studies.
SERIES = 10
#: Not looked into: what was, what cannot be read, and what only its maker understands.
CLOSED = (0x04000561, 0x04000500)


class Person(NamedTuple):
    """Somebody as the index knows them, and as a modality spells them."""

    number: str
    said: Demographics
    spelt: str

    @property
    def assigned(self) -> str:
        return f"E{self.number}"


JANE = Person("100", Demographics(PersonName("DOE^JANE"), "19800102", "F"), "DOE^JANE")
#: Their names cannot be said in Latin-1; nor, the first, in JIS X 0208.
WIDE = tuple(
    Person(number, Demographics(PersonName(name), birth_date, sex), spelt)
    for number, name, birth_date, sex, spelt in (
        ("901", "ŁUKASIK^ŁUCJA", "19660606", "F", "LUKASIK^LUCJA"),
        ("902", "ΠΑΠΑΣ^ΝΙΚΟΣ", "19550505", "M", "PAPAS^NIKOS"),
        ("903", "山田^太郎", "19440404", "M", "YAMADA^TAROU"),
    )
)
PEOPLE = (JANE, *WIDE)


class Place(NamedTuple):
    """A study and one of its series: as the modality names them."""

    study: str
    series: str


class Case(NamedTuple):
    """What there is to store of one SOP class.

    Attributes:
        received: its own place, as its modality names it; the series is taken already.
        other: what its references name, likewise.
        accession: of the order that knows the Study UID that is to be assigned.
    """

    number: int
    sop_class: str
    person: Person
    received: Place
    other: Place
    assigned_study: str
    accession: str

    @property
    def has_patient(self) -> bool:
        return self.sop_class not in NON_PATIENT

    @property
    def is_wide(self) -> bool:
        """Whether what is given out needs a wider character set than came."""
        return self.has_patient and self.person is not JANE

    def dataset(self, transfer_syntax: str = ExplicitVRLittleEndian) -> Dataset:
        """A new instance of it."""
        made = instance_of(self.sop_class, transfer_syntax)
        fill(made, COMMON[self.number % len(COMMON)])
        if self.has_patient:
            self._describe(made)
        refer(made, Named(*self.received, *self.other))
        self._request(made)
        if self.number % 6 == 3:
            made.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
            _say_in_japanese(made)
        _recode(made)
        return made

    def _describe(self, made: Dataset) -> None:
        made.StudyInstanceUID, made.SeriesInstanceUID = self.received
        made.PatientID = self.person.number
        made.PatientName = self.person.spelt
        made.PatientBirthDate = self.person.said.birth_date
        made.PatientSex = self.person.said.sex
        made.AccessionNumber = self.accession
        fill(made, "codes")

    def _request(self, made: Dataset) -> None:
        for each in made.get("RequestAttributesSequence", []):
            each.RequestedProcedureID = f"RP{self.number}"
            each.ScheduledProcedureStepID = f"SPS{self.number}"


def cases(others: dict[str, Place]) -> list[Case]:
    """One of each class; `others` is what references name, by the person's number."""
    series = [uid() for _ in range(SERIES)]
    return [
        Case(
            number,
            sop_class,
            person := _person(number),
            Place(uid(), series[number % SERIES]),
            others[person.number],
            uid(),
            f"ACC{number}",
        )
        for number, sop_class in enumerate(CLASSES)
    ]


def _person(number: int) -> Person:
    # a third of all, though nine have no patient
    if number % 3 and number % 40 != 1:
        return JANE
    # what is Japanese already is of somebody whose name is not
    return WIDE[0] if number % 6 == 3 else WIDE[1 + number // 6 % 2]


def _say_in_japanese(made: Dataset) -> None:
    """Say in JIS X 0208 what was said in Latin-1: the two cannot stand side by side."""
    for _, each in levels(made):
        for element in each:
            if element.VR == "PN":
                each[element.tag].value = str(element.value).translate(_PLAIN)
            elif element.VR in ("LO", "SH", "ST", "LT", "UT", "UC"):
                values = [element.value] if element.VM < 2 else element.value
                said = [str(value).translate(_PLAIN) for value in values]
                each[element.tag].value = said[0] if element.VM < 2 else said
    made.InstitutionName = "病院"
    if "StudyDescription" in made:
        made.StudyDescription = "胸部 CT 検査"
        made.PatientComments = "再検査"


_PLAIN = str.maketrans("éèêôöüäßÉÖÜÄ", "eeeoouasEOUA")


def levels(
    dataset: Dataset, closed: tuple[int, ...] = CLOSED, at: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[int, ...], Dataset]]:
    """A data set and every item of it, outermost first, each with its path.

    A path is the tags of sequences and numbers of items in turn. What is closed is not
    looked into, nor is anything private.
    """
    yield at, dataset
    for element in dataset:
        tag = element.tag
        if element.VR == "SQ" and tag not in closed and not tag.is_private:
            for number, each in enumerate(element.value):
                yield from levels(each, closed, (*at, int(tag), number))


def codes(dataset: Dataset) -> dict[tuple[int, ...], Dataset]:
    """The items that are codes, by their path."""
    return {
        at: each
        for at, each in levels(dataset)
        if "CodeValue" in each and "CodingSchemeDesignator" in each
    }


def _recode(dataset: Dataset) -> None:
    """Say in SNOMED RT what can be, until it is one code in three."""
    found = codes(dataset)
    wanted = -(-len(found) // 3)
    for each in found.values():
        old = mapping["SCT"].get(each.CodeValue)
        if wanted > 0 and each.CodingSchemeDesignator == "SCT" and old:
            each.CodeValue, each.CodingSchemeDesignator = old, "SRT"
            wanted -= 1
