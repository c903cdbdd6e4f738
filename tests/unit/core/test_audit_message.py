"""Audit messages as text, checked by tables that share nothing with what makes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.core import audit_message as a
from reconcile.core.audit_message import AuditMessage, Participant, Subject
from tests.support import atna

AT = datetime(2026, 11, 25, 23, 0, 0, 123456, tzinfo=UTC)


def transferred(
    text: str = "CT_A", details: tuple[tuple[str, str], ...] = ()
) -> AuditMessage:
    return AuditMessage(
        a.TRANSFERRED,
        "C",
        AT,
        (Participant(text, a.SOURCE, True, "10.0.0.1"), Participant("R", a.DESTINATION)),
        (a.study("1.2.3", [("1.2.840.10008.5.1.4.1.1.2", 7)], details), a.patient(text)),
    )


def test_a_message_is_valid() -> None:
    """
    What was transferred, from whom, of which study and patient, in the schema's order.
    """
    text = a.xml(transferred(), "RECONCILE", "St. Anna")
    assert atna.problems(text) == []
    assert 'NumberOfInstances="7"' in text
    assert 'NetworkAccessPointTypeCode="2"' in text


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ('csd-code="110104"', "is not sent"),
        (' UserIsRequestor="true"', "has no UserIsRequestor"),
        ('EventActionCode="C"', "with None"),
        ("<ParticipantObjectName></ParticipantObjectName>", "either a name or a query"),
        ('EventDateTime="2026', "EventDateTime="),
    ],
)
def test_the_tables_find_what_is_wrong(broken: str, why: str) -> None:
    """
    A message in which something is missing or otherwise than it has to be is not valid.
    """
    text = a.xml(transferred(), "RECONCILE")
    assert broken in text
    other = {"csd": 'csd-code="110199"', "Eve": 'EventDateTime="26'}.get(broken[:3], "")
    if broken.startswith("EventActionCode"):
        other = ""
    assert any(why in each for each in atna.problems(text.replace(broken, other)))


@given(st.text(max_size=400), st.text(max_size=2000))
def test_nothing_that_a_stranger_typed_breaks_a_message(name: str, value: str) -> None:
    """
    Markup, control characters and whatever is long: the message is valid, and small.
    """
    message = transferred(name, (("association", value),))
    framed = a.framed(a.syslog(a.xml(message, "R"), AT, "h o\x00st", "app", "1"))
    (single,) = atna.frames(framed)
    assert atna.logged(single).priority == 85


def test_the_largest_message_is_taken_by_every_repository() -> None:
    """
    With a query of the greatest length, details and classes, it stays below 32 KiB.
    """
    long = "\N{EURO SIGN}" * 10_000
    details = [(f"detail {n}", long) for n in range(7)]
    classes = [("1.2.840.10008.5.1.4.1.1.2.3.4.5.6.7", n) for n in range(100)]
    subjects = (a.study(long, classes, details), a.patient(long))
    parties = (Participant(long, a.SOURCE, True, long), Participant(long, a.DESTINATION))
    message = AuditMessage(a.TRANSFERRED, "C", AT, parties, subjects)
    query = Subject("1.2", a.CLASS_UID, "2", "3", query=b"x" * 100_000)
    asked = AuditMessage(a.QUERY, "E", AT, parties, (query,))
    for each in (message, asked):
        atna.logged(a.syslog(a.xml(each, long, long), AT, "host", "app", "1"))


def test_the_header_is_that_of_rfc_5424() -> None:
    """
    Priority, version, time with microseconds and zone, names, no structured data.
    """
    said = a.syslog("<x/>", AT, "host", "reconcile", "42")
    begin = (
        b"<85>1 2026-11-25T23:00:00.123456Z host reconcile 42 DICOM+RFC3881 - \xef\xbb\xbf"
    )
    assert said == begin + b"<x/>"
    assert a.framed(b"abc") == b"3 abc"
