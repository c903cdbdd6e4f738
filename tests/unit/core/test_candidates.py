"""Hints for a worklist: weighed, ordered, explained; never decided."""

import pytest

from reconcile.core.candidates import IDENTIFIER_BITS, is_near_miss, near_miss, rank
from reconcile.core.facts import PersonFacts
from reconcile.core.identity import Demographics, Domain, PatientIdentifier, PersonName


def said(name: str = "", birth: str = "", sex: str = "") -> Demographics:
    return Demographics(PersonName(name), birth, sex)


def known(person_id: str, demographics: Demographics, *ids: str) -> PersonFacts:
    identifiers = tuple(PatientIdentifier(*reversed(i.split(":"))) for i in ids)
    return PersonFacts(person_id, "verified", identifiers, versions=(demographics,))


JANE = said("DOE^JANE", "19800102", "F")
P1 = known("p1", JANE, "A:100")
P3 = known("p3", said("MEIER^ANNA", "19900304", "F"), "B:100")


def test_the_person_whose_demographics_fit_comes_first() -> None:
    """
    An ID that came without issuer: whose name it is stands above whose number it is.
    """
    first, second = rank(JANE, None, [P3, P1])
    assert (first.person_id, second.person_id) == ("p1", "p3")
    assert first.bits == 32.5
    assert (first.reasons) == (
        "family name equal",
        "given name equal",
        "birth date equal",
        "sex equal",
    )
    assert second.bits < 0


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (JANE, said("DOE^JANET", "19800102", "F")),
        (JANE, said("JANE^DOE", "19800102", "F")),
        (said("DOE^JANET", "19800102", "F"), said("DOE^ANN", "19800102", "F")),
        (JANE, said("DOE^JANE", "19800201", "F")),
        (said("DOE^JANE", "19800201", "F"), said("DOE^JANE", "19800103", "F")),
        (said("DOE^JANE", "19800103", "F"), said("DOE^JANE", "1980", "F")),
        (said("DOE^JANE", "19801231", "F"), said("DOE^JANE", "19521231", "F")),
        (JANE, said("DOE^JANE", "19800102")),
        (said("DOE^JANE", "19800102", "O"), said("DOE^JANE", "19800102", "M")),
        (said(), said("ROE^RICHARD", "19750506", "M")),
    ],
)
def test_more_agreement_weighs_more(better: Demographics, worse: Demographics) -> None:
    """
    Exact before exchanged or mistyped, those before different; missing weighs nothing.
    """
    found = rank(JANE, None, [known("worse", worse), known("better", better)])
    assert found[0].person_id == "better"
    assert found[0].bits > found[1].bits


def test_what_is_missing_weighs_nothing() -> None:
    """
    An empty record is neither like nor unlike anybody.
    """
    (found,) = rank(said(), None, [P1])
    assert (found.bits, found.reasons) == (0.0, ())


def test_placeholders_weigh_nothing() -> None:
    """
    Two newborns of one name are not ranked, and "BABY BOY" makes neither likelier.
    """
    domain = Domain("A", placeholder_names=("BABY BOY",))
    header = said("SMITH^BABY BOY", "20240110")
    found = rank(header, None, [known("b", header), known("a", header)], domain)
    assert (found[0].person_id, found[1].person_id) == ("a", "b")
    assert found[0].bits == found[1].bits
    assert "given name equal" not in found[0].reasons


@pytest.mark.parametrize(
    ("one", "other", "hint"),
    [
        ("A:100", "A:100", ""),
        ("A:100", "B:100", "same identifier in another domain"),
        ("A:000100", "A:100", "identifier differs only by leading zeros"),
        ("A:ab12", "A:AB12", "identifier differs only in case"),
        ("A:100^^^A", "A:100", "identifier has HL7 components behind it"),
        ("A:100\\200", "A:100", "identifier has a second value behind it"),
        ("A:123456", "A:123465", "identifier is one slip away"),
        ("A:12345", "A:123456", "identifier is one slip away"),
        ("A:100", "A:200", ""),
        ("A:123456", "A:654321", ""),
        ("A:123456", "B:123465", ""),
    ],
)
def test_an_identifier_that_was_nearly_this_is_a_hint(
    one: str, other: str, hint: str
) -> None:
    """
    What may have been one identifier is said in words; short ones are all alike.
    """
    first, second = (PatientIdentifier(*reversed(i.split(":"))) for i in (one, other))
    assert hint == near_miss(first, second)


def test_another_identifier_in_the_same_domain_speaks_against() -> None:
    """
    A hospital gives one person one ID, so a different one lowers, a near one does not.
    """
    plain = rank(JANE, None, [P1])[0].bits
    other = rank(JANE, PatientIdentifier("7777", "A"), [P1])[0]
    near = rank(JANE, PatientIdentifier("000100", "A"), [P1])[0]
    same = rank(JANE, PatientIdentifier("100", "A"), [P1])[0]
    assert other.bits == pytest.approx(plain - 3.3, abs=0.11)
    assert "has another identifier in the same domain" in other.reasons
    assert near.bits == plain
    assert "identifier differs only by leading zeros" in near.reasons
    assert same.bits == pytest.approx(plain + IDENTIFIER_BITS, abs=0.11)


def test_the_best_version_counts() -> None:
    """
    Whoever bore the name once is found by it.
    """
    married = PersonFacts("p1", "verified", versions=(said("SMITH^JANE", "19800102"), JANE))
    assert rank(JANE, None, [P1])[0].bits == rank(JANE, None, [married])[0].bits


def test_a_person_without_versions_is_listed_last() -> None:
    """
    Nothing known is nothing said, and no error.
    """
    empty = PersonFacts("p0", "provisional")
    assert rank(JANE, None, [empty, P1])[-1].person_id == "p0"


@pytest.mark.parametrize(
    ("value", "domain", "near"),
    [("000100", "A", True), ("100", "A", False), ("7777", "A", False), ("100", "B", False)],
)
def test_nearly_an_identifier_is_one_of_the_same_domain(
    value: str, domain: str, near: bool
) -> None:
    """
    The same number in another domain is another number, and says nothing.
    """
    assert near is is_near_miss(PatientIdentifier(value, domain), [P1])
    assert not is_near_miss(None, [P1])
