"""How people name a patient in a question."""

from __future__ import annotations

import pytest

from reconcile.core.identity import Domain, PatientIdentifier
from reconcile.core.naming import identifier_of
from reconcile.errors import WrongUse

DOMAINS = {
    "A": Domain("A", "1.2.3", "ISO", aliases=("HISA",)),
    "Z": Domain("Z", fold_case=True, pad_to=6),
}


@pytest.mark.parametrize(
    ("cx", "named"),
    [
        ("100^^^A", PatientIdentifier("100", "A")),
        ("100^^^HISA", PatientIdentifier("100", "A")),
        ("100^^^&1.2.3&ISO", PatientIdentifier("100", "A")),
        ("100^^^A&1.2.3&ISO^PI", PatientIdentifier("100", "A")),
        (" 100 ^^^ A ", PatientIdentifier("100", "A")),
        ("42^^^Z", PatientIdentifier("000042", "Z")),
        ("ab^^^Z", PatientIdentifier("AB", "Z")),
        ("7^^^NEW", PatientIdentifier("7", "NEW")),
    ],
)
def test_a_cx_names_an_identifier_as_its_domain_spells_it(cx, named):
    """
    Aliases, universal IDs and the domain's own rules find the same identifier.
    """
    assert identifier_of(cx, DOMAINS) == named


@pytest.mark.parametrize("cx", ["", "100", "^^^A", "100^^^", "100^A", "100^^^A&9.9.9&ISO"])
def test_what_names_no_domain_is_refused_without_being_repeated(cx):
    """
    A bare ID is not an identifier, and it is not told to the log.
    """
    with pytest.raises(WrongUse) as refused:
        identifier_of(cx, DOMAINS)

    assert "100" not in str(refused.value)
