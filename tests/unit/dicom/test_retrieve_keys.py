"""What the identifier of a retrieve names, and how a data set is cut for sending."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.core import attributes as at
from reconcile.core.matchkeys import Level, OneOf
from reconcile.dicom.moving import proposals, shared_out
from reconcile.dicom.retrieve_keys import wanted_of
from reconcile.dicom.retrieving import Tally, blocks
from reconcile.errors import WrongUse

EXPLICIT, IMPLICIT, RLE = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.5",
)


def keys(level: str, **said: str) -> dict[str, Any]:
    tags = {
        "patient": at.PATIENT_ID,
        "issuer": at.ISSUER_OF_PATIENT_ID,
        "study": at.STUDY_INSTANCE_UID,
        "series": at.SERIES_INSTANCE_UID,
        "image": at.SOP_INSTANCE_UID,
    }
    found = {tags[key]: at.element("UI", *value.split()) for key, value in said.items()}
    return {**found, "00080052": at.element("CS", level)}


def test_keys_of_the_level_and_above_narrow_and_others_do_not() -> None:
    """A list at the level itself; what is below is not looked at."""
    said = keys(
        "STUDY", patient="1", issuer="A", study="1.2 1.3", series="1.4", image="1.5"
    )
    level, wanted = wanted_of(said, patients=True)
    assert level == "STUDY"
    assert wanted.question.level is Level.STUDY
    assert wanted.question.tests == {
        at.PATIENT_ID: OneOf(("1",)),
        at.STUDY_INSTANCE_UID: OneOf(("1.2", "1.3")),
    }
    assert wanted.question.issuer.namespace == "A"
    assert wanted.sop_instance_uids == ()


def test_images_are_named_by_their_uids() -> None:
    """Each once, in whatever study."""
    level, wanted = wanted_of(keys("IMAGE", image="1.5 1.6 1.5"), patients=False)
    assert (level, wanted.sop_instance_uids) == ("IMAGE", ("1.5", "1.6"))
    assert wanted.question.tests == {}


@pytest.mark.parametrize(
    ("said", "patients"),
    [
        (keys("PATIENT", patient="1"), False),
        (keys("PATIENT", patient="1*"), True),
        (keys("PATIENT", patient=""), True),
        (keys("STUDY", patient="1"), True),
        (keys("IMAGE", series="1.2"), False),
        (keys("", study="1.2"), False),
    ],
)
def test_what_names_nothing_is_refused(said: dict[str, Any], patients: bool) -> None:
    """A level that is not served, no unique key, or one with wild cards."""
    with pytest.raises(WrongUse):
        wanted_of(said, patients=patients)


@given(st.lists(st.integers(0, 600_000).map(bytes), max_size=8))
def test_blocks_are_the_chunks_and_one_is_the_last(chunks: list[bytes]) -> None:
    """Wherever the pieces were cut; what is small goes together."""
    found = list(blocks(chunks))
    assert b"".join(block for block, _ in found) == b"".join(chunks)
    assert [last for _, last in found] == [False] * (len(found) - 1) + [True]
    assert all(
        len(block) <= max(256 * 1024, *map(len, chunks)) for block, _ in found if chunks
    )


def test_each_class_is_proposed_as_stored_and_in_what_anybody_takes() -> None:
    """A context for each; Implicit VR Little Endian for every class (PS3.5 10.1)."""
    kinds = {("1.1", RLE): 3, ("1.1", IMPLICIT): 1, ("1.2", EXPLICIT): 2}
    assert proposals(kinds, ["1.1", "1.2"]) == [
        ("1.1", RLE),
        ("1.1", IMPLICIT),
        ("1.1", EXPLICIT),
        ("1.2", EXPLICIT),
        ("1.2", IMPLICIT),
    ]


def test_more_classes_than_contexts_go_over_several_associations() -> None:
    """Every class once, and no more than 128 contexts at a time (PS3.8 9.3.2.2)."""
    classes = [f"1.2.{number}" for number in range(100)]
    shares = list(shared_out(dict.fromkeys(((each, RLE) for each in classes), 1)))
    assert len(shares) == 3
    assert all(len(proposals({(c, RLE): 1 for c in each}, each)) <= 128 for each in shares)
    assert sorted(c for each in shares for c in each) == sorted(classes)
    assert list(shared_out({})) == []


@pytest.mark.parametrize(
    ("completed", "failed", "warning", "code"),
    [
        (0, 0, 0, 0x0000),
        (3, 0, 0, 0x0000),
        (2, 1, 0, 0xB000),
        (2, 0, 1, 0xB000),
        (0, 1, 1, 0xB000),
        (0, 2, 0, 0xA702),
    ],
)
def test_the_answer_is_what_became_of_all(
    completed: int, failed: int, warning: int, code: int
) -> None:
    """PS3.4 Tables C.4-2 and C.4-3."""
    tally = Tally(remaining=completed + failed + warning)
    for _ in range(completed):
        tally.count(0x0000)
    for number in range(failed):
        tally.fail(f"1.{number}", "it broke")
    for _ in range(warning):
        tally.count(0xB007)
    assert tally.remaining == 0
    assert tally.answer(cancelled=False).code == code
    assert tally.answer(cancelled=True).code == 0xFE00
