"""What senders are told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconcile import errors
from reconcile.flows.message import Fault, Outcome
from reconcile.hl7.acknowledge import (
    CONDITIONS,
    acknowledge,
    acknowledge_unreadable,
)
from reconcile.hl7.message import Message, read_header, read_message
from tests.unit.hl7.samples import message, msh

AT = datetime(2026, 11, 22, 20, 15, 0, tzinfo=UTC)
FAULT = Fault("101", "PID-3 is required", "PID^1^3")


def answer(outcome: Outcome, *, version: str = "2.5", name: str = "ADT^A08") -> list[str]:
    header = read_header(message(msh(name, version)))
    raw = acknowledge(header, outcome, control_id="A1", at=AT)
    return raw.decode("ascii").split("\r")


def test_an_acceptance_turns_the_parties_round() -> None:
    """MSH-3..6 swapped, MSH-9 with the event, MSH-10 new, MSH-11 and 12 echoed."""
    assert answer(Outcome("applied", "AA"), version="2.5.1") == [
        "MSH|^~\\&|RECONCILE|HOSPITAL|RIS_A|RADIOLOGY|20261122201500+0000||ACK^A08^ACK|A1|P|2.5.1",
        "MSA|AA|4711",
        "",
    ]


@pytest.mark.parametrize("version", ["2.5", "2.5.1", "2.6", "2.8.2", "", "x"])
def test_from_2_5_on_an_error_has_place_code_severity_and_text(version: str) -> None:
    """ERR-2, ERR-3, ERR-4, ERR-8; ERR-1, MSA-3 and MSA-6 stay empty (IHE)."""
    assert answer(Outcome("refused", "AE", FAULT), version=version)[1:3] == [
        "MSA|AE|4711",
        "ERR||PID^1^3|101^Required field missing^HL70357|E||||PID-3 is required",
    ]


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3", "2.3.1", "2.4"])
def test_before_2_5_an_error_is_one_field(version: str) -> None:
    """ERR-1: segment, sequence, field, and the code in subcomponents."""
    assert answer(Outcome("refused", "AE", FAULT), version=version)[2:] == [
        "ERR|PID^1^3^101&Required field missing&HL70357",
        "",
    ]


def test_what_is_accepted_and_held_is_a_warning() -> None:
    """In versions that have severities; older ones are simply accepted."""
    outcome = Outcome("held", "AA", Fault("205", "waits for a person", "PID^1^3"))
    assert answer(outcome)[1:3] == [
        "MSA|AA|4711",
        "ERR||PID^1^3|0^Message accepted^HL70357|W||||waits for a person",
    ]
    assert answer(outcome, version="2.3.1")[1:] == ["MSA|AA|4711", ""]


def test_an_error_without_a_place_has_none() -> None:
    """The message as a whole."""
    assert answer(Outcome("refused", "AR", Fault("207", "a|b\nc")))[2].startswith(
        "ERR|||207^Application internal error^HL70357|E||||a\\F\\b c"
    )


def test_a_message_without_event_is_acknowledged_without_one() -> None:
    """MSH-9 is then just ACK."""
    assert answer(Outcome("refused", "AR", FAULT), name="ADT")[0].split("|")[8] == "ACK"


def test_the_sender_is_answered_in_its_own_delimiters_and_characters() -> None:
    """MSH-18 is repeated only where it is needed."""
    start = "MSH#$%*@#RÖNTGEN#F#R#H#1##ADT$A08#1*S*2#P#2.5######"
    raw = f"{start}8859/1\r".encode("latin-1")
    ack = acknowledge(
        read_header(raw), Outcome("refused", "AE", FAULT), control_id="A1", at=AT
    )
    found: Message = read_message(ack)
    assert ack.startswith(b"MSH#$%*@#R#H#R\xd6NTGEN#F#")
    assert (found.header.value(18), found.charset_note) == ("8859/1", "")
    assert found.segments[1].field(2) == "1*S*2"
    assert found.segments[2].text(3, 1) == "101"


def test_what_has_no_msh_is_answered_all_the_same() -> None:
    """With nobody's name, and MSA-2 empty."""
    ack = acknowledge_unreadable(
        Outcome("refused", "AR", Fault("100", "no MSH")), control_id="A1", at=AT
    )
    assert ack.decode().split("\r")[1:3] == [
        "MSA|AR|",
        "ERR|||100^Segment sequence error^HL70357|E||||no MSH",
    ]


def test_every_error_of_this_archive_has_a_condition_of_the_table() -> None:
    """No acknowledgement with a code that table 0357 does not know."""

    def below(kind: type[errors.ReconcileError]) -> set[type[errors.ReconcileError]]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    for kind in below(errors.ReconcileError):
        assert kind.hl7_error in CONDITIONS
        assert kind.hl7_ack in ("AE", "AR")
