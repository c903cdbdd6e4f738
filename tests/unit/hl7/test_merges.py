"""What messages say of who is who, as commands."""

from __future__ import annotations

from datetime import datetime

import pytest

from reconcile.core.identity import Issuer
from reconcile.core.merge import (
    DemographicsOnly,
    IdentifierChange,
    IdentifierMove,
    Identifiers,
    PatientLink,
    PatientMerge,
    PatientRetire,
    VisitMove,
)
from reconcile.hl7.dispatch import Command, interpret
from reconcile.hl7.errors import FieldInvalid, FieldMissing, SegmentError
from tests.unit.hl7.samples import MRG, PID, ZONE, msh, read

A = Issuer("A")
A100: Identifiers = (("100", A),)
A200: Identifiers = (("200", A),)
AT = datetime(2026, 11, 22, 10, 14, tzinfo=ZONE)
EVN = "EVN||20261122101400"
WITH_MRG = ("A40", "A18", "A34", "A30", "A39", "A47", "A43", "A44", "A45")
ONE_MRG = tuple(event for event in WITH_MRG if event != "A45")


def command(event: str, *segments: str) -> Command:
    return interpret(read(msh(f"ADT^{event}"), EVN, *segments), ZONE)


def merge(event: str, *segments: str) -> PatientMerge:
    found = command(event, *segments)
    assert isinstance(found, PatientMerge)
    return found


@pytest.mark.parametrize("event", ["A40", "A18", "A34"])
def test_a_merge_is_told_by_pid_3_and_mrg_1(event: str) -> None:
    """What else stands in MRG, old numbers and names, is not looked at."""
    mrg = 'MRG|200^^^A~E2^^^E|""|""|300^^^A|V|AV|ROE^RICHARD'
    found = merge(event, PID, "PD1|||X", mrg, "PV1||N")
    assert found.prior == (("200", A), ("E2", Issuer("E")))
    assert found.surviving.identifiers == A100
    assert found.surviving.demographics.name.alphabetic == "DOE^JANE"
    assert found.surviving.said_at == AT


def test_a_bare_pid_says_nothing_of_the_survivor() -> None:
    """A merge is no update of demographics."""
    found = merge("A40", "PID|||100^^^A", "MRG|200^^^A")
    assert not found.surviving.demographics.name
    assert not found.surviving.cleared


@pytest.mark.parametrize("event", ["A30", "A39"])
@pytest.mark.parametrize(
    ("pid", "mrg", "surviving", "prior"),
    [
        ("PID||9^^^A|100^^^A", "MRG|200^^^A|||8^^^A", (("9", A),), (("8", A),)),
        ("PID|||100^^^A", "MRG|200^^^A|||8^^^A", A100, A200),
        ("PID||9^^^A|100^^^A", "MRG|200^^^A", A100, A200),
    ],
)
def test_persons_are_merged_by_pid_2_and_mrg_4_where_both_are_given(
    event: str, pid: str, mrg: str, surviving: Identifiers, prior: Identifiers
) -> None:
    """Else by PID-3 and MRG-1."""
    found = merge(event, pid, mrg)
    assert (found.surviving.identifiers, found.prior) == (surviving, prior)


def test_an_identifier_is_changed() -> None:
    """A47: from MRG-1 to PID-3."""
    found = command("A47", PID, "MRG|200^^^A")
    assert isinstance(found, IdentifierChange)
    assert (found.patient.identifiers, found.prior) == (A100, A200)


@pytest.mark.parametrize(
    ("pid", "mrg", "target", "moved"),
    [
        # a number of its own on each side: all that came under the prior one
        ("PID|||100^^^A", "MRG|200^^^A", A100, A200),
        # HL7: what moves stands in both, source and target are PID-2 and MRG-4
        ("PID||100^^^A|200^^^A", "MRG|200^^^A|||300^^^A", A100, A200),
        # ITI-64: the target goes along in PID-3, the source in MRG-1
        ("PID|||100^^^A~200^^^A", "MRG|300^^^A~200^^^A", A100, A200),
    ],
)
def test_an_identifier_is_moved(
    pid: str, mrg: str, target: Identifiers, moved: Identifiers
) -> None:
    """A43, in the three ways in which it is written."""
    found = command("A43", pid, mrg)
    assert isinstance(found, IdentifierMove)
    assert (found.patient.identifiers, found.prior) == (target, moved)


def test_a_move_to_nobody_is_none() -> None:
    """PID names the identifier that moves, and no more."""
    with pytest.raises(FieldMissing) as raised:
        command("A43", "PID|||200^^^A", "MRG|200^^^A")
    assert raised.value.location == "PID^1^3"


