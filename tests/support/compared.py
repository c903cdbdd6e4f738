"""What an instance is like as it came and as it is given out, element by element.

Written against the standard, with pydicom's reader and pydicom's table of SNOMED codes:
nothing of the archive's own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import NamedTuple

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.sr._snomed_dict import mapping

from tests.support.iods_references import lacking
from tests.support.iods_rich import Case, codes, levels

ORIGINALS, CHARSET, SIGNATURES = 0x04000561, 0x00080005, 0xFFFAFFFA
IDENTITY = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
_BULK = ("OB", "OD", "OF", "OL", "OV", "OW")


class Compared(NamedTuple):
    """What became of an instance.

    Attributes:
        bulk: whether pixel data and its like are the very bytes that came.
        coerced: of `IDENTITY`, what is given out with another value.
        named, followed: references to what was renamed; those that went along.
        old_codes, recoded: codes of SNOMED RT; those that are now the same in SNOMED CT.
        widened: whether the character set became ISO_IR 192.
        changed: top-level attributes that differ.
        explained: those of which an Original Attributes item tells the value before.
        kept: whether items that came in Original Attributes Sequence are still first.
    """

    bulk: bool
    coerced: frozenset[str]
    named: int
    followed: int
    old_codes: int
    recoded: int
    widened: bool
    changed: frozenset[int]
    explained: frozenset[int]
    kept: bool

    @property
    def unexplained(self) -> frozenset[int]:
        return self.changed - self.explained


def read(file: bytes) -> FileDataset:
    """A file; what it says is read when it is asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(BytesIO(file))


def compare(came: Dataset, out: Dataset, renamed: Mapping[str, str]) -> Compared:
    """Compare an instance with itself.

    Args:
        came: as received.
        out: as given out.
        renamed: UIDs of studies and series, as received -> as assigned.
    """
    changed = frozenset(_changed(came, out))
    references = list(_references(came, out, renamed))
    recoded = list(_recoded(came, out))
    items = _items(came)
    return Compared(
        list(_bulk(came)) == list(_bulk(out)),
        frozenset(each for each in IDENTITY if came.get(each) != out.get(each)),
        len(references),
        sum(references),
        len(recoded),
        sum(recoded),
        CHARSET in changed and out.SpecificCharacterSet == "ISO_IR 192",
        changed,
        frozenset(tag for tag in changed if _is_explained(tag, came, out)),
        _items(out)[: len(items)] == items,
    )


def _changed(came: Dataset, out: Dataset) -> Iterator[int]:
    for tag in sorted({*came.keys(), *out.keys()}):
        if tag not in came or tag not in out or came[tag] != out[tag]:
            yield int(tag)


def _bulk(dataset: Dataset) -> Iterator[tuple[int, bytes]]:
    for _, each in levels(dataset, closed=(ORIGINALS, SIGNATURES)):
        for element in each:
            if element.VR in _BULK and not element.is_empty:
                yield int(element.tag), bytes(element.value)


def _references(came: Dataset, out: Dataset, renamed: Mapping[str, str]) -> Iterator[bool]:
    """Of every reference below the top level: whether it went along."""
    now = _nested_uids(out)
    for at, value in _nested_uids(came).items():
        if value in renamed:
            yield now.get(at) == renamed[value]


def _nested_uids(dataset: Dataset) -> dict[tuple[int, ...], str]:
    return {
        (*at, int(element.tag)): str(element.value)
        for at, each in levels(dataset)
        for element in each
        if at and element.VR == "UI" and element.VM == 1
    }


def _recoded(came: Dataset, out: Dataset) -> Iterator[bool]:
    """Of every code of SNOMED RT: whether it is now the same concept of SNOMED CT."""
    after = codes(out)
    for at, before in codes(came).items():
        if before.CodingSchemeDesignator == "SRT":
            now = after.get(at, Dataset())
            said = (now.get("CodingSchemeDesignator"), now.get("CodeValue"))
            yield said == ("SCT", mapping["SRT"][before.CodeValue])


def _is_explained(tag: int, came: Dataset, out: Dataset) -> bool:
    """PS3.3 C.12.1.1.9.1: what there was, or nothing where nothing was."""
    if tag == ORIGINALS:
        return bool(_items(out))
    ours = _items(out)[len(_items(came)) :]
    told = (item.ModifiedAttributesSequence[0].get(tag) for item in ours)
    first = next((each for each in told if each is not None), None)
    if first is None:
        return False
    nothing = tag not in came or came[tag].is_empty
    return bool(first.is_empty) if nothing else bool(first == came[tag])


def _items(dataset: Dataset) -> list[Dataset]:
    """The items of Original Attributes Sequence."""
    return list(getattr(dataset, "OriginalAttributesSequence", ()))


# -- The laws ---------------------------------------------------------------------------


def broken(case: Case, came: Dataset, out: Dataset, found: Compared) -> list[str]:
    """What does not hold of an instance of a SOP class, in words."""
    changing = IDENTITY if case.has_patient else ()
    laws = {
        "bulk data is untouched": found.bulk,
        "every reference that the class allows is there": not lacking(came),
        "references follow": found.followed == (found.named if case.has_patient else 0),
        "codes are said in SNOMED CT": found.recoded == found.old_codes,
        "every difference is explained": not found.unexplained,
        "items of others are kept": found.kept,
        "the character set is widened where it must be": found.widened == case.is_wide,
        "identity changes": found.coerced == frozenset(changing),
    }
    if case.has_patient:
        laws |= {
            "the Patient ID is the archive's": out.PatientID == case.person.assigned,
            "the study is the order's": out.StudyInstanceUID == case.assigned_study,
            "the name is the index's": out.PatientName == case.person.said.name.alphabetic,
        }
    return [law for law, holds in laws.items() if not holds]
