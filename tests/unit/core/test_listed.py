"""Whose an instance is where the list of a migration says it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconcile.core.coercion import Decision, Outcome, decide
from reconcile.core.explain import explain
from reconcile.core.facts import (
    InstanceFacts,
    Listed,
    OrderFacts,
    PersonFacts,
    RegistryFacts,
    Remembered,
    Source,
    StudyFacts,
)
from reconcile.core.identity import (
    Demographics,
    Domain,
    Issuer,
    PatientIdentifier,
    PersonName,
)
from reconcile.core.issuers import header_identifier, named_identifiers

DOMAINS = {
    "A": Domain("A", "1.2.3.1", "ISO", deny=("UNKNOWN",)),
    "L": Domain("L", check_digit="luhn"),
    "X": Domain("X", test=True),
    "E": Domain("E"),
    "D": Domain("D"),
}
JANE = Demographics(PersonName("DOE^JANE"), "19800102", "F")
RICHARD = Demographics(PersonName("ROE^RICHARD"), "19750506", "M")
A100, A200 = PatientIdentifier("100", "A"), PatientIdentifier("200", "A")
P1 = PersonFacts("p1", "verified", (A100,), PatientIdentifier("E1", "E"), (JANE,), JANE)
P2 = PersonFacts(
    "p2", "verified", (A200,), PatientIdentifier("E2", "E"), (RICHARD,), RICHARD
)
KNOWN = RegistryFacts(
    DOMAINS, "E", by_identifier={A100: P1, A200: P2}, persons={"p1": P1, "p2": P2}
)
#: Jane's header by every word, and the list says that it is Richard's.
JANES = InstanceFacts(
    "1",
    "1.1",
    "1.2",
    "1.3",
    "100",
    Issuer("A"),
    demographics=JANE,
    listed=Listed("200", "A"),
)
SOURCE = Source("OLD_PACS")


def decided(instance: InstanceFacts = JANES, registry: RegistryFacts = KNOWN) -> Decision:
    return decide(instance, registry, SOURCE, "aa")


def test_the_list_decides_and_what_stands_against_it_is_told() -> None:
    """
    The gate's conflict and the header's own patient are reviews, not holds.
    """
    decision = decided()
    told = (decision.outcome, decision.rung, decision.person_id)
    assert told == (Outcome.COERCE, "M+G:CONFLICT", "p2")
    assert set(decision.reviews) == {
        "DEMOGRAPHIC-CONFLICT",
        "EVIDENCE-CONFLICT",
        "SEX-MISMATCH",
    }
    words = explain(
        decision.rung,
        "p2",
        {
            "outcome": "coerce",
            "evidence": [
                {"rung": e.rung, "found": e.found, "person": e.person_id}
                for e in decision.evidence
            ],
        },
    )
    assert "the migration list names it" in words.sentences[1]
    assert any("naming person p1" in each for each in words.sentences)


@pytest.mark.parametrize(
    "header",
    [
        {"patient_id": "", "issuer": Issuer()},
        {"issuer": Issuer()},
        {"issuer": Issuer("A", "9.9.9")},
        {"patient_id": "1\x01" + "x" * 70},
        {"undecodable": frozenset({"PatientID", "PatientName"})},
        {"demographics": Demographics()},
        {"other_ids": (("100", Issuer("A")),)},
    ],
)
def test_nothing_that_is_wrong_with_a_header_holds_what_is_listed(
    header: dict[str, object],
) -> None:
    """
    Not its ID, its issuer, its text nor its want of them.
    """
    decision = decided(replace(JANES, **header))  # type: ignore[arg-type]
    assert (decision.outcome, decision.person_id) == (Outcome.COERCE, "p2")


def test_an_order_of_somebody_else_is_told_and_not_linked() -> None:
    """
    One of the listed patient's is linked, and named as deciding.
    """
    theirs = OrderFacts("o1", "ACC1", "A", "p1")
    decision = decided(registry=replace(KNOWN, orders=(theirs,)))
    assert (decision.outcome, decision.order_ids) == (Outcome.COERCE, ())
    assert "EVIDENCE-CONFLICT" in decision.reviews
    own = replace(theirs, person_id="p2")
    decision = decided(registry=replace(KNOWN, orders=(own,)))
    assert (decision.rung, decision.order_ids) == ("M+O+G:CONFLICT", ("o1",))


@pytest.mark.parametrize(
    ("listed", "registry", "outcome"),
    [
        (Listed(), KNOWN, Outcome.NOT_LISTED),
        (Listed("777", "A"), KNOWN, Outcome.LIST_CONFLICT),
        (
            Listed("200", "A"),
            replace(KNOWN, study=StudyFacts("s", "1.2", 0, frozenset({"p1"}))),
            Outcome.LIST_CONFLICT,
        ),
        (
            Listed("200", "A"),
            replace(KNOWN, refused_rules=frozenset({"identity"})),
            Outcome.UNDONE,
        ),
        (
            Listed("200", "A"),
            replace(KNOWN, wrong_entry=True),
            Outcome.WRONG_WORKLIST_ENTRY,
        ),
        (Listed("79927398710", "L"), KNOWN, Outcome.CHECK_DIGIT),
        (Listed("1", "X"), KNOWN, Outcome.TEST),
    ],
)
def test_what_a_person_said_and_what_is_here_goes_before_the_list(
    listed: Listed, registry: RegistryFacts, outcome: Outcome
) -> None:
    """
    It takes no study from anybody, and undoes no undo.
    """
    assert decided(replace(JANES, listed=listed), registry).outcome is outcome


def test_the_headers_own_identifier_is_told_where_it_is_the_patients_too() -> None:
    """
    Else it is somebody else's, and is not said of this one.
    """
    b7 = PatientIdentifier("B7", "A")
    registry = replace(KNOWN, by_identifier={**KNOWN.by_identifier, b7: P2})
    assert decided().received is None
    assert decided(replace(JANES, patient_id="B7"), registry).received == b7


def test_a_remembered_decision_of_a_person_stands() -> None:
    """
    Who has looked at this very header knew more than a list.
    """
    registry = replace(KNOWN, remembered=Remembered("p1", "i1"))
    assert (decided(registry=registry).rung, decided(registry=registry).person_id) == (
        "S",
        "p1",
    )


def test_both_the_listed_and_the_headers_identifier_are_looked_up() -> None:
    """
    The listed one first: it may be made.
    """
    assert named_identifiers(JANES, DOMAINS, SOURCE) == (A200, A100)
    assert header_identifier(JANES, DOMAINS, SOURCE) == A100
