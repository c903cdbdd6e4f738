"""Identifiers and the rules of their domains."""

import pytest

from reconcile.core.identity import (
    PATIENT_ID_CHARACTERS_MAX,
    Domain,
    Issuer,
    PatientIdentifier,
    PersonName,
    is_valid_patient_id,
    passes_luhn,
)

A = Domain("A", "1.2.3.1", "ISO", aliases=("HISA",))
Z = Domain("Z", fold_case=True, pad_to=8)
STRIPPING = Domain("S", strip_zeros=True)


@pytest.mark.parametrize("raw", ["100", "100 ", " 100", "100\0", "100 \0"])
def test_padding_is_no_part_of_an_id(raw: str) -> None:
    """
    Spaces and NUL around an ID are padding, whatever the domain.
    """
    assert A.normalise(raw) == "100"


@pytest.mark.parametrize(
    ("domain", "one", "other", "same"),
    [
        (A, "000100", "100", False),
        (STRIPPING, "000100", "100", True),
        (STRIPPING, "000", "0", True),
        (A, "ab12", "AB12", False),
        (Z, "ab12", "AB12", True),
        (Z, "123", "00000123", True),
        (Z, "123456789", "123456789", True),
        (Z, "A1", "000000A1", False),
        (Domain("SP", strip_zeros=True, pad_to=4), "0007", "7", True),
        (A, "100^^^A", "100", False),
        (A, "1 00", "100", False),
        (A, "１００", "100", True),
        (A, "\u3000100\u00a0", "100", True),
    ],
)
def test_spelling_counts_unless_the_domain_says_otherwise(
    domain: Domain, one: str, other: str, same: bool
) -> None:
    """
    Leading zeros and case make another ID, where the domain has no rule for them.
    """
    assert same is (domain.normalise(one) == domain.normalise(other))


@pytest.mark.parametrize("raw", ["100", "000", " ab12 ", "0", "", "\0"])
@pytest.mark.parametrize("domain", [A, Z, STRIPPING])
def test_normalising_twice_changes_nothing(domain: Domain, raw: str) -> None:
    """
    The normal form is its own normal form.
    """
    once = domain.normalise(raw)
    assert once == domain.normalise(once)


@pytest.mark.parametrize(
    ("raw", "denied"),
    [
        ("UNKNOWN", True),
        ("unknown ", True),
        ("W/I", True),
        ("0", True),
        ("00", False),
        ("null", True),
    ],
)
def test_ids_that_say_nothing_are_denied(raw: str, denied: bool) -> None:
    """
    A denied ID is compared without case and padding, but otherwise as written.
    """
    assert denied is Domain("A", deny=("0", "999", "Unknown", "W/I")).denies(raw)


@pytest.mark.parametrize("raw", ["UNKNOWN", "0", ""])
def test_a_domain_without_a_list_denies_nothing(raw: str) -> None:
    """
    No ID is magic by itself.
    """
    assert not A.denies(raw)


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        ("79927398713", True),
        ("79927398710", False),
        ("0", True),
        ("18", True),
        ("", False),
        ("7992739871X", False),
        ("1²", False),
    ],
)
def test_the_check_digit_is_luhns(value: str, passes: bool) -> None:
    """
    Doubled from the right, digits of the products added; anything else breaks it.
    """
    assert passes is passes_luhn(value)
    assert passes is not Domain("L", check_digit="luhn").breaks_check_digit(value)
    assert not A.breaks_check_digit(value)


@pytest.mark.parametrize(
    ("issuer", "named"),
    [
        (Issuer("A"), True),
        (Issuer("HISA"), True),
        (Issuer("", "1.2.3.1", "ISO"), True),
        (Issuer("anything", "1.2.3.1", "ISO"), True),
        (Issuer("A", "1.2.3.2", "ISO"), False),
        (Issuer("HISB"), False),
        (Issuer(""), False),
    ],
)
def test_a_domain_goes_by_its_universal_id_first(issuer: Issuer, named: bool) -> None:
    """
    Universal IDs decide where both have one; local names only where one has none.
    """
    assert named is A.is_named_by(issuer)


def test_a_domain_without_universal_id_goes_by_its_names() -> None:
    """
    What cannot be compared does not contradict.
    """
    assert Domain("Q").is_named_by(Issuer("Q", "1.2.3.9", "ISO"))
    assert not Domain("Q").is_named_by(Issuer("", "1.2.3.9", "ISO"))


@pytest.mark.parametrize(
    ("raw", "valid"),
    [
        ("1" * PATIENT_ID_CHARACTERS_MAX, True),
        ("1" * PATIENT_ID_CHARACTERS_MAX + "  ", True),
        ("1" * (PATIENT_ID_CHARACTERS_MAX + 1), False),
        ("100\0", True),
        ("10\x000", False),
        ("10\t0", False),
        ("10\x7f0", False),
        ("10\x850", False),
        ("患者１", True),
        ("", True),
    ],
)
def test_an_id_is_lo_or_invalid(raw: str, valid: bool) -> None:
    """
    At most 64 characters and no control characters; never truncated to fit.
    """
    assert valid is is_valid_patient_id(raw)


def test_identifiers_of_two_domains_are_two() -> None:
    """
    A bare ID is not an identifier.
    """
    assert PatientIdentifier("100", "A") != PatientIdentifier("100", "B")
    assert str(PatientIdentifier("100", "A")) == "100^^^A"


def test_what_says_nothing_is_false() -> None:
    """
    Issuer and name are true as soon as one part of them is said.
    """
    assert not Issuer()
    assert not Issuer(universal_id_type="ISO")
    assert Issuer(universal_id="1.2")
    assert not PersonName()
    assert PersonName(phonetic="やまだ")


def test_a_domain_names_itself_as_issuer() -> None:
    """
    What is given out under a domain is read back as that domain.
    """
    assert A.is_named_by(A.issuer)
    assert Issuer("A", "1.2.3.1", "ISO") == A.issuer


@pytest.mark.parametrize(
    ("domain", "value", "is_test"),
    [
        (Domain("X", test=True), "1", True),
        (Domain("A", test_ids=("QC-*", "ZZ?")), "QC-2024", True),
        (Domain("A", test_ids=("QC-*", "ZZ?")), "ZZ1", True),
        (Domain("A", test_ids=("QC-*", "ZZ?")), "100", False),
        (Domain("A", test_ids=("QC-*",)), "qc-2024", False),
        (Domain("A"), "QC-2024", False),
    ],
)
def test_who_is_a_test_patient(domain: Domain, value: str, is_test: bool) -> None:
    """All of a test domain, and in any other whose IDs match a pattern."""
    assert domain.is_test(value) == is_test
