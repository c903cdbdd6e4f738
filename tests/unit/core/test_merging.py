"""decide_merge: every outcome of a merge, walked down in order of precedence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

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
from reconcile.core.merging import (
    Edge,
    MergeFacts,
    MergeOutcome,
    Owner,
    Side,
    Veto,
    decide_merge,
)
from reconcile.core.update import said_identifiers

DOMAINS = {
    d.name: d
    for d in (
        Domain("A"),
        Domain("B"),
        Domain("E"),
        Domain("T", temporary=True),
        Domain("X", test=True),
    )
}
RIS_A = Feed("RIS_A", authority=("A", "E", "T", "X"))
STRICT = replace(RIS_A, profile="strict")
CAREFUL = replace(RIS_A, risky_merge="hold")
JANE = Demographics(PersonName("DOE^JANE"), "19800102", "F")
RICHARD = Demographics(PersonName("ROE^RICHARD"), "19750506", "M")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER, EARLIER = NOON + timedelta(hours=1), NOON - timedelta(hours=1)


def people(**said):
    """Persons by id, each verified by what a feed said of them."""
    return {
        name: PersonFacts(name, "verified", versions=(words,), current=words)
        for name, words in said.items()
    }


PEOPLE = people(p1=JANE, p2=JANE, p3=JANE, p9=RICHARD)
TEST = replace(PEOPLE["p1"], person_id="px", state="test")
PEOPLE = {**PEOPLE, "px": TEST}
# Whose an identifier is, and who survived for them.
OWNERS = {
    "A100": ("p1", "p1"),
    "A200": ("p2", "p2"),
    "A201": ("p2", "p3"),  # p2 is merged into p3
    "A300": ("p3", "p3"),
    "A900": ("p9", "p9"),
    "B555": ("p2", "p2"),
    "T17": ("p9", "p9"),
    "X1": ("px", "px"),
}


def side(*named, feed=RIS_A):
    """One side, named by identifiers as A100; unknown ones have no owner above."""
    pairs = tuple((name[1:], Issuer(name[:1])) for name in named)
    said = said_identifiers(PatientUpdate(pairs, Demographics()), feed, DOMAINS)
    known = {i: OWNERS.get(f"{i.domain}{i.value}") for i in said.known}
    owners = {i: Owner(f"i-{i}", *who) for i, who in known.items() if who}
    return Side(said, owners, {o.root_id: PEOPLE[o.root_id] for o in owners.values()})


def outcome(prior, surviving, *, edges=(), vetoes=(), feed=RIS_A, said_at=NOON):
    facts = MergeFacts(side(*prior, feed=feed), side(*surviving, feed=feed), edges, vetoes)
    return decide_merge(facts, feed, DOMAINS, "RIS_A", said_at)


def edge(prior, surviving, *, at=NOON, live=True, source="RIS_A"):
    return Edge(f"{prior}-{surviving}", prior, surviving, source, at, live)


SAME, INVERSE = edge("p2", "p1"), edge("p1", "p2", at=EARLIER)
NEWER = edge("p1", "p2", at=LATER)
VETO = Veto("STEWARD", "2026-02-01")
M = MergeOutcome

# (prior, surviving, what else was known, expected)
STRICT_OF_BOTH = replace(STRICT, authority=("A", "B"))

TABLE = [
    ([], ["A100"], {}, M.NO_IDENTIFIER),
    (["A" + "9" * 65], ["A100"], {}, M.INVALID_ID),
    (["A100"], ["A100"], {}, M.SAME_IDENTIFIER),
    (["Q1"], ["A100"], {}, M.UNKNOWN_DOMAIN),
    (["B555"], ["A100"], {}, M.NOT_AUTHORITATIVE),
    (["X1"], ["A100"], {}, M.TEST_REAL_MERGE),
    (["A200", "A900"], ["A100"], {}, M.IDENTITY_CONFLICT),
    (["B555"], ["A100"], {"feed": STRICT_OF_BOTH}, M.OTHER_DOMAIN),
    (["A777"], ["A100"], {"feed": STRICT}, M.UNKNOWN_PATIENT),
    (["A200"], ["A100"], {"edges": (SAME,)}, M.DUPLICATE),
    (["A200"], ["A100"], {"edges": (NEWER,)}, M.STALE),
    (["A200"], ["A100"], {"edges": (INVERSE,)}, M.INVERSE),
    (["A300"], ["A201"], {}, M.CYCLE),
    (["A201"], ["A300"], {}, M.ALREADY_SAME),
    (["A201"], ["A100"], {}, M.SUBSUMED_ELSEWHERE),
    (["A100"], ["A201"], {"feed": STRICT}, M.SUBSUMED_PATIENT),
    (["A900"], ["A100"], {"vetoes": (VETO,)}, M.VETOED),
    (["A900"], ["A100"], {"feed": CAREFUL}, M.RISKY),
    (["A900"], ["A100"], {}, M.MERGED),
]


@pytest.mark.parametrize(("prior", "surviving", "known", "expected"), TABLE)
def test_the_most_decisive_outcome_wins(prior, surviving, known, expected):
    """
    Each merge has one outcome, and it has a name.
    """
    assert expected == outcome(prior, surviving, **known).outcome


def test_the_table_names_every_outcome_in_order():
    """
    The table above walks down the enumeration.
    """
    assert list(MergeOutcome) == [row[3] for row in TABLE]


def test_the_gate_flags_a_merge_and_vetoes_none():
    """
    Row 35: nothing in the two agrees; it is done, and a person looks at it.
    """
    risky, plain = outcome(["A900"], ["A100"]), outcome(["A200"], ["A100"])

    assert (True, False) == (risky.risky, plain.risky)
    assert "CONFLICT" in risky.reasons


def test_a_temporary_identity_is_expected_to_look_like_somebody_else():
    """
    Row 30: the gate says nothing of it, not even where the feed is careful.
    """
    decision = outcome(["T17"], ["A100"], feed=CAREFUL)

    assert (MergeOutcome.MERGED, False) == (decision.outcome, decision.risky)


def test_an_enterprise_identifier_that_the_sender_assigns_speaks_for_a_side():
    """
    Row 42: B:555 is not the sender's, but the E identifier beside it is.
    """
    assert MergeOutcome.MERGED == outcome(["B555", "E9"], ["A100"]).outcome
    assert MergeOutcome.NOT_AUTHORITATIVE == outcome(["B555"], ["A100", "E9"]).outcome


def test_an_identifier_that_both_sides_name_is_no_prior_one():
    """
    PID-3 and MRG-1 may hold the same enterprise identifier; if nothing else is left,
    both name the same patient.
    """
    assert MergeOutcome.MERGED == outcome(["A200", "E9"], ["A100", "E9"]).outcome
    assert MergeOutcome.SAME_IDENTIFIER == outcome(["E9"], ["A100", "E9"]).outcome


def test_who_is_merged_already_is_not_joined_to_somebody_unknown():
    """It is left to a person, as if both were known: one live parent each."""
    assert outcome(["A201"], ["A777"]).outcome is M.SUBSUMED_ELSEWHERE


def test_whoever_is_unknown_is_no_obstacle_to_a_lenient_feed():
    """
    Row 40: the images may still come.
    """
    assert MergeOutcome.MERGED == outcome(["A778"], ["A777"]).outcome


def test_of_two_inverse_merges_of_one_time_the_same_one_stands_always():
    """
    Row 54: whichever of them came first.
    """
    there = edge("p1", "p2")  # A200 survived
    back = edge("p2", "p1")  # A100 survived

    assert MergeOutcome.INVERSE == outcome(["A200"], ["A100"], edges=(there,)).outcome
    assert MergeOutcome.STALE == outcome(["A100"], ["A200"], edges=(back,)).outcome


@pytest.mark.parametrize("source", ["EMPI", "steward"])
def test_the_inverse_of_what_somebody_else_said_is_a_cycle(source):
    """
    No sender overrules another by time: a person has to look.
    """
    known = (edge("p1", "p2", source=source, at=EARLIER),)

    assert MergeOutcome.CYCLE == outcome(["A200"], ["A100"], edges=known).outcome


def test_what_was_taken_back_is_not_done_again_by_the_same_message():
    """
    The same A40 under a new MSH-10 after an unmerge is old news; a newer one is news.
    """
    known = (edge("p2", "p1", live=False),)

    assert MergeOutcome.STALE == outcome(["A200"], ["A100"], edges=known).outcome
    again = outcome(["A200"], ["A100"], edges=known, said_at=LATER)
    assert MergeOutcome.MERGED == again.outcome


def test_an_inverse_under_somebody_else_is_left_to_a_person():
    """
    p2 would have two parents: only roots are joined.
    """
    known = (edge("p3", "p2", at=EARLIER),)
    prior, surviving = side("A201"), side("A300")
    moved = replace(prior.owner, root_id="p1")
    prior = replace(prior, owners=dict.fromkeys(prior.owners, moved), persons=PEOPLE)
    facts = MergeFacts(prior, surviving, known)

    decision = decide_merge(facts, RIS_A, DOMAINS, "RIS_A", NOON)
    assert MergeOutcome.CYCLE == decision.outcome


def test_a_veto_tells_who_and_when():
    """
    Row 43.
    """
    decision = outcome(["A200"], ["A100"], vetoes=(VETO,))

    assert ("declared not the same by STEWARD on 2026-02-01",) == decision.reasons


def test_identifiers_are_compared_as_their_domain_writes_them():
    """
    The owner is whose the first known identifier is.
    """
    assert PatientIdentifier("100", "A") in side("A100").said.known
    assert "p1" == side("A777", "A100").owner.person_id
