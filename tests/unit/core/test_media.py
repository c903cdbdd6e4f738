"""Whether headers on one medium are of one patient."""

from __future__ import annotations

import pytest

from reconcile.core.facts import InstanceFacts
from reconcile.core.identity import NO_ISSUER, Demographics, Issuer, PersonName
from reconcile.core.media import OnMedium, may_be_one, on_medium

JANE = Demographics(PersonName("DOE^JANE"), "19800102", "F")
OTHER = Demographics(PersonName("ROE^RICHARD"), "19750506", "M")
MOTHER = Demographics(PersonName("DOE^JANE"), "19520102", "F")
MARRIED = Demographics(PersonName("SMITH^JANE"), "19800102", "F")
NOBODY = Demographics()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("1", JANE), ("1", JANE), True),
        (("1", JANE), ("77", JANE), True),
        (("1", JANE), ("77", MARRIED), True),
        (("1", JANE), ("1", OTHER), False),
        (("1", JANE), ("2", OTHER), False),
        (("1", JANE), ("2", MOTHER), False),
        (("1", JANE), ("1", MOTHER), True),
        (("1", NOBODY), ("1", NOBODY), True),
        (("1", NOBODY), ("2", NOBODY), False),
        (("", NOBODY), ("2", JANE), True),
    ],
)
def test_two_headers_are_of_one_patient_unless_something_speaks_against_it(
    one: tuple[str, Demographics], other: tuple[str, Demographics], same: bool
) -> None:
    """
    Two hospitals' IDs of one person are one patient; one ID of two people are two.
    """
    first, second = (OnMedium(value, NO_ISSUER, said) for value, said in (one, other))
    assert may_be_one(first, second) is same
    assert may_be_one(second, first) is same


def test_the_same_id_of_two_issuers_is_not_the_same() -> None:
    """
    An ID means nothing without who gave it.
    """
    one, other = (OnMedium("1", Issuer(name), NOBODY) for name in "AB")
    assert not may_be_one(one, other)


def test_padding_is_no_part_of_an_id() -> None:
    """
    What is compared is the ID as the registry compares it.
    """
    facts = InstanceFacts("1", "1.1", "1.2", "1.3", "１00 \0", demographics=JANE)
    assert on_medium(facts) == OnMedium("100", NO_ISSUER, JANE)
