"""Statuses: each cause has its own code, and an answer holds no patient data."""

from __future__ import annotations

import pytest

from reconcile import errors
from reconcile.dicom.status import Answer, answer_for, answer_to, ascii_comment, statuses
from reconcile.flows.arrival import Stored


def test_the_table_names_every_status_once() -> None:
    """The table holds 0000, B000 and the status of every error class, each once."""
    codes = [row.code for row in statuses()]
    assert codes == sorted(set(codes))
    assert {0x0000, 0xB000, 0x0110, 0x0122, 0x0124, 0xA700, 0xA701, 0xA702} <= set(codes)
    assert {0xA900, 0xA901, 0xC000, 0xC001, 0xC002, 0xC003, 0xC004} <= set(codes)
    assert all(row.meaning for row in statuses())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.StorageFull("no room"), 0xA701),
        (errors.ServiceUnavailable("database"), 0xA700),
        (errors.TooLarge("4 GB"), 0xA702),
        (errors.SOPClassMismatch("1.2"), 0xA900),
        (errors.SOPInstanceMismatch("1.2"), 0xA901),
        (errors.InvalidUID("1.2"), 0xC002),
        (errors.SOPClassNotSupported("1.2"), 0x0122),
        (errors.NotAuthorised("CT"), 0x0124),
        (errors.ReconcileError("x"), 0x0110),
    ],
)
def test_an_error_answers_with_its_own_status(
    error: errors.ReconcileError, code: int
) -> None:
    """Each deliberate error has its status, and says its message."""
    assert answer_for(error) == Answer(code, str(error))


def test_an_unexpected_error_says_nothing_of_itself() -> None:
    """The message of an error we did not raise may hold patient data."""
    answer = answer_for(ValueError("DOE^JANE is no number"))
    assert answer.code == 0x0110
    assert "DOE" not in answer.comment


def test_an_error_without_message_says_its_title() -> None:
    """There is always a comment."""
    assert answer_for(errors.TooLarge()).comment == errors.TooLarge.title


def test_nothing_coerced_is_success() -> None:
    """0000 has no related fields (PS3.4 Table B.2-1)."""
    assert answer_to(Stored(), warn=True) == Answer(0x0000)
    assert answer_to(Stored(already=True), warn=True) == Answer(0x0000)


def test_coerced_is_a_warning_that_names_the_elements() -> None:
    """B000 lists the coerced elements, each once, in their order."""
    stored = Stored(coerced=("00100020", "0020000D", "00100020"))
    answer = answer_to(stored, warn=True)
    assert answer.code == 0xB000
    assert answer.offending == (0x00100020, 0x0020000D)
    assert answer.comment == "coerced PatientID StudyInstanceUID"


def test_a_source_that_wants_no_warning_gets_success() -> None:
    """`warn = false` is a stated deviation."""
    assert answer_to(Stored(coerced=("00100020",)), warn=False) == Answer(0x0000)


def test_a_hold_is_named() -> None:
    """A held instance is coerced too, and says which hold it waits in."""
    stored = Stored(coerced=("00100020",), held="DEMOGRAPHIC-CONFLICT")
    assert answer_to(stored, warn=True).comment == (
        "held: DEMOGRAPHIC-CONFLICT coerced PatientID"
    )


def test_a_comment_ends_with_a_whole_word() -> None:
    """64 characters are the most, and no keyword is cut in two."""
    tags = ("00100020", "00100021", "00101002", "0020000D", "0020000E", "00080050")
    comment = answer_to(Stored(coerced=tags), warn=True).comment
    assert len(comment) <= 64
    assert comment == "coerced PatientID StudyInstanceUID SeriesInstanceUID"


def test_an_unknown_tag_is_named_by_its_number() -> None:
    """A private element has no keyword."""
    assert answer_to(Stored(coerced=("00091001",)), warn=True).comment == "coerced 00091001"


def test_comments_are_one_lo_value() -> None:
    """No backslash, no control character, nothing beyond ASCII, at most 64."""
    comment = ascii_comment("a\\b\nc\x1bMüller" + "x" * 100)
    assert len(comment) == 64
    assert comment.startswith("a?b?c?M?ller")
