"""Codes that SNOMED CT says otherwise: found cheaply, replaced in place, nothing else."""

from __future__ import annotations

from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from reconcile.core.attributes import Recode
from reconcile.dataset import coding
from reconcile.dataset.codes import REPLACED, sct_of
from reconcile.dataset.coding import Codes
from reconcile.dataset.facts import read

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
LIVER = ("T-62000", "10200004")
LEFT = ("G-A101", "7771000")


def code(
    value: str, designator: str = "SRT", version: str = "", *inner: Dataset
) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = designator
    if version:
        item.CodingSchemeVersion = version
    item.CodeMeaning = "as it was"
    if inner:
        item.AnatomicRegionModifierSequence = list(inner)
    return item


def encoded(dataset: Dataset, syntax: str, *, undefined: bool = False) -> bytes:
    buffer = pydicom.filebase.DicomBytesIO()
    buffer.is_implicit_VR = syntax == ImplicitVRLittleEndian
    buffer.is_little_endian = syntax != ExplicitVRBigEndian
    for element in dataset.iterall():
        if undefined and element.VR == "SQ":
            element.is_undefined_length = True
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def decoded(content: bytes, syntax: str) -> Dataset:
    return pydicom.filereader.read_dataset(
        BytesIO(content), syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    )


def coded(*items: Dataset, **more: object) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = "1.2.3"
    dataset.AnatomicRegionSequence = Sequence(items)
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    return dataset


def recoded(content: bytes, syntax: str, *, deep: bool = False) -> bytes:
    received = read(content, syntax)
    recode = Recode(coding.find(received, deep).mapped, deep)
    given = received.edited(dict(coding.recoded(received, recode)))
    return b"".join((*given.pieces(), given.tail))


def test_the_table_is_one_to_one():
    """7 990 pairs, each SCT code of one SRT code, each fits Code Value (SH, 16)."""
    from pydicom.sr import _snomed_dict

    pairs = _snomed_dict.mapping["SRT"]
    assert 7990 == len(pairs) == len(set(pairs.values()))
    assert all(len(sct) <= 16 for sct in pairs.values())
    assert all(sct_of(each, LIVER[0]) == LIVER[1] for each in REPLACED)
    assert "" == sct_of("DCM", LIVER[0]) == sct_of("SRT", "no such code")


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_code_and_its_modifiers_change_and_nothing_else(syntax, undefined):
    """Value and designator together, the old version goes, the meaning stays."""
    dataset = coded(code(LIVER[0], "SNM3", "1998", code(LEFT[0])), PatientComments="kept")
    content = encoded(dataset, syntax, undefined=undefined)
    given = decoded(recoded(content, syntax), syntax)

    item = given.AnatomicRegionSequence[0]
    inner = item.AnatomicRegionModifierSequence[0]
    assert (LIVER[1], "SCT", "as it was") == tuple(
        item[k].value for k in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    )
    assert (LEFT[1], "SCT") == (inner.CodeValue, inner.CodingSchemeDesignator)
    assert "CodingSchemeVersion" not in item
    item.CodeValue, item.CodingSchemeDesignator = LIVER[0], "SNM3"
    item.CodingSchemeVersion = "1998"
    inner.CodeValue, inner.CodingSchemeDesignator = LEFT[0], "SRT"
    assert decoded(content, syntax) == given


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_twice_changes_nothing_more(syntax):
    """What is said in SCT has no old code left to be found."""
    once = recoded(encoded(coded(code(LIVER[0])), syntax), syntax)

    assert Codes() == coding.find(read(once, syntax))
    assert once == recoded(once, syntax)


def test_codes_without_a_pair_stay_and_are_counted():
    """A local code that calls itself SRT is left alone."""
    content = encoded(
        coded(code("X-LOCAL"), code(LIVER[0]), code("113000", "DCM")), SYNTAXES[1]
    )
    found = coding.find(read(content, SYNTAXES[1]))

    assert Codes((("SRT", *LIVER),), 1) == found


def test_deeper_codes_wait_for_the_policy():
    """A code inside of another sequence changes only where that is asked for."""
    frame = Dataset()
    frame.FrameAnatomySequence = [coded(code(LIVER[0]))]
    content = encoded(_with_shared(frame), SYNTAXES[1])

    assert Codes() == coding.find(read(content, SYNTAXES[1]))
    assert content == recoded(content, SYNTAXES[1])
    given = decoded(recoded(content, SYNTAXES[1], deep=True), SYNTAXES[1])
    inner = given.SharedFunctionalGroupsSequence[0].FrameAnatomySequence[0]
    assert LIVER[1] == inner.AnatomicRegionSequence[0].CodeValue


def _with_shared(frame: Dataset) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    dataset.SharedFunctionalGroupsSequence = [frame]
    return dataset


def test_history_and_private_sequences_are_not_touched():
    """What an Original Attributes item or a private sequence holds is not ours."""
    item = Dataset()
    item.ModifiedAttributesSequence = [coded(code(LIVER[0]))]
    dataset = Dataset()
    dataset.OriginalAttributesSequence = [item]
    block = dataset.private_block(0x0029, "MAKER", create=True)
    block.add_new(0x10, "SQ", [code(LIVER[0])])
    content = encoded(dataset, SYNTAXES[1])

    assert Codes() == coding.find(read(content, SYNTAXES[1]), deep=True)
    assert content == recoded(content, SYNTAXES[1], deep=True)


def test_the_coding_schemes_name_sct():
    """Coding Scheme Identification Sequence, where there is one, gets an item for SCT."""
    scheme = Dataset()
    scheme.CodingSchemeDesignator = "SRT"
    dataset = coded(code(LIVER[0]), CodingSchemeIdentificationSequence=[scheme])
    received = read(encoded(dataset, SYNTAXES[1]), SYNTAXES[1])
    given = received.edited(dict(coding.with_scheme(received)))
    schemes = decoded(
        b"".join(given.pieces()), SYNTAXES[1]
    ).CodingSchemeIdentificationSequence

    assert ["SRT", "SCT"] == [item.CodingSchemeDesignator for item in schemes]
    assert coding.SCT_UID == schemes[1].CodingSchemeUID
    assert {} == coding.with_scheme(given)
