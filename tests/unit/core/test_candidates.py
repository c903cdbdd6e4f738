"""Hints for a worklist: weighed, ordered, explained; never decided."""

from collections.abc import Sequence
from dataclasses import replace
from math import log2

import pytest

from reconcile.core import candidates
from reconcile.core.candidates import (
    DEMOGRAPHIC_BITS_MAX,
    IDENTIFIER_BITS,
    Candidate,
    Index,
    Sought,
    shown,
    strong,
)
from reconcile.core.facts import PersonFacts
from reconcile.core.hints import is_near_miss, near_miss
from reconcile.core.identity import Demographics, Domain, PatientIdentifier, PersonName


def said(name: str = "", birth: str = "", sex: str = "") -> Demographics:
    return Demographics(PersonName(name), birth, sex)


def known(person_id: str, demographics: Demographics, *ids: str) -> PersonFacts:
    identifiers = tuple(PatientIdentifier(*reversed(i.split(":"))) for i in ids)
    return PersonFacts(person_id, "verified", identifiers, versions=(demographics,))


def rank(
    header: Demographics,
    identifier: PatientIdentifier | None,
    persons: Sequence[PersonFacts],
    domain: Domain = Domain(""),  # noqa: B008  frozen
) -> tuple[Candidate, ...]:
    return candidates.rank(Sought(header, identifier, domain), persons)


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
        ("A:123456", "A:123465", "identifier has two characters exchanged"),
        ("A:123456", "A:123556", "identifier is one slip away"),
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


# -- Frequencies ---------------------------------------------------------------------

INDEX = Index(
    1_000_000,
    family={"smith": 0.008, "do": 0.0001, "smyth": 0.0002},
    given={"jane": 0.004, "zoe": 0.0005},
)


def weight(header: Demographics, version: Demographics, what: str, index: Index) -> float:
    (found,) = candidates.rank(Sought(header), [known("p", version)], index)
    return {reason: bits for bits, reason in found.waterfall}[what]


@pytest.mark.parametrize(
    ("one", "other", "what", "m", "u"),
    [
        # equal: as often as the name is met; one never seen is met once in the index
        ("SMITH^JANE", "SMITH^JANE", "family name equal", 0.92, 0.008),
        ("DOE^JANE", "DOE^JANE", "family name equal", 0.92, 0.0001),
        ("QWXYZ^JANE", "QWXYZ^JANE", "family name equal", 0.92, 1e-6),
        ("DOE^JANE", "DOE^JANE", "given name equal", 0.92, 0.004),
        # nearly: the more frequent of both, but never less than two names are alike
        ("SMITHE^JANE", "SMITH^JANE", "family name nearly equal", 0.03, 0.008),
        ("DARLINGE^JANE", "DARLING^JANE", "family name nearly equal", 0.03, 0.003),
        ("SMYTH^JANE", "SMITH^JANE", "family name alike", 0.015, 0.01),
        # different: how frequent they are says nothing
        ("SMITH^JANE", "DOE^JANE", "family name differs", 0.03, 0.981),
    ],
)
def test_a_rare_name_weighs_more(
    one: str, other: str, what: str, m: float, u: float
) -> None:
    """
    Everybody is called Smith: the frequency of a name takes the place of u.
    """
    found = weight(said(one), said(other), what, INDEX)
    assert found == pytest.approx(log2(m / u), abs=0.06)


def test_without_frequencies_the_shipped_values_hold() -> None:
    """
    Nobody has counted yet: rare and frequent names weigh the same.
    """
    empty = Index(300)
    both = [said("SMITH^JANE"), said("QWXYZ^JANE")]
    one, other = (weight(each, each, "family name equal", empty) for each in both)
    assert one == other == pytest.approx(log2(0.92 / 0.003), abs=0.06)


def test_rare_names_alone_are_no_proof() -> None:
    """
    Demographics are capped below what it takes to tell one in a million, in sight.
    """
    rare = said("QWXYZ^VBNML", "19800102", "F")
    (found,) = candidates.rank(Sought(rare), [known("p", rare)], INDEX)
    assert found.bits == DEMOGRAPHIC_BITS_MAX < 2 * INDEX.prior_bits
    assert found.reasons[-1] == "names and dates count no more together"
    assert sum(bits for bits, _ in found.waterfall) == pytest.approx(found.bits, abs=0.3)


def test_the_waterfall_adds_up() -> None:
    """
    Every reason with its bits, in the order of the reasons; together they are the score.
    """
    header = said("DOE^JANET", "19800201", "M")
    sought = Sought(header, PatientIdentifier("7777", "A"))
    (found,) = candidates.rank(sought, [P1], INDEX)
    assert tuple(reason for _, reason in found.waterfall) == found.reasons
    assert sum(bits for bits, _ in found.waterfall) == pytest.approx(found.bits, abs=0.3)


