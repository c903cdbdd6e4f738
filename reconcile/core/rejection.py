"""Rejection notes: which instances one names, and what becomes of them, by its title.

Source:
    PS3.16 CID 7010 (Key Object Selection Document Title); IHE RAD Imaging Object Change
    Management.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from reconcile.core import attributes as at
from reconcile.core.attributes import Element, Item

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
TITLE = "0040A043"
EVIDENCE = "0040A375"
_SERIES, _INSTANCES = "00081115", "00081199"
_CODE_VALUE, _CODING_SCHEME = "00080100", "00080102"


class Code(StrEnum):
    """Titles of rejection notes, of coding scheme DCM."""

    QUALITY = "113001"
    SAFETY = "113037"
    WORKLIST = "113038"
    RETENTION = "113039"


class Again(StrEnum):
    """What becomes of a rejected instance that is stored again."""

    IGNORE = "ignore"
    RESTORE = "restore"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a title does: whether instances are hidden, and if they come again.

    `deletes`: they are to be deleted after a while, unless that is cancelled.
    """

    hides: bool = True
    again: Again = Again.IGNORE
    deletes: bool = False


#: Where nothing else is configured.
TREATMENTS: Mapping[Code, Treatment] = {
    Code.QUALITY: Treatment(),
    Code.SAFETY: Treatment(),
    Code.WORKLIST: Treatment(),
    Code.RETENTION: Treatment(again=Again.RESTORE),
}


class Rejected(NamedTuple):
    """An instance as a note names it, by the UIDs that its sender knows."""

    study_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Note:
    """A rejection note."""

    code: Code
    rejected: tuple[Rejected, ...]


def note_of(title: Element | None, evidence: Element | None) -> Note | None:
    """The note that a Key Object Selection Document is; None: it is none.

    Args:
        title: Concept Name Code Sequence (0040,A043).
        evidence: Current Requested Procedure Evidence Sequence (0040,A375).
    """
    code = _title(title)
    if code is None:
        return None
    return Note(code, tuple(dict.fromkeys(_rejected(evidence))))


def _title(title: Element | None) -> Code | None:
    for item in _of(title):
        value, scheme = at.text(item.get(_CODE_VALUE)), at.text(item.get(_CODING_SCHEME))
        return next((c for c in Code if (value, scheme) == (c.value, "DCM")), None)
    return None


def _rejected(evidence: Element | None) -> Iterator[Rejected]:
    for study in _of(evidence):
        uid = at.text(study.get(at.STUDY_INSTANCE_UID))
        for series in _of(study.get(_SERIES)):
            for item in _of(series.get(_INSTANCES)):
                yield Rejected(
                    uid,
                    at.text(item.get(at.REFERENCED_SOP_CLASS_UID)),
                    at.text(item.get(at.REFERENCED_SOP_INSTANCE_UID)),
                )


def _of(sequence: Element | None) -> list[Item]:
    return [item for item in at.values(sequence) if isinstance(item, Mapping)]
