"""References: found at every place of the standard, rewritten in place, nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from reconcile.core.attributes import Follow
from reconcile.dataset import references
from reconcile.dataset.facts import read
from reconcile.dataset.references import References
from tests.unit.dataset.test_coding import SYNTAXES, decoded, encoded

SHARED = Path(__file__).parents[4] / "shared" / "data" / "nested_refs.json"
# Snapshots of others, and objects that are never stored.
NOT_FOLLOWED = {"inventory-content", "mpps", "ups", "retired-print", "media-directory"}
STUDY, SERIES = "1.2.840.113619.1", "1.2.840.113619.1.5"
NOW = ("2.25.11", "2.25.15")
# Some places of each kind; the whole table is used where it lies beside the project.
PLACES = [
    ("(0040,A375)/(0008,1115)/(0020,000E)", "SeriesInstanceUID"),
    ("(0040,A375)/(0020,000D)", "StudyInstanceUID"),
    ("(0008,1115)/(0020,000E)", "SeriesInstanceUID"),
    ("(3006,0010)/(3006,0012)/(3006,0014)/(0020,000E)", "SeriesInstanceUID"),
    ("(3002,0118)/(3002,011A)/(3002,0132)/(0008,1110)/(0020,000D)", "StudyInstanceUID"),
    ("(0040,0275)/(0020,000D)", "StudyInstanceUID"),
    ("(0008,1250)/(0020,000E)", "SeriesInstanceUID"),
]
if SHARED.is_file():
    PLACES = [
        (entry["path"], entry["attribute"])
        for entry in json.loads(SHARED.read_text())["entries"]
        if entry["attribute"] != "PatientID" and entry["class"] not in NOT_FOLLOWED
    ]


def tags(path: str) -> list[int]:
    return [int(part[1:5] + part[6:10], 16) for part in path.split("/")]


def nested(path: str, value: str) -> Dataset:
    """A data set with a value at a place, among other elements."""
    *sequences, last = tags(path)
    inner = Dataset()
    inner.add_new(last, "UI", value)
    inner.add_new(0x00081155, "UI", "1.2.3.4.9")
    for tag in reversed(sequences):
        outer = Dataset()
        outer.add_new(tag, "SQ", [inner])
        outer.add_new(0x00081030, "LO", "beside")
        inner = outer
    inner.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    inner.SOPInstanceUID = "1.2.3"
    inner.StudyInstanceUID = STUDY
    inner.SeriesInstanceUID = SERIES
    return inner


def given(content: bytes, syntax: str, follow: Follow) -> bytes:
    received = read(content, syntax)
    state = received.edited(dict(references.followed(received, follow)))
    return b"".join((*state.pieces(), state.tail))


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(("path", "attribute"), PLACES)
def test_every_place_follows(path, attribute, syntax):
    """Wherever a study or a series is named, the name is found and goes along."""
    study = attribute == "StudyInstanceUID"
    was, now = (STUDY, NOW[0]) if study else (SERIES, NOW[1])
    content = encoded(nested(path, was), syntax, undefined=len(path) % 2 == 0)
    received = read(content, syntax)
    named = references.find(received).named
    contexts = {context for context, uid in named if uid == was}
    assert contexts
    follow = Follow(tuple((context, was, now) for context in sorted(contexts)))
    out = given(content, syntax, follow)

    there = decoded(out, syntax)
    for tag in tags(path)[:-1]:
        there = there[tag].value[0]
    assert now == there[tags(path)[-1]].value
    there[tags(path)[-1]].value = was
    assert decoded(content, syntax)[tags(path)[0]] is not None
    assert out == given(out, syntax, follow)
    back = Follow(tuple((context, now, was) for context in sorted(contexts)))
    assert decoded(content, syntax) == decoded(given(out, syntax, back), syntax)


def test_what_is_not_named_is_the_same_bytes():
    """Nothing to follow: no element changes, not even its framing."""
    content = encoded(nested("(0040,A375)/(0020,000D)", STUDY), SYNTAXES[1], undefined=True)

    assert {} == references.followed(
        read(content, SYNTAXES[1]), Follow((("", "9.9", "8"),))
    )


def test_a_series_is_followed_in_its_study_only():
    """The same Series UID in an item of another study is another series."""
    other = nested("(0040,A375)/(0008,1115)/(0020,000E)", SERIES)
    other[0x0040A375].value[0].StudyInstanceUID = "1.2.840.7"
    content = encoded(other, SYNTAXES[1])

    assert ("1.2.840.7", SERIES) in references.find(read(content, SYNTAXES[1])).named
    assert content == given(content, SYNTAXES[1], Follow(((".", SERIES, "2.25.1"),)))
    assert content != given(
        content, SYNTAXES[1], Follow((("1.2.840.7", SERIES, "2.25.1"),))
    )


@pytest.mark.parametrize("sequence", [0x00081110, 0x30060012])
def test_a_study_behind_referenced_sop_instance_uid(sequence):
    """(0008,1155) names a study in two sequences, and nowhere else."""
    item = Dataset()
    item.ReferencedSOPInstanceUID = STUDY
    dataset = nested("(0040,0275)/(0008,1140)/(0008,1155)", STUDY)
    dataset[0x00400275].value[0].add_new(sequence, "SQ", [item])
    content = encoded(dataset, SYNTAXES[1])
    out = decoded(given(content, SYNTAXES[1], Follow((("", STUDY, NOW[0]),))), SYNTAXES[1])

    assert NOW[0] == out[0x00400275].value[0][sequence].value[0].ReferencedSOPInstanceUID
    image = out[0x00400275].value[0][0x00081140].value[0]
    assert "UI" == dictionary_VR(0x00081155)
    assert "1.2.3.4.9" == image.ReferencedSOPInstanceUID


def test_history_encrypted_and_inventories_stay():
    """What was before, and what tells of others as they were, is never rewritten."""
    for path in (
        "(0400,0561)/(0400,0550)/(0020,000D)",
        "(0400,0500)/(0020,000D)",
        "(0008,0423)/(0020,000D)",
        "(0004,1220)/(0020,000D)",
    ):
        content = encoded(nested(path, STUDY), SYNTAXES[1])
        assert frozenset() == references.find(read(content, SYNTAXES[1])).named
        assert content == given(content, SYNTAXES[1], Follow((("", STUDY, NOW[0]),)))


def test_what_is_only_mentioned_is_told():
    """SR UID references, URLs and private sequences are flagged, not rewritten."""
    dataset = nested("(0040,A730)/(0040,A124)", "1.2.3.77")
    dataset.RetrieveURL = f"http://pacs/studies/{STUDY}/series/{SERIES}"
    block = dataset.private_block(0x0029, "MAKER", create=True)
    inner = Dataset()
    inner.StudyInstanceUID = "1.2.3.88"
    block.add_new(0x10, "SQ", [inner])
    content = encoded(dataset, SYNTAXES[1])
    found = references.find(read(content, SYNTAXES[1]))

    assert {"1.2.3.77", "1.2.3.88", STUDY, SERIES} == found.mentioned
    assert frozenset() == found.named
    assert content == given(content, SYNTAXES[1], Follow((("", "1.2.3.88", "2.25.1"),)))


def test_documents_and_encryption_are_told():
    """What cannot be looked into is said to be there."""
    dataset = nested("(0400,0500)/(0400,0510)", "1.2.840.10008.1.2.1")
    dataset.EncapsulatedDocument = b"%PDF"
    found = references.find(read(encoded(dataset, SYNTAXES[1]), SYNTAXES[1]))

    assert References(encapsulated=True, encrypted=True) == found
