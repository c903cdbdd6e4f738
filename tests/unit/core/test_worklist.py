"""Entries of the worklist: periods, identifiers that may not be cut, and their item."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconcile.core import attributes as at
from reconcile.core.matchkeys import Question
from reconcile.core.order import Code
from reconcile.core.worklist import (
    START_DATE,
    START_TIME,
    Scheduled,
    entry,
    fits,
    nested,
    question_of_steps,
)

STEP = Scheduled(
    sps_id="S1",
    modality="CT",
    station_ae_titles=("CT_A", "CT_B"),
    start="20260301103000",
    description="THORAX",
    rp_id="RP1",
    study_uid="1.2.3",
    procedure="CT THORAX",
    code=Code("CTTH", "L", "CT Thorax"),
    accession_number="ACC1",
    accession_issuer="",
    placer_order_number="P1",
    filler_order_number="F1",
    referring_physician="HOUSE^G",
    visit_number="V1",
    state="in-progress",
)


def said(step: Scheduled, tag: str) -> str:
    return at.text(entry(step, {}).get(tag))


def asked(days: str, times: str) -> Question:
    keys = {START_DATE: at.element("DA", days), START_TIME: at.element("TM", times)}
    item = {tag.partition(".")[2]: element for tag, element in keys.items()}
    return question_of_steps({"00400100": at.element("SQ", item)})


@pytest.mark.parametrize(
    ("days", "times", "result"),
    [
        ("20260301-20260302", "1100-1000", False),
        ("20260228-20260301", "1100-1031", True),
        ("20260228-20260301", "1100-1000", False),
        ("20260301-", "1000-", True),
        ("20260301-", "1100-", False),
        ("-20260301", "-1031", True),
        ("-20260301", "-1000", False),
        ("20260301", "1000-1100", True),
        ("20260301", "1031-", False),
        ("20260301-20260302", "103000", True),
        ("20260301-20260302", "1031", False),
    ],
)
def test_two_ranges_are_one_period(days: str, times: str, result: bool) -> None:
    """PS3.4 Table K.6-1; a single value is matched by itself."""
    assert fits(asked(days, times), entry(STEP, {}), frozenset()) is result


@pytest.mark.parametrize(
    ("start", "day", "time"),
    [
        ("20260301103000.5+0100", "20260301", "103000.5"),
        ("202603011030", "20260301", "1030"),
        ("20260301", "20260301", ""),
        ("202603", "", ""),
        ("", "", ""),
    ],
)
def test_a_start_is_a_date_and_a_time(start: str, day: str, time: str) -> None:
    """As precise as the RIS said it; a step without a day is in no period."""
    step = replace(STEP, start=start)
    assert (said(step, START_DATE), said(step, START_TIME)) == (day, time)
    if not day:
        question = asked("20260101-20261231", "0000-2359")
        assert not fits(question, entry(step, {}), frozenset())


def test_identifiers_are_never_cut() -> None:
    """What is too long is left out; another number stands in for an ID that is missing."""
    long = "1" * 17
    tags = ("00401001", "00400100.00400009", "00080050")
    for step, expected in (
        (STEP, ("RP1", "S1", "ACC1")),
        (replace(STEP, sps_id=""), ("RP1", "RP1", "ACC1")),
        (replace(STEP, sps_id="", rp_id=""), ("ACC1", "ACC1", "ACC1")),
        (replace(STEP, rp_id=long, accession_number=long), ("F1", "S1", "")),
    ):
        assert tuple(said(step, tag) for tag in tags) == expected
    wide = replace(STEP, description="x" * 80, code=Code(long, "L"))
    assert len(said(wide, "00400100.00400007")) == 64
    assert entry(wide, {})[at.REQUESTED_PROCEDURE_CODE_SEQUENCE] == {"vr": "SQ"}


def test_an_entry_is_nested_for_the_wire() -> None:
    """All stations in one element, the state as DICOM says it, in one item."""
    told = nested(entry(STEP, {}))
    assert "." not in "".join(told)
    [item] = told["00400100"]["Value"]
    assert item["00400001"]["Value"] == ["CT_A", "CT_B"]
    assert item["00400020"]["Value"] == ["STARTED"]
    plain: dict[str, Any] = {"00100010": at.person_name("A^B")}
    assert nested(plain) == plain
