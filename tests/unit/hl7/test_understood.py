"""The table of fields is what is read: no field more, and none less."""

from __future__ import annotations

from contextlib import suppress
from zoneinfo import ZoneInfo

import pytest

from reconcile.errors import ReconcileError
from reconcile.flows.message import Fault, Outcome
from reconcile.hl7.acknowledge import acknowledge
from reconcile.hl7.dispatch import BUILDERS, interpret
from reconcile.hl7.message import Segment, read_message
from reconcile.hl7.understood import FIELDS
from tests.support.hospital import clock
from tests.support.messages import Ordered, adt, joined, linked, omi, orm

#: Read before there are fields: they say how to read.
BEFORE = {"MSH-1", "MSH-2", "MSH-18"}
JANE = ("100^^^A", "DOE^JANE", "19800102", "F")


def messages() -> list[str]:
    """Of every kind that is taken; and such as leave out what is read first."""
    found = []
    for kind, event in BUILDERS:
        if kind == "ADT":
            found += [
                adt(event, *JANE, multiple_birth="Y", died="20260101"),
                adt(event, "", "DOE^JANE").replace("|20260301100000", "|"),
                joined(event, "100^^^A", "200^^^A", account="A1", visit="V1"),
                joined(event, "100^^^A", "200^^^A"),
                linked(event, "100^^^A", "200^^^A"),
            ]
    ordered = Ordered(study_uid="1.2.3", sps_id="S1")
    found.append(orm(*JANE, ordered, accession="ACC1", visit="V1"))
    found.append(orm(*JANE, Ordered(), accession="", account="A1"))
    found.append(orm(*JANE, accession="ACC9").replace("|PACC9|FACC9|", "|||"))
    step = {"start": "20261201093000", "stations": "CT_A~CT_B"}
    found += [omi(*JANE, accession="ACC1", **step), omi(*JANE, accession="", **step)]
    found.append(omi(*JANE, accession="ACC1", rp_id="", sps_id="", **step))
    return found


def test_what_is_read_is_what_the_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every field that a message of any kind is asked for, in reading and in answering."""
    read, field = set(BEFORE), Segment.field

    def noted(segment: Segment, number: int) -> str:
        read.add(f"{segment.name}-{number}")
        return field(segment, number)

    monkeypatch.setattr(Segment, "field", noted)
    for text in messages():
        message = read_message(text.encode())
        answer = Outcome("refused", "AE", fault=Fault("101", "PID-3 is missing", "PID^1^3"))
        acknowledge(message.header, answer, control_id="1", at=clock())
        with suppress(ReconcileError):
            interpret(message, ZoneInfo("UTC"))
        assert message.header.application
        message.header.facility, message.header.control_id  # noqa: B018 - they are read
    assert read - BEFORE == {each.place for each in FIELDS} - BEFORE


def test_each_field_stands_once() -> None:
    """In the order of their segments."""
    places = [each.place for each in FIELDS]
    assert len(places) == len(set(places))
