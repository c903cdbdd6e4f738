"""decide: every outcome, in order of precedence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconcile.core.coercion import Outcome, decide
from reconcile.core.facts import (
    InstanceFacts,
    OrderFacts,
    PersonFacts,
    RegistryFacts,
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

DOMAINS = {
    d.name: d
    for d in (
        Domain("A", "1.2.3.1", "ISO", aliases=("HISA",), deny=("UNKNOWN",)),
        Domain("B", "1.2.3.2", "ISO"),
        Domain("E"),
        Domain("L", check_digit="luhn"),
        Domain("X", test=True),
    )
}
JANE = Demographics(PersonName("DOE^JANE"), "19800102", "F")
OTHER = Demographics(PersonName("ROE^RICHARD"), "19750506", "M")
A100, B555 = PatientIdentifier("100", "A"), PatientIdentifier("555", "B")
P1 = PersonFacts("p1", "verified", (A100,), PatientIdentifier("E1", "E"), (JANE,), JANE)
P2 = PersonFacts("p2", "verified", (B555,), PatientIdentifier("E2", "E"), (OTHER,), OTHER)
NOBODY = RegistryFacts(DOMAINS, "E")
KNOWN = replace(NOBODY, by_identifier={A100: P1, B555: P2}, persons={"p1": P1, "p2": P2})
CT_A = Source("CT_A", domain="A")
IMPORT = Source("IMPORT_CD")
INSTANCE = InstanceFacts(
    "1.2.840.10008.5.1.4.1.1.2", "1.1", "1.2", "1.3", "100", demographics=JANE
)
ORDER_OF_P2 = OrderFacts("o2", "ACC2", "A", "p2")
STUDY_OF_P2 = StudyFacts("s", "1.2", 0, frozenset({"p2"}))

# Each row mends one thing of the row above and leaves everything below it broken, so
# the table proves the order of precedence and not only the outcomes.
WORST = replace(
    INSTANCE,
    patient_id="1\x01" + "x" * 70,
    issuer=Issuer("A", "1.2.3.2"),
    identity_removed=True,
    undecodable=frozenset({"PatientID"}),
    demographics=OTHER,
)
BROKEN = replace(
    KNOWN,
    study=STUDY_OF_P2,
    orders=(ORDER_OF_P2,),
    stored_digest="bb",
    known_digests=frozenset({"aa"}),
)
R1 = replace(BROKEN, known_digests=frozenset())
R2 = replace(R1, stored_digest="")
R3 = replace(R2, study=None)
I2 = replace(WORST, identity_removed=False)
I3 = replace(I2, undecodable=frozenset())
I4 = replace(I3, patient_id="100")
I5 = replace(I4, issuer=Issuer())
I6 = replace(I5, issuer=Issuer("A"))
PRECEDENCE = [
    (WORST, BROKEN, CT_A, Outcome.ALREADY_STORED),
    (WORST, R1, CT_A, Outcome.DUPLICATE_DIFFERS),
    (WORST, R2, CT_A, Outcome.DEIDENTIFIED),
    (I2, R2, CT_A, Outcome.CHARSET),
    (I3, R2, CT_A, Outcome.INVALID_ID),
    (I4, R2, CT_A, Outcome.ISSUER_CONFLICT),
    (I5, R2, IMPORT, Outcome.ISSUER_MISSING),
    (I6, R2, CT_A, Outcome.STUDY_IDENTITY_SPLIT),
    (I6, R3, CT_A, Outcome.EVIDENCE_CONFLICT),
    (I6, replace(R3, orders=()), CT_A, Outcome.DEMOGRAPHIC_CONFLICT),
    (replace(I6, demographics=JANE), replace(R3, orders=()), CT_A, Outcome.COERCE),
]


@pytest.mark.parametrize(("instance", "registry", "source", "outcome"), PRECEDENCE)
def test_the_most_decisive_outcome_wins(instance, registry, source, outcome):
    """
    When several things are wrong at once, the first in Outcome is the one that is told.
    """
    assert outcome == decide(instance, registry, source, "aa").outcome


def test_the_outcomes_of_the_table_stand_in_their_order():
    """
    The table above walks down the enumeration, never up.
    """
    order = list(Outcome)
    walked = [order.index(row[3]) for row in PRECEDENCE]

    assert walked == sorted(walked)


def decided(instance=INSTANCE, registry=KNOWN, source=CT_A):
    return decide(instance, registry, source, "aa")


def test_an_identifier_with_its_domain_and_an_agreeing_header_decides():
    """
    Row 1: rungs I and G, and the person of the identifier.
    """
    decision = decided()

    assert (Outcome.COERCE, "I+G:CONFIRM", "p1") == (
        decision.outcome,
        decision.rung,
        decision.person_id,
    )


def test_the_same_bare_id_of_another_domain_is_another_identifier():
    """
    Row 2 and 4: 100 of domain B is not 100 of domain A.
    """
    decision = decided(source=Source("MR_B", domain="B"))

    assert Outcome.PROVISIONAL == decision.outcome
    assert PatientIdentifier("100", "B") == decision.identity


@pytest.mark.parametrize(
    "issuer",
    [Issuer("A"), Issuer("HISA"), Issuer("", "1.2.3.1", "ISO"), Issuer("A", "1.2.3.1")],
)
def test_an_issuer_is_known_by_name_alias_or_universal_id(issuer):
    """
    Row 5: local name, alias and OID designate one domain.
    """
    assert A100 == decided(replace(INSTANCE, issuer=issuer), source=IMPORT).identity


def test_an_issuer_that_nobody_configured_makes_a_provisional_patient():
    """
    Row 6: C-STORE from CLINIC9.
    """
    decision = decided(replace(INSTANCE, issuer=Issuer("CLINIC9")))

    assert Outcome.PROVISIONAL == decision.outcome
    assert ("UNKNOWN-DOMAIN", "PROVISIONAL") == decision.reviews


ORDER_OF_P1 = OrderFacts("o1", "ACC1", "A", "p1")


def test_an_order_identifies_where_there_is_no_id():
    """
    Row 7: empty Patient ID, the accession of an order, a header that agrees.
    """
    registry = replace(KNOWN, orders=(ORDER_OF_P1,))
    decision = decided(replace(INSTANCE, patient_id=""), registry)

    assert (Outcome.COERCE, "O+G:CONFIRM") == (decision.outcome, decision.rung)


@pytest.mark.parametrize("patient_id", ["", " ", "UNKNOWN", "\0"])
def test_an_id_that_says_nothing_is_no_identity(patient_id):
    """
    Rows 8 and 17: empty, blank and denied IDs identify nobody.
    """
    decision = decided(replace(INSTANCE, patient_id=patient_id))

    assert Outcome.NO_IDENTITY == decision.outcome


def test_an_id_of_the_held_domain_that_comes_back_is_nobodys():
    """
    What was given out under domain H, sent back, makes no person of that name.
    """
    registry = replace(KNOWN, domains={**DOMAINS, "H": Domain("H")})
    header = replace(INSTANCE, patient_id="HABC", issuer=Issuer("H"))

    assert Outcome.NO_IDENTITY == decided(header, registry).outcome


def test_another_id_identifies_and_the_unknown_one_is_only_proposed():
    """
    Row 9: Other Patient IDs names P1; the main ID is a proposal, not a link.
    """
    header = replace(
        INSTANCE, patient_id="777", issuer=Issuer("B"), other_ids=(("100", Issuer("A")),)
    )
    decision = decided(header)

    assert (Outcome.COERCE, "X+G:CONFIRM") == (decision.outcome, decision.rung)
    assert "NEW-XREF" in decision.reviews
    assert decision.identity is None


def test_demographics_never_identify():
    """
    The same name, birth date and sex under an unknown ID make nobody that person.
    """
    decision = decided(replace(INSTANCE, patient_id="unheard-of"))

    assert Outcome.PROVISIONAL == decision.outcome
    assert decision.person_id == ""


@pytest.mark.parametrize(
    ("bare_id", "outcome"), [("accept", "coerce"), ("hold", "UNCORROBORATED")]
)
def test_a_header_that_says_nothing_coerces_only_where_bare_ids_are_accepted(
    bare_id, outcome
):
    """
    Row 24: the gate without information.
    """
    header = replace(INSTANCE, demographics=Demographics())

    assert outcome == decided(header, source=replace(CT_A, bare_id=bare_id)).outcome.value


def test_an_order_that_agrees_stands_for_a_header_that_says_nothing():
    """
    Row 24: rungs O and I agree.
    """
    header = replace(INSTANCE, demographics=Demographics())
    registry = replace(KNOWN, orders=(ORDER_OF_P1,))

    assert (
        Outcome.COERCE == decided(header, registry, replace(CT_A, bare_id="hold")).outcome
    )


def test_an_accession_without_issuer_of_two_patients_is_ambiguous():
    """
    Row 58: unique only with its issuer.
    """
    bare = [replace(o, found_by="bare-accession") for o in (ORDER_OF_P1, ORDER_OF_P2)]

    assert (
        Outcome.ACCESSION_AMBIGUOUS
        == decided(registry=replace(KNOWN, orders=tuple(bare))).outcome
    )


def test_a_test_patient_is_never_a_real_one():
    """
    Row 32: an ID of a test domain ends in a test person.
    """
    assert Outcome.TEST == decided(replace(INSTANCE, issuer=Issuer("X"))).outcome


def test_a_wrong_check_digit_is_held():
    """
    An ID that its own domain calls mistyped identifies nobody.
    """
    header = replace(INSTANCE, patient_id="79927398710", issuer=Issuer("L"))

    assert Outcome.CHECK_DIGIT == decided(header).outcome


def test_a_second_identity_in_a_study_splits_it_whatever_the_gate_says():
    """
    Rung U: the study is P2's, the identifier P1's, though the header fits P1.
    """
    assert (
        Outcome.STUDY_IDENTITY_SPLIT
        == decided(registry=replace(KNOWN, study=STUDY_OF_P2)).outcome
    )


def test_every_rung_leaves_its_evidence():
    """
    Evidence of rungs that lost is kept beside that of the one that decided.
    """
    registry = replace(KNOWN, orders=(ORDER_OF_P1,), study=StudyFacts("s", "1.2", 0))

    assert ["N", "O", "I", "G"] == [e.rung for e in decided(registry=registry).evidence]


def test_an_image_after_death_is_flagged_and_stays_the_patients():
    """
    Row 26: wrongly flagged dead, or post mortem.
    """
    dead = replace(JANE, death_date="20200101")
    person = replace(P1, current=dead)
    registry = replace(KNOWN, by_identifier={A100: person}, persons={"p1": person})
    decision = decided(replace(INSTANCE, study_date="20240101"), registry)

    assert (Outcome.COERCE, ("AFTER-DEATH",)) == (decision.outcome, decision.reviews)
