"""decide_update: every outcome of a patient message, in order of precedence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconcile.core.facts import Feed, PersonFacts
from reconcile.core.identity import (
    Demographics,
    Domain,
    Issuer,
    PatientIdentifier,
    PatientUpdate,
    PersonName,
)
from reconcile.core.update import UpdateOutcome, decide_update, said_identifiers

DOMAINS = {
    d.name: d
    for d in (
        Domain("A", deny=("W/I",)),
        Domain("B"),
        Domain("E"),
        Domain("R", reuse=True),
    )
}
RIS_A = Feed("RIS_A", authority=("A", "E", "R"))
JANE = Demographics(PersonName("DOE^JANE"), "19800102", "F")
RICHARD = Demographics(PersonName("ROE^RICHARD"), "19750506", "M")
A100, B555 = PatientIdentifier("100", "A"), PatientIdentifier("555", "B")
P1 = PersonFacts("p1", "verified", (A100,), None, (JANE,), JANE)
P2 = replace(P1, person_id="p2", identifiers=(B555,), versions=(RICHARD,), current=RICHARD)
A200, A300 = PatientIdentifier("200", "A"), PatientIdentifier("300", "A")
P3 = replace(P1, person_id="p3", identifiers=(A100, A200), subsumed=frozenset([A200]))
P4 = replace(P1, person_id="p4", state="provisional", identifiers=(A300,), current=None)
PERSONS = {"p1": P1, "p2": P2, "p3": P3, "p4": P4}
STRICT = {"may_create": False, "may_follow": False}


def outcome(identifiers, said=JANE, owners=None, feed=RIS_A, persons=PERSONS, profile=None):
    update = PatientUpdate(tuple((v, Issuer(d)) for v, d in identifiers), said)
    sorted_ids = said_identifiers(update, feed, DOMAINS)
    facts = (update, sorted_ids, owners or {}, persons, DOMAINS)
    return decide_update(*facts, **(profile or {}))


TABLE = [
    ([], JANE, {}, UpdateOutcome.NO_IDENTIFIER),
    ([("x" * 65, "A")], JANE, {}, UpdateOutcome.INVALID_ID),
    ([("1", "CLINIC9")], JANE, {}, UpdateOutcome.UNKNOWN_DOMAIN),
    ([("555", "B")], JANE, {B555: "p2"}, UpdateOutcome.NOT_AUTHORITATIVE),
    (
        [("100", "A"), ("555", "B")],
        RICHARD,
        {A100: "p1", B555: "p2"},
        UpdateOutcome.IDENTITY_CONFLICT,
    ),
    ([("100", "A")], RICHARD, {}, UpdateOutcome.UNKNOWN_PATIENT),
    ([("200", "A")], RICHARD, {A200: "p3"}, UpdateOutcome.SUBSUMED_PATIENT),
    ([("300", "A")], RICHARD, {A300: "p4"}, UpdateOutcome.NEW_INCARNATION),
    ([("100", "A")], RICHARD, {A100: "p1"}, UpdateOutcome.SUSPECTED_OVERLAY),
    ([("100", "A")], RICHARD, {}, UpdateOutcome.NEW),
    ([("100", "A")], JANE, {A100: "p1"}, UpdateOutcome.ALREADY_SAME),
    ([("100", "A"), ("101", "A")], JANE, {A100: "p1"}, UpdateOutcome.UPDATE),
]


@pytest.mark.parametrize(("identifiers", "said", "owners", "expected"), TABLE)
def test_the_most_decisive_outcome_wins(identifiers, said, owners, expected):
    """
    Each message has one outcome, and it has a name.
    """
    strict = expected in (UpdateOutcome.UNKNOWN_PATIENT, UpdateOutcome.SUBSUMED_PATIENT)
    profile = STRICT if strict else {}
    assert expected == outcome(identifiers, said, owners, profile=profile).outcome


def test_the_table_names_every_outcome_in_order():
    """
    The table above walks down the enumeration.
    """
    assert list(UpdateOutcome) == [row[3] for row in TABLE]


def test_a_shared_enterprise_id_links_what_the_feed_may_assign():
    """
    PID-3 = A:101 and the E identifier of P1: A:101 becomes P1's.
    """
    e1 = PatientIdentifier("E1", "E")
    decision = outcome([("101", "A"), ("E1", "E")], owners={e1: "p1"})

    assert ("p1", (PatientIdentifier("101", "A"),)) == (decision.person_id, decision.gains)


def test_an_identifier_of_a_foreign_domain_is_looked_up_and_never_assigned():
    """
    A feed says nothing of who owns an ID in a domain that is not its own.
    """
    decision = outcome([("100", "A"), ("999", "B")], owners={A100: "p1"})

    assert PatientIdentifier("999", "B") not in decision.gains


def test_ids_that_say_nothing_are_left_out():
    """
    Row 17: "W/I" of domain A is nobody; merging on it merged all walk-ins once.
    """
    decision = outcome([("W/I", "A"), ("100", "A")], owners={A100: "p1"})

    assert UpdateOutcome.ALREADY_SAME == decision.outcome
    assert UpdateOutcome.NO_IDENTIFIER == outcome([("W/I", "A")]).outcome
    assert UpdateOutcome.NO_IDENTIFIER == outcome([("null", "B"), (" ", "A")]).outcome
    assert UpdateOutcome.UNKNOWN_DOMAIN == outcome([("W/I", "B9")]).outcome


def test_a_bare_identifier_is_of_the_feeds_first_domain():
    """
    PID-3 without an assigning authority.
    """
    assert UpdateOutcome.ALREADY_SAME == outcome([("100", "")], owners={A100: "p1"}).outcome


@pytest.mark.parametrize("name", ["SMITH^JANE", "DOE^JANE^MARIE", "DOE-SMITH^JANE"])
def test_marriage_and_completion_are_updates(name):
    """
    A new surname with the same birth date and given name is the same person.
    """
    said = replace(JANE, name=PersonName(name))

    assert UpdateOutcome.UPDATE == outcome([("100", "A")], said, {A100: "p1"}).outcome


def test_a_provisional_person_is_verified_by_a_message_that_fits():
    """
    Row 49: images came first; the message says nothing new, but it is the first word.
    """
    first = replace(P1, state="provisional", current=None)
    decision = outcome([("100", "A")], JANE, {A100: "p1"}, persons={"p1": first})

    assert UpdateOutcome.UPDATE == decision.outcome


def test_what_is_said_of_a_subsumed_patient_is_taken_by_a_lenient_feed():
    """
    It is recorded, and compared with everything that was known of either.
    """
    decision = outcome([("200", "A")], owners={A200: "p3"})

    assert UpdateOutcome.ALREADY_SAME == decision.outcome


def test_a_message_about_somebody_else_than_the_images_takes_the_identifier():
    """
    Row 50: the feed's first word is about another person; what images made stays apart.
    """
    decision = outcome([("300", "A")], RICHARD, {A300: "p4"})

    assert ("p4", (A300,)) == (decision.person_id, decision.gains)
    assert decision.reasons


def test_an_identifier_is_used_again_where_its_domain_allows_it():
    """
    Only by a message that registers somebody; the same in a domain that does not is an
    overlay.
    """
    r1 = PatientIdentifier("1", "R")
    known = ([("1", "R")], RICHARD, {r1: "p1"})
    registers = {"registers": True}

    assert UpdateOutcome.SUSPECTED_OVERLAY == outcome(*known).outcome
    assert UpdateOutcome.NEW_INCARNATION == outcome(*known, profile=registers).outcome
    other = outcome([("100", "A")], RICHARD, {A100: "p1"}, profile=registers)
    assert UpdateOutcome.SUSPECTED_OVERLAY == other.outcome
