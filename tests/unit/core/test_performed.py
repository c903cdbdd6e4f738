"""Performed steps: what a data set says, and where it leads."""

from __future__ import annotations

import pytest

from reconcile.core import attributes as at
from reconcile.core import performed
from reconcile.core.attributes import Element, Tag
from reconcile.core.performed import REQUIRED, StepState


def code(value: str, scheme: str) -> Element:
    """A reason for which a step was discontinued."""
    item = {"00080100": at.element("SH", value), "00080102": at.element("SH", scheme)}
    return at.element("SQ", item)


def said(state: str, reason: Element | None = None) -> dict[Tag, Element]:
    found = {performed.STATUS: at.element("CS", state)}
    return found | ({performed.DISCONTINUATION_REASON: reason} if reason else {})


@pytest.mark.parametrize(
    ("state", "reason", "wrong"),
    [
        ("DISCONTINUED", code("110514", "DCM"), True),
        ("DISCONTINUED", code("110514", "99LOCAL"), False),
        ("DISCONTINUED", code("110500", "DCM"), False),
        ("DISCONTINUED", None, False),
        ("COMPLETED", code("110514", "DCM"), False),
        ("IN PROGRESS", code("110514", "DCM"), False),
    ],
)
def test_the_wrong_entry_is_said_by_its_code_when_a_step_ends(
    state: str, reason: Element | None, wrong: bool
) -> None:
    """
    (110514, DCM) of a step that is discontinued, and nothing else.
    """
    assert performed.is_wrong_entry(said(state, reason)) is wrong


def test_what_is_said_once_stays() -> None:
    """
    An N-SET says nothing anew of patient, schedule and beginning; all else it replaces.
    """
    before = {tag: at.element("LO", "before") for tag in (*REQUIRED, at.PATIENT_ID)}
    news = {tag: at.element("LO", "after") for tag in before}
    news["00400250"] = at.element("DA", "20260301")
    after = performed.after(before, news)
    changed = {tag for tag in before if after[tag] != before[tag]}
    assert changed == {performed.STATUS}
    assert after["00400250"] == news["00400250"]


def test_a_state_is_one_of_three() -> None:
    """
    IN PROGRESS goes on; the two others are the end.
    """
    assert performed.state_of(said("IN PROGRESS")) is StepState.IN_PROGRESS
    assert performed.state_of(said("DONE")) is None
    assert performed.state_of({}) is None
    assert [state for state in StepState if not state.is_final] == [StepState.IN_PROGRESS]


def test_series_are_named_once() -> None:
    """
    Items without a UID name none.
    """
    items = [{at.SERIES_INSTANCE_UID: at.element("UI", u)} for u in ("1.2", "1.2", "")]
    step = {performed.PERFORMED_SERIES: at.element("SQ", *items)}
    assert performed.series_uids(step) == ("1.2",)
    assert performed.series_uids({}) == ()
