"""Decisions in words."""

from __future__ import annotations

import pytest

from reconcile.core.coercion import Outcome
from reconcile.core.explain import _GATES, _OUTCOMES, _STUDY_RULES, explain
from reconcile.core.study import StudyRule

TOLD = {
    "outcome": "coerce",
    "evidence": [
        {"rung": "N", "found": "issuer as the source's domain", "person": ""},
        {"rung": "U", "found": "study is known", "person": "p1"},
        {"rung": "O", "found": "order by accession", "person": "p1"},
        {"rung": "I", "found": "identifier is known", "person": "p1"},
        {"rung": "O", "found": "order by bare-accession", "person": "p2"},
        {"rung": "G", "found": "CONFIRM: equal", "person": "p1"},
    ],
    "reviews": ["NEW-XREF"],
    "study_rule": "order-uid",
}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_words(outcome):
    """
    No outcome without a sentence, and without what would change it.
    """
    became, would_change = _OUTCOMES[outcome.value]

    assert became.endswith(".")
    assert would_change.endswith(".")


def test_every_study_rule_has_words():
    """
    Why a study has its UID is told for each rule, and for no other.
    """
    assert {rule.value for rule in StudyRule} == set(_STUDY_RULES)


def test_every_gate_has_words():
    """
    Each verdict of the gate is told.
    """
    from reconcile.core.corroborate import Gate

    assert {gate.value for gate in Gate} <= set(_GATES)


def test_evidence_is_told_by_whether_it_decided():
    """
    Evidence of the deciding rungs for that person decided; other persons' lost.
    """
    told = explain("O+I+G:CONFIRM", "p1", TOLD)

    assert [e["rung"] for e in told.decided] == ["O", "I", "G"]
    assert [(e["rung"], e["person"]) for e in told.lost] == [("U", "p1"), ("O", "p2")]
    assert any("naming person p2" in sentence for sentence in told.sentences)
    assert any("It agrees" in sentence for sentence in told.sentences)
    assert any("NEW-XREF" in sentence for sentence in told.sentences)
    assert told.sentences[-1].startswith("What would change it")


def test_a_decision_of_nobody_has_no_evidence_that_decided():
    """
    Held: everything that named a person is told as not followed.
    """
    told = explain("I+G:CONFLICT", "", {**TOLD, "outcome": "DEMOGRAPHIC-CONFLICT"})

    assert [e["rung"] for e in told.decided] == []
    assert len(told.lost) == 5
    assert any("not followed" in sentence for sentence in told.sentences)


def test_an_explanation_of_another_release_is_told_as_it_is():
    """
    An outcome that this release does not know, and one without any words, are no fault.
    """
    assert explain("Z", "", {"outcome": "else"}).sentences[0] == "Outcome: else."
    assert explain("", "", {}).decided == ()
