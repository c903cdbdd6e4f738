"""The way of one message, against an inbox and flows that only remember."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from reconcile.core.facts import Feed
from reconcile.core.identity import PatientUpdate
from reconcile.core.merge import (
    DemographicsOnly,
    IdentifierChange,
    IdentifierMove,
    IdentityCommand,
    PatientLink,
    PatientMerge,
    PatientRetire,
    VisitMove,
)
from reconcile.core.order import OrderUpdate
from reconcile.errors import ReconcileError, ServiceUnavailable, TooLarge, UnknownKey
from reconcile.flows.message import Asked, Fault, Outcome, Received
from reconcile.hl7.dispatch import BUILDERS, UNSUPPORTED
from reconcile.hl7.door import Door
from reconcile.hl7.feed import Bound, Peer, feed_of
from reconcile.hl7.message import read_header, read_message
from tests.unit.hl7.samples import MRG, OMI, ORM, PID, ZONE, adt, message, msh

AT = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)
Acted = PatientUpdate | DemographicsOnly | IdentityCommand | tuple[OrderUpdate, ...] | str
APPLIED = Outcome("applied", "AA")
PEER = Peer("192.0.2.1")
FEEDS = (
    Feed("RIS_A", charset="8859/1"),
    Feed("RIS_B", facility="NORTH"),
    Feed("RIS_B", authority=("B",)),
    Feed("RIS_C", facility="ONLY"),
)


@dataclass(frozen=True)
class Row:
    message_id: UUID
    state: str = "kept"
    acknowledgement: str = ""
    error: Mapping[str, Any] | None = None


@dataclass
class Memory:
    """Inbox and flows in one: what was kept, acted on and settled, in order."""

    rows: dict[tuple[str, str, bytes], Row] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    commands: list[Acted] = field(default_factory=list)
    said_at: datetime | None = None
    keeping: Exception | None = None
    acting: Exception | None = None
    outcome: Outcome = APPLIED

    def keep(self, *, sender: str, control_id: str, event: str, body: bytes) -> Row:
        self.log.append(f"keep {sender} {control_id} {event}".strip())
        if self.keeping:
            raise self.keeping
        fresh = Row(UUID(int=len(self.rows) + 1))
        return self.rows.setdefault((sender, control_id, body), fresh)

    def settle(
        self,
        message_id: UUID,
        outcome: Outcome,
        said_at: datetime | None = None,
        asked: Asked | None = None,
    ) -> None:
        self.log.append(f"settle {outcome.acknowledgement}")
        self.said_at = said_at
        self._write(message_id, outcome)

    def refuse(self, message: Received, code: str, fault: Fault) -> Outcome:
        self.log.append(f"list {code}")
        outcome = Outcome("refused", "AR", fault)
        self._write(message.message_id, outcome)
        return outcome

    def update_known(self, message: Received, command: DemographicsOnly) -> Outcome:
        return self.apply(message, command)

    def apply(self, message: Received, command: Acted) -> Outcome:
        self.log.append("act")
        if self.acting:
            raise self.acting
        self.commands.append(command)
        self.said_at = message.said_at
        self._write(message.message_id, self.outcome)
        return self.outcome

    def _write(self, message_id: UUID, outcome: Outcome) -> None:
        key = next(key for key, row in self.rows.items() if row.message_id == message_id)
        fault = outcome.fault
        error = (
            {"code": fault.code, "text": fault.text, "location": fault.location}
            if fault
            else None
        )
        self.rows[key] = replace(
            self.rows[key],
            state=outcome.state,
            acknowledgement=outcome.acknowledgement,
            error=error,
        )


def door(memory: Memory, bound: Bound | None = None) -> Door:
    return Door(
        FEEDS,
        memory,
        memory,
        memory,
        memory,
        timezone=ZONE,
        clock=lambda: AT,
        new_control_id=lambda: "A1",
        bound=dict.fromkeys(FEEDS, bound) if bound else None,
    )


def said(answer: bytes) -> tuple[str, str, str]:
    """Acknowledgement, error code and location."""
    found = read_message(answer)
    err = found.first("ERR")
    code, place = (err.text(3), err.field(2)) if err else ("", "")
    return found.segments[1].field(1), code, place


def kind_of(name: str) -> type:
    """What a message of the table makes of itself."""
    kinds: dict[type, str] = {
        tuple: "ORM OMG OMI",
        str: "A11 A23 A38 ORU SIU",
        PatientUpdate: "A01 A04 A05 A08 A28 A31",
        PatientMerge: "A40 A18 A34 A30 A39",
        IdentifierChange: "A47",
        IdentifierMove: "A43",
        VisitMove: "A44 A45",
        PatientLink: "A24 A37",
        PatientRetire: "A29",
    }
    named = name[4:] if name.startswith("ADT") else name[:3]
    found = (kind for kind, names in kinds.items() if named in names.split())
    return next(found, DemographicsOnly)


def of_the_table(name: str) -> bytes:
    """A message of a type and event with the segments that it needs."""
    segments: tuple[str, ...] = (OMI if name.startswith("OMI") else ORM)[1:]
    if name.startswith("ADT"):
        segments = (PID, PID) if name[4:] in ("A24", "A37") else (PID, MRG, "PV1||N")
    return message(msh(name.replace("*", "R01")), *segments)


@pytest.mark.parametrize("name", sorted("^".join(key) for key in BUILDERS))
def test_every_message_of_the_table_is_kept_then_acted_on(name: str) -> None:
    """Kept first; what acts also settles; acknowledged as it is said to be."""
    memory = Memory()
    assert said(door(memory).handle(of_the_table(name), PEER)) == ("AA", "", "")
    kept = f"keep RIS_A|RADIOLOGY 4711 {name.replace('*', 'R01')}"
    if kind_of(name) is str:
        assert memory.log == [kept, "settle AA"]
    else:
        assert memory.log == [kept, "act"]
        assert isinstance(memory.commands[0], kind_of(name))


@pytest.mark.parametrize("event", sorted(event for _, event in UNSUPPORTED))
def test_what_changes_who_is_who_and_is_not_supported_is_listed(event: str) -> None:
    """AR, once for a message that comes again; whatever its segments are."""
    memory = Memory()
    raw = message(msh(f"ADT^{event}"), PID)
    for _ in range(2):
        expected = ("AR", "201", "MSH^1^9^1^2")
        assert said(door(memory).handle(raw, PEER)) == expected
    assert [line.split()[0] for line in memory.log] == ["keep", "list", "keep"]


@pytest.mark.parametrize(
    ("evn", "hour"),
    [
        ("EVN||20261122101400||||20261122090000", 9),
        ("EVN||20261122101400", 10),
        ("EVN||2026", 11),
        ("EVN", 11),
    ],
)
@pytest.mark.parametrize("name", ["ADT^A08", "ADT^A23", "ADT^A40"])
def test_when_what_a_message_tells_happened_is_told_on(
    name: str, evn: str, hour: int
) -> None:
    """EVN-6, else EVN-2, else MSH-7."""
    memory = Memory()
    raw = message(msh(name, at="202611221100"), evn, PID, MRG)
    assert said(door(memory).handle(raw, PEER))[0] == "AA"
    assert memory.said_at is not None
    local = memory.said_at.astimezone(ZONE)
    assert (local.hour, local.utcoffset()) == (hour, timedelta(hours=1))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ADT^A15", ("AR", "201", "MSH^1^9^1^2")),
        ("ADT^*", ("AR", "201", "MSH^1^9^1^2")),
        ("ADT^A40^ADT_A39", ("AE", "100", "MRG^1")),
        ("ADT^A02^ADT_A01", ("AA", "", "")),
        ("ADT", ("AR", "201", "MSH^1^9^1^2")),
        ("ADT^a08", ("AR", "201", "MSH^1^9^1^2")),
        ("ORM^O02", ("AR", "201", "MSH^1^9^1^2")),
        ("ORU^R01", ("AA", "", "")),
        ("ORU", ("AA", "", "")),
        ("SIU^S12^SIU_S12", ("AA", "", "")),
        ("QBP^Q23^QBP_Q21", ("AR", "200", "MSH^1^9^1^1")),
        ("", ("AR", "200", "MSH^1^9^1^1")),
        ("ADT^A08^ADT_A40", ("AA", "", "")),
        ("ADT^A08^nonsense", ("AA", "", "")),
    ],
)
def test_a_message_is_known_by_type_and_event_alone(
    name: str, expected: tuple[str, str, str]
) -> None:
    """What is not served is kept and refused by name; MSH-9.3 is not looked at."""
    memory = Memory()
    assert said(door(memory).handle(message(msh(name), PID), PEER)) == expected
    assert memory.log[0].startswith("keep RIS_A")


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ((), ("AE", "100", "PID^1")),
        (("PID|||",), ("AE", "101", "PID^1^3")),
        (("PID|||1||||1980x",), ("AE", "102", "PID^1^7")),
        ((msh(), PID), ("AE", "100", "MSH^2")),
    ],
)
def test_what_is_wrong_is_kept_and_told(
    segments: tuple[str, ...], expected: tuple[str, str, str]
) -> None:
    """And settled by the door, since no flow acted on it."""
    memory = Memory()
    assert said(door(memory).handle(message(msh(), *segments), PEER)) == expected
    assert memory.log[1:] == ["settle AE"]


def test_the_same_message_again_is_answered_as_before_and_acted_on_once() -> None:
    """Sender, control ID and content are the same."""
    fault = Fault("205", "waits for a person", "PID^1^3")
    memory = Memory(outcome=Outcome("held", "AE", fault))
    first = door(memory).handle(adt(PID), PEER)
    assert door(memory).handle(adt(PID), PEER) == first
    assert len(memory.commands) == 1


def test_the_same_control_id_with_other_content_is_another_message() -> None:
    """MSH-10 alone tells nothing."""
    memory = Memory()
    for pid in (PID, PID.replace("JANE", "JOAN")):
        door(memory).handle(adt(pid), PEER)
    assert len(memory.commands) == 2


def test_what_cannot_be_kept_may_come_again() -> None:
    """AR, and nothing was done."""
    memory = Memory(keeping=ServiceUnavailable("no database"))
    assert said(door(memory).handle(adt(PID), PEER)) == ("AR", "207", "")
    assert len(memory.log) == 1


def test_what_could_not_be_acted_on_stays_open_and_is_tried_when_it_comes_again() -> None:
    """A registry that gives way does not settle a message."""
    memory = Memory(acting=ServiceUnavailable("no database"))
    assert said(door(memory).handle(adt(PID), PEER)) == ("AR", "207", "")
    memory.acting = None
    assert said(door(memory).handle(adt(PID), PEER)) == ("AA", "", "")
    assert [entry.split()[0] for entry in memory.log] == ["keep", "act", "keep", "act"]


def test_an_error_of_a_flow_is_its_acknowledgement() -> None:
    """The class of the error decides."""
    memory = Memory(acting=UnknownKey("not known here"))
    assert said(door(memory).handle(adt(PID), PEER)) == ("AE", "204", "")
    assert memory.log[-1] == "settle AE"


def test_a_bug_is_answered_and_tells_no_values(caplog: pytest.LogCaptureFixture) -> None:
    """AE where the message is kept, AR where it is not; the log has the place only."""
    memory = Memory(acting=ValueError("DOE^JANE"))
    assert said(door(memory).handle(adt(PID), PEER)) == ("AE", "207", "")
    memory = Memory(keeping=ValueError("DOE^JANE"))
    assert said(door(memory).handle(adt(PID), PEER)) == ("AR", "207", "")
    assert "ValueError" in caplog.text
    assert "test_door.py" in caplog.text
    assert "DOE" not in caplog.text


def test_an_unknown_sender_is_refused_before_anything_is_kept() -> None:
    """Who is not configured cannot fill the inbox."""
    memory = Memory()
    raw = adt(PID).replace(b"RIS_A", b"RIS_Z")
    assert said(door(memory).handle(raw, PEER)) == ("AR", "103", "MSH^1^3")
    assert memory.log == []


@pytest.mark.parametrize("raw", [b"", b"garbage", b"MSH", b"\xff\xfe\x00"])
def test_what_has_no_msh_is_kept_and_refused(raw: bytes) -> None:
    """Under nobody's name; also where even that fails."""
    memory = Memory()
    assert said(door(memory).handle(raw, PEER)) == ("AR", "100", "")
    assert memory.log == ["keep", "settle AR"]
    door(memory).handle(raw, PEER)
    assert memory.log == ["keep", "settle AR", "keep"]
    for fault in (ServiceUnavailable("no database"), ValueError("x")):
        assert said(door(Memory(keeping=fault)).handle(raw, PEER))[0] == "AR"


