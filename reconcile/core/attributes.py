"""A change to a data set as a value.

Elements are in the DICOM JSON model (PS3.18 Annex F): a tag is eight upper-case hex
digits, an element is a mapping with `vr` and, where it has a value, `Value`. What a
change does is told by top-level attributes: a change anywhere inside a sequence is a
change of the whole top-level sequence, since that is what an Original Attributes item
must hold (PS3.3 C.12.1.1.9).

`Assign` names a top-level attribute and its element. The other kinds say one thing for
all instances of a study, whatever each of them holds: `Follow` and `Recode` name values
and what these become, wherever they stand, and leave every other byte of a sequence
alone; `Restore` and `Include` speak of what an instance was received with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Tag = str
Element = Mapping[str, Any]
Item = Mapping[Tag, Element]


@dataclass(frozen=True, slots=True)
class Assign:
    """Give the top-level attribute `tag` this element; None takes the attribute away."""

    tag: Tag
    element: Element | None


@dataclass(frozen=True, slots=True)
class Follow:
    """Let references to studies and series that this archive renamed go where they are.

    Attributes:
        uids: (Study UID that the reference stands in, UID as received, as assigned);
            the first is empty for a reference to a study itself.
    """

    uids: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Recode:
    """Say concepts in SNOMED CT (PS3.16 section 8).

    Attributes:
        codes: (Coding Scheme Designator, Code Value) as they stand, the SCT Code Value.
        deep: also inside of sequences that are no code sequences.
    """

    codes: tuple[tuple[str, str, str], ...]
    deep: bool = False


@dataclass(frozen=True, slots=True)
class Restore:
    """Let the top-level attribute `tag` be what it was received as."""

    tag: Tag


@dataclass(frozen=True, slots=True)
class Include:
    """Let the sequence `tag` be as received, and name one more identifier of the patient.

    Attributes:
        tag: (0010,1002).
        item: left out where an item names the same ID of the same issuer.
    """

    tag: Tag
    item: Item


Change = Assign | Follow | Recode | Restore | Include


def listed(change: Change) -> list[Any]:
    """A change as JSON; `from_listed` is its inverse."""
    if isinstance(change, Follow):
        return ["follow", [list(uid) for uid in change.uids]]
    if isinstance(change, Recode):
        return ["recode", [list(code) for code in change.codes], change.deep]
    if isinstance(change, Restore):
        return ["restore", change.tag]
    if isinstance(change, Include):
        return ["include", change.tag, dict(change.item)]
    return [change.tag, change.element]


def from_listed(said: Sequence[Any]) -> Change:
    """The change that `listed` told."""
    kind, what = said[0], said[1]
    if kind == "follow":
        return Follow(tuple((study, was, now) for study, was, now in what))
    if kind == "recode":
        return Recode(tuple((scheme, was, now) for scheme, was, now in what), said[2])
    if kind == "restore":
        return Restore(what)
    if kind == "include":
        return Include(what, said[2])
    return Assign(kind, what)


def as_assigned(change: Change, received: Element | None) -> Assign:
    """What `Restore` and `Include` assign in an instance that was received with this."""
    if isinstance(change, Restore):
        return Assign(change.tag, received)
    assert isinstance(change, Include)
    present = values(received)
    if any(names_same_id(change.item, other) for other in present):
        return Assign(change.tag, element("SQ", *present))
    return Assign(change.tag, element("SQ", *present, change.item))


def names_same_id(one: Item, other: Item) -> bool:
    """Whether two items of (0010,1002) name one ID of one issuer."""
    named = (PATIENT_ID, ISSUER_OF_PATIENT_ID)
    return all(text(one.get(tag)) == text(other.get(tag)) for tag in named)


# PS3.6: the attributes that this archive reads or assigns.
SPECIFIC_CHARACTER_SET = "00080005"
INSTANCE_COERCION_DATETIME = "00080015"
SOP_CLASS_UID = "00080016"
SOP_INSTANCE_UID = "00080018"
STUDY_DATE = "00080020"
ACCESSION_NUMBER = "00080050"
ISSUER_OF_ACCESSION_NUMBER_SEQUENCE = "00080051"
MODALITY = "00080060"
REFERRING_PHYSICIAN_NAME = "00080090"
STUDY_DESCRIPTION = "00081030"
REFERENCED_PERFORMED_STEP_SEQUENCE = "00081111"
REFERENCED_SOP_CLASS_UID = "00081150"
REFERENCED_SOP_INSTANCE_UID = "00081155"
PATIENT_NAME = "00100010"
PATIENT_ID = "00100020"
ISSUER_OF_PATIENT_ID = "00100021"
TYPE_OF_PATIENT_ID = "00100022"
ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE = "00100024"
PATIENT_BIRTH_DATE = "00100030"
PATIENT_SEX = "00100040"
OTHER_PATIENT_IDS = "00101000"
OTHER_PATIENT_IDS_SEQUENCE = "00101002"
PATIENT_IDENTITY_REMOVED = "00120062"
STUDY_INSTANCE_UID = "0020000D"
SERIES_INSTANCE_UID = "0020000E"
REQUESTED_PROCEDURE_DESCRIPTION = "00321060"
REQUESTED_PROCEDURE_CODE_SEQUENCE = "00321064"
LOCAL_NAMESPACE_ENTITY_ID = "00400031"
UNIVERSAL_ENTITY_ID = "00400032"
UNIVERSAL_ENTITY_ID_TYPE = "00400033"
SCHEDULED_PROCEDURE_STEP_ID = "00400009"
REQUEST_ATTRIBUTES_SEQUENCE = "00400275"
REQUESTED_PROCEDURE_ID = "00401001"
MODIFIED_ATTRIBUTES_SEQUENCE = "04000550"
SOP_INSTANCE_STATUS = "01000410"
ORIGINAL_ATTRIBUTES_SEQUENCE = "04000561"
ATTRIBUTE_MODIFICATION_DATETIME = "04000562"
MODIFYING_SYSTEM = "04000563"
SOURCE_OF_PREVIOUS_VALUES = "04000564"
REASON_FOR_THE_ATTRIBUTE_MODIFICATION = "04000565"


def element(vr: str, *values: Any) -> Element:
    """The element with these values; without any, one that is present and empty."""
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def values(element: Element | None) -> list[Any]:
    """The values of an element, none where it is absent or empty."""
    return list(element.get("Value", ())) if element else []


def text(element: Element | None) -> str:
    """The first value as text without padding; empty where there is none."""
    found = values(element)
    if not found or found[0] is None:
        return ""
    first = found[0]
    if isinstance(first, Mapping):
        return str(first.get("Alphabetic", ""))
    return str(first).strip(" \0")


def person_name(alphabetic: str, ideographic: str = "", phonetic: str = "") -> Element:
    """A PN element of up to three component groups (PS3.5 section 6.2)."""
    groups = {"Alphabetic": alphabetic, "Ideographic": ideographic, "Phonetic": phonetic}
    held = {name: group for name, group in groups.items() if group}
    return element("PN", held) if held else element("PN")


def same(one: Element | None, other: Element | None) -> bool:
    """Whether two elements mean the same: by content, padding and empty items aside.

    An attribute that is absent is not the same as one that is present and empty.
    """
    if one is None or other is None:
        return one is other
    return _normal(one) == _normal(other)


def _normal(found: Element) -> object:
    normal = tuple(_normal_value(value) for value in values(found))
    if all(value in ("", None, ()) for value in normal):
        normal = ()
    return normal or tuple(found.get("InlineBinary", ""))


def _normal_value(value: Any) -> object:
    if isinstance(value, Mapping):
        if all(isinstance(v, Mapping) for v in value.values()):
            return tuple(sorted((tag, _normal(v)) for tag, v in value.items()))
        return tuple(sorted((k, str(v).rstrip(" ^=")) for k, v in value.items() if v))
    return value.strip(" \0") if isinstance(value, str) else value


def tags(changes: Iterable[Assign]) -> list[Tag]:
    """The tags of some changes, in order."""
    return [change.tag for change in changes]