@pytest.mark.parametrize(
    ("pid", "mrg", "account"),
    [
        ("PID|||100^^^A" + "|" * 15 + "NEW", "MRG|200^^^A||OLD^^^X", "OLD"),
        ("PID|||100^^^A" + "|" * 15 + "SAME^^^X", "MRG|200^^^A", "SAME"),
    ],
)
def test_an_account_is_moved(pid: str, mrg: str, account: str) -> None:
    """A44: by the number under which it was ordered."""
    found = command("A44", pid, mrg)
    assert isinstance(found, VisitMove)
    assert (found.patient.identifiers, found.prior) == (A100, A200)
    assert (found.accounts, found.visits) == ((account,), ())


def test_visits_are_moved() -> None:
    """A45: each MRG with the PV1 after it."""
    visit = "PV1||O" + "|" * 17
    segments = ("MRG|200^^^A||||V1", visit + "NEW", "MRG|200^^^A", visit + "V2")
    found = command("A45", PID, "PV1||O", *segments)
    assert isinstance(found, VisitMove)
    assert (found.patient.identifiers, found.prior) == (A100, A200)
    assert (found.visits, found.accounts) == (("V1", "V2"), ())


@pytest.mark.parametrize(
    ("event", "linked", "between"), [("A24", True, ("PV1||N",)), ("A37", False, ())]
)
def test_two_patients_are_linked(
    event: str, linked: bool, between: tuple[str, ...]
) -> None:
    """A24 has two PIDs, each with its own; A37 takes it back."""
    found = command(event, PID, *between, "PID|||200^^^A")
    assert found == PatientLink(A100, A200, linked, AT)


def test_a_patient_is_deleted_at_the_sender() -> None:
    """A29."""
    assert command("A29", PID, "PV1||N") == PatientRetire(A100, AT)


@pytest.mark.parametrize("event", ["A02", "A03", "A06", "A07", "A09", "A10", "A14"])
def test_a_visit_may_tell_of_its_patient(event: str) -> None:
    """And of nobody else."""
    found = command(event, PID, "PV1||I")
    assert isinstance(found, DemographicsOnly)
    assert found.update.identifiers == A100


# -- what is wrong with them -----------------------------------------------------------


@pytest.mark.parametrize("event", WITH_MRG)
@pytest.mark.parametrize(
    ("segments", "place"),
    [((PID,), "MRG^1"), ((MRG,), "PID^1"), ((PID, MRG, PID, MRG), "PID^2")],
)
def test_of_each_segment_there_is_one(
    event: str, segments: tuple[str, ...], place: str
) -> None:
    """Which of several is meant is not guessed."""
    with pytest.raises(SegmentError) as raised:
        command(event, *segments)
    assert raised.value.location == place


@pytest.mark.parametrize("event", ONE_MRG)
def test_a_second_mrg_is_one_too_many(event: str) -> None:
    """Only A45 repeats it, with the visits."""
    with pytest.raises(SegmentError) as raised:
        command(event, PID, MRG, MRG)
    assert raised.value.location == "MRG^2"


@pytest.mark.parametrize("event", ["A24", "A37"])
@pytest.mark.parametrize(("count", "place"), [(0, "PID^1"), (1, "PID^2"), (3, "PID^3")])
def test_a_link_has_two_sides(event: str, count: int, place: str) -> None:
    """Not one, not three."""
    with pytest.raises(SegmentError) as raised:
        command(event, *[PID] * count)
    assert raised.value.location == place


@pytest.mark.parametrize("event", WITH_MRG)
@pytest.mark.parametrize("mrg", ["MRG", "MRG|", 'MRG|""', "MRG| ", "MRG|^^^A", "MRG|~"])
def test_who_was_meant_before_must_be_told(event: str, mrg: str) -> None:
    """Blanks and `""` name nobody."""
    with pytest.raises(FieldMissing) as raised:
        command(event, PID, mrg)
    assert raised.value.location == "MRG^1^1"


@pytest.mark.parametrize("event", ["A24", "A37"])
@pytest.mark.parametrize(
    ("pids", "place"),
    [(("PID|||", PID), "PID^1^3"), ((PID, 'PID|||""'), "PID^2^3")],
)
def test_both_sides_of_a_link_must_be_told(
    event: str, pids: tuple[str, str], place: str
) -> None:
    """And it is said which one is not."""
    with pytest.raises(FieldMissing) as raised:
        command(event, *pids)
    assert raised.value.location == place


@pytest.mark.parametrize(("event", "place"), [("A44", "MRG^1^3"), ("A45", "MRG^1^5")])
def test_what_is_moved_must_be_told(event: str, place: str) -> None:
    """An account; a visit."""
    with pytest.raises(FieldMissing) as raised:
        command(event, PID, "MRG|200^^^A", "PV1||O")
    assert raised.value.location == place


@pytest.mark.parametrize("event", WITH_MRG)
def test_a_malformed_identifier_is_told(event: str) -> None:
    """An authority that is no OID."""
    with pytest.raises(FieldInvalid) as raised:
        command(event, PID, "MRG|200^^^&1.x&ISO")
    assert raised.value.location == "MRG^1^1"
