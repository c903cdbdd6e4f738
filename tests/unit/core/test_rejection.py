"""Rejection notes: which are, and what they name."""

from __future__ import annotations

from typing import Any

import pytest

from reconcile.core import attributes as at
from reconcile.core.attributes import Element
from reconcile.core.rejection import TREATMENTS, Again, Code, Rejected, note_of

CT = "1.2.840.10008.5.1.4.1.1.2"


def title(value: str, scheme: str = "DCM") -> Element:
    item = {"00080100": at.element("SH", value), "00080102": at.element("SH", scheme)}
    return at.element("SQ", item)


def evidence(*uids: str) -> Element:
    named: list[Any] = [
        {
            at.REFERENCED_SOP_CLASS_UID: at.element("UI", CT),
            at.REFERENCED_SOP_INSTANCE_UID: at.element("UI", uid),
        }
        for uid in uids
    ]
    series = {"00081199": at.element("SQ", *named)}
    study = {
        at.STUDY_INSTANCE_UID: at.element("UI", "1.2"),
        "00081115": at.element("SQ", series),
    }
    return at.element("SQ", study)


@pytest.mark.parametrize("code", list(Code))
def test_four_titles_are_rejections(code: Code) -> None:
    """
    Each names the instances of its evidence, once, and has a treatment.
    """
    note = note_of(title(code.value), evidence("1.3", "1.4", "1.3"))
    assert note is not None
    assert note.code is code
    assert note.rejected == (Rejected("1.2", CT, "1.3"), Rejected("1.2", CT, "1.4"))
    assert code in TREATMENTS


@pytest.mark.parametrize(
    "said", [None, title("113000"), title("113001", "99LOCAL"), at.element("SQ")]
)
def test_all_else_is_no_rejection(said: Element | None) -> None:
    """
    Another title, another coding scheme, none.
    """
    assert note_of(said, evidence("1.3")) is None


def test_a_note_of_nothing_names_nothing() -> None:
    """
    Evidence that is absent, or broken.
    """
    for broken in (None, at.element("SQ"), at.element("SQ", "no item")):
        note = note_of(title("113001"), broken)
        assert note is not None
        assert note.rejected == ()


def test_only_what_expired_comes_again_by_default() -> None:
    """
    Whoever sends again what was wrong did not mean to.
    """
    restored = {code for code, each in TREATMENTS.items() if each.again is Again.RESTORE}
    assert restored == {Code.RETENTION}