# -- Thresholds and vetoes -----------------------------------------------------------


def scored(*bits: float, vetoes: tuple[str, ...] = ()) -> list[Candidate]:
    return [Candidate(str(i), each, (), vetoes=vetoes) for i, each in enumerate(bits)]


@pytest.mark.parametrize(
    ("persons", "bits", "is_shown"),
    [(1024, 7.0, True), (1024, 6.9, False), (1_048_576, 16.9, False), (0, -2.0, True)],
)
def test_how_much_is_worth_a_look_depends_on_the_index(
    persons: int, bits: float, is_shown: bool
) -> None:
    """
    Of so many persons some agree by chance: three bits less than it takes are shown.
    """
    assert bool(shown(scored(bits), Index(persons))) is is_shown


@pytest.mark.parametrize(
    ("found", "is_strong"),
    [
        (scored(20.0), True),
        (scored(19.9), False),
        (scored(20.0, 12.0), True),
        (scored(20.0, 12.1), False),
        (scored(30.0, vetoes=("sex differs",)), False),
        ([], False),
    ],
)
def test_a_strong_suggestion_stands_out_alone(
    found: list[Candidate], is_strong: bool
) -> None:
    """
    Ten bits above the size of the index, eight ahead of the next, and no veto.
    """
    assert bool(strong(found, Index(1024))) is is_strong


DEAD = replace(P1, current=Demographics(death_date="20200101"))
TWIN = "may be a twin: same family name and birth date, other given name"


@pytest.mark.parametrize(
    ("sought", "person", "veto"),
    [
        (Sought(said("DOE^JANE", "19800102", "M")), P1, "sex differs"),
        (Sought(JANE, study_date="20200102"), DEAD, "died before the study"),
        (Sought(JANE, not_same=["p1"]), P1, "was said not to be the same person"),
        (Sought(said("DOE^ANN", "19800102", "F")), P1, TWIN),
        (
            Sought(JANE, PatientIdentifier("7777", "A")),
            P1,
            "has another identifier in the same domain",
        ),
        (Sought(JANE), P1, ""),
        (Sought(JANE, study_date="20191231"), DEAD, ""),
        (Sought(JANE, PatientIdentifier("000100", "A")), P1, ""),
        (Sought(JANE, PatientIdentifier("7777", "B")), P1, ""),
        (Sought(said("DOE^JANE", "19800102", "O")), P1, ""),
        (Sought(said("DOE^ANN", "19800103", "F")), P1, ""),
    ],
)
def test_what_speaks_against_is_said(
    sought: Sought, person: PersonFacts, veto: str
) -> None:
    """
    A veto is a reason too, and told once; it leaves the order alone.
    """
    (found,) = candidates.rank(sought, [person])
    assert found.vetoes == ((veto,) if veto else ())
    assert found.reasons.count(veto) == bool(veto)


# -- Hints ---------------------------------------------------------------------------

LUHN = Domain("A", check_digit="luhn")


@pytest.mark.parametrize(
    ("typed", "domain", "reason"),
    [
        (
            "79927398731",
            LUHN,
            "identifier has two characters exchanged, and its check digit was right",
        ),
        (
            "79927398714",
            LUHN,
            "identifier is one slip away, and its check digit was right",
        ),
        ("79927398714", Domain("A"), "identifier is one slip away"),
    ],
)
def test_a_check_digit_tells_which_of_two_was_mistyped(
    typed: str, domain: Domain, reason: str
) -> None:
    """
    The header's ID is wrong by its own arithmetic, and the candidate's is not.
    """
    person = known("p", JANE, "A:79927398713")
    (found,) = rank(JANE, PatientIdentifier(typed, "A"), [person], domain)
    assert reason in found.reasons


@pytest.mark.parametrize(
    ("mother", "is_one"),
    [
        (said("KOCH^EVA", "19950505", "F"), True),
        (said("KOCH-BERG^EVA", "19950505", "F"), True),
        (said("KOCH^EVA", "19950505", "M"), False),
        (said("KOCH^EVA", "19600505", "F"), False),
        (said("KOCH^EVA", "20150505", "F"), False),
        (said("BERG^EVA", "19950505", "F"), False),
        (said("KOCH^EVA", "1995", "F"), False),
    ],
)
def test_a_newborn_without_a_name_may_have_come_under_the_mothers_id(
    mother: Demographics, is_one: bool
) -> None:
    """
    Of the same family, a woman, and of an age to be the mother.
    """
    domain = Domain("A", placeholder_names=("BABY GIRL",))
    header = said("KOCH^BABY GIRL", "20240110", "F")
    (found,) = rank(header, None, [known("m", mother)], domain)
    assert ("may be the mother of a newborn" in found.reasons) is is_one
    (named,) = rank(said("KOCH^MIA", "20240110", "F"), None, [known("m", mother)], domain)
    assert "may be the mother of a newborn" not in named.reasons