def test_an_acknowledgement_is_not_acknowledged() -> None:
    """Two listeners that answer each other would never stop."""
    memory = Memory()
    assert door(memory).handle(message(msh("ACK^A08"), "MSA|AA|1"), PEER) == b""
    assert memory.log == []


def test_an_answer_to_others_is_accepted_and_does_nothing() -> None:
    """ORC-1 of a filler's answer: understood, nothing to do."""
    memory = Memory()
    raw = message(msh("ORM^O01", "2.3.1"), PID, "ORC|OK|1|2")
    assert said(door(memory).handle(raw, PEER)) == ("AA", "", "")
    assert memory.log[1:] == ["settle AA"]


def test_the_feed_says_what_undeclared_text_is(caplog: pytest.LogCaptureFixture) -> None:
    """Its `charset` reads a name whose MSH-18 is silent, without a warning."""
    memory = Memory()
    raw = message(msh(), "PID|||1^^^A||MÜLLER", encoding="latin-1")
    door(memory).handle(raw, PEER)
    command = memory.commands[0]
    assert isinstance(command, PatientUpdate)
    assert command.demographics.name.alphabetic == "MÜLLER"
    assert not caplog.records


@pytest.mark.parametrize(
    ("sender", "authority"),
    [("RIS_B|NORTH", ()), ("RIS_B|SOUTH", ("B",)), ("RIS_B|", ("B",))],
)
def test_a_feed_that_names_the_facility_goes_first(
    sender: str, authority: tuple[str, ...]
) -> None:
    """An empty facility is any."""
    header = read_header(f"MSH|^~\\&|{sender}|R|H|1||ADT^A08|1|P|2.5".encode())
    assert feed_of(FEEDS, header).authority == authority


def test_a_feed_of_another_facility_is_no_feed() -> None:
    """Both names must be right."""
    header = read_header(b"MSH|^~\\&|RIS_C|OTHER|R|H|1||ADT^A08|1|P|2.5")
    with pytest.raises(ReconcileError):
        feed_of(FEEDS, header)


SHOWN = Peer("10.1.2.3", "CN=ris-a", "ab" * 32, frozenset({"ris-a"}))


@pytest.mark.parametrize(
    ("bound", "peer", "answer"),
    [
        (Bound("10.1.2.0/24"), SHOWN, "AA"),
        (Bound("10.1.2.0/24"), Peer("::ffff:10.1.2.3"), "AA"),
        (Bound("10.1.2.4"), SHOWN, "AR"),
        (Bound("10.1.2.4"), Peer(""), "AR"),
        (Bound(certificate="ris-a"), SHOWN, "AA"),
        (Bound(certificate=":".join(["AB"] * 32)), SHOWN, "AA"),
        (Bound("10.1.2.3", "ris-b"), SHOWN, "AR"),
        (Bound(certificate="ris-a"), Peer("10.1.2.3"), "AR"),
    ],
)
def test_a_feed_may_be_bound_to_an_address_and_a_certificate(
    bound: Bound, peer: Peer, answer: str
) -> None:
    """Another end is no sender of ours, whatever its MSH says, and is not kept."""
    memory = Memory()
    told = said(door(memory, bound).handle(adt(PID), peer))
    assert told[0] == answer
    assert bool(memory.rows) == (answer == "AA")
    assert told[1] == ("" if answer == "AA" else "103")


def test_what_is_too_large_is_refused_by_its_first_bytes() -> None:
    """AR with the sender's own control ID, if that could be read."""
    error = TooLarge("larger than the limit")
    answer = door(Memory()).refuse(adt(PID)[:200], error)
    assert said(answer) == ("AR", "207", "")
    assert b"MSA|AR|4711" in answer
    assert said(door(Memory()).refuse(b"x" * 200, error))[0] == "AR"
